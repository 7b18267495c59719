"""Splits by name: rules, and protocols, which fix recordings, labels and sides together.

`iemocap/impro4-loso10@etienne2018` fixes a corpus, a label scheme, a split and where it was published. A protocol
stands in the corpus's manifest; a rule such as `loso` is one without a corpus.

A split is a view: it holds paths and changes nothing that is stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.corpus.manifest.model import Protocol, Scheme
from featurestore.corpus.splits.given_sides import by_field
from featurestore.corpus.splits.rules import FIELD, SPLITS, find_rule, is_rule, table_rule
from featurestore.corpus.splits.types import Split, SplitItem, SplitRule, in_name_order
from featurestore.errors import SplitError, UnknownNameError, nearest_name

if TYPE_CHECKING:
    from featurestore.corpus.manifest.model import Manifest
    from featurestore.corpus.types import Utterance


WITHOUT_CORPUS = "Protocols are named as 'emodb/loso', tables end in .tsv."


@dataclass(frozen=True, slots=True)
class ChosenSplit:
    """What the name of a split stands for."""

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

        Raises
        ------
        UnknownNameError
            If there is no such fold.
        SplitError
            If the rule does not fit the corpus.
        """
        found = {
            one.name: one for one in map(self._named, self.rule.build(in_name_order(self.select(utterances)), seed))
        }
        if not self.fold:
            return tuple(found.values())
        name = f"{self.name}/{self.fold}"
        if name not in found:
            raise UnknownNameError("fold", name, found)
        return (found[name],)

    def select(self, utterances: Iterable[Any]) -> tuple[Any, ...]:
        """Return the utterances that take part, with the classes of the scheme."""
        from featurestore.corpus.labels.schemes import under_scheme

        return tuple(utterances) if self.scheme is None else under_scheme(utterances, self.scheme)

    def check_corpus(self, corpus: str) -> None:
        """Refuse a protocol of one corpus for another, or for another selection of it.

        Raises
        ------
        SplitError
            Naming both.
        """
        base, _, scheme = corpus.partition("/")
        wrong_scheme = bool(scheme) and (self.scheme is None or self.scheme.name != scheme)
        if self.corpora and (base not in self.corpora or wrong_scheme):
            raise SplitError(
                f"split {self.name!r} is a protocol of {' and '.join(self.corpora)}, and this is {corpus!r}. "
                "Build that corpus whole, or choose a split that fits any, such as 'loso'."
            )

    def _named(self, found: Split) -> Split:
        if not self.corpora:
            return found
        fold = found.name.partition("/")[2] if self.rule.folds else ""  # a speaker's name may hold a slash
        return dataclasses.replace(found, name=f"{self.name}/{fold}" if fold else self.name)


def find_split(name: str) -> ChosenSplit:
    """Return what a split's name stands for: a rule, a protocol, one fold of either, or a user's table.

    Parameters
    ----------
    name : str
        `loso`, `loso/03`, `emodb/loso`, `iemocap/impro4-loso10@etienne2018/Ses01F`, `own.toml/NAME`, `sides.tsv`.

    Raises
    ------
    UnknownNameError
        If there is none; the nearest is offered.
    SplitError
        If it is the path of something else than a table.
    """
    if name.endswith((".tsv", ".csv")):
        return ChosenSplit(name, table_rule(name))
    base, _, rest = name.partition("/")
    if is_rule(base):
        return ChosenSplit(base, find_rule(base), rest)
    _refuse_path(name, base)
    if not rest and not name.endswith(".toml"):
        known = [rule.replace("Nfold", "5fold").replace(FIELD, "session") for rule in SPLITS]
        meant = None if nearest_name(name, known) else _protocol_like(name)
        raise UnknownNameError("split", name, known, WITHOUT_CORPUS, meant)
    manifest, dot, behind = name.partition(".toml/")
    corpus, rest = (f"{manifest}.toml", behind) if dot else (base, rest)
    return _protocol_split(corpus, rest)


def _refuse_path(name: str, base: str) -> None:
    """Refuse a path that is no table of sides: one from the root or with dots, or a folder beside us."""
    path = Path(name)
    if ".toml" in name or not (base in ("", ".", "..", "~") or (base == name and path.is_dir())):
        return
    if path.is_dir():
        raise SplitError(f"split {name!r:.200} is a folder: give a table of paths and sides, whose name ends in .tsv.")
    if not path.exists():
        raise SplitError(f"split {name!r:.200}: there is no such file. {WITHOUT_CORPUS}")
    raise SplitError(f"split {name!r:.200}: a table of paths and sides has a name that ends in .tsv or .csv.")


def _protocol_like(name: str) -> str | None:
    """Return the whole name of the protocol that a name without its corpus may mean; None if it is like none."""
    from featurestore.corpus.manifest.catalog import find_manifest, manifest_names

    whole = {
        protocol.partition("@")[0]: f"{manifest.name}/{protocol}"
        for manifest in map(find_manifest, manifest_names())
        for protocol in (*manifest.side_rules, *manifest.protocols)
    }
    found = nearest_name(name.partition("@")[0], whole)
    return None if found is None else whole[found]


def _protocol_split(corpus: str, rest: str) -> ChosenSplit:
    from featurestore.corpus.labels.schemes import find_scheme

    family = _family(corpus)
    wanted, _, fold = rest.partition("/")
    protocol = _find_protocol(corpus, family[0], wanted)
    return ChosenSplit(
        name=f"{corpus}/{protocol.name}",
        rule=_rule_of(family[0], protocol.split),
        fold=fold,
        corpora=tuple(manifest.name for manifest in family),
        scheme=find_scheme(protocol.scheme, family[0]) if protocol.scheme else None,
        protocol=protocol,
    )


def _family(corpus: str) -> tuple[Manifest, ...]:
    """Return the corpus of a name, or all versions of a corpus, such as `speech-commands`."""
    from featurestore.corpus.manifest.catalog import find_manifest, manifest_names

    if not corpus.endswith(".toml") and corpus.replace("-", "_") not in manifest_names():
        family = tuple(one for one in map(find_manifest, manifest_names()) if one.family == corpus)
        if family:
            return family
    return (find_manifest(corpus),)


def _find_protocol(corpus: str, manifest: Manifest, wanted: str) -> Protocol:
    """Find a protocol by its name, with or without the citation; a rule or the manifest's sides serve too."""
    known = manifest.protocols
    without_citation: Mapping[str, Protocol] = {name.partition("@")[0]: one for name, one in known.items()}
    if wanted in known or wanted in without_citation:
        return known.get(wanted) or without_citation[wanted]
    if is_rule(wanted) or wanted in manifest.side_rules:
        return Protocol(wanted, split=wanted)
    raise UnknownNameError(f"protocol of {corpus!r}", wanted, {*known, *manifest.side_rules, *manifest.splits})


def _rule_of(manifest: Manifest, split: str) -> SplitRule:
    sides = manifest.side_rules.get(split)
    return find_rule(split) if sides is None else SplitRule(by_field(sides), sides.description)


def labelled_under(name: str, utterances: Iterable[Utterance], corpus: str) -> tuple[Utterance, ...]:
    """Return the utterances that take part in a split by its name, with the classes that it trains on.

    Raises
    ------
    SplitError
        If the split is a protocol of another corpus than `corpus`.
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
