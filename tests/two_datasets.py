"""A store with two datasets of a few tones, to be copied."""

from __future__ import annotations

from pathlib import Path

from tiny_corpus import build_here, recipe, write_corpus

from featurestore.store import Store, open_store


def corpus_folder(place: Path) -> Path:
    return write_corpus(place / "tiny", range(6))


def two_datasets(place: Path, folder: Path) -> Store:
    """Build `tiny` and, with other features, `small`."""
    store = open_store(place)
    build_here(store, folder, recipe(3))
    build_here(store, folder, recipe(1, mels=6), name="small")
    return store
