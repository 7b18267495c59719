"""Who works in a bucket: heartbeats and leases as small objects, renewed by their process, judged by one clock.

`tmp/holders/WRITER.shared` is the heartbeat of a build, `tmp/holders/WRITER.alone` that of a collection or repair. A
process that enters writes its own heartbeat before it reads the others', so that of two at least one sees the other: a
service lists what was written before. `tmp/leases/NAME` names who computes a shard. Times are the service's, compared
with that of the process's own heartbeat; a clock of this machine only measures how long ago that was.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from featurestore.errors import FeatureStoreError, StorageError, StoreBusyError
from featurestore.storage.bucket_requests import Found, Requests
from featurestore.storage.writers import LONGEST_LEASE, WRITER, Holder, new_writer

PERIOD = 30.0
"""Seconds between renewals of heartbeats and leases."""
SILENCE = 90.0
"""Seconds without a renewal, by the service's clock, after which a process counts as gone."""
LOOK = 2.0
"""Seconds for which an answer about a lease is reused: waiting builds ask ten times a second."""
HOLDERS, LEASES = "tmp/holders", "tmp/leases"
SHARED, ALONE = "shared", "alone"
_HEARTBEAT = re.compile(rf"{HOLDERS}/(?P<writer>{WRITER.pattern})\.({SHARED}|{ALONE})")
LARGEST = 1000
"""Bytes of the largest lease that is read."""


class _Lease(NamedTuple):
    """A lease of this process."""

    e_tag: str
    renewals: int


