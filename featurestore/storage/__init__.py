"""Where objects live: a folder today, object storage behind the same few methods."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from featurestore.errors import StorageError
from featurestore.storage.layered import BASE, LayeredStorage
from featurestore.storage.local import LocalStorage
from featurestore.storage.protocol import Storage

__all__ = ["BASE", "LayeredStorage", "LocalStorage", "Storage", "open_storage"]


def open_storage(uri: str | Path) -> Storage:
    """Open the storage that a URI names: a folder, `file://`, `s3://`, or to read `http(s)://`.

    A folder is made at the first write. `OWN?base=BASE` puts a storage on top of another that is only read.

    Raises
    ------
    StorageError
        If the scheme is not supported or there is a file where the folder should be.
    """
    text = str(uri)
    own, separator, base = text.rpartition(BASE)
    if separator:
        upper, lower = open_storage(own), open_storage(base)
        if upper.uri == lower.uri:
            return upper  # one that is its own base needs none
        if not lower.is_store():
            raise StorageError(f"no store at {lower.uri!r}, which --base names: check the path.")
        return LayeredStorage(upper, lower)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme == "file":
        return LocalStorage(Path(unquote(urlsplit(text).path)))
    if scheme == "s3":
        from featurestore.storage.bucket import BucketStorage

        return BucketStorage(text)
    if scheme in ("http", "https"):
        from featurestore.storage.web import WebStorage

        return WebStorage(text)
    if scheme:
        raise StorageError(
            f"{text}: stores of kind {scheme}:// are not supported by this version: use a folder, "
            "s3://BUCKET/PREFIX or, to read, https://SERVER/FOLDER."
        )
    return LocalStorage(Path(text).expanduser())


def default_place() -> str:
    """Return where stores are by default: `FEATURESTORE_HOME`, else the user's cache folder."""
    place = os.environ.get("FEATURESTORE_HOME")
    if place:
        return place
    import platformdirs

    return platformdirs.user_cache_dir("featurestore")


def names_dataset(place: str, corpus: str) -> bool:
    """Tell at a glance whether a folder is a store that names a dataset, by its name or that of its corpus.

    The store is not opened, and one that is elsewhere is not asked: of that the answer is False.
    """
    own = place.rpartition(BASE)[0] or place
    folder = unquote(urlsplit(own).path) if own.startswith("file://") else own
    return os.path.exists(f"{folder}/refs/{corpus.replace('/', '-')}.json")  # noqa: PTH110 (any text)


def layered_place(place: str, base: str | None) -> str:
    """Return the address of a store with its base: the given one, else `FEATURESTORE_BASE`, else none."""
    base = base or os.environ.get("FEATURESTORE_BASE")
    if not base:
        return place
    return place if BASE in place else f"{place}{BASE}{base}"
