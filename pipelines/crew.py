"""Which workers of a cluster may work at a build: those that compute its rows, into the store that the client sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.specs.rows import RowSpec
from featurestore.store import open_store
from pipelines.progress import Progress
from pipelines.tasks import Bundle, refuse_other_versions

if TYPE_CHECKING:
    from distributed import Client

STORE_PATIENCE = 5.0
"""Seconds in which a network file system shows a worker what the client has just written."""


class Crew:
    """The workers that have been asked whether they may take part.

    Parameters
    ----------
    client : distributed.Client
    bundles : sequence of Bundle
        All of one store.
    sign : str
        The client's sign of life in the store.
    progress : Progress
        Is told of workers that are left out.
    """

    def __init__(self, client: Client, bundles: Sequence[Bundle], sign: str, progress: Progress) -> None:
        self._client = client
        self._question = (
            tuple({bundle.spec.id: bundle.spec for bundle in bundles}.values()),
            bundles[0].store_uri,
            sign,
        )
        self._progress = progress
        self._faults: dict[str, str] = {}

    def fit(self) -> tuple[list[str], bool]:
        """Ask workers that have joined; return the addresses of those that may work, and whether all may.

        Raises
        ------
        BuildError
            If none of those that are there may.
        """
        there = list(self._client.scheduler_info(n_workers=-1)["workers"])
        new = [worker for worker in there if worker not in self._faults]
        answers = self._client.run(fault_of_worker, *self._question, workers=new, on_error="return") if new else {}
        for worker in new:
            answer = answers.get(worker, "")
            self._faults[worker] = answer if isinstance(answer, str) else f"it cannot be asked ({answer!r:.200})"
            if self._faults[worker]:
                self._progress.tell(f"worker {worker} is left out: {self._faults[worker]}")
        fit = [worker for worker in there if not self._faults[worker]]
        if there and not fit:
            raise BuildError(f"no worker can take part; {there[0]}: {self._faults[there[0]]}.")
        return fit, len(fit) == len(there)


def fault_of_worker(specs: tuple[RowSpec, ...], store_uri: str, sign: str) -> str:
    """Say in a worker why it may not work at a build; an empty text if it may."""
    try:
        for spec in specs:
            refuse_other_versions(spec)
        storage = open_store(store_uri).storage
        until = time.monotonic() + STORE_PATIENCE
        while not storage.shows(sign):
            if time.monotonic() > until:
                return f"what stands there at {store_uri} is not the store that this build writes"
            time.sleep(0.1)
    except FeatureStoreError as error:
        return str(error).rstrip(".")
    return ""
