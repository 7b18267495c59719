"""A folder as storage: objects appear by hard link from a finished, synced temporary file."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from featurestore.errors import MissingObjectError, StorageError
from featurestore.storage.locks import hold_folder
from featurestore.storage.protocol import Buffer
from featurestore.storage.writers import LEASE, is_alive, lease_is_alive, writer_name

TEMPORARY = "tmp"
_counter = itertools.count()


class LocalStorage:
    """Objects as files below a root folder.

    A write goes to `tmp/`, is synced, and is linked to its name, so that a reader sees all of it or nothing and a
    second writer of the same name loses without harm. File systems without hard links get an atomic rename.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        if self.root.exists() and not self.root.is_dir():
            raise StorageError(f"{str(self.root)!r} is a file, not a folder: give --store another path.")

    @property
    def uri(self) -> str:
        """The folder's absolute path."""
        return str(self.root)

    @property
    def mapped(self) -> bool:
        """Files are mapped."""
        return True

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self._explained(key):
            return (self.root / key).read_bytes()

    def buffer(self, key: str) -> Buffer:
        """Return an object's bytes as a read-only memory map."""
        with self._explained(key):
            path = self.root / key
            if path.stat().st_size == 0:  # an empty file cannot be mapped
                return np.empty(0, np.uint8)
            return np.asarray(np.memmap(path, np.uint8, "r"))

    def exists(self, key: str) -> bool:
        """Tell whether an object stands under this key."""
        return (self.root / key).is_file()

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview, *, durable: bool = True) -> bool:
        """Publish an object if none stands there; return whether it was written."""
        if self.exists(key):
            return False
        with self._explained(key), self._temporary(data, durable=durable) as temporary:
            target = self.root / key
            self._make_folder(target.parent, durable=durable)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                    raise
                temporary.replace(target)
            if durable:
                _sync_folder(target.parent)
            return True

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a file's bytes if no object stands there: a hard link where the file system can, else a copy."""
        target = self.root / key
        if target.is_file():
            return False
        with self._explained(key):
            self._make_folder(target.parent, durable=False)
            try:
                os.link(path.resolve(), target)
            except FileExistsError:
                return False
            except OSError:  # another file system, or no right to link: copy
                return self.put_if_absent(key, path.read_bytes(), durable=False)
            return True

    def replace(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """Publish an object in place of any other, atomically."""
        with self._explained(key), self._temporary(data, durable=True) as temporary:
            target = self.root / key
            self._make_folder(target.parent, durable=True)
            temporary.replace(target)
            _sync_folder(target.parent)

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        target = self.root / key
        with self._explained(key):
            target.unlink(missing_ok=True)
            for folder in target.parents:
                if folder == self.root or not folder.exists() or any(folder.iterdir()):
                    break
                folder.rmdir()

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names one level below a prefix."""
        try:
            return sorted(entry.name for entry in os.scandir(self.root / prefix))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all keys below a prefix with their sizes in bytes, sorted; unfinished writes are left out."""
        for path in sorted((self.root / prefix).rglob("*")):
            key = path.relative_to(self.root).as_posix()
            if path.is_file() and not key.startswith(f"{TEMPORARY}/"):
                yield key, path.stat().st_size

    def free_bytes(self) -> int | None:
        """Return the space left on the file system that holds the root."""
        folder = next(path for path in (self.root, *self.root.parents) if path.exists())
        return shutil.disk_usage(folder).free

    def sweep(self) -> int:
        """Remove the temporary files of writers that no longer live; return how many."""
        dead = [path for path in self._temporaries() if not is_alive(path)]
        for path in dead:
            path.unlink(missing_ok=True)
        return len(dead)

    def modified(self, key: str) -> float:
        """Return when an object's name was made: a linked original is as old as its link, not as its bytes."""
        with self._explained(key):
            return (self.root / key).stat().st_ctime

    def hold(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold the folder, which is made if need be."""
        with self._explained(""):
            self.root.mkdir(parents=True, exist_ok=True)
        return hold_folder(self.root, exclusive=exclusive)

    def claim(self, name: str) -> bool:
        """Take a lease: a file with the holder's name."""
        lease = self._lease(name)
        if lease_is_alive(lease):
            return False
        with self._explained(lease.name), self._temporary(writer_name().encode("ascii"), durable=False) as temporary:
            if lease.exists() and not lease_is_alive(lease):  # looked at again: it may be another's by now
                lease.unlink(missing_ok=True)
            try:
                os.link(temporary, lease)
            except FileExistsError:
                return False
            except OSError:  # no hard links here: the last one has it
                temporary.replace(lease)
            return True

    def claimed(self, name: str) -> bool:
        """Tell whether a living process holds a lease."""
        return lease_is_alive(self._lease(name))

    def release(self, name: str) -> None:
        """Give a lease back."""
        self._lease(name).unlink(missing_ok=True)

    def _lease(self, name: str) -> Path:
        return self.root / TEMPORARY / f"{LEASE}{name}"

    def _temporaries(self) -> list[Path]:
        folder = self.root / TEMPORARY
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _make_folder(self, folder: Path, *, durable: bool) -> None:
        missing = list(itertools.takewhile(lambda path: not path.is_dir(), (folder, *folder.parents)))
        folder.mkdir(parents=True, exist_ok=True)
        if durable:
            for made in missing:
                _sync_folder(made.parent)

    @contextmanager
    def _temporary(self, data: bytes | bytearray | memoryview, *, durable: bool) -> Iterator[Path]:
        """Write data to a new temporary file; it is gone afterwards, whatever happened."""
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{writer_name()}.{next(_counter)}"
        try:
            with path.open("xb") as file:
                file.write(data)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn what the operating system reports into one line that says what to do."""
        try:
            yield
        except FileNotFoundError as error:
            raise MissingObjectError(key) from error
        except OSError as error:
            raise StorageError(self._explanation(key, error)) from error

    def _explanation(self, key: str, error: OSError) -> str:
        where = f"{str(self.root / key)!r}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = (self.free_bytes() or 0) / 1e6
            return f"no space left for {where} ({free:.0f} MB free): free some and run the command again to continue."
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"no permission for {where}: give --store a folder that you may write."
        return f"{where}: {error.strerror or error}."


def _sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
