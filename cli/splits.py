"""`featurestore splits`: which splits a corpus has, their sides, and what stands on more than one of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from cli.console import (
    DownloadProgress,
    notice,
    print_card,
    print_json,
    print_notes,
    print_table,
    printable,
    some_names,
    terminal_width,
)
from cli.options import json_option, seed_option, source_option, store_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.corpus.manifest.model import Manifest
    from featurestore.corpus.splits.applicable import Fields
    from featurestore.corpus.splits.protocols import ChosenSplit
    from featurestore.corpus.splits.types import Split
    from featurestore.corpus.types import Utterance
    from featurestore.store import Store


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
    if split_name is None:
        _list_splits(name, place, as_json)
        return
    chosen = _chosen_split(name, split_name)  # before anything is read
    known = _known(name, source, place)
    utterances = _taking_part(chosen, known)
    found = chosen.build(utterances, seed or 0)
    document: dict[str, Any] = {
        "split": split_name,
        **_protocol(chosen, utterances),
        **_sides(chosen, utterances, found, known.sounds),
    }
    if as_json:
        print_json(document)
        return
    _print_sides(document.get("folds", [document]))
    print_card({label: printable(document[label]) for label in ("description", "citation") if document.get(label)})
    _print_warnings(document, heard=known.sounds is not None)


def _print_sides(folds: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each fold; shared speakers are named as far as the terminal is wide."""
    columns = ("fold", "train", "validation", "test", "shared speakers", "shared audio")
    names = [printable(str(fold.get("fold", 1))) for fold in folds]
    width = terminal_width() - max(map(len, ("fold", *names))) - sum(map(len, columns[1:4])) - len(columns[5]) - 11
    rows = [
        [
            name,
            *(len(fold[side]) for side in ("train", "validation", "test")),
            printable(some_names(fold["shared_speakers"], max(len(columns[4]), width))),
            len(fold["shared_audio"]),
        ]
        for name, fold in zip(names, folds, strict=True)
    ]
    print_table(columns, rows, numbers=columns[1:4])


def _print_warnings(document: Mapping[str, Any], *, heard: bool) -> None:
    """Say on standard error what the figures cannot promise."""
    if document["unknown_speakers"]:
        notice(
            f"the speakers of {document['unknown_speakers']:,} utterances are unknown: no split can promise new ones"
        )
    print_notes(document["notes"])
    if not all(fold["validation"] for fold in document.get("folds", [document])):
        notice("the validation side is empty: training keeps its last epoch")
    if heard:
        notice("identical audio is told exactly: a copy at another level, cut or coded anew is not found")
    else:
        notice("identical audio is told by the bytes of the files; of a dataset that is built, by its sound")


@dataclasses.dataclass(frozen=True)
class _Known:
    """A corpus, or the corpus of a dataset, as it is about to be split."""

    corpus: str
    utterances: Sequence[Utterance]
    sounds: Mapping[str, str] | None = None
    """What the features hear of each recording; None before it is built."""


def _chosen_split(name: str, split: str) -> ChosenSplit:
    """Return what the name of a split stands for; one that lacks its corpus is answered with that of this corpus."""
    from featurestore.corpus.splits.protocols import find_split
    from featurestore.errors import UnknownNameError, nearest_name

    try:
        return find_split(split)
    except UnknownNameError as error:
        manifests = () if "/" in split else _manifests(name, optional=True)
        own = {
            one.partition("@")[0]: f"{name}/{one}"
            for manifest in manifests
            for one in (*manifest.side_rules, *manifest.protocols)
        }
        meant = nearest_name(split.partition("@")[0], own)
        if meant is None:
            raise
        raise UnknownNameError("split", split, own.values(), meant=own[meant]) from error


def _taking_part(chosen: ChosenSplit, known: _Known) -> Sequence[Utterance]:
    chosen.check_corpus(known.corpus)
    return chosen.select(known.utterances)


