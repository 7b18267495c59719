"""The connection to a running Dask scheduler, refused where others could send it code."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from featurestore.errors import BuildError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from distributed import Client

AGAIN = "run the same command again to continue"
CONNECT_PATIENCE = 15
"""Seconds within which a scheduler has to answer at its address."""
ENCRYPTED = ("tls", "wss")
SETTINGS = {"distributed.admin.tick.limit": "1h", "distributed.comm.retry.count": 2}


class SchedulerLostError(BuildError):
    """The scheduler ended, or cannot be reached any more, while it was at work."""

    def __init__(self, go_on: str = AGAIN) -> None:
        super().__init__(f"the Dask scheduler is gone: start it again, then {go_on}.")


@contextmanager
def connect(scheduler: str, *, allow_unencrypted: bool = False) -> Iterator[Client]:
    """Yield a client of a running scheduler; `BuildError` if it cannot be reached, or must not."""
    check_scheduler(scheduler, allow_unencrypted=allow_unencrypted)
    import dask
    from distributed import Client

    names = ("distributed.client", "distributed.core", "distributed.comm", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with dask.config.set(SETTINGS):
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)  # a scheduler that ends is our one line, not its traceback
        client = None
        try:
            client = _client(Client, scheduler)
            yield client
        finally:
            if client is not None:
                client.close()
                client.loop.asyncio_loop.set_exception_handler(_forget)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _forget(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of what a closed client still waited for: Python finds it once the levels above are back."""


def _client(client: type[Client], scheduler: str) -> Client:
    try:
        return client(scheduler, timeout=CONNECT_PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        tls = scheduler.startswith("tls:")
        hint = " If it runs, its certificates are of another authority than those of this process." if tls else ""
        raise BuildError(
            f"no Dask scheduler answers at {scheduler!r}: start one or leave --scheduler out.{hint}"
        ) from error
    except TypeError as error:  # of tls:// without certificates
        raise BuildError(
            f"{scheduler!r} cannot be used without certificates: name them in "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..._TLS__CLIENT__CERT and ..._TLS__CLIENT__KEY."
        ) from error


def check_scheduler(address: str, *, allow_unencrypted: bool = False) -> None:
    """Refuse a scheduler on another machine without encryption: a scheduler runs the code that it is sent."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if not (allow_unencrypted or parts.scheme in ENCRYPTED or _is_loopback(parts.hostname or "")):
        raise BuildError(
            f"{address!r} is on another machine without encryption: use tls://, since whoever reaches a scheduler or "
            "worker can run code as you, or give --allow-unencrypted in a network that is yours alone."
        )


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
