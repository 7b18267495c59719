"""The part of `featurestore corpora check` that listens: which files can be decoded, and what they sound like."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import printable
from cli.wrapping import print_fitting_table, say

if TYPE_CHECKING:
    from featurestore.corpus.corpus import Corpus
    from featurestore.corpus.reading.sources import Source
    from featurestore.corpus.reading.unpack import Limits
    from featurestore.corpus.sheet.datasheet import Manifest
    from featurestore.segments import Segment
    from featurestore.store import Store
    from pipelines.audio_check import AudioCheck


def is_bare(name: str) -> bool:
    """Tell whether a name is a folder or an archive that no data sheet, and no data of another tool, describes."""
    from featurestore.corpus.formats import recognised_format

    place = Path(name)
    if place.is_dir():
        sheet = any(place.glob("*.toml")) or place.with_suffix(".toml").is_file()
        return not sheet and recognised_format(place) is None
    return place.is_file() and place.suffix != ".toml"


def bare_report(name: str, limits: Limits, max_seconds: float) -> tuple[dict[str, Any], AudioCheck]:
    """Decode all that looks like audio in a folder or an archive; return the report of a corpus without a sheet."""
    from featurestore.corpus.packed import packed_advice
    from featurestore.corpus.reading.sources import open_source
    from featurestore.corpus.resemblance import resembled_corpus
    from featurestore.errors import SourceError
    from pipelines.audio_check import check_audio, sound_files

    source = open_source(name, limits)
    found = check_audio(sound_files(source), _classes(source, name), max_seconds=max_seconds)
    if not found.files:
        advice = packed_advice(source) or "Name the folder that does."
        raise SourceError(f"{name!r:.200} holds no file whose name ends as audio does. {advice}")
    nothing: dict[str, Any] = {"missing": [], "extra": [], "mismatched": [], "labels": {}, "speakers": {}}
    report = {"corpus": Path(name).name, "files": found.files, "decoded": len(found.measured), **nothing}
    other = resembled_corpus(member.path for member in source.members())
    notes = [f"{one.text}: {', '.join(one.paths)}" for one in found.findings if one.kind == "two classes"]
    return {**report, "rejected": rejections(found), "differences": [], "notes": notes, "looks_like": other}, found


def _classes(source: Source, name: str) -> dict[str, str]:
    """Return the class of each recording of a source by its path; none where its names do not tell them for sure."""
    from featurestore.corpus.proposal.propose import propose_for
    from featurestore.errors import FeatureStoreError

    try:
        proposal = propose_for(source, name)
    except FeatureStoreError:  # nothing but its names is told by a source, and these need not tell anything
        return {}
    known = {one.path: one.label for one in proposal.corpus.utterances} if proposal.plan.is_sure else {}
    audio = proposal.corpus.manifest.audio
    named = ((one.path, unicodedata.normalize("NFC", audio.corpus_path(one.path))) for one in source.members())
    return {path: known[inside] for path, inside in named if inside in known}


def listen(manifest: Manifest, corpus: Corpus, source: Source | None, store: Store, max_seconds: float) -> AudioCheck:
    """Decode the recordings of a corpus, from a source or from the originals that the store keeps."""
    from featurestore.segments import segment_of
    from pipelines.audio_check import check_audio

    labels = {utterance.path: utterance.label for utterance in corpus.utterances}
    recordings: dict[str, str] = {}
    segments: dict[str, list[Segment]] = {}
    for one in corpus.utterances:
        recordings[one.file.path] = one.content
        segments.setdefault(one.file.path, []).append(segment_of(one.content))
    if source is None:
        held = ((path, store.source(content)) for path, content in recordings.items())
        return check_audio(held, labels, segments=segments, max_seconds=max_seconds)
    files = source.iterate(manifest.audio.wants)
    kept = (
        (unicodedata.normalize("NFC", manifest.audio.corpus_path(path)), manifest.recording(path, data))
        for path, data in files
    )
    return check_audio(kept, labels, segments=segments, max_seconds=max_seconds)


def rejections(found: AudioCheck) -> list[dict[str, str]]:
    """Return the files that cannot be decoded as JSON values."""
    return [{"path": one.path, "reason": one.reason} for one in found.rejected]


def print_quality(found: AudioCheck) -> None:
    """Print what deserves a look, and the summary."""
    rows = [[kind, count, printable(path), printable(text)] for kind, count, path, text in found.rows()]
    if rows:
        print_fitting_table(
            ("finding", "files", "for example", "what"), rows, numbers=("files",), paths=("for example",)
        )
    if found.summary:
        say(_summary(found))


def _summary(found: AudioCheck) -> str:
    from featurestore.quality.measures import MOST_SNR_DB

    summary = found.summary
    seconds, ratio = summary["seconds"], summary["snr_db"]
    told = "unknown" if ratio is None else f"{ratio:.0f} dB{' or more' if ratio >= MOST_SNR_DB else ''}"
    return (
        f"{len(found.measured):,} recordings, {seconds['sum'] / 3600:.2f} h, {seconds['min']:.2f} to "
        f"{seconds['max']:.2f} s; {', '.join(summary['rates'])} Hz; channels: {', '.join(summary['channels'])}; "
        f"medians: level {summary['level_db']:.0f} dB, signal-to-noise ratio {told}"
    )
