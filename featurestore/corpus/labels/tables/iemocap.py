"""The `EmoEvaluation` files of IEMOCAP: a line for each turn, followed by what each rater said.

`[6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]` gives times in seconds, the turn, the
agreed emotion and the mean valence, activation and dominance. `C-E2:<tab>Neutral;<tab>()` is one rater's vote, which
may name several emotions; `C-F1` and `C-M1` are the actors' own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from featurestore.corpus.labels.tables.rows import Row, label_text
from featurestore.corpus.labels.votes import Vote, votes_text
from featurestore.corpus.sheet.label_rules import TableRule

_TURN = re.compile(
    r"\[(?P<start>\d+\.\d+) - (?P<end>\d+\.\d+)\]\t(?P<file>\w+)\t(?P<emotion>\w+)\t"
    r"\[(?P<valence>\d+\.\d+), (?P<activation>\d+\.\d+), (?P<dominance>\d+\.\d+)\]\s*"
)
_VOTE = re.compile(r"C-(?P<rater>[EFM]\d+):\t(?P<names>[^\t(]*)")
_DIMENSIONS = re.compile(r"A-(?P<rater>[EFM]\d+):\t(?P<values>[^\t(]*)")
_DIMENSION = re.compile(r"(?P<name>val|act|dom)\s+(?P<value>\d)")


def read_evaluation(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the turns of one file, each with its raters' votes and ratings.

    The field `votes` holds the votes of the raters (E1 and up), `self_votes` those of the actors, `ratings` the
    raters' valence, activation and dominance as `E1:val 3,act 2,dom 2`; a rating that a rater left out is absent.
    """
    turn: dict[str, str] = {}
    votes: list[Vote] = []
    ratings: list[str] = []
    for line in label_text(data, rule.encoding, path).splitlines():
        found = _TURN.fullmatch(line)
        if found:
            if turn:
                yield _with_raters(turn, votes, ratings)
            turn, votes, ratings = found.groupdict(), [], []
        votes.extend(_votes(line))
        ratings.extend(_ratings(line))
    if turn:
        yield _with_raters(turn, votes, ratings)


def _votes(line: str) -> Iterator[Vote]:
    found = _VOTE.match(line)
    if found:
        for name in found["names"].split(";"):
            if name.strip():
                yield Vote(found["rater"], name.strip().lower())


def _ratings(line: str) -> Iterator[str]:
    found = _DIMENSIONS.match(line)
    if found:
        values = ",".join(f"{one['name']} {one['value']}" for one in _DIMENSION.finditer(found["values"]))
        if values:
            yield f"{found['rater']}:{values}"


def _with_raters(turn: dict[str, str], votes: list[Vote], ratings: list[str]) -> Row:
    raters = [vote for vote in votes if vote.rater.startswith("E")]
    actors = [vote for vote in votes if not vote.rater.startswith("E")]
    said = {"votes": votes_text(raters), "self_votes": votes_text(actors), "ratings": ";".join(ratings)}
    return {**turn, **{field: text for field, text in said.items() if text}}
