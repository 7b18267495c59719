"""Dimensions: fields of utterances that hold an amount, such as a rating of valence, read as numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from featurestore.corpus.catalog import find_manifest, manifest_names
from featurestore.corpus.labels.fields import is_missing, is_number
from featurestore.corpus.manifest import Dimension
from featurestore.datasets import corpora_of
from featurestore.errors import SpecError, SplitError, UnknownNameError
from featurestore.tables import Table, Utterances


def find_dimension(table: Table, name: str) -> Dimension:
    """Return a dimension by its name or that of its field: as the corpus's manifest has it, else without a scale.

    `UnknownNameError` if no utterance has such a field; those that hold numbers are offered.
    """
    corpora = {corpus.replace("-", "_") for corpus in corpora_of(table.corpus)} & set(manifest_names())
    scales = {scale for corpus in corpora for scale in find_manifest(corpus).dimensions.values()}
    declared = [scale for scale in scales if name in (scale.name, scale.field)]
    if len(declared) == 1:
        return declared[0]
    pairs = {pair for fields in set(table.utterances.fields) for pair in fields}
    if any(field == name for field, _ in pairs):
        return Dimension(name, -math.inf, math.inf, field=name)
    numeric = {field for field, value in pairs if is_number(value)} | {scale.name for scale in scales}
    raise UnknownNameError("field of numbers", name, sorted(numeric))


def numbers_of(table: Table, name: str) -> NDArray[np.float64]:
    """Return the number that a dimension has for each utterance, `array [utterances]`; NaN where it has none.

    Raises
    ------
    UnknownNameError
        If no utterance has the field.
    SpecError
        If a value is no number, or outside the scale.
    """
    dimension = find_dimension(table, name)
    texts = [dict(fields).get(dimension.field) for fields in table.utterances.fields]
    read: dict[str | None, float] = {None: math.nan}
    for path, text in zip(table.utterances.paths, texts, strict=True):
        if text in read:
            continue
        if text is None or is_missing(text):
            read[text] = math.nan
        elif not is_number(text):
            raise SpecError(f"{name} of {path!r:.120} is {text!r:.60}, which is no number. Choose a field of numbers.")
        else:
            read[text] = float(text.replace(",", "."))
            if not dimension.low <= read[text] <= dimension.high:
                scale = f"{dimension.low:g} to {dimension.high:g}"
                raise SpecError(
                    f"{name} of {path!r:.120} is {text}, outside its scale of {scale}. Mend its label file."
                )
    return np.array([read[text] for text in texts], np.float64)


def with_numbers(table: Table, names: Iterable[str]) -> Utterances:
    """Return the utterances that have a number in each of some dimensions; `SplitError` if none has."""
    wanted = tuple(names)
    has = reduce(np.logical_and, (~np.isnan(numbers_of(table, name)) for name in wanted))
    if not has.any():
        raise SplitError(f"no utterance of {table.corpus} has {' and '.join(wanted)}. Choose other fields.")
    return table.utterances if has.all() else Utterances.of(compress(table.utterances, has))
