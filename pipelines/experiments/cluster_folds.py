"""Folds on a Dask cluster, whose workers are asked what those of a build are, and what a training needs besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.errors import FeatureStoreError
from featurestore.specs.row_spec import RowSpec
from models.errors import TrainingError
from models.execution import choose_device
from models.runs.description import library_versions
from models.training_loop import SilentTraining, StepReport
from pipelines.workers.cluster_workers import ClusterWorkers
from pipelines.workers.fitness import fault_of_worker
from pipelines.workers.local_workers import WorkerDiedError
from pipelines.workers.scheduler import connect

if TYPE_CHECKING:
    from featurestore.view import DatasetView

MOST_FOLDS = 1024
"""Maximum folds in flight; a local thread waits for each."""


class TrainerQuestion(NamedTuple):
    """What a worker is asked before it trains a fold."""

    specs: tuple[RowSpec, ...]
    """Of the rows, in the client's versions."""
    store_uri: str
    heartbeat: str
    file: Path
    """A file that the client has written into the run folder."""
    checksum: str
    """Its sha256."""
    versions: dict[str, str]
    device: str

    def fault(self) -> str:
        """Say why this worker may not train; an empty text if it may."""
        from distributed import get_worker

        threads = get_worker().state.nthreads
        if threads > 1:  # torch's generator belongs to a process: two folds in one would draw from each other's
            return f"it has {threads} threads, but a process trains one fold at a time: start it with '--nthreads 1'"
        here = library_versions()
        differing = ", ".join(
            f"{name} {here[name]} in place of {wanted}"
            for name, wanted in self.versions.items()
            if here[name] != wanted
        )
        if differing:
            return f"it has other versions ({differing}): install the same on all machines"
        fault = fault_of_worker(self.specs, self.store_uri, self.heartbeat)
        if fault:
            return fault
        if not self.file.is_file() or sha256(self.file.read_bytes()).hexdigest() != self.checksum:
            return f"what it finds at {self.file.parent} is not the run folder of this command"
        try:
            choose_device(self.device)
        except FeatureStoreError as error:
            return str(error).rstrip(".")
        return ""


@contextmanager
def cluster_folds(
    scheduler: str,
    view: DatasetView,
    file: Path,
    *,
    device: str,
    allow_unencrypted: bool,
    tell: Callable[[str], None],
    go_on: str,
) -> Iterator[Executor]:
    """Yield what trains folds on the workers of a cluster that may; one that may not is named and left out.

    Parameters
    ----------
    view : DatasetView
        What is trained on; its store is held meanwhile.
    file : Path
        A file in the run folder, by which workers know that they see it.
    tell : callable
        Hears which workers are left out, and why.
    go_on : str
        How to continue, for the message of what ends the work: a `BuildError` that a fold's future raises.
    """
    storage = view.store.storage
    specs = (RowSpec.current(view.features, view.augmentation),)
    checksum = sha256(file.read_bytes()).hexdigest()

    def question() -> Callable[[], str]:
        """Return what a worker is asked."""
        rest = (storage.heartbeat(), file, checksum, library_versions(), device)
        return TrainerQuestion(specs, storage.uri, *rest).fault

    with storage.hold(exclusive=False), connect(scheduler, allow_unencrypted=allow_unencrypted) as client:
        workers = ClusterWorkers(client, question, tell=tell, wait=_once(tell), window=1, go_on=go_on)
        folds = _Folds(workers)
        try:
            yield folds
        finally:
            workers.stop()
            folds.shutdown(cancel_futures=True)


class _Folds(ThreadPoolExecutor):
    """An executor whose threads each wait for a worker that trains."""

    def __init__(self, workers: ClusterWorkers) -> None:
        super().__init__(MOST_FOLDS, "folds")
        self._workers = workers

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:  # type: ignore[override] # noqa: ANN401 (of the function)
        return super().submit(self._train, function, *arguments)

    def _train(self, function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 (of the function)
        try:
            return self._workers.run(train_here, function, *arguments, waiting=lambda _: None)
        except WorkerDiedError as error:
            raise TrainingError("one worker after another died over it (memory?).") from error


def train_here(train_fold: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 (of the function)
    """Train a fold on a Dask worker, until nobody waits for it any more."""
    return train_fold(*arguments, _WhileAwaited())


class _WhileAwaited(SilentTraining):
    """Ends a training that the scheduler has let go of: its command was interrupted, or another worker has the fold."""

    def step(self, report: StepReport) -> None:
        """End it, if need be."""
        from distributed import get_worker
        from distributed.core import Status

        worker = get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
        if task is None or task.state == "cancelled" or worker.status not in (Status.running, Status.paused):
            raise TrainingError("nobody waits for this fold any more.")


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells a text, unless it was the last one told."""
    last = ""

    def tell_once(text: str) -> None:
        """Tell it."""
        nonlocal last
        if text != last:
            last = text
            tell(text)

    return tell_once
