"""Importers: data in the formats of other tools, as manifests in memory; one class each, found by being there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from featurestore.corpus.importers.data_folder import DataFolder, DataFormat
from featurestore.registry import kinds_in

FORMATS: Mapping[str, DataFormat] = {
    one.name: one for one in sorted(kinds_in(__name__, DataFormat), key=lambda one: one.rank)
}
"""The formats by name, in the order in which they are tried."""


def recognised_format(place: str | Path) -> str | None:
    """Return the key of the format that a folder is in; None if it is in none."""
    folder = DataFolder(Path(place))
    if not folder.place.is_dir():
        return None
    return next((key for key, one in FORMATS.items() if one.recognises(folder)), None)
