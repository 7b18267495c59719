"""The label files of AIHUB's Korean emotional speech: five raters, each with an emotion and its strength from 0 to 2.

Three releases differ in the spelling of one header (`4번감정세기`), in the case of labels and in words for situations.
The numbered columns are five annotators; they are no ranking of emotions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from featurestore.corpus.labels.tables.columns import read_columns
from featurestore.corpus.labels.tables.rows import Row
from featurestore.corpus.labels.votes import Vote, votes_text
from featurestore.corpus.sheet.label_rules import TableRule
from featurestore.errors import SourceError

RATERS = range(1, 6)

_ALONE = {"file": ("wav_id",), "sentence": ("발화문",), "situation": ("상황",), "age": ("나이",), "sex": ("성별",)}


def read_aihub(rule: TableRule, path: str, data: bytes) -> Iterator[Row]:
    """Yield the rows of one release, with the field `votes` in place of the ten columns of the raters.

    Raises
    ------
    SourceError
        If a column is missing or a strength is no number from 0 to 2.
    """
    columns: dict[str, tuple[str | int, ...]] = dict(_ALONE)
    for rater in RATERS:
        columns[f"emotion{rater}"] = (f"{rater}번 감정", f"{rater}번감정")
        columns[f"strength{rater}"] = (f"{rater}번 감정세기", f"{rater}번감정세기", f"{rater}번 감정 세기")
    for row in read_columns(replace(rule, columns=columns), path, data):
        alone = {field: row[field] for field in _ALONE if field in row}
        alone |= {"situation": alone["situation"].lower()} if "situation" in alone else {}
        votes = votes_text([vote for rater in RATERS for vote in _vote(row, rater, path)])
        yield {**alone, **({"votes": votes} if votes else {})}


def _vote(row: Row, rater: int, path: str) -> list[Vote]:
    emotion = row.get(f"emotion{rater}")
    if emotion is None:
        return []
    strength = row.get(f"strength{rater}", "1")
    if strength not in ("0", "1", "2"):
        raise SourceError(
            f"label file {path!r:.120}: strength {strength!r:.20} of {row.get('file')!r:.60} is not 0 to 2."
        )
    return [Vote(str(rater), emotion.lower(), int(strength))]
