"""A store with objects of every kind, for those who injure it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.store import Store, open_store


@pytest.fixture(scope="session")
def varied(tmp_path_factory) -> tuple[Store, Path]:
    """A store with objects of every kind and nothing superfluous, and the folder of its corpus."""
    place = tmp_path_factory.mktemp("varied")
    folder = write_corpus(place / "tiny", range(6))
    store = open_store(place / "store")
    build_here(store, folder, recipe(30))
    build_here(store, folder, recipe(4, mels=6), name="small")
    return store, folder
