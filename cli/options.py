"""Options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, ClassVar

import click
from click.core import ParameterSource

Command = Callable[..., Any]
BASE = "featurestore.base"
"""Where the context keeps `--base` until `--store` is read."""


def store_option(command: Command) -> Command:
    """Add `--store` and `--base`; the command gets one address, `place`, that names both."""
    store = click.option(
        "--store",
        "place",
        metavar="URI",
        callback=_with_base,
        help="The store's folder. Default: FEATURESTORE_HOME, else the user's cache.",
    )
    base = click.option(
        "--base",
        metavar="URI",
        is_eager=True,
        expose_value=False,
        callback=_remember_base,
        help="A store below it that is only read, such as a group's. Default: FEATURESTORE_BASE, else none.",
    )
    return store(base(command))


def _remember_base(context: click.Context, _: click.Parameter, base: str | None) -> None:
    context.meta[BASE] = base


def _with_base(context: click.Context, _: click.Parameter, place: str | None) -> str:
    """Put store and base into one address, so that workers open both."""
    from featurestore.storage import default_place, layered_place

    return layered_place(place or default_place(), context.meta.get(BASE))


def trust_code_option(command: Command) -> Command:
    """Add `--trust-code`; the command needs no argument for it, since the permission goes into the environment."""
    return click.option(
        "--trust-code",
        multiple=True,
        metavar="MODULE",
        is_eager=True,
        expose_value=False,
        callback=_trust_code,
        help="Allow this Python module to be imported, where features or a policy name a function in it; repeatable. "
        "Default: FEATURESTORE_TRUST_CODE, else none.",
    )(command)


def _trust_code(_: click.Context, __: click.Parameter, modules: tuple[str, ...]) -> None:
    from featurestore.trusted_code import trust

    if modules:
        trust(modules)


class FileSize(click.ParamType[int]):
    """A number of bytes such as `512MiB`, `2 GB` or `1000000`."""

    name = "size"
    units: ClassVar = {"": 1, "b": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 2**10, "mi": 2**20, "gi": 2**30}

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        found = re.fullmatch(r"\s*(\d{1,12})\s*([kmg]?i?)b?\s*", str(value), re.IGNORECASE)
        if not found or found[2].lower() not in self.units or not int(found[1]):
            self.fail(f"{value!r:.80} is no size; write it as 512MiB or 2GB.", param, ctx)
        return int(found[1]) * self.units[found[2].lower()]


def file_limit_options(command: Command) -> Command:
    """Add `--max-file-size` and `--max-files`; the command gets both as `limits`, of what a source may hold."""

    @functools.wraps(command)
    def limited(*arguments: Any, max_file_size: int, max_files: int, **options: Any) -> Any:  # noqa: ANN401 (any command)
        from featurestore.corpus.sources.archive_safety import Limits

        return command(*arguments, limits=Limits(members=max_files, member_bytes=max_file_size), **options)

    return _all_of(
        limited,
        click.option(
            "--max-file-size",
            type=FileSize(),
            default="128MiB",
            show_default=True,
            help="Files that are larger are rejected. A file is read whole, by each worker as well.",
        ),
        click.option(
            "--max-files",
            type=click.IntRange(1, 100_000_000),
            default=250_000,
            show_default=True,
            help="Files, folders and segments of a corpus; each takes about 2 kB of memory.",
        ),
    )


max_duration_option = click.option(
    "--max-duration",
    "max_seconds",
    type=click.FloatRange(600, 86_400),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Recordings and segments that are longer are rejected. A worker takes about 20 MB for a minute of 16 kHz, "
    "35 MB where copies are made, and 0.5 MB more for each copy of a shard, 25 at most.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON value on standard output.")
source_option = click.option("--source", metavar="PATH|URL", help="Archive, folder or URL that holds the corpus.")
seed_option = click.option("--seed", type=int, help="Seed of all draws. Default: the policy's, 0.")
device_option = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
change_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a field, as in split.name=loso; repeatable."
)
LEAKS = ("speaker", "source", "recording", "audio", "sentence")


def experiment_options(command: Command) -> Command:
    """Add what an experiment is made of: DATASET, `--recipe`, `--corpus`, `--source`, `--augment` and `--model`."""
    return _all_of(
        command,
        click.argument("dataset", required=False),
        click.option(
            "--recipe", metavar="NAME|FILE", help="An experiment: see 'featurestore recipes'; or a TOML file."
        ),
        click.option("--corpus", help="Use the recipe on another corpus."),
        source_option,
        click.option("--augment", "copies", type=click.IntRange(0, 100_000), help="In place of the recipe's copies."),
        click.option("--model", help="See 'featurestore models'."),
    )


def training_options(command: Command) -> Command:
    """Add how a model is trained: `--allow-leak`, `--epochs`, `--batch-size`, `--device` and `--seed`."""
    return _all_of(
        command,
        click.option(
            "--allow-leak",
            "allowed",
            multiple=True,
            type=click.Choice(LEAKS),
            help="Accept this leak; repeatable.",
        ),
        click.option("--epochs", type=click.IntRange(1)),
        click.option("--batch-size", type=click.IntRange(1)),
        device_option,
        click.option("--seed", type=click.IntRange(0), help="Seed of weights and batches."),
    )


def fold_jobs_option(others: str) -> Callable[[Command], Command]:
    """Add `--jobs` to a command that trains folds; `others` is the sentence that says what it does not mean there."""
    return click.option(
        "--jobs",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help=f"Folds trained at a time, each in a process of its own if above 1. {others} Builds take all cores.",
    )


UNCHANGING = ("resume", "source", "device", "jobs", "scheduler", "trust_code", "place", "base", "as_json")
"""Parameters that say where and how to go on; all others would make another experiment."""


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


def _all_of(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Add options so that help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