def _list_splits(name: str, place: str | None, as_json: bool) -> None:
    """List the protocols of a corpus, and the rules that fit it by its utterances or its manifest."""
    from featurestore.corpus.splits.applicable import fitting_rules, grouping_fields
    from featurestore.corpus.splits.rules import FIELD, SPLITS
    from featurestore.store import open_store

    manifests, fields = _manifests_and_fields(open_store(place), name)
    rows = [
        {"split": f"{manifest.name}/{one.name}", "description": one.description, "citation": one.citation}
        for manifest in manifests
        for one in manifest.protocols.values()
    ]
    for rule in fitting_rules(fields):
        said = f" ({FIELD}: {', '.join(grouping_fields(fields))})" if FIELD in rule else ""
        rows.append({"split": rule, "description": SPLITS[rule].description + said, "citation": ""})
    if as_json:
        print_json(rows)
        return
    print_card({row["split"]: row["description"] for row in rows})


def _manifests_and_fields(store: Store, name: str) -> tuple[Sequence[Manifest], Fields]:
    """Return the manifests of a dataset or corpus, and the fields that its recordings can be split by."""
    from featurestore.corpus.splits.applicable import fields_of_manifests, fields_of_utterances

    if name not in store.names():
        manifests = _manifests(name)
        return manifests, fields_of_manifests(manifests)
    table = store.table(store.reference(name).table)
    return _manifests(table.corpus, optional=True), fields_of_utterances(table.utterances)


def _manifests(name: str, *, optional: bool = False) -> Sequence[Manifest]:
    """Return the manifests of a choice of corpora; none, if that is allowed, for one that is not known by name."""
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.errors import FeatureStoreError

    try:
        return find_corpus_spec(name).manifests
    except FeatureStoreError:  # the corpus of a dataset whose manifest or folder lies elsewhere
        if optional:
            return ()
        raise


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


def _known(name: str, source: str | None, place: str | None) -> _Known:
    """Return the corpus and the utterances of a dataset in the store, or of a corpus."""
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.store import open_store
    from pipelines.ingest.fetch import Fetcher
    from pipelines.ingest.ingest import ingest_spec

    store = open_store(place)
    if source is None and name in store.names():
        view = store.view(name)
        return _Known(view.table.corpus, view.table.utterances, view.sounds)
    choice = find_corpus_spec(name)
    corpus = ingest_spec(store, choice, source, Fetcher(notice, DownloadProgress()), write=False)
    for text in corpus.notes:
        notice(f"note: {printable(text)}")
    return _Known(corpus.name, corpus.utterances, _sounds(store, choice.dataset, corpus.utterances))


def _sounds(store: Store, dataset: str, utterances: Sequence[Utterance]) -> Mapping[str, str] | None:
    """Return what the features hear of a corpus that is built under its own name; None where one recording is not."""
    if dataset not in store.names():
        return None
    sounds = store.view(dataset).sounds
    return sounds if all(one.content in sounds for one in utterances) else None


def _sides(
    chosen: ChosenSplit, utterances: Sequence[Utterance], found: Sequence[Split], sounds: Mapping[str, str] | None
) -> dict[str, Any]:
    """Describe one split, or the folds of a protocol."""
    from featurestore.corpus.splits.leakage import leaks
    from featurestore.corpus.splits.types import lacking_notes

    sides = []
    notes: list[str] = []
    for split in found:
        leak = leaks(split, utterances, sounds)
        notes += lacking_notes(split, utterances)
        sides.append(
            {
                **{side: list(paths) for side, paths in split.sides.items()},
                "shared_speakers": list(leak.shared_speakers),
                "shared_audio": list(leak.shared_audio),
            }
        )
    if not chosen.folds:
        return {**sides[0], "notes": notes}
    named = [
        {"fold": split.name.removeprefix(f"{chosen.name}/"), **side} for split, side in zip(found, sides, strict=True)
    ]
    return {
        "folds": named,
        "notes": notes,
        "shared_speakers": sorted({name for side in sides for name in side["shared_speakers"]}),
        "shared_audio": sorted({name for side in sides for name in side["shared_audio"]}),
    }
