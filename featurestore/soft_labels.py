"""Soft labels: the share of the raters' voices that each class got, where a label scheme counts their votes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.corpus.labels.schemes import soft_labels, under_scheme
from featurestore.corpus.manifest import Scheme
from featurestore.corpus.protocols import find_split
from featurestore.errors import FeatureStoreError, SplitError

if TYPE_CHECKING:
    from featurestore.view import DatasetView


def votes_scheme(split: str, corpus: str) -> Scheme:
    """Return the label scheme that counts votes: that of a split, else of a corpus such as `iemocap/votes4`.

    `SplitError` if there is none.
    """
    scheme = find_split(split).scheme
    if scheme is None:
        with suppress(FeatureStoreError):  # a table names a manifest of the user's own without its path
            scheme = find_corpus_spec(corpus).scheme
    if scheme is None or scheme.votes is None:
        raise SplitError(
            f"target votes: the labels of {corpus} under split {split!r:.200} are not made of raters' votes. Build "
            "it under a label scheme that counts them, such as iemocap/votes4, or choose a split with such a scheme."
        )
    return scheme


def counting_votes(view: DatasetView, scheme: Scheme) -> DatasetView:
    """Return a view that knows the votes of its raters, of which a scheme makes its labels.

    `SplitError` if it makes others, or an utterance has no voice for one of the classes.
    """
    utterances = view.table.utterances
    labels = {one.path: one.label for one in under_scheme(utterances, scheme)}
    shares = soft_labels(utterances, scheme, view.classes)
    for path, label, voices in zip(utterances.paths, utterances.labels, shares.sum(axis=1).tolist(), strict=True):
        if labels.get(path) != label:
            raise SplitError(
                f"dataset {view.name}: the label of {path!r:.120} is not what scheme {scheme.name!r} makes of its "
                "votes. Build the corpus again under that scheme."
            )
        if not voices:
            raise SplitError(
                f"dataset {view.name}: no rater of {path!r:.120} named one of {', '.join(view.classes)}. Choose a "
                "label scheme whose rule decides for a class that was named, such as majority."
            )
    counting = view[:]
    counting.votes = scheme
    return counting
