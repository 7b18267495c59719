"""Files: regular ones alone are read (a pipe blocks, a device never ends); what is written is whole and lasts."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from pathlib import Path

from featurestore.errors import StorageError

SPECIAL_FILES = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: str | Path) -> int:
    """Open a regular file for reading and return its descriptor; links are followed.

    `OSError` if it cannot be opened, or is a pipe, a socket, a device or a folder, which are not even opened.
    """
    _refuse_special(path, Path(path).stat())
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _refuse_special(path, os.fstat(handle))  # it may have been put there since
    except OSError:
        os.close(handle)
        raise
    return handle


def read_regular(path: str | Path, most: int) -> bytes:
    """Return the bytes of a regular file; `OSError` if it is none, or has more than `most`."""
    with os.fdopen(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""  # not `most`, for which memory would be set aside
    if max(size, len(data)) > most:  # it may have grown
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return data


def mode_of(path: Path, *, follow: bool = True) -> int:
    """Return the mode of a path, of a link itself without `follow`; 0 if nothing is there."""
    try:
        return path.stat().st_mode if follow else path.lstat().st_mode
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        return 0


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power, on file systems that can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it holds either its old bytes or the new ones, whatever happens.

    Raises
    ------
    StorageError
        If the file cannot be written, for want of space or permission; the old one is kept.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = "no space left" if error.errno == errno.ENOSPC else error.strerror
        raise StorageError(f"{path}: cannot be written ({reason}). Make room or choose another folder.") from error


def _refuse_special(path: str | Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(
            errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL,
            f"it is {SPECIAL_FILES.get(kind, 'special')} and no file",
            str(path),
        )
