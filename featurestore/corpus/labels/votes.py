"""Rater votes: kept with each recording as one field, turned into a class or into soft labels by named rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Vote:
    """One rater's emotion for one recording; a rater may give several."""

    rater: str
    label: str
    strength: int = 1
    """How strong the rater found it; 1 where the corpus asks for none."""


def votes_text(votes: Iterable[Vote]) -> str:
    """Write votes as one field: `E1:neutral;E2:anger*2`.

    Examples
    --------
    >>> votes_text([Vote("E1", "neutral"), Vote("E2", "anger", 2)])
    'E1:neutral;E2:anger*2'
    """
    return ";".join(
        f"{vote.rater}:{re.sub('[:;*]', '_', vote.label)}{'' if vote.strength == 1 else f'*{vote.strength}'}"
        for vote in votes
    )


def parse_votes(text: str) -> tuple[Vote, ...]:
    """Read what `votes_text` wrote; `ValueError` if a part is no `rater:label` or `rater:label*strength`."""
    votes = []
    for part in filter(None, text.split(";")):
        rater, colon, rest = part.partition(":")
        label, star, strength = rest.partition("*")
        if not (colon and rater and label and (not star or strength.isdecimal())):
            raise ValueError(f"{part!r} is no vote such as E1:anger or E1:anger*2")
        votes.append(Vote(rater, label, int(strength) if star else 1))
    return tuple(votes)


def _shares(votes: Sequence[Vote]) -> dict[str, float]:
    """Give each rater one voice, shared equally among the labels that the rater named."""
    named: dict[str, list[str]] = {}
    for vote in votes:
        named.setdefault(vote.rater, []).append(vote.label)
    shares: dict[str, float] = {}
    for labels in named.values():
        for label in labels:
            shares[label] = shares.get(label, 0.0) + 1 / len(labels)
    return shares


def _most(weights: Mapping[str, float], least: float = 0.0) -> str | None:
    """Return the label with the largest weight, which must reach `least`; None where two are level."""
    best = max(weights.values(), default=0.0)
    leaders = [label for label, weight in weights.items() if weight == best]
    return leaders[0] if len(leaders) == 1 and best >= least else None


def majority(votes: Sequence[Vote], least: int = 0) -> str | None:
    """Return the label that more raters named than any other, `least` of them or more; None where two are level."""
    return _most(Counter(label for _, label in {(vote.rater, vote.label) for vote in votes}), least)


def weighted(votes: Sequence[Vote], silent: str = "neutral") -> str | None:
    """Return the label with the largest sum of strengths; `silent` if every strength is 0; None where two are level."""
    strengths: dict[str, float] = {}
    for vote in votes:
        strengths[vote.label] = strengths.get(vote.label, 0) + vote.strength
    if votes and not any(strengths.values()):
        return silent
    return _most(strengths)


def first(votes: Sequence[Vote]) -> str | None:
    """Return the label of the first vote, whatever the others say."""
    return votes[0].label if votes else None


def soft(votes: Sequence[Vote]) -> str | None:
    """Return the label with the largest share where each rater has one voice; None where two are level."""
    return _most(_shares(votes))


VOTE_RULES: Mapping[str, Callable[[Sequence[Vote]], str | None]] = {
    "majority": majority,
    "majority>=3": partial(majority, least=3),
    "weighted": weighted,
    "first": first,
    "soft": soft,
}
"""From votes to one class, or None where they do not decide."""


def soft_label(votes: Sequence[Vote], classes: Sequence[str]) -> NDArray[np.float32]:
    """Return the share of the voices that each class got, array [classes], summing to 1.

    Voices for labels outside `classes` are left out; all are 0 if none is left.
    """
    shares = _shares(votes)
    kept = np.array([shares.get(name, 0.0) for name in classes])
    return np.asarray(kept / kept.sum() if kept.sum() else kept, np.float32)


def krippendorff_alpha(votes: Iterable[Sequence[Vote]]) -> float | None:
    """Return Krippendorff's alpha for names: 1 is full agreement, 0 is chance, below 0 is worse.

    The votes are those for each recording; raters and their number may differ from one to the next. Of a rater who
    names several labels the first counts; recordings with fewer than two raters do not count. None where no two votes
    can be compared, or all votes are equal.

    With `n_uc` votes for label c on recording u of `m_u` raters, and `n` votes in all: the observed disagreement is the
    sum over u of (m_u^2 - sum_c n_uc^2) / (m_u - 1), divided by n; the expected one (n^2 - sum_c n_c^2) / (n (n - 1))
    (K. Krippendorff: Computing Krippendorff's Alpha-Reliability, 2011).
    """
    counts = [Counter({vote.rater: vote.label for vote in reversed(one)}.values()) for one in votes]
    units = [count for count in counts if count.total() > 1]
    totals = Counter(label for unit in units for label in unit.elements())
    n = totals.total()
    expected = (n * n - sum(count**2 for count in totals.values())) / (n - 1) if n else 0.0
    if not expected:
        return None
    observed = sum((unit.total() ** 2 - sum(c**2 for c in unit.values())) / (unit.total() - 1) for unit in units)
    return 1 - observed / expected
