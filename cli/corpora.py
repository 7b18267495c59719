"""Commands about corpora: `corpora` and `splits`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option, seed_option, source_option, store_option
from cli.output import DownloadProgress, notice, print_card, print_json, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.corpus.corpus import Utterance


@click.group(invoke_without_command=True, epilog="Example: featurestore corpora show emodb")
@json_option
@click.pass_context
def corpora(context: click.Context, as_json: bool) -> None:
    """List the corpora that are known by name."""
    if context.invoked_subcommand is not None:
        return
    from featurestore.corpus.manifest import find_manifest, manifest_names

    sheets = [find_manifest(name) for name in manifest_names()]
    rows = [
        {
            "corpus": sheet.name,
            "title": sheet.title,
            "files": sheet.expected.files,
            "rate": sheet.rate,
            "classes": len(sheet.expected.labels),
            "speakers": len(sheet.speakers),
            "licence": sheet.licence,
            "downloadable": sheet.downloadable,
        }
        for sheet in sheets
    ]
    if as_json:
        print_json(rows)
        return
    columns = ("corpus", "files", "rate", "classes", "speakers", "licence")
    print_table(columns, [[row[column] for column in columns] for row in rows], numbers=columns[1:5])


@corpora.command(epilog="Example: featurestore corpora show emodb")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the data sheet of corpus NAME."""
    from featurestore.corpus.manifest import find_manifest

    sheet = find_manifest(name)
    card: dict[str, Any] = {
        "corpus": sheet.name,
        "title": sheet.title,
        "description": sheet.description,
        "language": sheet.language,
        "rate": sheet.rate,
        "files": sheet.expected.files,
        "labels": dict(sheet.expected.labels),
        "speakers": [dataclasses.asdict(speaker) for speaker in sheet.speakers],
        "splits": list(sheet.splits),
        "licence": sheet.licence,
        "citation": sheet.citation,
        "homepage": sheet.homepage,
        "archives": [archive.url for archive in sheet.archives],
        "downloadable": sheet.downloadable,
    }
    if as_json:
        print_json(card)
        return
    card["labels"] = ", ".join(f"{label} {count}" for label, count in card["labels"].items())
    card["speakers"] = ", ".join(f"{s['id']} ({s['sex'] or '?'}, {s['age'] or '?'})" for s in card["speakers"])
    print_card(card)


@click.command(epilog="Example: featurestore splits emodb --split loso --source download.zip")
@click.argument("name", metavar="CORPUS|DATASET")
@click.option("--split", "split_name", required=True, help="mathworks, shuffled, loso, ...")
@source_option
@seed_option
@store_option
@json_option
def splits(name: str, split_name: str, source: str | None, seed: int | None, place: str | None, as_json: bool) -> None:
    """Show the sides of a split, and what stands on more than one of them."""
    from featurestore.corpus.splits import folds as folds_of

    utterances = _utterances(name, source, place)
    found = folds_of(utterances, split_name, seed=seed or 0)
    document: dict[str, Any] = {"split": split_name, **_sides(utterances, found)}
    if as_json:
        print_json(document)
        return
    folds: list[dict[str, Any]] = document.get("folds", [document])
    columns = ("fold", "train", "validation", "test", "shared speakers", "shared audio")
    print_table(
        columns,
        [
            [
                number,
                *(len(fold[side]) for side in ("train", "validation", "test")),
                ", ".join(fold["shared_speakers"]) or "none",
                len(fold["shared_audio"]),
            ]
            for number, fold in enumerate(folds, start=1)
        ],
        numbers=columns[:4],
    )


def _utterances(name: str, source: str | None, place: str | None) -> Sequence[Utterance]:
    """Return the utterances of a dataset in the store, or of a corpus."""
    from featurestore.corpus.manifest import find_manifest
    from featurestore.store import open_store
    from pipelines.fetch import Fetcher
    from pipelines.ingest import ingest

    store = open_store(place)
    if source is None and name in store.names():
        return store.view(name).table.utterances
    manifest = find_manifest(name)
    fetcher = Fetcher(notice, DownloadProgress())
    corpus = ingest(store, manifest, fetcher.local(source, manifest), fetcher.archive, write=False)
    for text in corpus.notes:
        notice(f"note: {printable(text)}")
    return corpus.utterances


def _sides(utterances: Sequence[Utterance], found: Sequence[Any]) -> dict[str, Any]:
    """Describe one split, or the folds of a protocol."""
    from featurestore.corpus.leaks import leaks

    sides = []
    for split in found:
        leak = leaks(split, utterances)
        sides.append(
            {
                "train": list(split.train),
                "validation": list(split.validation),
                "test": list(split.test),
                "shared_speakers": list(leak.shared_speakers),
                "shared_audio": list(leak.shared_audio),
            }
        )
    if len(sides) == 1:
        return sides[0]
    return {
        "folds": sides,
        "shared_speakers": sorted({name for side in sides for name in side["shared_speakers"]}),
        "shared_audio": sorted({name for side in sides for name in side["shared_audio"]}),
    }
