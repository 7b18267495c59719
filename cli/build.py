"""`featurestore build`."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import click

from cli.console import DownloadProgress, RowProgress, notice, print_json, printable, size
from cli.options import (
    file_limit_options,
    json_option,
    max_duration_option,
    seed_option,
    source_option,
    store_option,
    trust_code_option,
)
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from featurestore.corpus.sources.archive_safety import Limits
    from pipelines.build.report import BuildReport
    from pipelines.build.spec import DatasetSpec

MOST_LISTED = 20


@click.command(epilog="Example: featurestore build emodb --augment 75 --source download.zip")
@click.argument("corpus", required=False)
@click.option("--augment", "copies", type=click.IntRange(0, 100_000), help="Augmented copies a recording. Default: 0.")
@click.option("--name", help="Name of the dataset. Default: the corpus.")
@click.option(
    "--recipe", metavar="NAME|FILE", help="Take corpus, features, policy, copies and split from an experiment."
)
@click.option("--features", "preset", help="Feature preset: a name or a TOML file. Default: mathworks.")
@click.option("--policy", help="Augmentation policy: a name or a TOML file. Default: mathworks.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one field of either; repeatable.")
@source_option
@file_limit_options
@max_duration_option
@click.option("--split", help="Give augmented copies to one side of this split only.")
@click.option("--side", type=click.Choice(["train", "validation", "test"]), default="train", show_default=True)
@seed_option
@click.option("--jobs", type=click.IntRange(1, 1024), help="Worker processes. Default: all cores.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a Dask cluster that already runs.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Where rows are computed. Those of a GPU differ in their last bits and are kept apart: '--device cuda' does "
    "not reuse rows of the processor, nor the other way round. auto: a GPU if there is one. torch-cpu: for testing.",
)
@click.option("--trust-first-download", "trust", is_flag=True, help="Accept a download whose checksum is not known.")
@trust_code_option
@click.option("--dry-run", is_flag=True, help="Tell what would be done; write nothing.")
@store_option
@json_option
def build(
    corpus: str | None,
    copies: int | None,
    name: str | None,
    recipe: str | None,
    preset: str | None,
    policy: str | None,
    settings: tuple[str, ...],
    source: str | None,
    limits: Limits,
    max_seconds: float,
    split: str | None,
    side: str,
    seed: int | None,
    jobs: int | None,
    scheduler: str | None,
    device: str,
    trust: bool,
    dry_run: bool,
    place: str | None,
    as_json: bool,
) -> int:
    """Compute the features of CORPUS once and for all; what stands already is reused."""
    from pipelines.workers.cluster import Workers

    with Workers(jobs, scheduler) as workers:
        if not (dry_run or device != "cpu" or _has_a_dataset(place, name or corpus)):
            workers.start()  # they import meanwhile what this process does not need
        from featurestore.corpus.corpus_spec import find_corpus_spec
        from featurestore.store import open_store
        from pipelines.build.run import build as run_build
        from pipelines.ingest.fetch import Fetcher

        corpus, rows = _chosen(corpus, recipe, copies, preset, policy, settings, split, side, seed, max_seconds)
        spec = find_corpus_spec(corpus, limits)
        report = run_build(
            open_store(place),
            spec,
            rows,
            name=name,
            source=source,
            fetcher=Fetcher(notice, DownloadProgress(), trust_first=trust),
            limits=limits,
            device=device,
            dry_run=dry_run,
            progress=RowProgress(spec.name),
            workers=workers,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    return ExitCode.REJECTED if report.rejected else 0


def _has_a_dataset(place: str | None, name: str | None) -> bool:
    """Tell whether a store seems to have a dataset of this name, so that perhaps no worker is needed."""
    from featurestore.storage import default_place

    return os.path.exists(f"{place or default_place()}/refs/{(name or '').replace('/', '-')}.json")  # noqa: PTH110 (any text)


def _chosen(
    corpus: str | None,
    recipe: str | None,
    copies: int | None,
    preset: str | None,
    policy: str | None,
    settings: tuple[str, ...],
    split: str | None,
    side: str,
    seed: int | None,
    max_seconds: float,
) -> tuple[str, DatasetSpec]:
    """Return the corpus and which rows of it are wanted, from options and, where they are silent, from a recipe."""
    from featurestore.specs.overrides import override
    from featurestore.specs.presets import feature_preset
    from featurestore.specs.presets import policy as policy_named
    from pipelines.build.spec import DatasetSpec
    from pipelines.experiments.experiment import DatasetChoice, Experiment, SplitChoice
    from pipelines.experiments.recipe import read_recipe

    if corpus is None and recipe is None:
        raise click.UsageError("nothing to build: give a CORPUS ('featurestore corpora') or --recipe NAME.")
    told = (
        read_recipe(recipe).experiment(corpus)
        if recipe
        else Experiment("", DatasetChoice(str(corpus)), SplitChoice(""))
    )
    features, augmentation = override(
        feature_preset(preset or told.dataset.features),
        policy_named(policy or told.dataset.policy),
        (*told.dataset.settings, *settings),
    )
    if augmentation is not None and seed is not None:
        augmentation = dataclasses.replace(augmentation, seed=seed)
    limited = split or (told.split.name if told.dataset.side else None)
    rows = DatasetSpec(
        features,
        augmentation,
        told.dataset.copies if copies is None else copies,
        split=limited,
        side=side if split else told.dataset.side or side,
        seed=told.split.seed if seed is None else seed,
        max_seconds=max_seconds,
    )
    return corpus or told.dataset.corpus, rows


def _print(report: BuildReport) -> None:
    for text in report.notes:
        notice(f"note: {printable(text)}")
    for rejection in report.rejected[:MOST_LISTED]:
        notice(f"rejected: {printable(rejection.path)}: {printable(rejection.reason)}")
    if len(report.rejected) > MOST_LISTED:
        notice(f"and {len(report.rejected) - MOST_LISTED} more; --json lists all")
    rows = f"{report.clean:,} clean + {report.augmented:,} augmented rows"
    work = f"{report.computed:,} computed, {report.copied:,} copied, {report.reused:,} reused"
    if report.dry:
        click.echo(f"{report.dataset}: {rows}: would be {work}")
        seconds = report.estimated_seconds
        time = "; how long torch takes is not known" if seconds is None else f" and {seconds:g} s"
        click.echo(f"about {size(report.estimated_bytes)}{time}; nothing was written")
        return
    click.echo(f"{report.dataset}: {rows} of {report.utterances:,} utterances")
    click.echo(f"{work}; {size(report.bytes_written)} written in {report.seconds:.1f} s")
    click.echo(f"digest {report.digest}")
