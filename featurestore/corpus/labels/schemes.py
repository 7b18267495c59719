"""Label schemes: which recordings take part, and under which classes; views, for which nothing is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featurestore.corpus.labels.votes import VOTE_RULES, Vote, parse_votes, soft_label
from featurestore.corpus.manifest import Manifest, Scheme
from featurestore.corpus.types import Utterance
from featurestore.errors import SplitError, UnknownNameError

SYNONYMS: Mapping[str, str] = {
    "ang": "anger",
    "angry": "anger",
    "bored": "boredom",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "excited": "excitement",
    "anxiety": "fear",
    "fearful": "fear",
    "frustrated": "frustration",
    "hap": "happiness",
    "happy": "happiness",
    "joy": "happiness",
    "neu": "neutral",
    "neutrality": "neutral",
    "sad": "sadness",
    "pleasant surprise": "surprise",
    "pleasant_surprise": "surprise",
    "ps": "surprise",
    "surprised": "surprise",
}
"""One word for each emotion, whatever a corpus calls it."""

FOUR = ("anger", "happiness", "neutral", "sadness")
SIX = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")

COMMON_SCHEMES: Mapping[str, Scheme] = {
    "4class": Scheme("4class", "anger, happiness, neutral, sadness", map=SYNONYMS, keep=FOUR),
    "5class": Scheme("5class", "the four and fear", map=SYNONYMS, keep=(*FOUR, "fear")),
    "6class": Scheme("6class", "the four, fear and disgust", map=SYNONYMS, keep=SIX),
    "7class": Scheme("7class", "the six basic emotions of Ekman, and neutral", map=SYNONYMS, keep=(*SIX, "surprise")),
    "emotions": Scheme("emotions", "all emotions, each under one word", map=SYNONYMS),
}
"""Schemes for any corpus of emotions, and for several corpora together."""


def find_scheme(name: str, manifest: Manifest | None = None) -> Scheme:
    """Return a scheme of a corpus, else a common one; `UnknownNameError` if there is none of this name."""
    known = {**COMMON_SCHEMES, **(manifest.schemes if manifest else {})}
    if name not in known:
        raise UnknownNameError("scheme", name, known)
    return known[name]


def under_scheme(utterances: Iterable[Utterance], scheme: Scheme) -> tuple[Utterance, ...]:
    """Return the utterances of a scheme with its classes, in the same order.

    `SplitError` if none is left, or one's votes cannot be read.
    """
    everyone = tuple(utterances)
    classes = ((one, _class(one, scheme)) for one in everyone)
    found = tuple(dataclasses.replace(one, label=chosen) for one, chosen in classes if chosen is not None)
    if everyone and not found:
        raise SplitError(
            f"scheme {scheme.name!r} leaves none of {len(everyone)} utterances: it wants "
            f"{', '.join(scheme.keep) or 'its fields'}. Choose another scheme or corpus."
        )
    return found


def soft_labels(utterances: Iterable[Utterance], scheme: Scheme, classes: Sequence[str]) -> NDArray[np.float32]:
    """Return the share of the raters' voices that each class got, array [utterances, classes]; each row sums to 1.

    Rows of utterances without a voice for one of the classes are 0. The votes are in the field that is the scheme's
    `target`, `votes` by default; its `map` names their labels anew.
    """
    field = scheme.target if scheme.votes else None
    rows = [
        soft_label(_mapped_votes(one, dict(one.fields).get(field or "votes", ""), scheme.map), classes)
        for one in utterances
    ]
    return np.stack(rows) if rows else np.zeros((0, len(classes)), np.float32)


def _class(one: Utterance, scheme: Scheme) -> str | None:
    """Return the class of an utterance; None if it takes no part."""
    fields = dict(one.fields)
    if any(fields.get(field) not in values for field, values in scheme.where.items()):
        return None
    if scheme.votes is not None:
        chosen = VOTE_RULES[scheme.votes](_mapped_votes(one, fields.get(scheme.target or "votes", ""), scheme.map))
    else:
        value = fields.get(scheme.target) if scheme.target else one.label
        chosen = scheme.map.get(value, value) if value is not None else None
    return chosen if chosen is not None and (not scheme.keep or chosen in scheme.keep) else None


def _mapped_votes(one: Utterance, text: str, names: Mapping[str, str]) -> Sequence[Vote]:
    try:
        votes = parse_votes(text)
    except ValueError as error:
        raise SplitError(f"the votes for {one.path!r} cannot be read: {error}.") from error
    return [dataclasses.replace(vote, label=names.get(vote.label, vote.label)) for vote in votes]
