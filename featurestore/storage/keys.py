"""What can stand in a store, told by its name: nothing else is read, written or deleted under a key."""

from __future__ import annotations

import re

from featurestore.errors import DamagedObjectError

MARKER = "featurestore.json"
"""The object that says of a folder that it is a store."""
DATASET_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}"
KEY = re.compile(
    r"shards/[0-9a-f]{16}/[0-9a-f]{32}/(zarr\.json|c/0/0)"
    r"|datasets/[0-9a-f]{32}\.json"
    r"|(tables|listings)/[0-9a-f]{64}\.json"
    r"|sources/[0-9a-f]{64}"
    r"|rejects/[0-9a-f]{16}/[0-9a-f]{64}(\.t\d+-\d*)?(\.c\d+)?\.json"
    rf"|refs/(datasets/[0-9a-f]{{32}}|corpora/[a-z0-9_]{{1,40}}|{DATASET_NAME})\.json"
    rf"|{re.escape(MARKER)}"
)
"""What the key of an object can look like."""
FOLDER = re.compile(
    r"|shards(/[0-9a-f]{16}(/[0-9a-f]{32}(/c(/0)?)?)?)?"
    r"|datasets|tables|listings|sources|rejects(/[0-9a-f]{16})?|refs(/datasets|/corpora)?"
)
"""What lies between a store's root and an object."""
LARGEST_RECORD = 64_000_000
"""Bytes of the largest record of a shard, and of any name; a larger one is damage, not data."""
LARGEST_DATA = 2**32
"""Bytes of the largest data object of a shard."""
LARGEST = {"datasets": 512_000_000, "tables": 512_000_000, "listings": 512_000_000, "sources": 2**31}
"""Bytes of the largest object of the other kinds that is read into memory as a whole."""


def checked_key(key: str) -> str:
    """Return a key; `DamagedObjectError` if it can be none, so that no record leads out of a store."""
    if not KEY.fullmatch(key):
        raise DamagedObjectError(repr(key)[1:-1], "no object of a store is called so")
    return key


def is_part(path: str) -> bool:
    """Tell whether a path below a store's root is what an object, or a folder of objects, is called."""
    return bool(KEY.fullmatch(path) or FOLDER.fullmatch(path))


def names_content(key: str) -> bool:
    """Tell whether a key can stand in a store alone: it has a digest in it, not just a name that somebody chose."""
    return bool(KEY.fullmatch(key)) and bool(re.search(r"[0-9a-f]{32}", key))


def largest(key: str) -> int:
    """Return how many bytes an object may have that is read as a whole."""
    if key.endswith("/c/0/0"):
        return LARGEST_DATA
    return LARGEST.get(key.partition("/")[0], LARGEST_RECORD)
