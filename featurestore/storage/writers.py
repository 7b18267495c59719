"""Who writes a temporary file, told by its name, so that others know when it is abandoned."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

DAY = 86_400.0


def writer_name() -> str:
    """Name this process: host, process id and start time, which together never repeat."""
    return f"{_host()}-{os.getpid()}-{_start_time(os.getpid())}"


def is_alive(temporary: Path) -> bool:
    """Tell whether the process that a temporary file is named after still lives.

    Processes of other hosts (a store on a network file system) are taken to live for a day.
    """
    match = re.fullmatch(r"(?P<host>.+)-(?P<pid>\d+)-(?P<start>\d+)\.\d+", temporary.name)
    if match and match["host"] == _host():
        return _start_time(int(match["pid"])) == match["start"]
    try:
        return time.time() - temporary.stat().st_mtime < DAY
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
