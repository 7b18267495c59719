"""Which objects a bucket has: one listing names a thousand of them, and is trusted for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from featurestore.storage.bucket_requests import Found, Requests

LISTED = ("shards", "sources", "rejects")
"""Kinds with so many objects that they are listed instead of being asked for one by one."""
LISTING_LIFE = 1.0
"""Seconds for which the objects in a listing are trusted, or ten times as long as the listing took."""


def listed_folder(key: str) -> str:
    """Return the folder whose listing says whether an object exists."""
    kind, _, rest = key.partition("/")
    return f"{kind}/{rest.partition('/')[0]}" if kind in ("shards", "rejects") else kind


class _Listing:
    """What lay below a folder a short time ago."""

    def __init__(self, objects: dict[str, Found], begun: float) -> None:
        self.objects, self.begun = objects, begun
        now = time.monotonic()
        self._until = now + max(LISTING_LIFE, 10 * (now - begun))

    @property
    def is_young(self) -> bool:
        """Whether it can still be trusted."""
        return time.monotonic() < self._until


class Listings:
    """What a service reported a moment ago of the objects below its folders; threads may share it."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._listings: dict[str, _Listing] = {}
        self._lock = threading.RLock()

    def find(self, key: str) -> Found | None:
        """Return what the service reports of an object; None if there is none.

        Objects of the `LISTED` kinds are found in a listing; one that it lacks is asked for by its key, as it may have
        been written since.
        """
        asked = time.monotonic()
        listing = self._of(listed_folder(key)) if key.partition("/")[0] in LISTED else None
        found = listing.objects.get(key) if listing else None
        if found is None and (listing is None or listing.begun < asked or not self._requests.lists_all):
            return self._requests.head(key)
        return found

    def find_kept(self, key: str) -> Found | None:
        """Return what a listing of any age reports of an object that is read; else as `find`.

        Its bytes are checked against its record, and one that was replaced since is asked for again: see
        `BucketStorage.distrust`.
        """
        if key.partition("/")[0] not in LISTED:
            return self.find(key)
        with self._lock:
            listing = self._listings.get(listed_folder(key)) or self._of(listed_folder(key))
        return listing.objects.get(key) or self.find(key)

    def below(self, folder: str, *, fresh: bool = False) -> Mapping[str, Found]:
        """Return what lies below a folder: as listed a short time ago, or with `fresh` as it is now."""
        return self._of(folder, fresh=fresh).objects

    def _of(self, folder: str, *, fresh: bool = False) -> _Listing:
        with self._lock:
            listing = self._listings.get(folder)
            if listing is None or fresh or not listing.is_young:
                begun = time.monotonic()
                listing = self._listings[folder] = _Listing(self._requests.entries(folder), begun)
            return listing

    def keep(self, objects: Mapping[str, Found], begun: float) -> None:
        """Keep what a request has listed that began at this time of the monotonic clock, in seconds."""
        folders: dict[str, dict[str, Found]] = {}
        for key, found in objects.items():
            if key.partition("/")[0] in LISTED:
                folders.setdefault(listed_folder(key), {})[key] = found
        with self._lock:
            self._listings |= {folder: _Listing(held, begun) for folder, held in folders.items()}

    def note(self, key: str, found: Found | None) -> None:
        """Put what this process has written, or removed (None), into its listing."""
        with self._lock:
            listing = self._listings.get(listed_folder(key))
            if listing is None:
                return
            if found is None:
                listing.objects.pop(key, None)
            else:
                listing.objects[key] = found

    def drop(self, key: str) -> None:
        """Forget the listing that an object is in."""
        self._listings.pop(listed_folder(key), None)

    def clear(self) -> None:
        """Forget all listings."""
        self._listings.clear()
