"""Which splits a corpus has, the sides of one of them, and what is on more than one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.protocols import ChosenSplit, find_split
from featurestore.corpus.splits.applicable import (
    fields_of_manifests,
    fields_of_utterances,
    fitting_rules,
    grouping_fields,
)
from featurestore.corpus.splits.leakage import LeakSearch, lacking_notes
from featurestore.corpus.splits.rules import SPLITS
from featurestore.corpus.splits.types import FIELD
from featurestore.corpus.types import Utterance
from featurestore.errors import FeatureStoreError, UnknownNameError, nearest_name
from featurestore.store import Store
from pipelines.ingest.fetch import Fetcher
from pipelines.ingest.ingest import ReadOptions, ingest_spec


def list_splits(store: Store, name: str) -> list[dict[str, str]]:
    """Return the protocols of a corpus or dataset, and the rules that fit it: `split`, `description`, `citation`."""
    if name in store.names():
        table = store.table(store.reference(name).table)
        manifests, fields = _manifests(table.corpus, optional=True), fields_of_utterances(table.utterances)
    else:
        manifests = _manifests(name)
        fields = fields_of_manifests(manifests)
    rows = [
        {"split": f"{manifest.name}/{one.name}", "description": one.description, "citation": one.citation}
        for manifest in manifests
        for one in manifest.protocols.values()
    ]
    for rule in fitting_rules(fields):
        grouping = f" ({FIELD}: {', '.join(grouping_fields(fields))})" if FIELD in rule else ""
        rows.append({"split": rule, "description": SPLITS[rule].description + grouping, "citation": ""})
    return rows


def describe_split(
    store: Store, name: str, split: str, source: str | None, seed: int, fetcher: Fetcher
) -> tuple[dict[str, Any], bool]:
    """Return the sides of a split of a corpus or dataset as JSON values, and whether sounds could be compared.

    Sounds are compared where the corpus is built; otherwise identical audio is found by the bytes of its files.

    Raises
    ------
    UnknownNameError
        If there is no such split, corpus or dataset.
    """
    chosen = _find_split(name, split)  # before anything is read
    everything: Sequence[Utterance]
    sounds: Mapping[str, str] | None
    if source is None and name in store.names():
        view = store.view(name)
        corpus, everything, sounds = view.table.corpus, tuple(view.table.utterances), view.sounds
    else:
        spec = find_corpus_spec(name)
        ingested = ingest_spec(store, spec, source, fetcher, ReadOptions(write=False))
        for text in ingested.notes:
            fetcher.tell(f"note: {text}")
        corpus, everything = ingested.name, ingested.utterances
        sounds = store.view(spec.dataset).sounds if spec.dataset in store.names() else None
        if sounds is not None and not all(one.content in sounds for one in everything):
            sounds = None
    chosen.check_corpus(corpus)
    utterances = chosen.select(everything)
    protocol = chosen.protocol
    return {
        "split": split,
        "protocol": chosen.name,
        "scheme": chosen.scheme.name if chosen.scheme else None,
        "labels": dict(sorted(Counter(one.label for one in utterances).items())),
        "description": protocol.description if protocol else chosen.rule.description,
        "citation": protocol.citation if protocol else "",
        "declared_leaks": list(protocol.leaks) if protocol else [],
        "unknown_speakers": sum(one.speaker is None for one in utterances),
        **_sides(chosen, utterances, seed, sounds),
    }, sounds is not None


def _find_split(name: str, split: str) -> ChosenSplit:
    """Return what the name of a split stands for; the error for one that lacks its corpus names that of this corpus."""
    try:
        return find_split(split)
    except UnknownNameError as error:
        own = {
            one.partition("@")[0]: f"{name}/{one}"
            for manifest in (() if "/" in split else _manifests(name, optional=True))
            for one in (*manifest.side_rules, *manifest.protocols)
        }
        meant = nearest_name(split.partition("@")[0], own)
        if meant is None:
            raise
        raise UnknownNameError("split", split, own.values(), meant=own[meant]) from error


def manifests_of(corpus: str) -> Sequence[Manifest]:
    """Return the manifests of a dataset's corpus; none if they, or its folder, are not here."""
    return _manifests(corpus, optional=True)


def _manifests(name: str, *, optional: bool = False) -> Sequence[Manifest]:
    try:
        return find_corpus_spec(name).manifests
    except FeatureStoreError:  # the corpus of a dataset whose manifest or folder lies elsewhere
        if optional:
            return ()
        raise


def _sides(
    chosen: ChosenSplit, utterances: Sequence[Utterance], seed: int, sounds: Mapping[str, str] | None
) -> dict[str, Any]:
    """Describe one split, or the folds of a protocol."""
    search, labels = LeakSearch(utterances, sounds), {one.path: one.label for one in utterances}
    splits = chosen.build(utterances, seed)
    sides, notes = [], lacking_notes(splits, labels)
    for split in splits:
        leak = search.leaks(split)
        fold = {"fold": split.name.removeprefix(f"{chosen.name}/")} if chosen.folds else {}
        shared = {"shared_speakers": list(leak.shared_speakers), "shared_audio": list(leak.shared_audio)}
        sides.append({**fold, **split.members, **shared})
    if not chosen.folds:
        return {**sides[0], "notes": notes}
    return {
        "folds": sides,
        "notes": notes,
        "shared_speakers": sorted({name for side in sides for name in side["shared_speakers"]}),
        "shared_audio": sorted({name for side in sides for name in side["shared_audio"]}),
    }
