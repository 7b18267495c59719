"""The command `track`: runs in TensorBoard and MLflow."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import print_json, printable
from cli.options import json_option


@click.command(
    epilog="Example: featurestore track runs/emodb-001 --to tensorboard --out tracked;  "
    "featurestore track runs/emodb-loso-001 --to mlflow --out tracked"
)
@click.argument("run", type=click.Path())
@click.option("--to", required=True, metavar="TRACKER", help="tensorboard or mlflow.")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="The tracker's folder, for any runs.")
@json_option
def track(run: str, to: str, out: str, as_json: bool) -> None:
    """Write what RUN records for a tracker: the metrics of each epoch, its settings, its test side.

    RUN is a run folder, finished or not, or a folder of folds or seeds. Run it again to bring a tracker up to date.
    """
    from models.trackers import track as write

    names = write(Path(run), to, Path(out))
    if as_json:
        print_json({"runs": names, "path": out})
    else:
        click.echo(f"{', '.join(map(printable, names))} in {out}")
