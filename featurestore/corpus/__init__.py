"""Corpora: manifests, sources, labels, splits and leaks."""

from featurestore.corpus.catalog import find_manifest, manifest_names, read_manifest
from featurestore.corpus.labels.assign import label
from featurestore.corpus.load import corpus_source, load_corpus, read_listing
from featurestore.corpus.manifest import Archive, Manifest
from featurestore.corpus.protocols import folds, split
from featurestore.corpus.sources.open import FolderSource, open_source
from featurestore.corpus.sources.types import MemorySource, Source
from featurestore.corpus.splits.leakage import Leaks, check_leaks, leaks
from featurestore.corpus.splits.rules import SPLITS
from featurestore.corpus.splits.types import Split
from featurestore.corpus.types import Corpus, ListedFile, Rejection, Utterance, identified_file

__all__ = [
    "SPLITS",
    "Archive",
    "Corpus",
    "FolderSource",
    "Leaks",
    "ListedFile",
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
    "identified_file",
    "label",
    "leaks",
    "load_corpus",
    "manifest_names",
    "open_source",
    "read_listing",
    "read_manifest",
    "split",
]
