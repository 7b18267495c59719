"""Where stores live: what the user says, else the environment, else a folder of the user's."""

from __future__ import annotations

import os

from featurestore.storage import BASE


def default_place() -> str:
    """Return where stores live when nobody says otherwise."""
    place = os.environ.get("FEATURESTORE_HOME")
    if place:
        return place
    import platformdirs

    return platformdirs.user_cache_dir("featurestore")


def layered_place(place: str, base: str | None) -> str:
    """Return the address of a store with its base: the given one, else `FEATURESTORE_BASE`, else none."""
    base = base or os.environ.get("FEATURESTORE_BASE")
    return f"{place}{BASE}{base}" if base and BASE not in place else place
