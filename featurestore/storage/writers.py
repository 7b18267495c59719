"""Who writes a temporary file, told by its name, so that others know when it is abandoned."""

from __future__ import annotations

import os
import re
import socket
import time
from functools import lru_cache
from pathlib import Path

DAY = 86_400.0
LEASE = "lease."
"""How the names of leases begin."""
LONGEST_LEASE = 600.0
"""Seconds after which a lease is free even if its holder lives: it may hang, or be on another host."""


def writer_name() -> str:
    """Name this process: host, process id and start time, which together never repeat."""
    return _name_of(os.getpid())


@lru_cache(maxsize=1)
def _name_of(living: int) -> str:
    """Return the name of this process, by its id so that a fork gets its own."""
    return f"{_host()}-{living}-{_start_time(living)}"


def is_temporary(name: str) -> bool:
    """Tell whether a file in `tmp/` is one of ours, by its name: what `writer_name` and a number give, or a lease."""
    return bool(re.fullmatch(rf"[A-Za-z0-9]{{1,40}}-\d+-\d*\.\d+|{re.escape(LEASE)}[0-9a-f]{{32}}", name))


def is_alive(temporary: Path) -> bool:
    """Tell whether the process that a temporary file is named after still lives.

    Processes of other hosts (a store on a network file system) are taken to live for a day.
    """
    if temporary.name.startswith(LEASE):
        return lease_is_alive(temporary)
    lives = _lives(temporary.name.rpartition(".")[0])
    return _younger(temporary, DAY) if lives is None else lives


def lease_is_alive(lease: Path) -> bool:
    """Tell whether a lease is held: it is young, and its holder lives or is on another host."""
    try:
        holder = lease.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False
    return _lives(holder) is not False and _younger(lease, LONGEST_LEASE)


def _lives(writer: str) -> bool | None:
    """Tell whether a process lives, by what `writer_name` called it; None for one of another host."""
    match = re.fullmatch(r"(?P<host>.+)-(?P<pid>\d+)-(?P<start>\d+)", writer)
    if match is None or match["host"] != _host():
        return None
    return _start_time(int(match["pid"])) == match["start"]


def _younger(path: Path, seconds: float) -> bool:
    try:
        return time.time() - path.stat().st_mtime < seconds
    except FileNotFoundError:
        return False


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "host"


def _start_time(pid: int) -> str:
    """Return a process's start time in clock ticks since boot, or an empty text if it does not live."""
    if not Path("/proc/self/stat").exists():
        return "0" if _answers(pid) else ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _answers(pid: int) -> bool:
    """Tell whether a process exists, where there is no /proc to tell its start time too."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
