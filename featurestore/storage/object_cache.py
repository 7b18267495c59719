"""Copies of a bucket's objects on this machine: whole, checksummed, shared by processes, and of bounded size.

A copy is a file with the object's bytes, then their crc32c. Its name depends on the object's ETag, so an object that
was replaced has no copy. It appears by rename, complete or not at all, and each process that opens it checks it; a
damaged one is removed. The least recently used ones make room for new ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import google_crc32c

from featurestore.errors import StorageError
from featurestore.files import open_regular

FOLDER_VARIABLE, SIZE_VARIABLE = "FEATURESTORE_CACHE", "FEATURESTORE_CACHE_SIZE"
DEFAULT_SIZE = 20 * 10**9
"""Bytes of all copies together."""
CRC_BYTES = 4
PIECE = 2**20
"""Bytes that are read at a time for the checksum."""
NAME = re.compile(r"[0-9a-f]{40}")
UNFINISHED = re.compile(r"[0-9a-f]{40}\.\d+-\d+\.part")
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}

_counter = itertools.count()


class ObjectCache:
    """Copies of objects in a folder.

    Parameters
    ----------
    folder : Path
        Made when the first copy is kept. Other files in it are left alone.
    most_bytes : int
        Of all copies together; 0 keeps none.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    @classmethod
    def chosen(cls) -> ObjectCache:
        """Return the cache that `FEATURESTORE_CACHE` (a folder) and `FEATURESTORE_CACHE_SIZE` (as in `20GB`) name.

        Without them it is `objects` in the user's cache folder, with 20 GB.

        Raises
        ------
        StorageError
            If the size cannot be read.
        """
        import platformdirs

        folder = os.environ.get(FOLDER_VARIABLE) or Path(platformdirs.user_cache_dir("featurestore")) / "objects"
        chosen = os.environ.get(SIZE_VARIABLE, "").strip()
        found = re.fullmatch(r"(\d{1,15})\s*([KMGT]I?)?B?", chosen or str(DEFAULT_SIZE), re.IGNORECASE)
        if not found:
            raise StorageError(f"{SIZE_VARIABLE}={chosen!r:.80} is no size: write it as 20GB or 512MiB.")
        return cls(Path(folder).expanduser(), int(found[1]) * UNITS[(found[2] or "").upper()])

    def open(self, name: str, size: int) -> int | None:
        """Return a descriptor of an object's copy, whose bytes come first; None if there is no sound one.

        Parameters
        ----------
        name : str
            See `copy_name`.
        size : int
            Bytes of the object.
        """
        path = self.folder / name
        try:
            handle = open_regular(path)
        except OSError:
            return None
        if _is_sound(handle, size):
            with suppress(OSError):
                os.utime(path)  # it was used just now
            return handle
        os.close(handle)
        self.remove(name)
        return None

    def has(self, name: str, size: int) -> bool:
        """Return whether there is a copy of the right size; opening it shows whether it is sound."""
        try:
            return (self.folder / name).stat().st_size == size + CRC_BYTES
        except OSError:
            return False

    def get(self, name: str, size: int) -> bytes | None:
        """Return the bytes of an object's copy; None if there is no sound one."""
        handle = self.open(name, size)
        if handle is None:
            return None
        with os.fdopen(handle, "rb") as file:
            data = file.read(size)
        return data if len(data) == size else None

    def put(self, name: str, data: bytes) -> bool:
        """Keep a copy; return whether it was kept: not if it is too large, or cannot be written."""
        needed = len(data) + CRC_BYTES
        if needed > self.most_bytes:
            return False
        unfinished = self.folder / f"{name}.{os.getpid()}-{next(_counter)}.part"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():  # else another writer could find the file before its lock, and remove it
                self._make_room(needed)
                file = unfinished.open("xb")
                fcntl.flock(file, fcntl.LOCK_EX)  # the kernel drops it with the process: then others remove the file
            with file:
                file.write(data)
                file.write(google_crc32c.value(data).to_bytes(CRC_BYTES, "big"))
                file.flush()
                unfinished.replace(self.folder / name)
        except OSError:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a copy, if there is one; who has it open can go on reading."""
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Remove what killed processes left unfinished, then copies until so many bytes are free."""
        copies: list[tuple[float, int, str]] = []
        for entry in os.scandir(self.folder):
            with suppress(OSError):  # another process may have removed it
                status = entry.stat(follow_symlinks=False)
                if UNFINISHED.fullmatch(entry.name) and _is_abandoned(entry.path):
                    Path(entry.path).unlink(missing_ok=True)
                elif NAME.fullmatch(entry.name) or UNFINISHED.fullmatch(entry.name):
                    copies.append((status.st_mtime, status.st_size, entry.name))
        total = sum(size for _, size, _ in copies) + needed
        for _, size, name in sorted(copies):
            if total <= self.most_bytes:
                break
            if NAME.fullmatch(name):
                self.remove(name)
                total -= size

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process make room at a time."""
        handle = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # without locks two may remove more than is needed
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def copy_name(place: str, key: str, e_tag: str) -> str:
    """Return what the copy of an object is called: other places, keys and versions have other names."""
    return hashlib.sha256(f"{place}\n{key}\n{e_tag}".encode()).hexdigest()[:40]


def _is_sound(handle: int, size: int) -> bool:
    """Return whether a copy has the right size and its checksum is that of its bytes."""
    try:
        if os.fstat(handle).st_size != size + CRC_BYTES:
            return False
        checksum = 0
        for start in range(0, size, PIECE):
            checksum = google_crc32c.extend(checksum, os.pread(handle, min(PIECE, size - start), start))
        return bool(os.pread(handle, CRC_BYTES, size) == checksum.to_bytes(CRC_BYTES, "big"))
    except OSError:
        return False


def _is_abandoned(path: str) -> bool:
    """Return whether nobody writes an unfinished copy any more."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
