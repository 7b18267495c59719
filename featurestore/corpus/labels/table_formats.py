"""The formats of label files, with the readers for single corpora: aGender, AIHUB's emotional speech, IEMOCAP.

What the second and third column mean differs between descriptions, so the speaker is taken from the path. The class
follows from age and sex; where a list states one too, both are kept.

Three releases differ in the spelling of one header (`4번감정세기`), in the case of labels and in words for situations.
The numbered columns are five annotators; they are no ranking of emotions.

IEMOCAP's `EmoEvaluation` files: `[6.2901 - 8.2357]<tab>Ses01F_impro01_F000<tab>neu<tab>[2.5000, 2.5000, 2.5000]` gives
times in seconds, the turn, the agreed emotion and the mean valence, activation and dominance.
`C-E2:<tab>Neutral;<tab>()` is one rater's vote, which may name several emotions; `C-F1` and `C-M1` are the actors' own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from featurestore.corpus.labels.tables import Row, label_text, read_columns, read_json_lines
from featurestore.corpus.labels.votes import Vote, votes_text
from featurestore.corpus.manifest import TableRule
from featurestore.errors import SourceError

GROUPS = ((14, "child"), (24, "young"), (54, "adult"), (150, "senior"))
"""Oldest age in years of each age group."""

_COLUMNS: dict[str, tuple[str | int, ...]] = {"file": (1,), "age": (4,), "sex": (5,)}


def read_samples(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield `file`, `age`, `sex` (f, m, x), `age_group` and `class` (1 to 7) of each line.

    A line whose own class differs from the one that age and sex give also has the field `stated_class`.

    `SourceError` if an age is no number of years or a sex is none of f, m, x.
    """
    six = b" " in data.strip() and len(data.strip().splitlines()[0].split()) > 5
    columns = {**_COLUMNS, "stated_class": (6,)} if six else _COLUMNS
    for row in read_columns(replace(rule, header=False, delimiter=" ", columns=columns), path, data):
        age, sex = row["age"], row["sex"]
        if not re.fullmatch(r"\d{1,3}", age) or int(age) > GROUPS[-1][0] or sex not in ("f", "m", "x"):
            raise SourceError(f"label file {path!r:.120}: {row['file']!r:.80} has age {age!r:.20} and sex {sex!r:.20}.")
        number = class_of(int(age), sex)
        stated = {} if row.get("stated_class", number) == number else {"stated_class": row["stated_class"]}
        yield {"file": row["file"], "age": age, "sex": sex, "age_group": group_of(int(age)), "class": number, **stated}


def group_of(age: int) -> str:
    """Return the age group of an age in years."""
    return next(name for oldest, name in GROUPS if age <= oldest)


def class_of(age: int, sex: str) -> str:
    """Return the class of a speaker: 1 children, then women and men of each older group, 2 to 7."""
    position = [name for _, name in GROUPS].index(group_of(age))
    return "1" if position == 0 else str(2 * position + (sex == "m"))


RATERS = range(1, 6)
_ALONE = {"file": ("wav_id",), "sentence": ("발화문",), "situation": ("상황",), "age": ("나이",), "sex": ("성별",)}


def read_aihub(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the rows of one release, with the field `votes` in place of the ten columns of the raters.

    `SourceError` if a column is missing or a strength is no number from 0 to 2.
    """
    columns: dict[str, tuple[str | int, ...]] = dict(_ALONE)
    for rater in RATERS:
        columns[f"emotion{rater}"] = (f"{rater}번 감정", f"{rater}번감정")
        columns[f"strength{rater}"] = (f"{rater}번 감정세기", f"{rater}번감정세기", f"{rater}번 감정 세기")
    for row in read_columns(replace(rule, columns=columns), path, data):
        alone = {field: row[field] for field in _ALONE if field in row}
        alone |= {"situation": alone["situation"].lower()} if "situation" in alone else {}
        votes = []
        for rater in RATERS:
            emotion, strength = row.get(f"emotion{rater}"), row.get(f"strength{rater}", "1")
            if emotion is not None:
                if strength not in ("0", "1", "2"):
                    raise SourceError(
                        f"label file {path!r:.120}: strength {strength!r:.20} of {row.get('file')!r:.60} is not 0 to 2."
                    )
                votes.append(Vote(str(rater), emotion.lower(), int(strength)))
        yield {**alone, **({"votes": votes_text(votes)} if votes else {})}


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
    turns: list[tuple[dict[str, str], list[Vote], list[str]]] = []
    for line in label_text(data, rule.encoding, path).splitlines():
        if turn := _TURN.fullmatch(line):
            turns.append((turn.groupdict(), [], []))
        if not turns:
            continue
        _, votes, ratings = turns[-1]
        if vote := _VOTE.match(line):
            votes += [Vote(vote["rater"], name.strip().lower()) for name in vote["names"].split(";") if name.strip()]
        if rated := _DIMENSIONS.match(line):
            values = ",".join(f"{one['name']} {one['value']}" for one in _DIMENSION.finditer(rated["values"]))
            ratings += [f"{rated['rater']}:{values}"] if values else []
    for fields, votes, ratings in turns:
        raters = [vote for vote in votes if vote.rater.startswith("E")]
        actors = [vote for vote in votes if not vote.rater.startswith("E")]
        beside = {"votes": votes_text(raters), "self_votes": votes_text(actors), "ratings": ";".join(ratings)}
        yield {**fields, **{field: text for field, text in beside.items() if text}}


TableReader = Callable[[TableRule, str, bytes], Iterator[Row]]
"""Given the rule, the label file's path and its bytes, yields the rows."""

TABLE_FORMATS: Mapping[str, TableReader] = {
    "columns": read_columns,
    "jsonl": read_json_lines,
    "iemocap": read_evaluation,
    "agender": read_samples,
    "aihub": read_aihub,
}
"""The readers by name."""
