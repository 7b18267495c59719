"""The workers of a Dask cluster, each asked whether it may take part before it gets work; they may come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.errors import BuildError, FeatureStoreError
from pipelines.workers.local_workers import WorkerDiedError
from pipelines.workers.scheduler import SchedulerLostError

if TYPE_CHECKING:
    from distributed import Client, Future

WORKER_PATIENCE = 120.0
"""Seconds within which a worker has to join if there is none."""
ANSWER_PATIENCE = 30.0
"""Seconds within which a scheduler has to answer."""
LOOK = 1.0
"""Seconds between looks at which workers are there."""
TASK_LOOK = 5.0
"""Seconds between looks at whether the workers that a task was given to are still there."""
NOT_YET = (TimeoutError, UnboundLocalError)
"""What Dask raises where an answer is not there in time; the latter if it is just being fetched (distributed#8514)."""


class Refusal(NamedTuple):
    """The answer of a worker that may not do a task after all."""

    worker: str
    """Its address."""
    reason: str


class ClusterWorkers:
    """The workers of a cluster.

    Each new one is asked whether it may take part, as a task for it alone, so that one that hangs delays no other. It
    gets work only after it has said so.

    Parameters
    ----------
    client : distributed.Client
    question : callable
        Returns what a worker is asked: an importable callable, which returns why the worker may not take part, or an
        empty text. Called again for each new worker.
    tell : callable
        Hears which workers are left out, and why.
    wait : callable
        Hears what is waited for; called again and again meanwhile.
    window : int
        Tasks in flight for each thread of a worker.
    go_on : str
        The end of a message of what stops the work: how to continue it.
    """

    def __init__(
        self,
        client: Client,
        question: Callable[[], Callable[[], str]],
        *,
        tell: Callable[[str], None],
        wait: Callable[[str], None],
        window: int,
        go_on: str,
    ) -> None:
        self._client, self._question = client, question
        self._tell, self._wait, self._window, self._go_on = tell, wait, window, go_on
        self._answers: dict[str, Future | str] = {}
        """What each worker is asked, and then why it is left out, by address; empty if it may take part."""
        self._fit: dict[str, int] = {}
        """Threads of each worker that may take part, by address, as of the last look."""
        self._looked = self._empty_since = -1.0
        self._running: set[Future] = set()
        self._stopped = False
        self._next, self._looking = threading.Lock(), threading.Lock()
        """Held by the thread that waits for room for its task, and by the one that looks at the workers."""
        self._ended = threading.Event()

    def run(self, function: Callable[..., Any], *arguments: object, waiting: Callable[[int], None]) -> Any:  # noqa: ANN401 (of the function)
        """Return what an importable function returns on a worker that may take part, as soon as there is room.

        A worker whose answer is a `Refusal` is left out, and another one asked.

        Parameters
        ----------
        function, arguments
            What is called.
        waiting : callable
            Called every few seconds until it has ended, with the number of workers.

        Raises
        ------
        WorkerDiedError
            If one worker after another died over it.
        BuildError
            If no worker is there for long, or none may take part.
        SchedulerLostError
            If the scheduler is gone.
        """
        from distributed import KilledWorker

        while True:
            try:
                future, workers = self._submit(function, *arguments)
                answer, lost = self._await(future, workers, waiting)
            except KilledWorker as error:
                raise WorkerDiedError("workers died") from error
            except FeatureStoreError:
                raise
            except Exception as error:
                if self._client.status == "running" and not _is_lost(error):
                    raise
                raise SchedulerLostError(self._go_on) from error
            if isinstance(answer, Refusal):
                with self._looking:
                    self._leave_out(*answer)
                    self._fit.pop(answer.worker, None)
            elif not lost:
                return answer

    def stop(self) -> None:
        """Cancel tasks in flight."""
        self._stopped = True
        self._ended.set()
        with suppress(Exception):  # a scheduler that is gone has let go of it
            self._client.cancel(list(self._running), force=True)

    def _submit(self, function: Callable[..., Any], *arguments: object) -> tuple[Future, set[str]]:
        """Send a task as soon as there is room; return its future and the workers that may take it."""
        with self._next:
            while not self._stopped:
                self._ended.clear()
                fit = self._look()
                if len(self._running) < self._window * sum(fit.values()):
                    future = self._client.submit(function, *arguments, pure=False, workers=list(fit))
                    self._running.add(future)
                    if self._stopped:  # meanwhile, so that it was not cancelled with the others
                        future.cancel(force=True)
                    return future, set(fit)
                self._ended.wait(LOOK)  # in which workers may join
        raise BuildError(f"the work has ended: {self._go_on}.")

    def _await(self, future: Future, workers: set[str], waiting: Callable[[int], None]) -> tuple[Any, bool]:
        """Wait for a task; return what came of it, and whether it was lost as all workers that it was given to left."""
        patience = TASK_LOOK
        try:
            while True:
                try:
                    return future.result(timeout=patience), False
                except NOT_YET:
                    if future.status == "error":
                        return future.result(timeout=ANSWER_PATIENCE), False  # raises the error of the task
                    if future.status == "finished":
                        patience *= 2  # what it returns is on its way
                if not workers & self._look().keys():
                    return None, True
                waiting(len(self._fit))
        finally:
            self._running.discard(future)
            self._ended.set()

    def _look(self) -> dict[str, int]:
        """Ask workers that have joined, and return the threads of those that may work, by address.

        `BuildError` if there has been none for too long, or none of them may.
        """
        with self._looking:
            if time.monotonic() - self._looked < LOOK:
                return self._fit
            there = {address: worker["nthreads"] for address, worker in self._identity()["workers"].items()}
            for address in self._answers.keys() - there.keys():
                del self._answers[address]
            for address in there.keys() - self._answers.keys():
                self._answers[address] = self._client.submit(
                    self._question(), workers=[address], pure=False, priority=1
                )
            for address, answer in list(self._answers.items()):
                if not isinstance(answer, str) and answer.done():
                    reason = _reason(answer)
                    if reason is None:
                        del self._answers[address]
                        there.pop(address)
                    else:
                        self._leave_out(address, reason)
            self._fit = {address: count for address, count in there.items() if self._answers[address] == ""}
            self._looked = time.monotonic()
            self._await_workers(there)
            return self._fit

    def _leave_out(self, worker: str, reason: str) -> None:
        """Note why a worker is left out, and say so; an empty reason lets it in."""
        known = self._answers.get(worker) == reason
        self._answers[worker] = reason
        if reason and not known:
            self._tell(f"worker {worker} is left out: {reason}")

    def _await_workers(self, there: dict[str, int]) -> None:
        """Report that no worker is there, has answered yet, or may work; end the work if that does not change."""
        faults = [address for address in there if self._answers[address] and isinstance(self._answers[address], str)]
        if there and len(faults) == len(there):
            raise BuildError(f"no worker can take part; {faults[0]}: {self._answers[faults[0]]}.")
        if self._fit:
            self._empty_since = -1.0
            return
        if self._empty_since < 0:
            self._empty_since = self._looked
        state = f"none of {len(there)} workers has answered yet" if there else "the scheduler has no workers"
        if self._looked - self._empty_since >= WORKER_PATIENCE:
            raise BuildError(
                f"{state}, and that did not change within {WORKER_PATIENCE:.0f} s: start workers, then {self._go_on}."
            )
        self._wait(f"waiting for workers: {state}")

    def _identity(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return what the scheduler says of itself and its workers."""
        lost = SchedulerLostError(self._go_on)
        if self._client.status != "running" or self._client.scheduler is None:
            raise lost
        identity = self._client.scheduler.identity
        try:
            found: dict[str, dict[str, dict[str, int]]] = self._client.sync(
                identity, n_workers=-1, callback_timeout=ANSWER_PATIENCE
            )
        except (OSError, *NOT_YET) as error:
            raise lost from error
        return found


def _is_lost(error: Exception) -> bool:
    """Tell whether an error says that scheduler or worker have let go of what they were asked."""
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    return isinstance(error, (CancelledError, CommClosedError))


def _reason(answer: Future) -> str | None:
    """Return what a worker has answered, or why it cannot; None if the answer was lost on its way."""
    try:
        found: str = answer.result(timeout=LOOK)
    except Exception as error:
        if _is_lost(error) or answer.status != "error":
            return None
        cause = error.__cause__ or error
        return f"it cannot run this version of featurestore ({type(cause).__name__}: {cause!s:.200})"
    return found
