"""How much raters agree beyond chance, from the votes that a corpus keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from featurestore.corpus.labels.votes import Vote


def krippendorff_alpha(votes: Iterable[Sequence[Vote]]) -> float | None:
    """Return Krippendorff's alpha for names: 1 is full agreement, 0 is chance, below 0 is worse.

    Raters and their number may differ from one recording to the next. Of a rater who names several labels the first
    counts; recordings with fewer than two raters say nothing. None where no two votes can be compared, or all votes
    are equal.

    Parameters
    ----------
    votes : iterable of sequence of Vote
        The votes for each recording.

    Notes
    -----
    With `n_uc` votes for label c on recording u of `m_u` raters, and `n` votes in all: the observed disagreement is the
    sum over u of (m_u^2 - sum_c n_uc^2) / (m_u - 1), divided by n; the expected one (n^2 - sum_c n_c^2) / (n (n - 1))
    (K. Krippendorff: Computing Krippendorff's Alpha-Reliability, 2011).
    """
    counts = [Counter({vote.rater: vote.label for vote in reversed(one)}.values()) for one in votes]
    units = [count for count in counts if count.total() > 1]
    totals: Counter[str] = Counter()
    for unit in units:
        totals.update(unit)
    n = totals.total()
    expected = (n * n - sum(count**2 for count in totals.values())) / (n - 1) if n else 0.0
    if not expected:
        return None
    observed = sum((unit.total() ** 2 - sum(c**2 for c in unit.values())) / (unit.total() - 1) for unit in units)
    return 1 - observed / expected
