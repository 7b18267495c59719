"""The command group, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import click

from cli.console import print_json, printable
from featurestore import __version__
from featurestore.errors import ExitCode, FeatureStoreError

SAME_COMMAND = "run the same command again to continue."
UNWRITABLE = (errno.EPIPE, errno.EBADF, errno.ENOSPC, errno.EIO)
"""What writing to standard output fails with: its reader is gone, it is closed, or its disk is full or broken."""


class Command(NamedTuple):
    """A command as `featurestore --help` lists it."""

    module: str
    """Imported when the command is used."""
    topic: str
    summary: str
    """At most 65 characters, so that a terminal of 80 columns shows it on one line."""


COMMANDS = {
    "ls": Command("cli.store", "Look", "List the datasets of the store."),
    "info": Command("cli.store", "Look", "Describe a dataset: features, classes, speakers, licence."),
    "show": Command("cli.show", "Look", "Draw a recording and its copies as log-mel pictures."),
    "report": Command("cli.runs", "Look", "Write an HTML page about a dataset or a run."),
    "splits": Command("cli.splits", "Look", "Show the sides of a split, and what is on more than one."),
    "doctor": Command("cli.doctor", "Look", "Check installation and machine, and measure the speed of builds."),
    "build": Command("cli.build", "Compute", "Compute the features of a corpus and of its augmented copies."),
    "train": Command("cli.experiments", "Train", "Train a model on a dataset or from a recipe."),
    "crossval": Command("cli.experiments", "Train", "Train and test once for every fold of a split."),
    "baseline": Command("cli.experiments", "Train", "Classify without a network: what a network has to beat."),
    "tune": Command("cli.experiments", "Train", "Search the settings of a recipe."),
    "reproduce": Command("cli.experiments", "Train", "Train what a publication reports, and print both results."),
    "matrix": Command("cli.studies", "Train", "Train on each dataset and test on each other one."),
    "curve": Command("cli.studies", "Train", "Train with ever more speakers or copies."),
    "evaluate": Command("cli.runs", "Judge", "Evaluate a run on a side of its split or on another dataset."),
    "compare": Command("cli.runs", "Judge", "Test whether runs differ."),
    "ensemble": Command("cli.runs", "Judge", "Let several runs label the same items together."),
    "predict": Command("cli.runs", "Judge", "Label audio files."),
    "track": Command("cli.track", "Judge", "Write what a run records for TensorBoard or MLflow."),
    "verify": Command("cli.store", "Keep sound", "Check every byte of the store or of a dataset."),
    "repair": Command("cli.store", "Keep sound", "Repair what is damaged."),
    "why": Command("cli.store", "Keep sound", "Explain how two datasets differ, or why rows are computed again."),
    "forget": Command("cli.store", "Make room", "Drop a dataset's name; 'gc --delete' then makes room."),
    "gc": Command("cli.store", "Make room", "List or remove what no dataset needs."),
    "push": Command("cli.moving", "Move", "Copy a dataset to another store."),
    "pull": Command("cli.moving", "Move", "Copy a dataset from another store."),
    "export": Command("cli.store", "Move", "Write a dataset or a model in another format."),
    "corpora": Command("cli.corpora", "Choose", "List the known corpora; check a copy of one; describe your own."),
    "models": Command("cli.catalogs", "Choose", "List the networks."),
    "recipes": Command("cli.catalogs", "Choose", "List the built-in experiments, or print one."),
    "presets": Command("cli.catalogs", "Choose", "List the built-in feature presets, or print one."),
    "policies": Command("cli.catalogs", "Choose", "List the built-in augmentation policies, or print one."),
    "fields": Command("cli.catalogs", "Choose", "List every field that '--set' can change."),
}
OTHER_NAMES = {"inspect": "report"}
"""Not listed."""


class LazyGroup(click.Group):
    """Imports commands on demand, and lists them by topic."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None if there is none of this name."""
        name = OTHER_NAMES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[name].module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for `--help`, without importing them."""
        width = max(map(len, COMMANDS))
        for topic, commands in groupby(COMMANDS.items(), key=lambda item: item[1].topic):
            with formatter.section(topic):
                formatter.write_dl([(name.ljust(width), command.summary) for name, command in commands])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: featurestore build emodb --augment 75 --source download.zip",
)
@click.version_option(__version__, prog_name="featurestore")
def featurestore() -> None:
    """Turn speech corpora into cached, augmented, verified features, and train models on them.

    Exit codes: 0 done; 1 an expected error; 2 wrong usage; 3 done, but files were rejected; 4 damage found;
    130 interrupted.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Every expected error becomes one line on standard error and, with `--json`, one JSON value on standard output.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    try:
        code = featurestore.main(args=words, prog_name="featurestore", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return _failed(error, error.format_message(), error.exit_code, as_json=as_json)
    except (click.Abort, KeyboardInterrupt) as stop:
        from pipelines.experiments.training import Interrupted

        cause = stop.__cause__ or stop  # click wraps it in an error of its own
        message = f"interrupted; {cause if isinstance(cause, Interrupted) else SAME_COMMAND}"
        click.echo(message, err=True)
        return _failed(stop, message, ExitCode.INTERRUPTED, as_json=as_json)
    except OSError as error:
        if error.filename is None and error.errno in UNWRITABLE:
            _leave_stdout()
            if error.errno != errno.EPIPE:  # a reader that has seen enough, such as head, is no error to report
                click.echo(f"error: standard output cannot be written ({os.strerror(error.errno)}).", err=True)
            return ExitCode.FAILED
        where = f"{printable(str(error.filename))}: " if error.filename is not None else ""
        message = f"{where}{error.strerror or error}; {SAME_COMMAND}"
        click.echo(f"error: {message}", err=True)
        return _failed(error, message, ExitCode.FAILED, as_json=as_json)
    except FeatureStoreError as error:
        message = printable(" ".join(str(error).split()))
        click.echo(f"error: {message}", err=True)
        return _failed(error, message, error.exit_code, as_json=as_json)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        message = "the package torch is not installed, which this command needs: pip install torch"
        click.echo(f"error: {message}", err=True)
        return _failed(error, message, ExitCode.FAILED, as_json=as_json)
    return code if isinstance(code, int) else 0


def _failed(error: BaseException, message: str, code: int, *, as_json: bool) -> int:
    """Print an error as a JSON value if that was asked for, and return its exit code."""
    if as_json:
        kind = "Interrupted" if code == ExitCode.INTERRUPTED else type(error).__name__
        kind = "UsageError" if isinstance(error, click.UsageError) else kind
        try:
            print_json({"error": message, "kind": kind, "exit_code": code})
            sys.stdout.flush()
        except OSError:  # standard output cannot be written, but the line is on standard error already
            _leave_stdout()
    return code


def open_closed_streams() -> None:
    """Put the null device where the caller closed standard input, output or error.

    Otherwise Python has no such stream, and the next file that is opened takes its number and what is written to it.
    As in the tools of GNU, standard output is opened so that writing to it fails: results that nobody got are an error.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, flags)
            os.set_inheritable(number, True)  # as the streams of a process are, for those that it starts
            setattr(sys, name, os.fdopen(number, mode))


def _leave_stdout() -> None:
    """Put the null device where standard output cannot be written, so that Python closes it in peace."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main() -> None:
    """Run as a console script."""
    open_closed_streams()
    gc.set_threshold(
        100_000, 20, 100
    )  # tables of utterances live to the end; looking for cycles in them doubles the time
    code = run()
    if code == ExitCode.INTERRUPTED:
        # An interrupt that meets Python within an import or a compiled module leaves a mark in the interpreter, which
        # then ends by the signal itself whatever code it is asked for. All work has been wound up by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
