"""`featurestore corpora`: the corpora that are known by name, and the data sheet of one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from cli.corpora_new import new
from cli.corpus_check import check
from cli.options import json_option
from cli.output import print_card, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.corpus.sheet.datasheet import Manifest


@click.group(invoke_without_command=True, epilog="Example: featurestore corpora show emodb")
@json_option
@click.option("--markdown", is_flag=True, help="Print everything about all of them, as docs/corpora.md has it.")
@click.pass_context
def corpora(context: click.Context, as_json: bool, markdown: bool) -> None:
    """List the corpora that are known by name."""
    if context.invoked_subcommand is not None:
        return
    from featurestore.corpus.sheet.manifest import find_manifest, manifest_names

    sheets = [find_manifest(name) for name in manifest_names()]
    if markdown:
        from featurestore.corpus.catalogue import catalogue_page

        click.echo(catalogue_page(sheets), nl=False)
        return
    rows = [
        {
            "corpus": sheet.name,
            "title": sheet.title,
            "files": sheet.expected.files,
            "hours": sheet.hours,
            "rate": sheet.rate,
            "classes": len(sheet.classes) or None,
            "speakers": sheet.speaker_count,
            "language": sheet.language,
            "licence": sheet.licence,
            "downloadable": sheet.downloadable,
            "generated": sheet.generator is not None,
        }
        for sheet in sheets
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
    """Show the data sheet of corpus NAME."""
    from featurestore.corpus.sheet.manifest import find_manifest

    sheet = find_manifest(name)
    card: dict[str, Any] = {
        "corpus": sheet.name,
        "title": sheet.title,
        "description": sheet.description,
        "language": sheet.language,
        "rate": sheet.rate,
        "hours": sheet.hours,
        "files": sheet.expected.files,
        "classes": list(sheet.classes),
        "labels": dict(sheet.expected.labels),
        "speakers": [dataclasses.asdict(speaker) for speaker in sheet.speakers],
        "splits": list(sheet.splits),
        "schemes": {name: scheme.title for name, scheme in sheet.schemes.items()},
        "protocols": {f"{sheet.name}/{name}": one.description for name, one in sheet.protocols.items()},
        "licence": sheet.licence,
        "licence_url": sheet.licence_url,
        "citation": sheet.citation,
        "homepage": sheet.homepage,
        "archives": [archive.url for archive in sheet.archives],
        "downloadable": sheet.downloadable,
        "known_bad": dict(sheet.audio.known_bad),
    }
    if as_json:
        print_json(card)
        return
    card["labels"] = ", ".join(f"{label} {count}" for label, count in card["labels"].items())
    card["speakers"] = _speakers(sheet)
    print_card(card)


def _speakers(sheet: Manifest) -> str:
    """Write the number of speakers, then what is known of each: `10: 03 (male, 31 years), 08 ...`."""
    if not sheet.speakers:
        return "" if sheet.speaker_count is None else str(sheet.speaker_count)
    people = []
    for one in sheet.speakers:
        age = None if one.age is None else f"{one.age} years"
        known = ", ".join(filter(None, (one.sex, age)))
        people.append(f"{one.id} ({known})" if known else one.id)
    return f"{sheet.speaker_count}: {', '.join(people)}"


corpora.add_command(check)
corpora.add_command(new)
