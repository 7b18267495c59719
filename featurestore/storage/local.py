"""A folder as storage: objects appear by hard link from a finished, synced temporary file."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from featurestore.errors import DamagedObjectError, MissingObjectError, StorageError
from featurestore.files import mode_of, open_regular, read_regular, sync_folder
from featurestore.storage.folder_lock import MARK, NEIGHBOURS, TEMPORARY, check_may_begin, hold_folder, is_store
from featurestore.storage.protocol import FOLDER, MARKER, Buffer, Data, Version, checked_key, is_part, largest
from featurestore.storage.writers import Holder, Writers

MOST_OPEN = 128
"""Files that stay open for further reads, and at most an eighth of what a process may have open."""
_counter = itertools.count()


class LocalStorage:
    """Objects as files below a root folder.

    A write goes to `tmp/`, is synced, and is linked to its name, so that a reader sees all of it or nothing and a
    second writer of the same name loses without harm. File systems without hard links get an atomic rename.

    Nothing is written before the folder is a store, or empty and marked as one. Links are read through; nothing is
    written or deleted behind them.

    Parameters
    ----------
    root : Path
        The folder.
    links : bool
        Without it, an object that is a link, or lies behind one, is a `DamagedObjectError`: for a stranger's folder.
    """

    def __init__(self, root: Path, *, links: bool = True) -> None:
        self.root = root.absolute()
        self._links = links
        self._begun = self._was_store = False
        """Whether writing has begun, and whether a store was seen here: if so, and it is gone, it was moved."""
        self._keep_open()
        with self._explained(""):
            if not stat.S_ISDIR(mode_of(self.root) or stat.S_IFDIR):
                raise StorageError(f"{str(self.root)!r} is a file, not a folder: give --store another path.")

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "_links": self._links, "_begun": self._begun, "_was_store": self._was_store}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._keep_open()

    def _keep_open(self) -> None:
        root, allowed = self.root, resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = MOST_OPEN if allowed == resource.RLIM_INFINITY else max(1, min(MOST_OPEN, allowed // 8))
        self._writers = Writers(root / TEMPORARY)
        self._descriptor = lru_cache(most)(lambda key: _Descriptor(root / checked_key(key)))

    @property
    def uri(self) -> str:
        """The folder's absolute path."""
        return str(self.root)

    @property
    def random_access(self) -> bool:
        """Parts of a file are read where they lie."""
        return True

    def is_store(self) -> bool:
        """Return whether the folder is a store."""
        with self._explained(""):
            self._was_store = is_store(self.root)
        return self._was_store

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        with self._explained(key, reading=True):
            data = read_regular(self._path(key), largest(key))
        self._was_store = True
        return data

    def read(self, key: str, start: int, out: Buffer) -> Version:
        """Fill a buffer with an object's bytes from a position on."""
        with self._explained(key, reading=True):
            if not self._links:
                self._path(key)
            file = self._descriptor(key)
            done = 0
            while done < len(out):
                count = os.preadv(file.number, [out[done:].data], start + done)
                if not count:
                    raise DamagedObjectError(key, f"it ends before byte {start + len(out):,}")
                done += count
            return file.version

    def size(self, key: str) -> int:
        """Return an object's bytes."""
        with self._explained(key, reading=True):
            return self._path(key).stat().st_size

    def exists(self, key: str) -> bool:
        """Return whether there is an object of this key."""
        with self._explained(key):
            return stat.S_ISREG(mode_of(self._path(key)))

    def put_if_absent(self, key: str, data: Data, *, durable: bool = True) -> bool:
        """Publish an object if there is none; return whether it was written."""
        if self.exists(key):
            return False
        with self._explained(key), self._temporary(data, durable=durable) as temporary:
            target = self._target(key, durable=durable)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
                    raise
                temporary.replace(target)
            if durable:
                sync_folder(target.parent)
            return True

    def adopt(self, key: str, path: Path) -> bool:
        """Publish a file's bytes if there is none: a hard link where the file system can, else a copy."""
        if self.exists(key):
            return False
        self._begin()
        with self._explained(key):
            try:
                os.link(path.resolve(), self._target(key, durable=False))
            except FileExistsError:
                return False
            except OSError:  # another file system, or no right to link: copy
                return self.put_if_absent(key, read_regular(path, largest(key)), durable=False)
            return True

    def replace(self, key: str, data: Data) -> None:
        """Publish an object in place of any other, atomically."""
        with self._explained(key), self._temporary(data, durable=True) as temporary:
            target = self._target(key, durable=True)
            temporary.replace(target)
            self._descriptor.cache_clear()
            sync_folder(target.parent)

    def delete(self, key: str) -> None:
        """Remove an object and the folders that it leaves empty."""
        target = self._path(key)
        with self._explained(key):
            self._refuse_links(target.parent)
            if stat.S_IFMT(mode_of(target, follow=False)) not in (0, stat.S_IFREG, stat.S_IFLNK):
                raise StorageError(f"{str(target)!r} is no file: remove it by hand.")
            target.unlink(missing_ok=True)
            self._descriptor.cache_clear()
            with suppress(OSError):  # up to the first folder that is not empty
                for folder in itertools.takewhile(self.root.__ne__, target.parents):
                    folder.rmdir()

    def children(self, prefix: str) -> list[str]:
        """Return the sorted names of what can belong to a store one level below a prefix."""
        if not FOLDER.fullmatch(prefix):
            raise DamagedObjectError(prefix, "no folder of a store is called so")
        if not self._links and self._link_on_the_way(self.root / prefix):
            return []
        with self._explained(prefix):
            try:
                names = sorted(entry.name for entry in os.scandir(self.root / prefix))
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [name for name in names if is_part(f"{prefix}/{name}".lstrip("/"))]

    def walk(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield all that lies below a prefix with sizes in bytes, sorted; unfinished writes are left out.

        Foreign files are among them, and links to folders, which are not followed.
        """
        with self._explained(prefix):
            try:
                found = sorted(os.scandir(self.root / prefix), key=lambda entry: entry.name)
            except FileNotFoundError:
                return
            for entry in found:
                key = f"{prefix}/{entry.name}".lstrip("/")
                if not entry.is_dir(follow_symlinks=False):
                    yield key, entry.stat(follow_symlinks=False).st_size
                elif key != TEMPORARY and key not in NEIGHBOURS:
                    yield from self.walk(key)

    def changed(self, prefix: str) -> tuple[int, int]:
        """Return values that change when a name one level below a prefix is made, replaced or removed."""
        with self._explained(prefix):
            try:
                status = (self.root / prefix).stat()
            except FileNotFoundError:
                return 0, 0
            return status.st_ino, status.st_mtime_ns

    def free_bytes(self) -> int | None:
        """Return the space left on the file system that holds the root."""
        with self._explained(""):
            folder = next(path for path in (self.root, *self.root.parents) if path.exists())
            return shutil.disk_usage(folder).free

    def sweep(self) -> int:
        """Remove the temporary files of writers that no longer live; return how many."""
        with self._explained(TEMPORARY):
            return self._writers.sweep()

    def modified(self, key: str) -> float:
        """Return when an object's name was made: a linked original is as old as its link, not as its bytes."""
        with self._explained(key):
            return self._path(key).lstat().st_ctime

    def fresh(self) -> LocalStorage:
        """Return this storage: it keeps nothing."""
        return self

    def expect(self, keys: Iterable[str]) -> None:
        """Do nothing: files lie here already."""

    def distrust(self, key: str) -> bool:
        """Return False: what was read is what lies there."""
        return False

    @contextmanager
    def hold(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the folder, which is made if need be, and keep a heartbeat meanwhile."""
        self._begin()
        self._check_still_there()
        with ExitStack() as held:
            with self._explained(""):
                held.enter_context(hold_folder(self.root, exclusive=exclusive))
            with suppress(OSError):  # where nothing can be written, the first write says so
                (self.root / TEMPORARY).mkdir(exist_ok=True)
                held.enter_context(self._writers.heartbeat(renewed=True))
            yield

    def heartbeat(self) -> str:
        """Return the name of this process's heartbeat."""
        with self._explained(""), self._writers.heartbeat() as writer:
            return writer

    def has_heartbeat(self, name: str) -> bool:
        """Return whether this heartbeat is here."""
        return self._writers.has_heartbeat(name)

    def claim(self, name: str) -> bool:
        """Take a lease: a file with the holder's name."""
        lease = self._writers.lease(name)
        if self._writers.holder(name) is not None:
            return False
        with (
            self._explained(""),
            self._writers.heartbeat() as writer,
            self._temporary(writer.encode("ascii"), durable=False) as temporary,
        ):
            if lease.exists() and self._writers.holder(name) is None:  # checked again: it may have been taken since
                lease.unlink(missing_ok=True)
            try:
                os.link(temporary, lease)
            except FileExistsError:
                return False
            except OSError:  # no hard links here: the last to write has it
                temporary.replace(lease)
            return True

    def holder(self, name: str) -> Holder | None:
        """Return the living process that holds a lease."""
        return self._writers.holder(name)

    def release(self, name: str) -> None:
        """Give a lease back."""
        with suppress(OSError):  # a lease that is left is free once this process has ended
            self._writers.lease(name).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        """Return the path of an object; every access to one goes through here."""
        path = self.root / checked_key(key)
        if not self._links and self._link_on_the_way(path):
            raise DamagedObjectError(key, "it is a link, or lies behind one")
        return path

    def _target(self, key: str, *, durable: bool) -> Path:
        """Return the path for an object; its folder is made if need be, but not the root, and may be no link."""
        target = self._path(key)
        self._refuse_links(target.parent)
        missing = list(itertools.takewhile(lambda path: not path.is_dir(), (target.parent, *target.parent.parents)))
        for folder in reversed(missing):
            if folder.parent == self.root:
                self._check_still_there()
            folder.mkdir(exist_ok=True)
            if durable:
                sync_folder(folder.parent)
        return target

    def _refuse_links(self, folder: Path) -> None:
        """Refuse to write or delete in a folder of the store that is a link."""
        place = self._link_on_the_way(folder)
        if place is not None:
            raise StorageError(
                f"{str(place)!r} is a link, and nothing is written or deleted behind one: put the whole store "
                "where it leads, or a folder in its place."
            )

    def _link_on_the_way(self, path: Path) -> Path | None:
        """Return the link that a path below the root is or leads through; None if there is none."""
        below = itertools.takewhile(lambda place: place != self.root, (path, *path.parents))
        return next((place for place in below if stat.S_ISLNK(mode_of(place, follow=False))), None)

    def _begin(self) -> None:
        """Before the first write make and mark the folder; `StorageError` if it holds other files and is no store."""
        if self._begun:
            return
        if not self._was_store and not self.is_store():
            with self._explained(""):
                check_may_begin(self.root)
                (self.root / TEMPORARY).mkdir(parents=True, exist_ok=True)
        self._begun = self._was_store = True
        self.put_if_absent(MARKER, MARK)

    @contextmanager
    def _temporary(self, data: Data, *, durable: bool) -> Iterator[Path]:
        """Write data to a new temporary file; it is gone afterwards, whatever happened."""
        self._begin()
        folder = self.root / TEMPORARY
        self._refuse_links(folder)
        if not folder.is_dir():
            self._check_still_there()
            folder.mkdir(exist_ok=True)
        with self._writers.heartbeat() as writer:
            path = folder / f"{writer}.{next(_counter)}"
            try:
                with path.open("xb") as file:
                    file.write(data)
                    if durable:
                        file.flush()
                        os.fsync(file.fileno())
                yield path
            except FileNotFoundError as error:
                if path.exists():
                    raise
                raise StorageError(
                    "this process was stopped for so long that others took it for gone and removed what it wrote: "
                    "run the same command again to continue."
                ) from error
            finally:
                with suppress(OSError):  # what is left is swept by the next builder
                    path.unlink(missing_ok=True)

    def _check_still_there(self) -> None:
        """Tell a store that is not there any more from one that lacks an object."""
        if self._was_store and not is_store(self.root):
            raise StorageError(
                f"the store at {str(self.root)!r} is not there any more: it was moved or removed, or its disk is not "
                "mounted. Bring it back and run the command again."
            )

    @contextmanager
    def _explained(self, key: str, *, reading: bool = False) -> Iterator[None]:
        """Turn what the operating system reports into one line that says what to do."""
        try:
            yield
        except FileNotFoundError as error:
            self._check_still_there()
            raise (MissingObjectError(key) if key else StorageError(f"{self.uri!r} is missing.")) from error
        except OSError as error:
            if reading and error.errno in (errno.EFBIG, errno.EINVAL, errno.EISDIR, errno.EIO, errno.ELOOP):
                raise DamagedObjectError(key, f"it cannot be read: {error.strerror}") from error
            raise StorageError(self._explanation(key, error)) from error

    def _explanation(self, key: str, error: OSError) -> str:
        where = f"{error.filename or str(self.root / key)!r}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = (self.free_bytes() or 0) / 1e6
            return f"no space left for {where} ({free:.0f} MB free): free some and run the command again to continue."
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"no permission for {where}: give --store a folder that you may read and write."
        return f"{where}: {error.strerror or error}."


class _Descriptor:
    """An open file, closed when nothing uses it any more; a thread may still read after it has left the cache."""

    def __init__(self, path: Path) -> None:
        self.number = open_regular(path)
        status = os.fstat(self.number)
        self.version = Version(status.st_size, (status.st_dev, status.st_ino, status.st_mtime_ns))

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):
            close(self.number)
