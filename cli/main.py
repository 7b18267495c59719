"""The command group, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cli.console import print_json, printable
from featurestore import __version__
from featurestore.errors import ExitCode, FeatureStoreError

SAME_COMMAND = "run the same command again to continue."
UNWRITABLE = (errno.EPIPE, errno.EBADF, errno.ENOSPC, errno.EIO)
"""What writing to standard output fails with: its reader is gone, it is closed, or its disk is full or broken."""

COMMANDS = {
    "baseline": "cli.experiments",
    "build": "cli.build",
    "compare": "cli.runs",
    "corpora": "cli.corpora",
    "crossval": "cli.experiments",
    "curve": "cli.studies",
    "doctor": "cli.doctor",
    "ensemble": "cli.runs",
    "evaluate": "cli.runs",
    "export": "cli.store",
    "fields": "cli.catalogs",
    "forget": "cli.store",
    "gc": "cli.store",
    "info": "cli.store",
    "ls": "cli.store",
    "matrix": "cli.studies",
    "models": "cli.catalogs",
    "policies": "cli.catalogs",
    "predict": "cli.runs",
    "presets": "cli.catalogs",
    "pull": "cli.moving",
    "push": "cli.moving",
    "recipes": "cli.catalogs",
    "repair": "cli.store",
    "report": "cli.runs",
    "reproduce": "cli.experiments",
    "show": "cli.show",
    "splits": "cli.splits",
    "track": "cli.track",
    "train": "cli.experiments",
    "tune": "cli.experiments",
    "verify": "cli.store",
    "why": "cli.store",
}
"""The module of each command, imported on demand."""


class LazyGroup(click.Group):
    """Imports commands on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command


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
