"""Files as they should be read, regular ones alone (a pipe blocks, a device never ends), and folders made durable."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

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


def _refuse_special(path: str | Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(
            errno.EISDIR if kind == stat.S_IFDIR else errno.EINVAL,
            f"it is {SPECIAL_FILES.get(kind, 'special')} and no file",
            str(path),
        )
