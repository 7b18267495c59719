"""`featurestore corpora`: the corpora that are known by name, the manifest of one, and a proposal for a new one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import print_card, print_json, print_table, printable, say, say_command, say_resemblance
from cli.corpora_check import check
from cli.options import file_limit_options, json_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.corpus.manifest.model import Manifest
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.corpus.suggest.propose import Proposal


@click.command(epilog="Example: featurestore corpora new recordings/ --out my_corpus.toml")
@click.argument("folder", metavar="FOLDER|ARCHIVE")
@click.option("--out", "out", metavar="FILE.toml", help="Write the manifest to this file. Default: standard output.")
@file_limit_options
@json_option
def new(folder: str, out: str | None, as_json: bool, limits: Limits) -> None:
    """Propose a manifest for a FOLDER or archive of audio, from the names of its files and the tables beside them."""
    from featurestore.corpus.corpus_spec import FORMATS, recognised_format
    from featurestore.errors import SourceError

    if not Path(folder).exists():
        raise SourceError(f"{folder!r:.200} does not exist. Name a folder or an archive of audio.")
    known = recognised_format(folder)
    if known is not None and known != "huggingface":
        raise SourceError(
            f"{folder!r:.200} is in a format that is read as it is: {FORMATS[known].title}. "
            "It needs no manifest: 'featurestore build FOLDER', 'featurestore corpora check FOLDER'."
        )
    from featurestore.corpus.diagnose import resembled_corpus
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
    _summary(proposal, folder, out)
    if other is not None:
        say_resemblance(other, folder, err=True)


def _write(file: Path, text: str) -> None:
    """Write a new file; one that is there may be somebody's work."""
    from featurestore.errors import ManifestError

    if file.suffix != ".toml":
        raise ManifestError(f"--out {str(file)!r:.200}: the name of a manifest ends in .toml.")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ManifestError(f"--out {str(file)!r:.200} is there already. Name another file, or remove it.") from error
    except OSError as error:
        raise ManifestError(f"--out {str(file)!r:.200} cannot be written ({error.strerror}).") from error


def _summary(proposal: Proposal, folder: str, out: str | None) -> None:
    corpus = proposal.corpus
    classes, speakers = corpus.label_counts(), corpus.speaker_counts()
    say(
        f"{proposal.files:,} recordings, {len(corpus.utterances):,} with a label: {len(classes)} classes of "
        f"{corpus.manifest.labels.target!r}, {len(speakers) or 'unknown'} speakers",
        err=True,
    )
    aside = (*corpus.rejected, *corpus.unlabelled)
    if aside:
        say(
            f"{len(aside):,} set aside, such as {printable(aside[0].path)}: {printable(aside[0].reason)}",
            err=True,
        )
    if out is not None:
        say("next:", err=True)
        say_command("featurestore", "corpora", "check", out, "--source", folder, err=True)


@click.group(invoke_without_command=True, epilog="Example: featurestore corpora show emodb")
@json_option
@click.option("--markdown", is_flag=True, help="Print everything about all of them, as docs/corpora.md has it.")
@click.pass_context
def corpora(context: click.Context, as_json: bool, markdown: bool) -> None:
    """List the corpora that are known by name."""
    if context.invoked_subcommand is not None:
        return
    from featurestore.corpus.manifest.catalog import find_manifest, manifest_names

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
    print_table(columns, [_listing_line(row, columns) for row in rows], numbers=columns[1:5])


def _listing_line(row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """Write one corpus for a terminal of 80 columns: a dash where a figure is unknown, long licences cut."""
    fetch = "made" if row["generated"] else "yes" if row["downloadable"] else "no"
    shown = {**row, "fetch": fetch, "licence": shorten(row["licence"], 18)}
    return ["-" if shown[column] is None else str(shown[column]) for column in columns]


def shorten(text: str, width: int) -> str:
    """Cut a text after a word so that it fits, with an ellipsis."""
    import textwrap

    return textwrap.shorten(text, width, placeholder=" …")


@corpora.command(epilog="Example: featurestore corpora show emodb")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the manifest of corpus NAME."""
    from featurestore.corpus.manifest.catalog import find_manifest

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


corpora.add_command(check)

corpora.add_command(new)
