"""Local worker processes: forked from one warm process, each reached over its own socket."""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from featurestore.child_process import is_stopped, start_child
from featurestore.errors import BuildError
from featurestore.signal import KERNELS_NOT_KEPT
from pipelines.workers.worker_server import LENGTH_BYTES, WORKER_WANTED

LOOK = 1.0
"""Seconds between looks at a worker that has not answered yet."""
STOPPED = 10
"""Looks in a row that find a worker stopped (SIGSTOP, a debugger), after which it is ended."""
PATIENCE = 2.0
"""Seconds in which the process that workers are forked from ends them and itself; while it compiles, it cannot."""
_START = "from pipelines.workers.worker_server import serve; serve()"


class WorkerDiedError(BuildError):
    """A worker process ended while it was at a task."""


@dataclass(eq=False)
class _Worker:
    """A worker process, and the socket to it."""

    connection: Connection
    pid: int = 0
    """0 until it has started."""


class LocalWorkers:
    """Worker processes with one native thread each, which start when they are asked and stay for the next task.

    Threads may share them: each call has a worker of its own, so there are as many as there were calls at a time.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._ended = self._prepared = self._asked = False
        self._server, self._control = start_child(_START)
        os.environ[KERNELS_NOT_KEPT] = "1"  # it loads the kernels and tells it

    def prepare(self, task: Callable[[], None]) -> None:
        """Have a task run once before workers are forked, so that all find it done; only the first call counts.

        It must be importable there.
        """
        if not self._prepared:
            self._prepared = True
            message = pickle.dumps((sys.path, pickle.dumps(task)))
            with suppress(OSError):  # it ended: told by the first task
                self._control.sendall(len(message).to_bytes(LENGTH_BYTES) + message)

    def ask(self, function: Callable[..., Any], *arguments: object, patience: float = math.inf) -> Any:  # noqa: ANN401 (of the function)
        """Return what an importable function returns in a worker, or raise what it raises.

        Parameters
        ----------
        function, arguments
            What is called.
        patience : float
            Seconds after which the worker is ended.

        Raises
        ------
        WorkerDiedError
            If the worker ended meanwhile; the next call gets another one.
        BuildError
            If no worker can be started, or after the end.
        """
        worker = self._worker()
        try:
            worker.connection.send((function, arguments))
            if not worker.pid:
                worker.pid = self._answer(worker)
            value, error = self._answer(worker, patience)
        except (EOFError, OSError):
            worker.connection.close()
            raise WorkerDiedError("a worker process died") from None
        self._idle.append(worker)
        if error is not None:
            raise error
        return value

    def _answer(self, worker: _Worker, patience: float = math.inf) -> Any:  # noqa: ANN401 (of the task)
        """Wait for what a worker says; end one that takes too long, or was stopped and does not go on.

        Where all processes were stopped together (Ctrl-Z), this one looks no earlier than they go on.
        """
        stopped, waited = 0, 0.0
        while not worker.connection.poll(LOOK):
            waited += LOOK
            stopped = stopped + 1 if is_stopped(worker.pid or self._server.pid) else 0
            if stopped == STOPPED and not worker.pid:
                raise BuildError(
                    f"process {self._server.pid}, which starts the workers, is stopped: run the same command again."
                )
            if worker.pid and (stopped == STOPPED or waited >= patience):
                os.kill(worker.pid, signal.SIGKILL)
        return worker.connection.recv()

    def end(self) -> None:
        """Kill all workers instead of waiting for what they are at, and wait until they are gone.

        A kill does no harm: what a worker has committed stands, and the rest does not exist.
        """
        with self._lock:
            self._ended = True
            self._control.close()
        try:
            self._server.wait(PATIENCE if self._asked else 0)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        while self._idle:
            self._idle.pop().connection.close()

    def _worker(self) -> _Worker:
        with self._lock:
            if self._ended:
                raise BuildError("the workers have ended: run the same command again to continue.")
            return self._idle.pop() if self._idle else self._new_worker()

    def _new_worker(self) -> _Worker:
        self.prepare(_nothing)
        self._asked = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [WORKER_WANTED], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise BuildError("no worker can be started: run the same command again to continue.") from error
        return _Worker(Connection(ours.detach()))


def _nothing() -> None:
    """Prepare nothing."""
