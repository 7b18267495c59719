"""Corpora: data sheets, sources, labels, splits and leaks."""

from featurestore.corpus.corpus import (
    Corpus,
    Listed,
    Rejection,
    Utterance,
    corpus_source,
    label,
    listed,
    load_corpus,
    read_listing,
)
from featurestore.corpus.reading.sources import FolderSource, MemorySource, Source, open_source
from featurestore.corpus.sheet.manifest import Archive, Manifest, find_manifest, manifest_names, read_manifest
from featurestore.corpus.splitting.leaks import Leaks, check_leaks, leaks
from featurestore.corpus.splitting.splits import SPLITS, Split, folds, split

__all__ = [
    "SPLITS",
    "Archive",
    "Corpus",
    "FolderSource",
    "Leaks",
    "Listed",
    "Manifest",
    "MemorySource",
    "Rejection",
    "Source",
    "Split",
    "Utterance",
    "check_leaks",
    "corpus_source",
    "find_manifest",
    "folds",
    "label",
    "leaks",
    "listed",
    "load_corpus",
    "manifest_names",
    "open_source",
    "read_listing",
    "read_manifest",
    "split",
]
