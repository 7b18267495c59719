"""The command group, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from cli.build import build
from cli.corpora import corpora
from cli.crossval import crossval
from cli.evaluation import compare, evaluate
from cli.maintenance import gc, repair, verify, why
from cli.reproduce import reproduce
from cli.runs import models, predict, report
from cli.splits import splits
from cli.store import export, forget, info, ls
from cli.training import train
from cli.tune import tune
from featurestore import __version__
from featurestore.errors import FeatureStoreError

INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: featurestore build emodb --augment 75 --source download.zip",
)
@click.version_option(__version__, prog_name="featurestore")
def featurestore() -> None:
    """Speech corpora to cached, augmented, verified features, and models trained from them.

    Exit codes: 0 done; 1 an expected error; 2 wrong usage; 3 done, but files were rejected; 4 damage found;
    130 interrupted.
    """


COMMANDS = (
    build,
    compare,
    corpora,
    crossval,
    evaluate,
    export,
    forget,
    gc,
    info,
    ls,
    models,
    predict,
    repair,
    report,
    reproduce,
    splits,
    train,
    tune,
    verify,
    why,
)
for command in COMMANDS:
    featurestore.add_command(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every expected error becomes one line."""
    try:
        code = featurestore.main(args=arguments, prog_name="featurestore", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; run the same command again to continue.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except FeatureStoreError as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        return error.exit_code
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run as a console script."""
    code = run()
    if code == INTERRUPTED:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> None:
    """End the process with this code and no other.

    An interrupt that met Python within an import or a compiled module leaves a mark in the interpreter, which then ends
    by the signal itself whatever code it is asked for. All work has been wound up by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
