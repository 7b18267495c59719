"""The process that local workers are forked from: it imports and compiles once what all of them need.

It has one thread and computes no rows, so it can make a worker at any time, also in place of one that died. All of
them end when the process that started it is gone, however that happened.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from featurestore.child_process import parent_socket

LENGTH_BYTES = 4
"""Bytes of the length of the message that says what to prepare."""
WORKER_WANTED = b"+"
"""Comes with the worker's end of its socket."""
IMPORTED_ONCE = ("pipelines.build.tasks", "featurestore.row_engine")
"""What workers of any build need, imported before it is known which build this is."""


def serve() -> None:
    """Be that process: prepare as the parent says, fork a worker for each socket that arrives, kill them at the end.

    What they have committed stands, and the rest does not exist.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the socket
    workers: list[int] = []
    with parent_socket() as control:
        _prepare(control)
        with suppress(ConnectionError):
            while handles := socket.recv_fds(control, len(WORKER_WANTED), 1)[1]:  # else the parent is gone
                pid = os.fork()
                if pid == 0:
                    control.close()
                    _work(Connection(handles[0]))
                os.close(handles[0])  # the worker alone holds it, so that its end is seen at once
                workers.append(pid)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)  # one that has died has not been waited for, so its number is still its own
    for pid in workers:
        os.waitpid(pid, 0)


def _prepare(control: socket.socket) -> None:
    """Import and run what workers should find done; what that raises, the first task of each raises again."""
    gc.disable()  # what is imported stays: looking through it again and again takes a tenth of the time
    for module in IMPORTED_ONCE:
        importlib.import_module(module)
    length = int.from_bytes(control.recv(LENGTH_BYTES, socket.MSG_WAITALL))
    if length:  # else the parent is gone
        path, task = pickle.loads(control.recv(length, socket.MSG_WAITALL))  # noqa: S301  # from that parent
        sys.path[:] = path
        with suppress(Exception):
            pickle.loads(task)()  # noqa: S301  # likewise; it may need modules of the user's
    gc.freeze()  # workers would copy the pages that a look through them touches
    gc.enable()


def _work(parent: Connection) -> NoReturn:
    """Say who this is, then run tasks, each `(function, arguments)`, and answer `(value, error)`, until all is over."""
    status = 0
    try:
        parent.send(os.getpid())
        while True:
            function, arguments = parent.recv()
            parent.send(_answer(function, arguments))
    except (EOFError, OSError):  # the parent is gone
        pass
    except BaseException:  # seen by the parent as the death that it is
        status = 1
    os._exit(status)  # nothing of what it was forked from may run in it


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Exception | None]:
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error
