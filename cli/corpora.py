"""`featurestore corpora`: list the known corpora, show one, check a copy, propose a manifest for a new one."""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import (
    columns_to_fit,
    notice,
    print_card,
    print_json,
    print_some,
    print_table,
    printable,
    say,
    say_command,
    say_resemblance,
)
from cli.options import (
    file_limit_options,
    json_option,
    max_duration_option,
    source_option,
    store_option,
)
from cli.terminal import Terminal
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from featurestore.corpus.manifest import Manifest
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.corpus.suggest.propose import Proposal
    from featurestore.store import Store
    from pipelines.audio_check import AudioCheck

FEW, SEVERAL = 3, 10
"""Paths of missing and extra files, and files with reasons, that are listed before they are only counted."""
SHORT_LICENCE = 18
"""Columns of a licence in a list; `corpora show` has it all."""
MOST_COUNTS = 12
"""Counts that differ which are all shown."""


@click.group(invoke_without_command=True, epilog="Example: featurestore corpora show emodb")
@json_option
@click.option("--markdown", is_flag=True, help="Print everything about all of them, as in docs/corpora.md.")
@click.pass_context
def corpora(context: click.Context, as_json: bool, markdown: bool) -> None:
    """List the known corpora."""
    if context.invoked_subcommand is not None:
        return
    from featurestore.corpus.catalog import find_manifest, manifest_names

    manifests = [find_manifest(name) for name in manifest_names()]
    if markdown:
        from featurestore.corpus.catalog_page import catalogue_page

        click.echo(catalogue_page(manifests), nl=False)
        return
    rows = [
        {
            "corpus": manifest.name,
            "title": manifest.title,
            "files": manifest.expected.files,
            "hours": manifest.hours,
            "rate": manifest.rate,
            "classes": len(manifest.classes) or None,
            "speakers": manifest.speaker_count,
            "language": manifest.language,
            "licence": manifest.licence,
            "downloadable": manifest.downloadable,
            "generated": manifest.generator is not None,
        }
        for manifest in manifests
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("corpus", "files", "rate", "classes", "speakers", "fetch", "licence")
    lines = []
    for row in rows:  # a dash where a figure is unknown; on a terminal of 80 columns long licences are cut
        fetch = "made" if row["generated"] else "yes" if row["downloadable"] else "no"
        licence = str(row["licence"])
        if columns_to_fit() is not None:
            licence = textwrap.shorten(licence, SHORT_LICENCE, placeholder=" …")
        shown = {**row, "fetch": fetch, "licence": licence}
        lines.append(["-" if shown[column] is None else shown[column] for column in columns])
    print_table(columns, lines, numbers=columns[1:5])


@corpora.command(epilog="Example: featurestore corpora show emodb")
@click.argument("name", shell_complete=completion.corpora)
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the manifest of corpus NAME."""
    from featurestore.corpus.catalog import find_manifest

    manifest = find_manifest(name)
    card: dict[str, Any] = {
        "corpus": manifest.name,
        "title": manifest.title,
        "description": manifest.description,
        "language": manifest.language,
        "rate": manifest.rate,
        "hours": manifest.hours,
        "files": manifest.expected.files,
        "classes": list(manifest.classes),
        "labels": dict(manifest.expected.labels),
        "speakers": [dataclasses.asdict(speaker) for speaker in manifest.speakers],
        "splits": list(manifest.splits),
        "schemes": {name: scheme.title for name, scheme in manifest.schemes.items()},
        "protocols": {f"{manifest.name}/{name}": one.description for name, one in manifest.protocols.items()},
        "licence": manifest.licence,
        "licence_url": manifest.licence_url,
        "citation": manifest.citation,
        "homepage": manifest.homepage,
        "archives": [archive.url for archive in manifest.archives],
        "downloadable": manifest.downloadable,
        "known_bad": dict(manifest.audio.known_bad),
    }
    if as_json:
        print_json(card)
        return
    card["labels"] = ", ".join(f"{label} {count}" for label, count in card["labels"].items())
    card["speakers"] = _speakers(manifest)
    print_card(card)


def _speakers(manifest: Manifest) -> str:
    """Write the number of speakers, then what is known of each: `10: 03 (male, 31 years), 08 ...`."""
    if not manifest.speakers:
        return "" if manifest.speaker_count is None else str(manifest.speaker_count)
    people = []
    for one in manifest.speakers:
        age = None if one.age is None else f"{one.age} years"
        known = ", ".join(filter(None, (one.sex, age)))
        people.append(f"{one.id} ({known})" if known else one.id)
    return f"{manifest.speaker_count}: {', '.join(people)}"


@corpora.command(
    short_help="Report what is missing or different in a copy of a corpus.",
    epilog="Example: featurestore corpora check emodb --source download.zip",
)
@click.argument("name", metavar="NAME|FOLDER", shell_complete=completion.corpora_or_paths)
@source_option
@click.option("--quality", is_flag=True, help="Also decode every recording and report levels, noise and clipping.")
@file_limit_options
@max_duration_option
@store_option
@json_option
def check(
    name: str,
    source: str | None,
    quality: bool,
    store: Store,
    as_json: bool,
    limits: Limits,
    max_seconds: float,
) -> int:
    """Report what is missing, extra or different in a copy of corpus NAME, or in a FOLDER with its manifest.

    A FOLDER or archive without a manifest is decoded to find the files that are damaged. Exit code 3 if anything is
    missing, different or rejected.
    """
    from pipelines.corpus_check import check_corpus
    from pipelines.ingest.fetch import Fetcher

    terminal = Terminal()
    fetcher = Fetcher(notice, terminal.download(), reading=terminal.reading, hashing=terminal.hashing)
    found = check_corpus(name, source, store, fetcher, limits, max_seconds, quality=quality)
    report = found.report
    if quality and found.audio:
        report["quality"] = found.audio.to_dict()
    if as_json:
        print_json(report)
    else:
        _print_check(report, source or name)
        if quality and found.audio:
            _print_quality(found.audio)
    return 0 if found.complete else ExitCode.REJECTED


def _print_check(report: dict[str, Any], place: str) -> None:
    labelled = sum(report["labels"].values())
    what = f"{report['decoded']:,} decoded" if "decoded" in report else f"{labelled:,} with a label"
    sound = report.get("sound", labelled)
    doubt = "" if sound == labelled else f", {sound:,} of them sound"
    say(f"{printable(report['corpus'])}: {report['files']:,} files, {what}{doubt}")
    rest = "; --json lists all"
    for kind in ("missing", "extra"):
        print_some(kind, report[kind], FEW, err=False, rest=rest)
    for kind in ("mismatched", "rejected", "known_bad"):
        reasons = [f"{one['path']}: {one['reason']}" for one in report.get(kind, ())]
        print_some(kind.replace("_", " "), reasons, SEVERAL, err=False, rest=rest)
    for note in report["notes"]:
        say(f"note: {printable(note)}", err=True)
    differences = report["differences"] if report["files"] else []  # of nothing every count differs
    shown = differences if len(differences) <= MOST_COUNTS else differences[:SEVERAL]
    columns = ("scheme", "field", "value", "expected", "found")
    if shown and report["labels"]:  # else the copy is unlike its manifest
        cells = [[str(one[column]) or "-" for column in columns] for one in shown]
        print_table(columns, cells, numbers=columns[3:], paths=("scheme", "value"))
    else:
        shown = []
    if len(shown) < len(differences):
        more = "more " if shown else ""
        say(f"{len(differences) - len(shown):,} {more}counts differ from a complete copy{rest}")
    if report.get("looks_like"):
        say_resemblance(report["looks_like"], place)
    kinds = ("missing", "extra", "mismatched", "rejected", "differences")
    if "decoded" not in report and not any(report[kind] for kind in kinds):
        say("nothing is missing or different, as far as the manifest defines what to expect")


def _print_quality(audio: AudioCheck) -> None:
    """Print findings worth checking, and the summary."""
    from featurestore.quality.measures import MOST_SNR_DB

    rows = audio.rows()
    if rows:
        print_table(("finding", "files", "for example", "what"), rows, numbers=("files",), paths=("for example",))
    if audio.summary:
        summary = audio.summary
        seconds, ratio = summary["seconds"], summary["snr_db"]
        snr = "unknown" if ratio is None else f"{ratio:.0f} dB{' or more' if ratio >= MOST_SNR_DB else ''}"
        say(
            f"{len(audio.measured):,} recordings, {seconds['sum'] / 3600:.2f} h, {seconds['min']:.2f} to "
            f"{seconds['max']:.2f} s; {', '.join(summary['rates'])} Hz; channels: {', '.join(summary['channels'])}; "
            f"medians: level {summary['level_db']:.0f} dB, signal-to-noise ratio {snr}"
        )


@corpora.command(
    short_help="Propose a manifest for a folder or archive of audio.",
    epilog="Example: featurestore corpora new recordings/ --out my_corpus.toml",
)
@click.argument("folder", metavar="FOLDER|ARCHIVE")
@click.option("--out", "out", metavar="FILE.toml", help="Write the manifest to this file. Default: standard output.")
@file_limit_options
@json_option
def new(folder: str, out: str | None, as_json: bool, limits: Limits) -> None:
    """Propose a manifest for a FOLDER or archive of audio, from its file names and the tables next to them."""
    from featurestore.corpus.importers import FORMATS, recognised_format
    from featurestore.errors import SourceError

    if not Path(folder).exists():
        raise SourceError(f"{folder!r:.200} does not exist. Name a folder or an archive of audio.")
    known = recognised_format(folder)
    if known is not None and known != "huggingface":
        raise SourceError(
            f"{folder!r:.200} is in a format that is read as it is: {FORMATS[known].title}. "
            "It needs no manifest: 'featurestore build FOLDER', 'featurestore corpora check FOLDER'."
        )
    from featurestore.corpus.check import resembled_corpus
    from featurestore.corpus.sources.open import open_source
    from featurestore.corpus.suggest.propose import propose_manifest

    proposal = propose_manifest(folder, limits)
    other = resembled_corpus(member.path for member in open_source(folder, limits).members())
    if out is not None:
        _write(Path(out), proposal.toml)
    if as_json:
        print_json({**proposal.to_dict(), "path": out, "looks_like": other})
    elif out is None:
        click.echo(proposal.toml, nl=False)
    _say_proposal(proposal)
    if out is not None:
        say("next:", err=True)
        say_command("featurestore", "corpora", "check", out, "--source", folder, err=True)
    if other is not None:
        say_resemblance(other, folder, err=True)


def _write(file: Path, text: str) -> None:
    """Write a new file; one that exists may be somebody's work."""
    from featurestore.errors import ManifestError

    if file.suffix != ".toml":
        raise ManifestError(f"--out {str(file)!r:.200}: the name of a manifest ends in .toml.")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ManifestError(f"--out {str(file)!r:.200} already exists. Name another file, or remove it.") from error
    except OSError as error:
        raise ManifestError(f"--out {str(file)!r:.200} cannot be written ({error.strerror}).") from error


def _say_proposal(proposal: Proposal) -> None:
    corpus = proposal.corpus
    classes, speakers = corpus.label_counts(), corpus.speaker_counts()
    say(
        f"{proposal.files:,} recordings, {len(corpus.utterances):,} with a label: {len(classes)} classes of "
        f"{corpus.manifest.labels.target!r}, {len(speakers) or 'unknown'} speakers",
        err=True,
    )
    aside = (*corpus.rejected, *corpus.unlabelled)
    if aside:
        say(f"{len(aside):,} left out, such as {printable(aside[0].path)}: {printable(aside[0].reason)}", err=True)
