"""The repository, the real recordings beside it, and the demo corpus in a store."""

from __future__ import annotations

import os
from pathlib import Path

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.types import Corpus
from featurestore.store import Store
from pipelines.ingest.ingest import ingest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FEATURESTORE_SHARED", ROOT.parent / "shared"))


def no_download(_: object) -> Path:
    """Stand where a download would be: these corpora need none."""
    raise AssertionError("nothing may be downloaded here")


def ingest_demo(store: Store) -> Corpus:
    """Take the demo corpus into a store."""
    return ingest(store, find_manifest("demo"), None, no_download)
