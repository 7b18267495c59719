"""`featurestore corpora check`: whether a copy is complete, can be decoded, and what it sounds like."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import DownloadProgress, notice, print_fitting_table, print_json, printable, say, say_resemblance
from cli.options import file_limit_options, json_option, max_duration_option, source_option, store_option
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from featurestore.corpus.check import Completeness
    from featurestore.corpus.manifest.model import Manifest
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.corpus.sources.types import Source
    from featurestore.corpus.types import Corpus
    from featurestore.segments import Segment
    from featurestore.store import Store
    from pipelines.audio_check import AudioCheck


def is_bare(name: str) -> bool:
    """Tell whether a name is a folder or an archive that no manifest, and no data of another tool, describes."""
    from featurestore.corpus.corpus_spec import recognised_format

    place = Path(name)
    if place.is_dir():
        manifest = any(place.glob("*.toml")) or place.with_suffix(".toml").is_file()
        return not manifest and recognised_format(place) is None
    return place.is_file() and place.suffix != ".toml"


def bare_report(name: str, limits: Limits, max_seconds: float) -> tuple[dict[str, Any], AudioCheck]:
    """Decode all that looks like audio in a folder or an archive; return the report of a corpus without a manifest."""
    from featurestore.corpus.diagnose import packed_advice, resembled_corpus
    from featurestore.corpus.sources.open import open_source
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
    from featurestore.corpus.suggest.propose import propose_for
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


FEW, SEVERAL = 3, 10
"""Paths of missing and extra files, and files with reasons, that are listed before they are only counted."""

MOST_COUNTS = 12
"""Counts that differ which are all shown."""


@click.command(epilog="Example: featurestore corpora check emodb --source download.zip")
@click.argument("name", metavar="NAME|FOLDER")
@source_option
@click.option("--quality", is_flag=True, help="Also decode every recording, and tell what it sounds like.")
@file_limit_options
@max_duration_option
@store_option
@json_option
def check(
    name: str,
    source: str | None,
    quality: bool,
    place: str | None,
    as_json: bool,
    limits: Limits,
    max_seconds: float,
) -> int:
    """Tell what is missing, extra or different in a copy of corpus NAME, or in a FOLDER with its manifest.

    A FOLDER or archive without a manifest is decoded, to tell which of its files are sound. Exit code 3 if anything is
    missing, different or rejected.
    """
    heard: AudioCheck | None
    if source is None and is_bare(name):
        report, heard = bare_report(name, limits, max_seconds)
        complete = not report["rejected"]
    else:
        found, heard = _completeness(name, source, place, limits, max_seconds if quality else None)
        report = found.to_dict()
        unheard = _undecoded(report, heard) if heard else []
        report["rejected"] += unheard
        report["looks_like"] = found.looks_like
        complete = found.complete and not unheard
    if quality and heard:
        report["quality"] = heard.to_dict()
    if as_json:
        print_json(report)
    else:
        _print(report, source or name)
        if quality and heard:
            print_quality(heard)
    return 0 if complete else ExitCode.REJECTED


def _undecoded(report: dict[str, Any], heard: AudioCheck) -> list[dict[str, str]]:
    """Return the recordings that cannot be decoded, without those that are told already or known to be bad."""
    told = {one["path"] for one in (*report["rejected"], *report["known_bad"])}
    return [one for one in rejections(heard) if one["path"] not in told]


def _completeness(
    name: str, source: str | None, place: str | None, limits: Limits, max_seconds: float | None
) -> tuple[Completeness, AudioCheck | None]:
    """Compare a corpus's source, or what the store knows of it, with its manifest; with `max_seconds`, listen too."""
    from featurestore.corpus.check import FirstLook, check_completeness, stand_ins
    from featurestore.corpus.diagnose import nothing_found, packed_advice, with_what_is_there_instead
    from featurestore.corpus.load import corpus_source, read_source, with_unread
    from featurestore.corpus.types import Corpus
    from featurestore.errors import SourceError
    from featurestore.store import open_store
    from pipelines.ingest.fetch import Fetcher
    from pipelines.ingest.ingest import known_listing

    manifest, source = _manifest_of(name, source, limits)
    store = open_store(place)
    known = known_listing(store, manifest) if source is None else None
    if known is not None:
        found = check_completeness(manifest, known, store.source, stand_ins(manifest, known, store.source))
        return found, listen(manifest, found.corpus, None, store, max_seconds) if max_seconds else None
    opened = corpus_source(manifest, Fetcher(notice, DownloadProgress()).local(source, manifest), limits)
    look = FirstLook(opened, manifest)
    listing, label_files = read_source(look, manifest)
    found = check_completeness(manifest, listing, label_files.__getitem__, look.faults)
    unread = with_unread(Corpus(manifest.name, manifest, ()), opened).rejected
    found = with_what_is_there_instead(replace(found, rejected=(*found.rejected, *unread)), opened)
    if not (found.files or found.extra or found.rejected or found.looks_like or packed_advice(opened)):
        raise SourceError(nothing_found(found.corpus, opened))
    return found, listen(manifest, found.corpus, opened, store, max_seconds) if max_seconds else None


