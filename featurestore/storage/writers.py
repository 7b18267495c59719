"""Who writes in a store: each process keeps a file in `tmp/` as its sign of life, so that others know if it is gone.

A sign is locked by its process and renewed every few seconds. Where writer and observer share a kernel, containers
among them, a lock that is free says at once that the process is gone. Elsewhere, and of a process that was stopped, it
is said by a sign that does not change while it is watched; clocks of other hosts are not compared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

LEASE = "lease."
"""How the names of leases begin."""
SIGN = ".alive"
"""How the names of signs of life end."""
BEAT = 3.0
"""Seconds between renewals of a sign."""
SILENCE = 30.0
"""Seconds without a renewal, while somebody watches, after which a writer counts as gone."""
LONGEST_LEASE = 600.0
"""Seconds after which a lease that is watched is free even if its holder gives signs of life: it may hang."""
DAY = 86_400.0
_WRITER = re.compile(r"(?P<host>[A-Za-z0-9]{1,40})-(?P<pid>\d+)-[0-9a-f]{12}")
_TEMPORARY = re.compile(rf"(?P<writer>{_WRITER.pattern})\.(\d+|alive)|{re.escape(LEASE)}[0-9a-f]{{32}}")


class Holder(NamedTuple):
    """Who holds a lease."""

    host: str
    pid: int
    silence: float
    """Seconds for which its sign of life has not changed while it was watched."""


def is_temporary(name: str) -> bool:
    """Tell whether a file in `tmp/` is one of ours, by its name."""
    return _TEMPORARY.fullmatch(name) is not None


class Writers:
    """The processes that write in a folder.

    Parameters
    ----------
    folder : Path
        Where signs, leases and unfinished files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._watched: dict[str, tuple[tuple[int, int], float]] = {}

    @contextmanager
    def signed(self, *, beat: bool = False) -> Iterator[str]:
        """Keep this process's sign in the folder while the body runs, renewed with `beat`; yield the process's name.

        Raises
        ------
        OSError
            If the sign cannot be written.
        """
        sign = _own_sign(self.folder)
        try:
            if beat:
                sign.keep_beating()
            yield sign.writer
        finally:
            sign.let_go()

    def shows(self, writer: str) -> bool:
        """Tell whether a writer's sign stands in the folder."""
        return (self.folder / f"{writer}{SIGN}").exists()

    def is_alive(self, temporary: Path) -> bool:
        """Tell whether the process that a lease, a sign or an unfinished file is of still writes."""
        if temporary.name.startswith(LEASE):
            return self.holder(temporary) is not None
        match = _TEMPORARY.fullmatch(temporary.name)
        return match is not None and self._silence(match["writer"]) is not None

    def holder(self, lease: Path) -> Holder | None:
        """Return who holds a lease; None if it is free: there is none, its holder is gone, or takes too long."""
        try:
            writer = lease.read_text(encoding="ascii", errors="replace")
            unchanged = self._unchanged(lease.name, lease.stat())
        except FileNotFoundError:
            return None
        match = _WRITER.fullmatch(writer)
        silence = self._silence(writer) if match and unchanged < LONGEST_LEASE else None
        return Holder(match["host"], int(match["pid"]), silence) if match and silence is not None else None

    def _silence(self, writer: str) -> float | None:
        """Return for how long a writer has given no sign while it was watched; None if it is gone."""
        if any(sign.writer == writer for sign in _signs.values()):
            return 0.0
        try:
            handle = os.open(self.folder / f"{writer}{SIGN}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            if _is_unlocked(handle):
                return None
            status = os.fstat(handle)  # of the opened file: network file systems cache what a name says
        finally:
            os.close(handle)
        silence = self._unchanged(writer, status)
        return None if silence > SILENCE or time.time() - status.st_mtime > DAY else silence

    def _unchanged(self, name: str, status: os.stat_result) -> float:
        """Return for how many seconds a file has been seen as it is."""
        stamp, now = (status.st_ino, status.st_mtime_ns), time.monotonic()
        before, since = self._watched.get(name, (stamp, now))
        self._watched[name] = (stamp, since if stamp == before else now)
        return now - self._watched[name][1]


class _Sign:
    """The sign of life of this process in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        host = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "host"
        self.writer = f"{host}-{os.getpid()}-{secrets.token_hex(6)}"
        self.users = 0
        self._path = folder / f"{self.writer}{SIGN}"
        self._handle = self._make()
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None

    def _make(self) -> int:
        handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with suppress(OSError):  # without lock or text it is judged by its renewals alone
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(handle, _where(handle))
        return handle

    def keep_beating(self) -> None:
        """Renew the sign every few seconds from now on."""
        if self._beating is None:
            self._beating = threading.Thread(target=self._beat, name="sign of life", daemon=True)
            self._beating.start()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):
                os.utime(self._handle)
                if not self._path.exists():  # somebody has taken this process for gone: it was stopped
                    handle, self._handle = self._handle, self._make()
                    os.close(handle)

    def let_go(self) -> None:
        """Remove the sign once nobody in this process needs it any more."""
        with _lock:
            self.users -= 1
            if self.users or _signs.get(self.folder) is not self:  # a fork has none of its parent's
                return
            del _signs[self.folder]
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
        with suppress(OSError):  # what is left is swept by the next builder
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file, and with it the lock."""
        os.close(self._handle)


_signs: dict[Path, _Sign] = {}
"""The signs of this process by folder."""
_lock = threading.RLock()


def _own_sign(folder: Path) -> _Sign:
    with _lock:
        if folder not in _signs:
            _signs[folder] = _Sign(folder)
        _signs[folder].users += 1
        return _signs[folder]


def _forget_signs() -> None:
    """Give a fork no part in the signs of its parent, whose locks it would keep."""
    global _lock  # a thread of the parent may have held it
    _lock = threading.RLock()
    for sign in _signs.values():
        sign.close()
    _signs.clear()


os.register_at_fork(after_in_child=_forget_signs)


def _is_unlocked(handle: int) -> bool:
    """Tell whether a sign's lock is certainly free: it is of this kernel and file system, where locks are seen."""
    where = _where(handle)
    if not where or os.pread(handle, len(where) + 1, 0) != where:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # held, or locks fail here
        return False
    return True


def _where(handle: int) -> bytes:
    """Name the running kernel and the file system that a file is on; empty where the kernel has no name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        return b""
    return hashlib.sha256(boot + str(os.fstat(handle).st_dev).encode()).hexdigest().encode()
