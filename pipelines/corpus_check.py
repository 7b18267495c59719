"""Whether a copy of a corpus is complete and can be decoded, and what it sounds like."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.corpus.catalog import find_manifest, manifest_names
from featurestore.corpus.check import (
    Completeness,
    check_completeness,
    nothing_found,
    packed_advice,
    resembled_corpus,
    stand_ins,
    with_what_is_there_instead,
)
from featurestore.corpus.corpus_spec import folder_manifest
from featurestore.corpus.importers import recognised_format
from featurestore.corpus.load import corpus_source, read_source, with_unread
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import Source
from featurestore.corpus.suggest.propose import propose_for
from featurestore.corpus.types import Corpus
from featurestore.errors import FeatureStoreError, SourceError
from featurestore.segments import Segment, segment_of
from featurestore.store import Store
from pipelines.audio_check import AudioCheck, check_audio, sound_files
from pipelines.ingest.fetch import Fetcher
from pipelines.ingest.ingest import known_listing


@dataclass(frozen=True)
class CorpusCheck:
    """What checking a copy of a corpus showed."""

    report: dict[str, Any]
    """As JSON values: `corpus, files, missing, extra, mismatched, rejected, labels, differences, notes` and more."""
    complete: bool
    """Whether nothing is missing, different or rejected."""
    audio: AudioCheck | None = None
    """What decoding showed, if the recordings were decoded."""


def check_corpus(
    name: str, source: str | None, store: Store, fetcher: Fetcher, limits: Limits, max_seconds: float, *, quality: bool
) -> CorpusCheck:
    """Compare a copy of a corpus with its manifest; without one, decode what looks like audio.

    Parameters
    ----------
    name : str
        A corpus, a manifest, or a folder or an archive.
    source : str, optional
        Where the copy lies; what the store knows of the corpus is checked if there is none.
    quality : bool
        Decode the recordings even if there is a manifest.

    Raises
    ------
    SourceError
        If there is nothing to check.
    """
    if source is None and _lacks_manifest(name):
        return _check_bare(name, limits, max_seconds)
    found, audio = _completeness(name, source, store, fetcher, limits, max_seconds if quality else None)
    report = found.to_dict()
    known = {one["path"] for one in (*report["rejected"], *report["known_bad"])}
    undecoded = [one for one in _rejections(audio) if one["path"] not in known] if audio else []
    report = {**report, "rejected": [*report["rejected"], *undecoded], "looks_like": found.looks_like}
    return CorpusCheck(report, found.complete and not undecoded, audio)


def _lacks_manifest(name: str) -> bool:
    """Tell whether a name is a folder or an archive that no manifest, and no data of another tool, describes."""
    place = Path(name)
    if place.is_dir():
        manifest = any(place.glob("*.toml")) or place.with_suffix(".toml").is_file()
        return not manifest and recognised_format(place) is None
    return place.is_file() and place.suffix != ".toml"


def _check_bare(name: str, limits: Limits, max_seconds: float) -> CorpusCheck:
    source = open_source(name, limits)
    audio = check_audio(sound_files(source), _classes(source, name), max_seconds=max_seconds)
    if not audio.files:
        advice = packed_advice(source) or "Name the folder that does."
        raise SourceError(f"{name!r:.200} holds no file whose name ends as audio does. {advice}")
    nothing: dict[str, Any] = {"missing": [], "extra": [], "mismatched": [], "labels": {}, "speakers": {}}
    report = {"corpus": Path(name).name, "files": audio.files, "decoded": len(audio.measured), **nothing}
    report |= {
        "rejected": _rejections(audio),
        "differences": [],
        "notes": [f"{one.text}: {', '.join(one.paths)}" for one in audio.findings if one.kind == "two classes"],
        "looks_like": resembled_corpus(member.path for member in source.members()),
    }
    return CorpusCheck(report, not report["rejected"], audio)


def _classes(source: Source, name: str) -> dict[str, str]:
    """Return the class of each recording of a source by its path; none where its names do not show them for sure."""
    try:
        proposal = propose_for(source, name)
    except FeatureStoreError:  # a source without a manifest has its names alone, which need not show anything
        return {}
    known = {one.path: one.label for one in proposal.corpus.utterances} if proposal.plan.is_sure else {}
    audio = proposal.corpus.manifest.audio
    named = ((one.path, unicodedata.normalize("NFC", audio.corpus_path(one.path))) for one in source.members())
    return {path: known[inside] for path, inside in named if inside in known}


def _rejections(audio: AudioCheck) -> list[dict[str, str]]:
    return [{"path": one.path, "reason": one.reason} for one in audio.rejected]


def _completeness(
    name: str, source: str | None, store: Store, fetcher: Fetcher, limits: Limits, max_seconds: float | None
) -> tuple[Completeness, AudioCheck | None]:
    """Compare a corpus's source, or what the store knows of it, with its manifest; with `max_seconds`, decode too."""
    manifest, source = _manifest_of(name, source, limits)
    known = known_listing(store, manifest) if source is None else None
    if known is not None:
        found = check_completeness(manifest, known, store.original, stand_ins(manifest, known, store.original))
        return found, _decoded(manifest, found.corpus, None, store, max_seconds) if max_seconds else None
    opened = corpus_source(manifest, fetcher.local(source, manifest), limits)
    faults: dict[str, str] = {}
    listing, label_files = read_source(opened, manifest, faults)
    found = check_completeness(manifest, listing, label_files.__getitem__, faults)
    unread = with_unread(Corpus(manifest.name, manifest, ()), opened).rejected
    found = with_what_is_there_instead(replace(found, rejected=(*found.rejected, *unread)), opened)
    if not (found.files or found.extra or found.rejected or found.looks_like or packed_advice(opened)):
        raise SourceError(nothing_found(found.corpus, opened))
    return found, _decoded(manifest, found.corpus, opened, store, max_seconds) if max_seconds else None


def _manifest_of(name: str, source: str | None, limits: Limits) -> tuple[Manifest, str | None]:
    """Return the manifest and the source; a folder is a source, with its manifest in it, beside it, or not needed."""
    folder = Path(name)
    if "/" in name and not name.endswith(".toml") and not folder.exists():
        raise SourceError(f"folder {name!r} does not exist. Check the path, or give a corpus by its name.")
    if not folder.is_dir() or (source is not None and name.replace("-", "_") in manifest_names()):
        return find_manifest(name), source
    beside = folder.with_suffix(".toml")
    if beside.is_file() and not any(folder.glob("*.toml")):
        return find_manifest(beside), source or name
    return folder_manifest(folder, limits), source or name


def _decoded(manifest: Manifest, corpus: Corpus, source: Source | None, store: Store, max_seconds: float) -> AudioCheck:
    """Decode the recordings of a corpus, from a source or from the originals that the store keeps."""
    labels = {utterance.path: utterance.label for utterance in corpus.utterances}
    recordings: dict[str, str] = {}
    segments: dict[str, list[Segment]] = {}
    for one in corpus.utterances:
        recordings[one.file.path] = one.content
        segments.setdefault(one.file.path, []).append(segment_of(one.content))
    if source is None:
        kept = ((path, store.original(content)) for path, content in recordings.items())
        return check_audio(kept, labels, segments=segments, max_seconds=max_seconds)
    read = (
        (unicodedata.normalize("NFC", manifest.audio.corpus_path(path)), manifest.recording(path, data))
        for path, data in source.iterate(manifest.audio.wants)
    )
    return check_audio(read, labels, segments=segments, max_seconds=max_seconds)
