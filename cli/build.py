"""`featurestore build`."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import click

from cli.console import DownloadProgress, RowProgress, notice, print_json, print_some, size
from cli.options import (
    file_limit_options,
    json_option,
    max_duration_option,
    place_option,
    seed_option,
    source_option,
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
@click.option(
    "--augment", "copies", type=click.IntRange(0, 100_000), help="Augmented copies of each recording. Default: 0."
)
@click.option("--name", help="Name of the dataset. Default: the corpus.")
@click.option(
    "--recipe", metavar="NAME|FILE", help="Take corpus, features, policy, copies and split from this experiment."
)
@click.option("--features", "preset", help="Feature preset: a name or a TOML file. Default: mathworks.")
@click.option("--policy", help="Augmentation policy: a name or a TOML file. Default: mathworks.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one field of either preset; repeatable."
)
@source_option
@click.option(
    "--rehash",
    is_flag=True,
    help="Read all files of a folder again. Default: those whose size or time of change is not that of the last build.",
)
@file_limit_options
@max_duration_option
@click.option("--split", help="Augment only one side of this split.")
@click.option(
    "--side",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="The side that is augmented.",
)
@seed_option
@click.option("--jobs", type=click.IntRange(1, 1024), help="Worker processes. Default: all cores.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a running Dask cluster.")
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Where rows are computed. Rows from a GPU differ in their last bits and are stored separately: neither device "
    "reuses the other's. auto: a GPU if there is one. torch-cpu: for testing.",
)
@click.option("--trust-first-download", "trust", is_flag=True, help="Accept a download without a known checksum.")
@trust_code_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@place_option
@json_option
def build(
    corpus: str | None,
    name: str | None,
    source: str | None,
    limits: Limits,
    rehash: bool,
    jobs: int | None,
    scheduler: str | None,
    device: str,
    trust: bool,
    dry_run: bool,
    place: str,
    as_json: bool,
    **options: Any,  # noqa: ANN401 (as `_wanted_rows` takes them)
) -> int:
    """Compute the features of CORPUS and store them; rows that the store already has are reused."""
    from pipelines.workers.cluster import Workers

    with Workers(jobs, scheduler) as workers:
        reference = f"{place}/refs/{(name or corpus or '').replace('/', '-')}.json"
        if not (dry_run or device != "cpu" or os.path.exists(reference)):  # noqa: PTH110 (any text)
            workers.start()  # they are probably needed, and import meanwhile what this process does not need
        from featurestore.corpus.corpus_spec import find_corpus_spec
        from featurestore.store import open_store
        from pipelines.build.run import build as run_build
        from pipelines.ingest.fetch import Fetcher

        corpus, rows = _wanted_rows(corpus, **options)
        spec = find_corpus_spec(corpus, limits)
        report = run_build(
            open_store(place),
            spec,
            rows,
            name=name,
            source=source,
            fetcher=Fetcher(notice, DownloadProgress(), trust_first=trust),
            limits=limits,
            rehash=rehash,
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


def _wanted_rows(
    corpus: str | None,
    *,
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
    """Return the corpus and the rows wanted, from options or, where an option is missing, from a recipe."""
    from featurestore.specs.presets import feature_preset, override
    from featurestore.specs.presets import policy as policy_named
    from pipelines.build.spec import DatasetSpec
    from pipelines.experiments.recipe import DatasetChoice, Experiment, SplitChoice, read_recipe

    if corpus is None and recipe is None:
        raise click.UsageError("nothing to build: give a CORPUS ('featurestore corpora') or --recipe NAME.")
    experiment = Experiment("", DatasetChoice(str(corpus)), SplitChoice(""))
    if recipe:
        experiment = read_recipe(recipe).experiment(corpus)
    features, augmentation = override(
        feature_preset(preset or experiment.dataset.features),
        policy_named(policy or experiment.dataset.policy),
        (*experiment.dataset.settings, *settings),
    )
    if augmentation is not None and seed is not None:
        augmentation = dataclasses.replace(augmentation, seed=seed)
    rows = DatasetSpec(
        features,
        augmentation,
        experiment.dataset.copies if copies is None else copies,
        split=split or (experiment.split.name if experiment.dataset.side else None),
        side=side if split else experiment.dataset.side or side,
        seed=experiment.split.seed if seed is None else seed,
        max_seconds=max_seconds,
    )
    return corpus or experiment.dataset.corpus, rows


def _print(report: BuildReport) -> None:
    for text in report.notes:
        notice(f"note: {text}")
    rejected = [f"{one.path}: {one.reason}" for one in report.rejected]
    print_some("rejected", rejected, MOST_LISTED, rest="; --json lists all")
    rows = f"{report.clean:,} clean + {report.augmented:,} augmented rows"
    work = f"{report.computed:,} computed, {report.copied:,} copied, {report.reused:,} reused"
    if report.dry:
        click.echo(f"{report.dataset}: {rows}: would be {work}")
        seconds = report.estimated_seconds
        time = "; the time that torch takes is unknown" if seconds is None else f" and {seconds:g} s"
        click.echo(f"about {size(report.estimated_bytes)}{time}; nothing was written")
        return
    click.echo(f"{report.dataset}: {rows} of {report.utterances:,} utterances")
    click.echo(f"{work}; {size(report.bytes_written)} written in {report.seconds:.1f} s")
    click.echo(f"digest {report.digest}")