def _manifest_of(name: str, source: str | None, limits: Limits) -> tuple[Manifest, str | None]:
    """Return the manifest and the source; a folder is a source, with its manifest in it, beside it, or not needed."""
    from featurestore.corpus.corpus_spec import folder_manifest
    from featurestore.corpus.manifest.catalog import find_manifest, manifest_names
    from featurestore.errors import SourceError

    folder = Path(name)
    if "/" in name and not name.endswith(".toml") and not folder.exists():
        raise SourceError(f"folder {name!r} does not exist. Check the path, or give a corpus by its name.")
    if not folder.is_dir() or (source is not None and name.replace("-", "_") in manifest_names()):
        return find_manifest(name), source
    beside = folder.with_suffix(".toml")
    if beside.is_file() and not any(folder.glob("*.toml")):
        return find_manifest(beside), source or name
    return folder_manifest(folder, limits), source or name


def _print(report: dict[str, Any], place: str) -> None:
    say(_headline(report))
    for kind in ("missing", "extra"):
        _print_some(kind, [printable(path) for path in report[kind]], FEW)
    for kind in ("mismatched", "rejected", "known_bad"):
        reasons = [f"{printable(one['path'])}: {printable(one['reason'])}" for one in report.get(kind, ())]
        _print_some(kind.replace("_", " "), reasons, SEVERAL)
    for note in report["notes"]:
        say(f"note: {printable(note)}", err=True)
    if report["files"]:  # of nothing every count differs
        _print_differences(report["differences"], alike=bool(report["labels"]))
    other = report.get("looks_like")
    if other:
        say_resemblance(other, place)
    kinds = ("missing", "extra", "mismatched", "rejected", "differences")
    if "decoded" not in report and not any(report[kind] for kind in kinds):
        say("nothing is missing or different, as far as the manifest says what there should be")


def _headline(report: dict[str, Any]) -> str:
    labelled = sum(report["labels"].values())
    what = f"{report['decoded']:,} decoded" if "decoded" in report else f"{labelled:,} with a label"
    sound = report.get("sound", labelled)
    doubt = "" if sound == labelled else f", {sound:,} of them sound"
    return f"{printable(report['corpus'])}: {report['files']:,} files, {what}{doubt}"


def _print_differences(differences: list[dict[str, Any]], *, alike: bool) -> None:
    """Print the first counts that differ, of files and classes; none of a copy that is unlike its manifest."""
    shown = differences if len(differences) <= MOST_COUNTS else differences[:SEVERAL]
    shown = shown if alike else []
    columns = ("scheme", "field", "value", "expected", "found")
    cells = [[printable(str(one[column])) or "-" for column in columns] for one in shown]
    if cells:
        print_fitting_table(columns, cells, numbers=columns[3:], paths=("scheme", "value"))
    if len(shown) < len(differences):
        more = "more " if shown else ""
        click.echo(f"{len(differences) - len(shown):,} {more}counts differ from a complete copy; --json lists all")


def _print_some(kind: str, lines: list[str], most: int) -> None:
    for line in lines[:most]:
        say(f"{kind}: {line}")
    if len(lines) > most:
        click.echo(f"{kind}: and {len(lines) - most:,} more; --json lists all")
