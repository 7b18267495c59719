"""`featurestore doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.console import notice, print_card, print_json, printable
from cli.options import json_option, place_option
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from pipelines.doctor import Finding

WIDEST_NAME = 10


@click.command(epilog="Example: featurestore doctor --no-benchmark")
@click.option(
    "--benchmark/--no-benchmark",
    default=True,
    show_default=True,
    help="Measure how fast it builds, for 5 seconds or more.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 1024),
    help="Worker processes of the benchmark. Default: FEATURESTORE_JOBS, else all cores.",
)
@place_option
@json_option
def doctor(benchmark: bool, jobs: int | None, place: str, as_json: bool) -> int:
    """Check this installation and this machine, and measure how fast it builds; exit code 1 if something is broken."""
    from pipelines.doctor import examine

    found = examine(place, benchmark=benchmark, jobs=jobs, found=(lambda _: None) if as_json else _print, tell=notice)
    if as_json:
        print_json(found.to_dict())
    elif not found.sound:
        click.echo("something is broken here; the lines above say what to do")
    return ExitCode.DONE if found.sound else ExitCode.FAILED


def _print(finding: Finding) -> None:
    """Print a finding, and below it what to do."""
    mark = "" if finding.state == "ok" else f"{finding.state}: "
    print_card([(finding.name.ljust(WIDEST_NAME), f"{mark}{printable(finding.text)}")])
    if finding.advice:
        print_card([(" " * WIDEST_NAME, printable(finding.advice))])
