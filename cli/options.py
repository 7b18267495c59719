"""Options that several commands share."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, ClassVar

import click
from click.core import ParameterSource

from cli import completion

Command = Callable[..., Any]
BASE = "featurestore.base"
"""Context key that holds `--base` until `--store` is read."""
LEAKS = ("speaker", "source", "recording", "audio", "sentence")
UNCHANGING = (
    *("resume", "source", "device", "jobs", "scheduler", "allow_unencrypted", "trust_code", "place", "base"),
    *("quiet", "verbose", "log", "as_json"),
)
"""Parameters on where and how to continue; all others would change the experiment."""


def place_option(command: Command) -> Command:
    """Add `--store` and `--base`; the command gets one address, `place`, that names both, so that workers open both."""

    def with_base(context: click.Context, _: click.Parameter, place: str | None) -> str:
        """Return one address for the store and its base."""
        from featurestore.storage import default_place, layered_place

        return layered_place(place or default_place(), context.meta.get(BASE))

    def remember_base(context: click.Context, _: click.Parameter, base: str | None) -> None:
        """Keep the base for `with_base`, which comes later."""
        context.meta[BASE] = base

    return _all_of(
        command,
        click.option(
            "--store",
            "place",
            metavar="URI",
            callback=with_base,
            help="A folder, s3://BUCKET/PREFIX or, to read, https://SERVER/FOLDER. Default: FEATURESTORE_HOME, else a "
            "folder in the user's cache.",
        ),
        click.option(
            "--base",
            metavar="URI",
            is_eager=True,
            expose_value=False,
            callback=remember_base,
            help="Another store, such as a group's, to read from but never write to. "
            "Default: FEATURESTORE_BASE, else none.",
        ),
    )


def store_option(command: Command) -> Command:
    """Add `--store` and `--base`; the command gets the opened `store`."""

    @functools.wraps(command)
    def with_store(*arguments: Any, place: str, **options: Any) -> Any:  # noqa: ANN401 (any command)
        """Open the store and run the command; `StorageError` if the place cannot be one."""
        from featurestore.store import open_store

        return command(*arguments, store=open_store(place), **options)

    return place_option(with_store)


def trust_code_option(command: Command) -> Command:
    """Add `--trust-code`; the command needs no argument for it, since the permission goes into the environment."""

    def trust_modules(_: click.Context, __: click.Parameter, modules: tuple[str, ...]) -> None:
        """Allow the modules for this process and its children."""
        from featurestore.trusted_code import trust

        if modules:
            trust(modules)

    return click.option(
        "--trust-code",
        multiple=True,
        metavar="MODULE",
        is_eager=True,
        expose_value=False,
        callback=trust_modules,
        help="Allow the import of this Python module where features or a policy name a function in it; repeatable. "
        "Default: FEATURESTORE_TRUST_CODE, else none.",
    )(command)


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
        """Run the command with its limits, members and bytes a member."""
        from featurestore.corpus.sources.archive_safety import Limits

        return command(*arguments, limits=Limits(members=max_files, member_bytes=max_file_size), **options)

    return _all_of(
        limited,
        click.option(
            "--max-file-size",
            type=FileSize(),
            default="128MiB",
            show_default=True,
            help="Reject larger files. Each worker holds a whole file in memory.",
        ),
        click.option(
            "--max-files",
            type=click.IntRange(1, 100_000_000),
            default=250_000,
            show_default=True,
            help="Refuse a corpus with more files, folders and segments; each takes about 2 kB of memory.",
        ),
    )


max_duration_option = click.option(
    "--max-duration",
    "max_seconds",
    type=click.FloatRange(600, 86_400),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Reject longer recordings and segments. A worker needs about 20 MB for a minute at 16 kHz, 35 MB with "
    "augmentation, and 0.5 MB more for each copy in a shard, at most 25.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON value on standard output.")
source_option = click.option("--source", metavar="PATH|URL", help="Archive, folder or URL that holds the corpus.")
seed_option = click.option("--seed", type=int, help="Seed of all random draws. Default: the policy's, 0.")
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: FEATURESTORE_DEVICE, else a GPU if there is one.",
)
leak_option = click.option(
    "--allow-leak", multiple=True, type=click.Choice(LEAKS), help="Allow sides to share this; repeatable."
)
validate_option = click.option(
    "--validate",
    type=click.Choice(["none"]),
    help="none: the validation side of the split trains too, as with SPLIT-no-validation.",
)
change_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a field, as in split.name=loso; repeatable."
)


def experiment_options(command: Command) -> Command:
    """Add what an experiment is made of: DATASET, `--recipe`, `--corpus`, `--source`, `--augment` and `--model`."""
    return _all_of(
        command,
        click.argument("dataset", required=False, shell_complete=completion.datasets),
        click.option(
            "--recipe",
            metavar="NAME|FILE",
            shell_complete=completion.recipes,
            help="An experiment: a name from 'featurestore recipes' or a TOML file.",
        ),
        click.option("--corpus", shell_complete=completion.corpora, help="Use the recipe on another corpus."),
        source_option,
        click.option(
            "--augment",
            "copies",
            type=click.IntRange(0, 100_000),
            help="Augmented copies of each recording. Default: the recipe's.",
        ),
        click.option(
            "--model",
            shell_complete=completion.models,
            help="A name from 'featurestore models'. Default: the recipe's.",
        ),
    )


target_option = click.option(
    "--target",
    metavar="label|votes|NAMES",
    help="What is learnt: the label, raters' votes (soft labels), or fields of numbers, as valence,arousal,dominance. "
    "Default: the recipe's, label.",
)


def training_options(command: Command) -> Command:
    """Add how a model is trained: `--allow-leak`, `--epochs`, `--batch-size`, `--device` and `--seed`."""
    return _all_of(
        command,
        leak_option,
        click.option("--epochs", type=click.IntRange(1)),
        click.option("--batch-size", type=click.IntRange(1)),
        device_option,
        click.option("--seed", type=click.IntRange(0), help="Seed of the initial weights and the order of batches."),
    )


def fold_jobs_option(others: str) -> Callable[[Command], Command]:
    """Add `--jobs` to a command that trains folds; `others` is a sentence on what it does not affect there."""
    return click.option(
        "--jobs",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help=f"Folds trained in parallel, each in its own process if above 1. {others} Builds use all cores.",
    )


def fold_scheduler_option(command: Command) -> Command:
    """Add `--scheduler` to a command that trains folds."""
    return click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Train folds on a running Dask cluster, whose workers see store and run folder at the same paths.",
    )(command)


def allow_unencrypted_option(command: Command) -> Command:
    """Add `--allow-unencrypted`."""
    return click.option(
        "--allow-unencrypted",
        is_flag=True,
        help="Use a scheduler on another machine without TLS. Whoever reaches it or a worker can run code as you.",
    )(command)


def refuse_changes() -> None:
    """Refuse options given with `--resume` that would change the experiment.

    Raises
    ------
    click.UsageError
        Naming the first such option: a resumed run keeps its settings, so the option would be dropped silently.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in UNCHANGING and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            given = name.upper() if isinstance(parameter, click.Argument) else parameter.opts[-1]
            raise click.UsageError(
                f"{given} cannot be combined with --resume: a resumed run keeps its settings. Leave it out, or "
                "start another run with '--run'."
            )


def _all_of(command: Command, *options: Callable[[Command], Command]) -> Command:
    """Add options so that help lists them in this order."""
    for option in reversed(options):
        command = option(command)
    return command
