"""Child processes: decoders (`featurestore.signal.guarded`) and workers (`pipelines.workers.local_workers`).

A child has one native thread, so that many share a machine. It answers over a socket to its parent and ends when that
is closed, however the parent ended.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def start_child(code: str, **options: Any) -> tuple[subprocess.Popen[bytes], socket.socket]:  # noqa: ANN401 (of Popen)
    """Start a Python process that runs `code`, with options of `Popen`; return it with our end of its socket.

    The code can import this installation and finds its own end with `parent_socket`.
    """
    ours, theirs = socket.socketpair()
    code = f"import sys; sys.path.insert(0, sys.argv[1])\n{code}"
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    with theirs:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own code
            [sys.executable, "-P", "-c", code, ROOT, f"{theirs.fileno()}"],
            env={**os.environ, **threads},
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **options,
        )
    return process, ours


def parent_socket() -> socket.socket:
    """Return a child's end of the socket to its parent."""
    return socket.socket(fileno=int(sys.argv[2]))


def activity(pid: int) -> tuple[str, int | None]:
    """Return the state of a process, such as `R` for running, and the ticks of processor time that it has used.

    Empty and None where the system does not report them.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[11]) + int(fields[12])
    except (OSError, IndexError, ValueError):
        return "", None


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped (SIGSTOP, a debugger); False where the system does not report it."""
    return activity(pid)[0] in ("T", "t")
