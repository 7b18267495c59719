"""Who writes in a store: each process keeps a file in `tmp/` as its heartbeat, so that others know if it is gone.

A heartbeat is locked by its process and renewed every few seconds. Where writer and observer share a kernel, containers
among them, a free lock shows at once that the process is gone. Elsewhere, and for a stopped process, a
heartbeat that does not change while it is watched shows it; clocks of other hosts are not compared.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from featurestore.files import mode_of

LEASE = "lease."
"""How the names of leases begin."""
HEARTBEAT = ".alive"
"""How the names of heartbeats end."""
BEAT = 3.0
"""Seconds between renewals of a heartbeat."""
SILENCE = 30.0
"""Seconds without a renewal, while somebody watches, after which a writer counts as gone."""
LONGEST_LEASE = 600.0
"""Seconds after which a lease that is watched is free even if its holder has a heartbeat: it may hang."""
DAY = 86_400.0
WRITER = re.compile(r"(?P<host>[A-Za-z0-9]{1,40})-(?P<pid>\d{1,10})-[0-9a-f]{12}")
"""The name of a writing process."""
_TEMPORARY = re.compile(rf"(?P<writer>{WRITER.pattern})\.(\d+|alive)|{re.escape(LEASE)}[0-9a-f]{{32}}")


class Holder(NamedTuple):
    """Who holds a lease."""

    host: str
    pid: int
    silence: float
    """Seconds for which its heartbeat has not changed while it was watched."""


def new_writer() -> str:
    """Return a name for this process, `HOST-PID-TOKEN`, which no other has."""
    host = re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(6)}"


def is_temporary(name: str) -> bool:
    """Return whether a file in `tmp/` is one of ours, by its name."""
    return _TEMPORARY.fullmatch(name) is not None


class Writers:
    """The processes that write in a folder.

    Parameters
    ----------
    folder : Path
        Where heartbeats, leases and unfinished files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._watched: dict[str, tuple[tuple[int, int], float]] = {}

    @contextmanager
    def heartbeat(self, *, renewed: bool = False) -> Iterator[str]:
        """Keep this process's heartbeat in the folder while the body runs, if asked renewed; yield the process's name.

        Raises
        ------
        OSError
            If the heartbeat cannot be written.
        """
        heartbeat = _own_heartbeat(self.folder)
        try:
            if renewed:
                heartbeat.keep_beating()
            yield heartbeat.writer
        finally:
            heartbeat.let_go()

    def has_heartbeat(self, writer: str) -> bool:
        """Return whether a writer's heartbeat is in the folder."""
        return (self.folder / f"{writer}{HEARTBEAT}").exists()

    def sweep(self) -> int:
        """Remove the leases, heartbeats and unfinished files of processes that are gone; return how many."""
        if not stat.S_ISDIR(mode_of(self.folder, follow=False)):
            return 0
        dead = [path for path in sorted(self.folder.iterdir()) if is_temporary(path.name) and self._is_abandoned(path)]
        for path in dead:
            path.unlink(missing_ok=True)
        return len(dead)

    def _is_abandoned(self, temporary: Path) -> bool:
        if not stat.S_ISREG(mode_of(temporary, follow=False)):
            return False
        if temporary.name.startswith(LEASE):
            return self.holder(temporary.name.removeprefix(LEASE)) is None
        match = _TEMPORARY.fullmatch(temporary.name)
        return match is not None and self._silence(match["writer"]) is None

    def lease(self, name: str) -> Path:
        """Return the path of a lease, a file with its holder's name."""
        return self.folder / f"{LEASE}{name}"

    def holder(self, name: str) -> Holder | None:
        """Return who holds a lease; None if there is none, or its holder is gone or takes too long."""
        lease = self.lease(name)
        try:
            writer = lease.read_text(encoding="ascii", errors="replace")
            unchanged = self._unchanged(lease.name, lease.stat())
        except FileNotFoundError:
            return None
        match = WRITER.fullmatch(writer)
        silence = self._silence(writer) if match and unchanged < LONGEST_LEASE else None
        return Holder(match["host"], int(match["pid"]), silence) if match and silence is not None else None

    def _silence(self, writer: str) -> float | None:
        """Return for how many seconds a watched heartbeat has not changed; None if its writer is gone."""
        if any(heartbeat.writer == writer for heartbeat in _heartbeats.values()):
            return 0.0
        try:
            handle = os.open(self.folder / f"{writer}{HEARTBEAT}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            if _is_unlocked(handle):
                return None
            status = os.fstat(handle)  # of the opened file: network file systems cache what a name refers to
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


class _Heartbeat:
    """The heartbeat of this process in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer = new_writer()
        self.users = 0
        self._path = folder / f"{self.writer}{HEARTBEAT}"
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
        """Renew the heartbeat every few seconds from now on."""
        if self._beating is None:
            self._beating = threading.Thread(target=self._keep_renewing, name="heartbeat", daemon=True)
            self._beating.start()

    def _keep_renewing(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):
                os.utime(self._handle)
                if not self._path.exists():  # this process was stopped, and others took it for gone
                    handle, self._handle = self._handle, self._make()
                    os.close(handle)

    def let_go(self) -> None:
        """Remove the heartbeat once nobody in this process needs it any more."""
        with _lock:
            self.users -= 1
            if self.users or _heartbeats.get(self.folder) is not self:  # a fork has none of its parent's
                return
            del _heartbeats[self.folder]
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
        with suppress(OSError):  # what is left is swept by the next builder
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file, and with it the lock."""
        os.close(self._handle)


_heartbeats: dict[Path, _Heartbeat] = {}
"""The heartbeats of this process by folder."""
_lock = threading.RLock()


def _own_heartbeat(folder: Path) -> _Heartbeat:
    with _lock:
        if folder not in _heartbeats:
            _heartbeats[folder] = _Heartbeat(folder)
        _heartbeats[folder].users += 1
        return _heartbeats[folder]


def _forget_heartbeats() -> None:
    """Drop the parent's heartbeats in a fork, which would otherwise keep their locks."""
    global _lock  # a thread of the parent may have held it
    _lock = threading.RLock()
    for heartbeat in _heartbeats.values():
        heartbeat.close()
    _heartbeats.clear()


os.register_at_fork(after_in_child=_forget_heartbeats)


def _is_unlocked(handle: int) -> bool:
    """Return whether a lock is certainly free: it is of this kernel and file system, where locks are visible."""
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
