"""What Ctrl-C leaves, what `--resume` goes on with, and what it says where nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from cli.console import notice

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


UNCHANGING = ("resume", "source", "device", "jobs", "scheduler", "trust_code", "place", "base", "as_json")
"""Parameters that say where and how to go on; all others would make another experiment."""

SUMMARIES = ("summary.json", "seed-*/summary.json", "fold-*/summary.json")


def refuse_changes() -> None:
    """Refuse what was given on the command line beside `--resume` and would change the experiment.

    Raises
    ------
    click.UsageError
        Naming the first such option; a run goes on as it began, so it would be dropped silently.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in UNCHANGING and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            told = name.upper() if isinstance(parameter, click.Argument) else parameter.opts[-1]
            raise click.UsageError(
                f"{told} does not go with --resume: a run goes on as it began. Leave it out, or start "
                "another with '--run'."
            )


def tell_finished(run: Path, trainings: int) -> None:
    """Say so if all of a folder's trainings have ended, so that nothing is trained."""
    ended = sum(1 for pattern in SUMMARIES for _ in run.glob(pattern))
    if ended >= trainings:
        notice(f"note: {run} is finished: nothing is trained any more, and its figures are shown again")
