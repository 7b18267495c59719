"""Splits by name: rules, and protocols, which fix recordings, labels and sides together.

`iemocap/impro4-loso10@etienne2018` fixes a corpus, a label scheme, a split and where it was published. A protocol
is a section of the corpus's manifest; a rule such as `loso` fits any corpus.

A split is a view: it holds paths and changes nothing that is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.corpus.catalog import find_manifest, manifest_names
from featurestore.corpus.labels.schemes import find_scheme, under_scheme
from featurestore.corpus.manifest import Protocol, Scheme
from featurestore.corpus.splits.rules import SPLITS, find_rule, is_rule
from featurestore.corpus.splits.rules.given_sides import OwnSides, TableSides
from featurestore.corpus.splits.types import (
    FIELD,
    SIDE_BITS,
    WITHOUT_CORPUS,
    Split,
    SplitItem,
    SplitRule,
    in_name_order,
)
from featurestore.corpus.types import Utterance
from featurestore.errors import SplitError, UnknownNameError, nearest_name

NO_VALIDATION = "-no-validation"
"""After the name of a split: its validation side trains too."""


class WithoutValidation(SplitRule, registered=False):
    """Another rule's sides, of which validation trains, for a training in which nothing is chosen by validation."""

    def __init__(self, rule: SplitRule) -> None:
        self.rule, self.name = rule, f"{rule.name}{NO_VALIDATION}"
        self.description = f"{rule.description}; with {NO_VALIDATION} that side trains"

    @property
    def folds(self) -> bool:  # type: ignore[override]
        """Whether the other rule gives folds."""
        return self.rule.folds

    def build(self, utterances: Sequence[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the other rule's splits or folds, named after this one."""
        found = []
        for one in self.rule.build(utterances, seed):
            validates = one.side_bits & SIDE_BITS["validation"] > 0
            places = np.where(validates, SIDE_BITS["train"] | (one.side_bits & SIDE_BITS["test"]), one.side_bits)
            _, slash, fold = one.name.partition("/")
            found.append(Split.of_bits(f"{self.name}{slash}{fold}", one.paths, places.astype(np.uint8)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ChosenSplit:
    """What the name of a split means."""

    name: str
    """The whole name without the fold; with the citation, also where the user left it out."""
    rule: SplitRule
    fold: str = ""
    """The only fold that is wanted; empty for all."""
    corpora: tuple[str, ...] = ()
    """The corpora that a protocol belongs to: one, or a family; none for a rule."""
    scheme: Scheme | None = None
    protocol: Protocol | None = None

    @property
    def folds(self) -> bool:
        """Whether there is more than one split."""
        return self.rule.folds and not self.fold

    def build(self, utterances: Iterable[SplitItem], seed: int) -> tuple[Split, ...]:
        """Return the split or all folds, named after the protocol.

        `UnknownNameError` if there is no such fold; `SplitError` if the rule does not fit the corpus.
        """
        found = self.rule.build(in_name_order(self.select(utterances)), seed)
        if self.corpora:
            folds = (one.name.partition("/")[2] if self.rule.folds else "" for one in found)
            names = (f"{self.name}/{fold}" if fold else self.name for fold in folds)  # a speaker may hold a slash
            found = tuple(one.named(name) for one, name in zip(found, names, strict=True))
        if not self.fold:
            return found
        by_name = {one.name: one for one in found}
        name = f"{self.name}/{self.fold}"
        if name not in by_name:
            raise UnknownNameError("fold", name, by_name)
        return (by_name[name],)

    def select(self, utterances: Iterable[Any]) -> Sequence[Any]:
        """Return the utterances that take part, with the classes of the scheme; a sequence of all as it is."""
        if self.scheme is not None:
            return under_scheme(utterances, self.scheme)
        return utterances if isinstance(utterances, Sequence) else tuple(utterances)

    def check_corpus(self, corpus: str) -> None:
        """Refuse a protocol of one corpus for another, or for another selection of it; `SplitError` naming both."""
        base, _, scheme = corpus.partition("/")
        wrong_scheme = bool(scheme) and (self.scheme is None or self.scheme.name != scheme)
        if self.corpora and (base not in self.corpora or wrong_scheme):
            raise SplitError(
                f"split {self.name!r} is a protocol of {' and '.join(self.corpora)}, and this is {corpus!r}. "
                "Build that corpus whole, or choose a split that fits any, such as 'loso'."
            )


def find_split(name: str) -> ChosenSplit:
    """Return what a split's name means: a rule, a protocol, one fold of either, or a user's table.

    Parameters
    ----------
    name : str
        `loso`, `loso/03`, `emodb/loso`, `iemocap/impro4-loso10@etienne2018/Ses01F`, `own.toml/NAME`, `sides.tsv`;
        `loso-no-validation` and the like let the validation side train.

    Raises
    ------
    UnknownNameError
        If there is none; the nearest is offered.
    SplitError
        If it is the path of something else than a table.
    """
    if name.endswith((".tsv", ".csv")):
        return ChosenSplit(name, TableSides(name))
    if NO_VALIDATION in name:
        chosen = find_split(name.replace(NO_VALIDATION, "", 1))
        return replace(chosen, name=f"{chosen.name}{NO_VALIDATION}", rule=WithoutValidation(chosen.rule))
    base, _, rest = name.partition("/")
    if is_rule(base):
        return ChosenSplit(base, find_rule(base), rest)
    path = Path(name)
    if ".toml" not in name and (base in ("", ".", "..", "~") or (base == name and path.is_dir())):
        if path.is_dir():
            raise SplitError(
                f"split {name!r:.200} is a folder: give a table of paths and sides, whose name ends in .tsv."
            )
        if not path.exists():
            raise SplitError(f"split {name!r:.200}: there is no such file. {WITHOUT_CORPUS}")
        raise SplitError(f"split {name!r:.200}: a table of paths and sides has a name that ends in .tsv or .csv.")
    if not rest and not name.endswith(".toml"):
        known = [rule.replace("Nfold", "5fold").replace(FIELD, "session") for rule in SPLITS]
        meant = None if nearest_name(name, known) else _protocol_like(name)
        raise UnknownNameError("split", name, known, WITHOUT_CORPUS, meant)
    manifest, dot, behind = name.partition(".toml/")
    return _protocol_split(f"{manifest}.toml", behind) if dot else _protocol_split(base, rest)


def _protocol_like(name: str) -> str | None:
    """Return the whole name of the protocol that a name without its corpus may mean; None if it is like none."""
    whole = {
        protocol.partition("@")[0]: f"{manifest.name}/{protocol}"
        for manifest in map(find_manifest, manifest_names())
        for protocol in (*manifest.side_rules, *manifest.protocols)
    }
    found = nearest_name(name.partition("@")[0], whole)
    return None if found is None else whole[found]


def _protocol_split(corpus: str, rest: str) -> ChosenSplit:
    """Find a protocol by its name, with or without the citation; a rule or the manifest's sides serve too."""
    known_corpus = corpus.endswith(".toml") or corpus.replace("-", "_") in manifest_names()
    everyone = () if known_corpus else map(find_manifest, manifest_names())
    family = tuple(one for one in everyone if one.family == corpus) or (find_manifest(corpus),)
    manifest = family[0]
    wanted, _, fold = rest.partition("/")
    known = manifest.protocols
    protocol = known.get(wanted) or {name.partition("@")[0]: one for name, one in known.items()}.get(wanted)
    if protocol is None:
        if not is_rule(wanted) and wanted not in manifest.side_rules:
            raise UnknownNameError(f"protocol of {corpus!r}", wanted, {*known, *manifest.side_rules, *manifest.splits})
        protocol = Protocol(wanted, split=wanted)
    sides = manifest.side_rules.get(protocol.split)
    return ChosenSplit(
        name=f"{corpus}/{protocol.name}",
        rule=find_rule(protocol.split) if sides is None else OwnSides(sides),
        fold=fold,
        corpora=tuple(one.name for one in family),
        scheme=find_scheme(protocol.scheme, manifest) if protocol.scheme else None,
        protocol=protocol,
    )


def labelled_under(name: str, utterances: Iterable[Utterance], corpus: str) -> Sequence[Utterance]:
    """Return the utterances that take part in a split by its name, with the classes that it trains on.

    `SplitError` if the split is a protocol of another corpus than `corpus`.
    """
    chosen = find_split(name)
    chosen.check_corpus(corpus)
    return chosen.select(utterances)


def split(utterances: Iterable[SplitItem], name: str, seed: int = 0) -> Split:
    """Split utterances by a named rule or protocol, or by a user's table.

    Parameters
    ----------
    utterances : iterable of objects with `path`, `content`, `label`, `speaker`
    name : str
        A rule (a key of `SPLITS`), a protocol such as `speech-commands/official`, one fold of either by name, such as
        `loso/03`, or the path of a table ending in `.tsv` or `.csv`.
    seed : int
        Changes the rules that draw, and no other.

    Raises
    ------
    UnknownNameError
        If there is no such rule.
    SplitError
        If the rule gives folds, does not fit the corpus, or leaves a side empty.
    """
    chosen = find_split(name)
    found = chosen.build(utterances, seed)
    if chosen.folds:
        raise SplitError(
            f"split {name!r} has {len(found)} folds: cross-validate with it, or choose one, such as {found[0].name!r}."
        )
    return found[0]


def folds(utterances: Iterable[SplitItem], name: str, seed: int = 0) -> tuple[Split, ...]:
    """Return all folds of a named rule or protocol; one with a single split gives that one, as does a fold's name."""
    return find_split(name).build(utterances, seed)
