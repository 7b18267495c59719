"""Where stores live: what the user says, else the environment, else a folder of the user's."""

from __future__ import annotations

import os


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
    if not base:
        return place
    from featurestore.storage import BASE  # numpy, which nobody needs to know where a store lies

    return place if BASE in place else f"{place}{BASE}{base}"
