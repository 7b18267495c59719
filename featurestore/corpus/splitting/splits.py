"""Splits: who trains, validates and tests, as named and repeatable rules over any sequence of utterances.

A split is a view: it holds paths and changes nothing that is stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from featurestore.corpus.splitting.protocols import find_split
from featurestore.corpus.splitting.sides import Split, SplitItem, SplitRule
from featurestore.corpus.splitting.split_rules import SPLITS
from featurestore.errors import SplitError

__all__ = ["SPLITS", "Split", "SplitItem", "SplitRule", "folds", "split"]


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
