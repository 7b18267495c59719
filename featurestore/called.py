"""Which dataset is meant by the beginning of a digest, where several have the same rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from featurestore.datasets import Reference
from featurestore.errors import SpecError


def reference_called(
    prefix: str, named: Sequence[Reference], roots: Mapping[str, Reference], digests: set[str]
) -> Reference:
    """Return the reference that the beginning of a digest or dataset id stands for.

    Labels are not part of a digest: two datasets with the same rows and other labels are told apart by their names.

    Parameters
    ----------
    prefix : str
    named : sequence of Reference
        Those of the datasets that begin so and have a name.
    roots : mapping
        All datasets that begin so, by id.
    digests : set of str
        Their digests.

    Raises
    ------
    SpecError
        If it is the beginning of several digests, or their labels differ.
    """
    if len(digests) > 1:
        raise SpecError(f"{prefix!r} is the beginning of several digests: give more digits.")
    if len({reference.table for reference in named}) > 1:
        names = " and ".join(sorted(reference.name for reference in named))
        raise SpecError(f"{prefix!r} is the digest of {names}, whose labels differ: give one of these names.")
    return named[0] if named else next(iter(roots.values()))


def labelled_reference(table: str, candidates: Sequence[Reference]) -> Reference:
    """Return the reference with a table of labels; if none has it any more, one that names it all the same."""
    exact = next((reference for reference in candidates if reference.table == table), None)
    return exact or dataclasses.replace(candidates[0], table=table)
