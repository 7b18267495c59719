"""Child processes of ours: started with one native thread, so that many of them share a machine, and watched.

A child gets a socket to its parent, over which it is asked, and ends when that is closed, however the parent ended.
Decoders (`featurestore.signal.guarded`) and the workers of a build (`pipelines.workers.local_workers`) are such.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

SINGLE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
_ROOT = Path(__file__).resolve().parents[1]


def start_child(code: str, **options: Any) -> tuple[subprocess.Popen[bytes], socket.socket]:  # noqa: ANN401 (of Popen)
    """Start a Python process and return it with our end of its socket; the child finds its own with `parent_socket`.

    Parameters
    ----------
    code : str
        Imports the function that the child runs and calls it; modules of this installation can be imported.
    options
        As `subprocess.Popen` takes them.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own code
            [
                sys.executable,
                "-P",
                "-c",
                f"import sys; sys.path.insert(0, sys.argv[1])\n{code}",
                _ROOT,
                f"{theirs.fileno()}",
            ],
            env={**os.environ, **SINGLE_THREAD},
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **options,
        )
    return process, ours


def parent_socket() -> socket.socket:
    """Return a child's end of the socket to its parent."""
    return socket.socket(fileno=int(sys.argv[2]))


def is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped (SIGSTOP, a debugger); False where the system does not say."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in "Tt"