class Holders:
    """The heartbeats and leases of this process in one bucket, and what it sees of others'.

    Parameters
    ----------
    requests : Requests
        Of the bucket and prefix.
    """

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.writer = new_writer()
        self._lock = threading.RLock()
        self._lease_lock = threading.Lock()
        self._users = 0
        self._kind = SHARED
        self._ended = threading.Event()
        self._beating: threading.Thread | None = None
        self._service_time, self._own_time = 0.0, 0.0
        self._leases: dict[str, _Lease] = {}
        self._seen: dict[str, tuple[float, Holder | None]] = {}
        self._refusals: dict[str, tuple[float, str]] = {}

    @contextmanager
    def hold(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the bucket while the body runs; to have it alone takes a period of waiting.

        Raises
        ------
        StoreBusyError
            If somebody else holds it and either needs it alone.
        """
        with self._lock:
            if self._users and (exclusive or self._kind == ALONE):
                raise StoreBusyError(_busy(self.requests.uri, ALONE if self._kind == ALONE else SHARED, "this process"))
            if not self._users:
                self._enter_unless_refused(ALONE if exclusive else SHARED)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._leave()

    def check(self) -> None:
        """Refuse to go on writing once this process's heartbeat has expired: others may have taken it for gone.

        Raises
        ------
        StorageError
            If the process was stopped or cut off for too long.
        """
        if self._users and _now() - self._own_time > SILENCE:
            raise StorageError(
                f"this process was stopped or cut off from {self.requests.uri} for so long that others took it for "
                "gone: run the same command again to continue."
            )

    def has_heartbeat(self, writer: str) -> bool:
        """Return whether a process's heartbeat is there."""
        return any(self.requests.head(f"{HOLDERS}/{writer}.{kind}") for kind in (SHARED, ALONE))

    def claim(self, name: str) -> bool:
        """Take a lease if it is free: there is none, or it has expired."""
        key = f"{LEASES}/{name}"
        e_tag = self.requests.swap(key, self._body(0), None)
        if e_tag is None:
            held = self._read(key)
            ours = held is not None and held[0].startswith(self.writer) and name not in self._leases
            if held is None or not (ours or self._age(held[1]) > SILENCE):
                return False  # a lease that this process failed to give back is still its own
            e_tag = self.requests.swap(key, self._body(0), held[1].e_tag)
        if e_tag is None:
            return False
        with self._lease_lock:
            self._leases[name] = _Lease(e_tag, 0)
        return True

    def holder(self, name: str) -> Holder | None:
        """Return the process that holds a lease and has renewed it; None if it is free."""
        since, before = self._seen.get(name, (-LOOK, None))
        if _now() - since < LOOK:
            return before
        held = self._read(f"{LEASES}/{name}")
        match = held and WRITER.match(held[0])
        silence = self._age(held[1]) if held else 0.0
        holder = Holder(match["host"], int(match["pid"]), silence) if match and silence <= SILENCE else None
        self._seen[name] = _now(), holder
        return holder

    def release(self, name: str) -> None:
        """Give a lease back, if it is still this process's."""
        with self._lease_lock:
            lease = self._leases.pop(name, None)
        if lease is None:
            return
        with suppress(FeatureStoreError):  # a lease that is left expires
            held = self._read(f"{LEASES}/{name}")
            if held is not None and held[0].startswith(self.writer):  # whichever renewal of it stands
                self.requests.delete(f"{LEASES}/{name}")

    def _enter_unless_refused(self, kind: str) -> None:
        """Enter; a refusal is repeated for a moment without asking: waiting builds ask ten times a second."""
        since, before = self._refusals.get(kind, (-LOOK, ""))
        if _now() - since < LOOK:
            raise StoreBusyError(before)
        try:
            if kind == SHARED and self._own_time:
                self._refuse_others(kind)  # with no heartbeat yet, which would refuse a process that waits to be alone
            self._enter(kind)
        except StoreBusyError as error:
            self._refusals[kind] = _now(), str(error)
            raise

    def _enter(self, kind: str) -> None:
        self._kind = kind
        self._write_heartbeat()
        try:
            others = self._refuse_others(kind)
            if kind == ALONE:
                if not self._ended.wait(PERIOD):
                    self._write_heartbeat()
                others = self._refuse_others(kind)
                leases = self.requests.entries(LEASES)
                for key in (*others, *(key for key, found in leases.items() if self._age(found) > SILENCE)):
                    self.requests.delete(key)
        except BaseException:
            self._withdraw()
            raise
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._keep_renewing, args=(self._ended,), name="heartbeat", daemon=True)
        self._beating.start()

    def _leave(self) -> None:
        self._ended.set()
        if self._beating is not None:
            self._beating.join()  # or a renewal under way would come after the removal
        self._ended = threading.Event()
        for name in list(self._leases):
            self.release(name)
        self._withdraw()

    def _withdraw(self) -> None:
        with suppress(FeatureStoreError):  # a heartbeat that is left expires
            self.requests.delete(self._key)

    @property
    def _key(self) -> str:
        return f"{HOLDERS}/{self.writer}.{self._kind}"

    def _write_heartbeat(self) -> None:
        """Write or renew this process's heartbeat, and learn the service's time from it."""
        before = _now()
        self.requests.put(self._key, self.writer.encode())
        found = self.requests.head(self._key)
        if found is not None:
            self._service_time, self._own_time = found.modified, before

    def _refuse_others(self, kind: str) -> list[str]:
        """Refuse to enter beside processes that exclude this kind; return the heartbeats of those that are gone."""
        gone = []
        for key, found in self.requests.entries(HOLDERS).items():
            match = _HEARTBEAT.fullmatch(key)
            if not match or match["writer"] == self.writer:
                continue
            other = key.rpartition(".")[2]
            if self._age(found) > SILENCE:
                gone.append(key)
            elif ALONE in (kind, other):
                raise StoreBusyError(_busy(self.requests.uri, other, f"{match['host']} (process {match['pid']})"))
        return gone

    def _age(self, found: Found) -> float:
        """Return the seconds since an object was written, by the service's clock."""
        if not self._own_time:
            self._write_heartbeat()
            if not self._users:
                self._withdraw()
        return max(0.0, self._service_time + _now() - self._own_time - found.modified)

    def _read(self, key: str) -> tuple[str, Found] | None:
        try:
            data, found = self.requests.get(key, LARGEST)
        except FileNotFoundError:
            return None
        return data.decode("ascii", errors="replace"), found

    def _body(self, renewals: int) -> bytes:
        """Return the bytes of a lease: each renewal has other bytes, and so an ETag of its own."""
        return f"{self.writer} {renewals}".encode()

    def _keep_renewing(self, ended: threading.Event) -> None:
        while not ended.wait(PERIOD):
            with suppress(FeatureStoreError):  # `check` raises when it has failed for too long
                self.check()
                self._write_heartbeat()
                for name, lease in list(self._leases.items()):
                    self._renew(name, lease)

    def _renew(self, name: str, lease: _Lease) -> None:
        """Renew a lease unless its work seems to hang; forget one that another process has taken."""
        if lease.renewals * PERIOD > LONGEST_LEASE:
            return
        e_tag = self.requests.swap(f"{LEASES}/{name}", self._body(lease.renewals + 1), lease.e_tag)
        with self._lease_lock:
            if self._leases.get(name) == lease:
                if e_tag is None:
                    del self._leases[name]
                else:
                    self._leases[name] = _Lease(e_tag, lease.renewals + 1)


def _busy(uri: str, kind: str, who: str) -> str:
    work = "gc or repair" if kind == ALONE else "build, gc or repair"
    return (
        f"{uri} is in use by a running {work} of {who}: run this again when that has ended. One that was killed "
        f"counts for {SILENCE:.0f} s more."
    )


def _now() -> float:
    """Return the seconds of a clock that cannot be set and runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_holders: dict[str, Holders] = {}
"""The heartbeats and leases of this process, by bucket."""
_lock = threading.Lock()


def holders_in(requests: Requests) -> Holders:
    """Return this process's heartbeats and leases in a bucket, the same object for all who open it."""
    with _lock:
        return _holders.setdefault(f"{requests.endpoint} {requests.uri}", Holders(requests))


def _forget() -> None:
    """Drop the parent's heartbeats and leases in a fork."""
    global _lock
    _lock = threading.Lock()
    _holders.clear()


os.register_at_fork(after_in_child=_forget)
