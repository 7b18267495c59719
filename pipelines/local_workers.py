"""Worker processes of this machine: forked from one that is warm, and asked over a socket each."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from featurestore.errors import BuildError
from pipelines.forker import WORKER_WANTED

SINGLE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
PATIENCE = 2.0
"""Seconds in which the process that workers are forked from ends them and itself; while it compiles, it cannot."""
_ROOT = Path(__file__).resolve().parents[1]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from pipelines.forker import serve; serve()"


class WorkerDiedError(BuildError):
    """A worker process ended while it was at a task."""


class LocalWorkers:
    """Worker processes with one native thread each, which start when they are asked and stay for the next task.

    Threads may share them: each call has a worker of its own, so there are as many as there were calls at a time.
    """

    def __init__(self) -> None:
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._ended = self._asked = False
        self._control, theirs = socket.socketpair()
        with theirs:
            self._forker = subprocess.Popen(  # noqa: S603  # our own interpreter and our own module
                [sys.executable, "-P", "-c", _START, str(_ROOT), str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **SINGLE_THREAD},
                pass_fds=(theirs.fileno(),),
            )

    def prepare(self, task: Callable[[], None]) -> None:
        """Say what all workers should find done; only the first call counts. It must be importable there."""
        pipe = self._forker.stdin
        if pipe is None or pipe.closed:
            return
        with suppress(BrokenPipeError), pipe:  # it ended: told by the first task
            pipe.write(pickle.dumps((sys.path, pickle.dumps(task))))

    def ask(self, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 (of the function)
        """Return what an importable function returns in a worker, or raise what it raises.

        Raises
        ------
        WorkerDiedError
            If the worker ended meanwhile; the next call gets another one.
        BuildError
            If no worker can be started, or after the end.
        """
        worker = self._worker()
        try:
            worker.send((function, arguments))
            value, error = worker.recv()
        except (EOFError, OSError):
            worker.close()
            raise WorkerDiedError("a worker died: run the same command again to continue.") from None
        self._idle.append(worker)
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """Kill all workers instead of waiting for what they are at, and wait until they are gone.

        A kill does no harm: what a worker has committed stands, and the rest does not exist.
        """
        with self._lock:
            self._ended = True
            self._control.close()
        self.prepare(_nothing)
        try:
            self._forker.wait(PATIENCE if self._asked else 0)
        except subprocess.TimeoutExpired:
            self._forker.kill()
            self._forker.wait()
        while self._idle:
            self._idle.pop().close()

    def _worker(self) -> Connection:
        with self._lock:
            if self._ended:
                raise BuildError("the workers have ended: run the same command again to continue.")
            return self._idle.pop() if self._idle else self._new_worker()

    def _new_worker(self) -> Connection:
        self.prepare(_nothing)
        self._asked = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [WORKER_WANTED], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise BuildError("no worker can be started: run the same command again to continue.") from error
        return Connection(ours.detach())


def _nothing() -> None:
    """Prepare nothing."""
