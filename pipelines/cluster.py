"""Dask clusters: local processes by default, one that already runs on request."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from featurestore.errors import BuildError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def available_cores() -> int:
    """Return the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connect(jobs: int, scheduler: str | None) -> Iterator[Client]:
    """Yield a client of a cluster: `jobs` local processes with one thread each, or the scheduler at an address.

    A Dask scheduler runs the code it is sent, so one on another machine must be reached by `tls://`.

    Raises
    ------
    BuildError
        If the scheduler cannot be reached, or must not.
    """
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        "distributed.admin.tick.limit": "1h",
        "distributed.worker.daemon": True,
        "distributed.comm.retry.count": 2,
    }
    with dask.config.set(quiet):
        if scheduler is not None:
            check_scheduler(scheduler)
            try:
                client = Client(scheduler, timeout=15)
            except (OSError, TimeoutError, ValueError) as error:
                raise BuildError(
                    f"no Dask scheduler answers at {scheduler!r}: start one or leave --scheduler out."
                ) from error
            with client:
                yield client
            return
        cluster = LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster) as client:
            try:
                yield client
            except BaseException:
                _stop_workers(cluster)
                raise


def _stop_workers(cluster: LocalCluster) -> None:
    """Kill the workers of a build that failed or was interrupted, instead of waiting for what they are at.

    A kill does no harm: what a worker has not committed does not exist.
    """
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


def check_scheduler(address: str) -> None:
    """Refuse a scheduler on another machine without encryption, with `BuildError`."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme != "tls" and parts.hostname not in LOOPBACK:
        raise BuildError(
            f"{address!r} is on another machine without encryption: use tls://, since a scheduler runs what it is sent."
        )
