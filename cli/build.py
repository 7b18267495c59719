"""`featurestore build`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import notice, print_json, print_some, say
from cli.options import (
    allow_unencrypted_option,
    file_limit_options,
    json_option,
    max_duration_option,
    place_option,
    seed_option,
    source_option,
    trust_code_option,
)
from cli.progress import progress_options
from featurestore.errors import ExitCode
from featurestore.showing import spelled_bytes

if TYPE_CHECKING:
    from pipelines.build.report import BuildReport

MOST_LISTED = 20


@click.command(epilog="Example: featurestore build emodb --augment 75 --source download.zip")
@click.argument("corpus", required=False, shell_complete=completion.corpora)
@click.option(
    "--augment", "copies", type=click.IntRange(0, 100_000), help="Augmented copies of each recording. Default: 0."
)
@click.option("--name", help="Name of the dataset. Default: the corpus.")
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    shell_complete=completion.recipes,
    help="Take corpus, features, policy, copies and split from this experiment.",
)
@click.option(
    "--features", shell_complete=completion.features, help="Feature preset: a name or a TOML file. Default: mathworks."
)
@click.option(
    "--policy",
    shell_complete=completion.policies,
    help="Augmentation policy: a name or a TOML file. Default: mathworks.",
)
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
@click.option("--split", shell_complete=completion.splits_or_paths, help="Augment only one side of this split.")
@click.option(
    "--side",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="The side that is augmented.",
)
@seed_option
@click.option(
    "--jobs", type=click.IntRange(1, 1024), help="Worker processes. Default: FEATURESTORE_JOBS, else all cores."
)
@click.option("--scheduler", metavar="ADDRESS", help="Use a running Dask cluster (docs/cluster.md).")
@allow_unencrypted_option
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Where rows are computed. Rows from a GPU differ in their last bits and are stored separately: neither device "
    "reuses the other's. auto: a GPU if there is one. torch-cpu: for testing.",
)
@click.option("--trust-first-download", is_flag=True, help="Accept a download without a known checksum.")
@trust_code_option
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@place_option
@progress_options
@json_option
def build(
    corpus: str | None,
    recipe: str | None,
    name: str | None,
    jobs: int | None,
    scheduler: str | None,
    allow_unencrypted: bool,
    device: str,
    dry_run: bool,
    place: str,
    as_json: bool,
    **options: Any,  # noqa: ANN401 (as the function takes them)
) -> int:
    """Compute the features of CORPUS and store them; rows that the store already has are reused."""
    from featurestore.storage import names_dataset
    from pipelines.workers.pool import Workers

    if corpus is None and recipe is None:
        raise click.UsageError("nothing to build: give a CORPUS ('featurestore corpora') or --recipe NAME.")
    with Workers(jobs, scheduler, allow_unencrypted=allow_unencrypted) as workers:
        if not (dry_run or device != "cpu" or names_dataset(place, name or corpus or "")):
            workers.start()  # they are probably needed, and import meanwhile what this process does not need
        from featurestore.store import open_store
        from pipelines import experiments

        report = experiments.build(
            corpus,
            recipe=recipe,
            name=name,
            store=open_store(place),
            device=device,
            dry_run=dry_run,
            workers=workers,
            **options,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    return ExitCode.REJECTED if report.rejected else 0


def _print(report: BuildReport) -> None:
    for text in report.notes:
        notice(f"note: {text}")
    rejected = [f"{one.path}: {one.reason}" for one in report.rejected]
    print_some("rejected", rejected, MOST_LISTED, rest="; --json lists all")
    rows = f"{report.clean:,} clean + {report.augmented:,} augmented rows"
    work = f"{report.computed:,} computed, {report.copied:,} copied, {report.reused:,} reused"
    if report.dry:
        say(f"{report.dataset}: {rows}: would be {work}")
        seconds, free = report.estimated_seconds, report.free_bytes
        time = "; the time that torch takes is unknown" if seconds is None else f" and {seconds:g} s"
        room = "" if free is None else f" of {spelled_bytes(free)} that are free"
        say(f"about {spelled_bytes(report.estimated_bytes)}{room}{time}; nothing was written")
        if seconds:
            say(f"the rate was measured {report.estimated_by}")
        return
    say(f"{report.dataset}: {rows} of {report.utterances:,} utterances")
    say(f"{work}; {spelled_bytes(report.bytes_written)} written in {report.seconds:.1f} s")
    click.echo(f"digest {report.digest}")
