"""Who may work on a folder at the same time: builders share it, whoever deletes or mends has it alone."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurestore.errors import StoreBusyError

_UNSUPPORTED = (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)


@contextmanager
def hold_folder(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a folder while the body runs; the system lets go of it when the process ends, however that happens.

    The lock is on the folder itself, so that no lock file lies in the store. Nobody waits for it here. Some network
    file systems cannot lock a folder: there the grace period of a collection is what protects running builds.

    Raises
    ------
    StoreBusyError
        If somebody holds it, and one of both is to have it alone.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, exclusive=exclusive)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, *, exclusive: bool) -> None:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = "build, gc or repair" if exclusive else "gc or repair"
        raise StoreBusyError(
            f"{str(folder)!r} is in use by a running {holder}: run this again when that has ended."
        ) from error
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
