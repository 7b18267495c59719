"""What to do after Ctrl-C where the same command would begin anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

SAME_COMMAND = "run the same command again to continue."


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the command that goes on from there."""


@contextmanager
def goes_on_with(command: str) -> Iterator[None]:
    """Name the command that goes on, if what is done here is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"'{command}' goes on.") from None


def advice(stop: BaseException) -> str:
    """Return what to do after an interrupt; click wraps it in an error of its own."""
    cause = stop.__cause__ or stop
    return str(cause) if isinstance(cause, Interrupted) else SAME_COMMAND
