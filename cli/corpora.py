"""Commands about corpora: `corpora` and `splits`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from cli.corpora_new import new
from cli.corpus_check import check
from cli.options import json_option, seed_option, source_option, store_option
from cli.output import DownloadProgress, notice, print_card, print_json, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.corpus.corpus import Utterance
    from featurestore.corpus.splitting.protocols import ChosenSplit


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
    card["speakers"] = ", ".join(f"{s['id']} ({s['sex'] or '?'}, {s['age'] or '?'})" for s in card["speakers"])
    print_card(card)


corpora.add_command(check)
corpora.add_command(new)


@click.command(epilog="Example: featurestore splits emodb --split loso --source download.zip")
@click.argument("name", metavar="CORPUS|DATASET")
@click.option("--split", "split_name", help="mathworks, loso, group-5fold, emodb/loso, sides.tsv, ... Default: list.")
@source_option
@seed_option
@store_option
@json_option
def splits(
    name: str, split_name: str | None, source: str | None, seed: int | None, place: str | None, as_json: bool
) -> None:
    """Show the sides of a split or protocol of CORPUS|DATASET, and what stands on more than one of them.

    Without --split, list the splits that there are.
    """
    from featurestore.corpus.splitting.protocols import find_split, labelled_under

    if split_name is None:
        _list_splits(name, as_json)
        return
    corpus, everyone = _utterances(name, source, place)
    chosen = find_split(split_name)
    utterances = labelled_under(split_name, everyone, corpus)
    found = chosen.build(utterances, seed or 0)
    document: dict[str, Any] = {"split": split_name, **_protocol(chosen, utterances), **_sides(utterances, found)}
    if as_json:
        print_json(document)
        return
    folds: list[dict[str, Any]] = document.get("folds", [document])
    columns = ("fold", "train", "validation", "test", "shared speakers", "shared audio")
    print_table(
        columns,
        [
            [
                fold.name.rpartition("/")[2] if "folds" in document else 1,
                *(len(sides[side]) for side in ("train", "validation", "test")),
                ", ".join(sides["shared_speakers"]) or "none",
                len(sides["shared_audio"]),
            ]
            for fold, sides in zip(found, folds, strict=True)
        ],
        numbers=columns[1:4],
    )
    for label in ("description", "citation"):
        if document.get(label):
            click.echo(f"{label}: {printable(document[label])}")
    if document["unknown_speakers"]:
        notice(
            f"the speakers of {document['unknown_speakers']:,} utterances are unknown: no split can promise new ones"
        )


def _list_splits(name: str, as_json: bool) -> None:
    """List the protocols of a corpus and the rules that fit any."""
    from featurestore.corpus.choice import find_choice
    from featurestore.corpus.splitting.split_rules import SPLITS

    rows = [
        {"split": f"{sheet.name}/{one.name}", "description": one.description, "citation": one.citation}
        for sheet in find_choice(name).manifests
        for one in sheet.protocols.values()
    ]
    rows += [{"split": rule, "description": one.description, "citation": ""} for rule, one in SPLITS.items()]
    if as_json:
        print_json(rows)
        return
    print_table(("split", "description"), [[row["split"], row["description"]] for row in rows])


def _protocol(chosen: ChosenSplit, utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Describe a protocol by its whole name: scheme, classes, citation, and the leaks that it is known for."""
    from collections import Counter

    counts = Counter(one.label for one in utterances)
    return {
        "protocol": chosen.name,
        "scheme": chosen.scheme.name if chosen.scheme else None,
        "labels": dict(sorted(counts.items())),
        "description": chosen.protocol.description if chosen.protocol else chosen.rule.description,
        "citation": chosen.protocol.citation if chosen.protocol else "",
        "declared_leaks": list(chosen.protocol.leaks) if chosen.protocol else [],
        "unknown_speakers": sum(one.speaker is None for one in utterances),
    }


def _utterances(name: str, source: str | None, place: str | None) -> tuple[str, Sequence[Utterance]]:
    """Return the corpus and the utterances of a dataset in the store, or of a corpus."""
    from featurestore.corpus.choice import find_choice
    from featurestore.store import open_store
    from pipelines.chosen_corpus import chosen_corpus
    from pipelines.fetch import Fetcher

    store = open_store(place)
    if source is None and name in store.names():
        table = store.view(name).table
        return table.corpus, table.utterances
    corpus = chosen_corpus(store, find_choice(name), source, Fetcher(notice, DownloadProgress()), write=False)
    for text in corpus.notes:
        notice(f"note: {printable(text)}")
    return corpus.name, corpus.utterances


def _sides(utterances: Sequence[Utterance], found: Sequence[Any]) -> dict[str, Any]:
    """Describe one split, or the folds of a protocol."""
    from featurestore.corpus.splitting.leaks import leaks

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
