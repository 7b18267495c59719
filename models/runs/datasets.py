"""The dataset that a run was trained on, found again in a store with the labels that it then had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore.errors import MissingObjectError, UnknownNameError
from models.errors import RunError
from models.runs.run import RunConfig

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView


def dataset_of(store: Store, config: RunConfig) -> str:
    """Return the name of a run's dataset in a store; see `dataset_called`."""
    return dataset_called(store, config.dataset)


def dataset_called(store: Store, described: Mapping[str, Any]) -> str:
    """Return the name of a dataset in a store: its own if that still refers to it, else `DIGEST@TABLE`.

    Rows with the same digest can have other labels under another scheme, so a run records the table of labels too.
    Older runs record none; for them the name counts if its digest is the same.

    Parameters
    ----------
    described : mapping
        `name`, `digest` and `table`, as of `models.runs.run.describe_dataset`.
    """
    name, digest, table = (str(described.get(key, "")) for key in ("name", "digest", "table"))
    if name in store.names():
        reference = store.reference(name)
        same_rows = store.dataset(reference.dataset).digest == digest
        if same_rows and table in ("", reference.table):
            return name
    return f"{digest}@{table}" if table else digest


def trained_view(store: Store, config: RunConfig) -> DatasetView:
    """Open the dataset of a run.

    Raises
    ------
    RunError
        If its rows or its labels are no longer in the store.
    """
    called = str(config.dataset["name"])
    try:
        return store.view(dataset_of(store, config))
    except UnknownNameError as error:
        raise RunError(
            f"the dataset {called!r} that the run was trained on does not stand in {store.uri}: build it again, give "
            "the right --store, or name another with --dataset."
        ) from error
    except MissingObjectError as error:
        if not error.key.startswith("tables/"):
            raise
        raise RunError(
            f"the labels of {called!r} that the run was trained with do not stand in {store.uri} any more: build the "
            "corpus again as it was, or name a dataset with --dataset."
        ) from error
