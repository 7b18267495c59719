"""Data that people have already, in the formats of other tools, as manifests in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from featurestore.corpus.importers.audformat import is_audformat, read_audformat
from featurestore.corpus.importers.data_folder import DataFolder, FoundCorpus
from featurestore.corpus.importers.folders import has_metadata, read_metadata
from featurestore.corpus.importers.kaldi import is_kaldi, read_kaldi
from featurestore.corpus.importers.lhotse import is_lhotse, read_lhotse

__all__ = ["FORMATS", "DataFormat", "folder_manifest", "recognised_format"]


@dataclass(frozen=True, slots=True)
class DataFormat:
    """A way to write a corpus down that another tool has."""

    title: str
    recognises: Callable[[DataFolder], bool]
    reads: Callable[[DataFolder], FoundCorpus]


FORMATS: Mapping[str, DataFormat] = {
    "audformat": DataFormat("audformat database (db.yaml)", is_audformat, read_audformat),
    "lhotse": DataFormat("Lhotse manifests (recordings.jsonl and supervisions.jsonl)", is_lhotse, read_lhotse),
    "kaldi": DataFormat("Kaldi data folder (wav.scp)", is_kaldi, read_kaldi),
    "huggingface": DataFormat("Hugging Face audio folder (metadata.csv or .jsonl)", has_metadata, read_metadata),
}
"""The formats in the order in which they are tried; files beside the audio describe it in each."""
