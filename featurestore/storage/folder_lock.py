"""Whether a folder is a store, and who may work on it at the same time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from featurestore.checksummed_json import FORMAT, canonical_json, check_format, digest
from featurestore.errors import StorageError, StoreBusyError
from featurestore.files import read_regular
from featurestore.storage.protocol import FOLDER, MARKER, names_content
from featurestore.storage.writers import is_temporary

_UNSUPPORTED = (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)


@contextmanager
def hold_folder(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a folder while the body runs; the system releases it when the process ends, however that happens.

    The lock is on the folder itself, so that no lock file lies in the store. It is not waited for. Some network file
    systems cannot lock a folder: there only the grace period of a collection protects running builds.

    Raises
    ------
    StoreBusyError
        If somebody else holds it and either needs it alone.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
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
        yield
    finally:
        os.close(handle)


_BODY = {"featurestore": "store", "format": FORMAT}

MARK = canonical_json({**_BODY, "seal": digest(_BODY)}).encode("ascii")
"""The marker of every store."""

LARGEST_MARK = 1000

TEMPORARY = "tmp"

NEIGHBOURS = ("downloads", "folders", "kernels", "measured", "objects")
"""Folders of ours that lie beside a store in the user's cache folder and are no part of it."""


def is_store(root: Path) -> bool:
    """Return whether a folder is a store: its marker says so or, where there is none, an object in it.

    Raises
    ------
    StoreTooNewError
        If it is one of a newer format.
    OSError
        If it cannot be looked into.
    """
    try:
        mark = read_regular(root / MARKER, LARGEST_MARK)
    except PermissionError:
        raise
    except OSError:  # none, or a special file
        mark = b""
    if mark != MARK:
        refuse_newer(mark)
    return mark == MARK or any(names_content(name) for name, is_folder in _entries(root, "") if not is_folder)


def check_may_begin(root: Path) -> None:
    """Refuse to begin a store where other files lie than a build leaves that was killed as it began.

    Raises
    ------
    StorageError
        Naming what lies there.
    """
    for name, is_folder in _entries(root, "", foreign=True):
        folder, _, rest = name.partition("/")
        ours = FOLDER.fullmatch(name) or name == TEMPORARY if is_folder else folder == TEMPORARY and is_temporary(rest)
        if not ours and not is_store(root):  # nobody else has begun it since
            raise StorageError(
                f"{str(root)!r} is no store and holds other files ({name!r}): give --store a new or an empty folder."
            )


def _entries(root: Path, folder: str, *, foreign: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield what lies below a folder of a store, and whether it is a folder; links count as files."""
    try:
        found = list(os.scandir(root / folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        name = f"{folder}/{entry.name}".lstrip("/")
        is_folder = entry.is_dir(follow_symlinks=False)
        if name in NEIGHBOURS and is_folder:
            continue
        yield name, is_folder
        if is_folder and (FOLDER.fullmatch(name) or (foreign and name == TEMPORARY)):
            yield from _entries(root, name, foreign=foreign)


def refuse_newer(mark: bytes) -> None:
    """Refuse the marker of a store of a newer format with `StoreTooNewError`; any other bytes are ignored."""
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        body = dict(json.loads(mark))
        if body.pop("seal") == digest(body) and body["featurestore"] == "store":
            check_format(body["format"])
