"""Data that people have already, in the formats of other tools, as data sheets in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.corpus.formats.audformat import is_audformat, read_audformat
from featurestore.corpus.formats.audio_folder import has_metadata, read_metadata
from featurestore.corpus.formats.found import DataFolder, FoundCorpus
from featurestore.corpus.formats.kaldi import is_kaldi, read_kaldi
from featurestore.corpus.formats.lhotse import is_lhotse, read_lhotse
from featurestore.corpus.formats.translate import manifest_of
from featurestore.corpus.reading.unpack import Limits
from featurestore.corpus.sheet.datasheet import Manifest
from featurestore.errors import ManifestError

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


def recognised_format(place: str | Path) -> str | None:
    """Return the key of the format that a folder is in; None if it is in none."""
    folder = DataFolder(Path(place))
    if not folder.place.is_dir():
        return None
    return next((key for key, one in FORMATS.items() if one.recognises(folder)), None)


def folder_manifest(place: str | Path, limits: Limits | None = None) -> Manifest:
    """Return the data sheet of a folder: the one in it, what another tool says, else what its names tell for sure.

    Raises
    ------
    ManifestError
        If it holds several sheets, is in no known format, or its names leave open what the class is.
    SourceError
        If its data cannot be read.
    """
    from featurestore.corpus.proposal.propose import sure_manifest  # labels recordings, which this package serves
    from featurestore.corpus.sheet.manifest import manifest_names, read_manifest

    folder = Path(place)
    sheets = sorted(folder.glob("*.toml"))
    if len(sheets) == 1:
        return replace(read_manifest(sheets[0]), place=str(folder))
    if sheets:
        raise ManifestError(f"folder {str(place)!r:.200} holds {len(sheets)} data sheets (*.toml). Name one of them.")
    found = recognised_format(folder)
    if found is None:
        return sure_manifest(folder, limits)
    return manifest_of(FORMATS[found].reads(DataFolder(folder)), folder, manifest_names(), limits)
