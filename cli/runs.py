"""Commands about models and finished runs: `models`, `evaluate`, `predict`, `report`."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option, store_option
from cli.output import notice, print_json, print_table, printable

AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")
DEVICES = click.Choice(["auto", "cpu", "cuda"])


@click.command(epilog="Example: featurestore models")
@json_option
def models(as_json: bool) -> None:
    """List the models."""
    from models.registry import models_table

    rows = models_table()
    if as_json:
        print_json(rows)
        return
    table = [[row["name"], f"{row['parameters']:,}", _brief(row["input"])] for row in rows]
    print_table(("name", "parameters", "input"), table, numbers=("parameters",))
    notice("'--json' names the source of each.")


def _brief(described: str) -> str:
    """Leave out what follows the shape, so that a line fits a terminal."""
    return described.partition("]")[0] + "]"


@click.command(epilog="Example: featurestore evaluate runs/mathworks-001")
@click.argument("run", type=click.Path())
@click.option("--side", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True)
@click.option("--device", type=DEVICES, default="auto", show_default=True)
@store_option
@json_option
def evaluate(run: str, side: str, device: str, place: str | None, as_json: bool) -> None:
    """Evaluate RUN on a side of its split, from the dataset that it was trained on."""
    from featurestore.store import open_store
    from models.evaluation import evaluate as evaluate_run
    from models.runs import load_run
    from pipelines.experiment import Experiment

    trained = load_run(run)
    chosen = Experiment.from_dict(trained.config.recipe).split
    view = open_store(place).view(str(trained.config.dataset["digest"]))
    train, validation, test = view.split(chosen.name, seed=chosen.seed, clean_in_training=chosen.clean_in_training)
    result = evaluate_run(trained, {"train": train, "validation": validation, "test": test}[side], device)
    if as_json:
        print_json(result)
        return
    click.echo(f"{side}: accuracy (WA) {result['accuracy']:.4f}, UAR (UA) {result['uar']:.4f}")
    columns = ("class", "recall", "precision", "f1", "support")
    rows = [
        [name, *(f"{row[c]:.3f}" if row[c] is not None else "-" for c in columns[1:4]), row["support"]]
        for name, row in result["per_class"].items()
    ]
    print_table(columns, rows, numbers=columns[1:])


@click.command(epilog="Example: featurestore predict runs/mathworks-001 recording.wav")
@click.argument("run", type=click.Path())
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--device", type=DEVICES, default="auto", show_default=True)
@json_option
def predict(run: str, files: tuple[str, ...], device: str, as_json: bool) -> None:
    """Label audio FILES, or all those in folders, with RUN's model."""
    from models.prediction import predict_files
    from models.runs import load_run

    answers = predict_files(load_run(run), _audio_files(files), device)
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        shares = sorted(answer["probabilities"].items(), key=lambda share: -share[1])[:3]
        likely = "  ".join(f"{name} {share:.3f}" for name, share in shares)
        click.echo(f"{printable(answer['file'])}: {answer['label']}  ({likely})")


def _audio_files(places: tuple[str, ...]) -> list[Path]:
    """Return the files that are named, and the recordings in folders that are named."""
    from featurestore.errors import SourceError

    files: list[Path] = []
    for place in map(Path, places):
        inside = (
            sorted(file for file in place.rglob("*") if file.suffix.lower() in AUDIO) if place.is_dir() else [place]
        )
        if not inside:
            raise SourceError(f"no audio file ({', '.join(AUDIO)}) in {str(place)!r}.")
        files.extend(inside)
    return files


@click.command(epilog="Example: featurestore report runs/mathworks-001 --out report.html")
@click.argument("run", type=click.Path())
@click.option("--out", type=click.Path(dir_okay=False), help="Default: report.html in the run folder.")
@json_option
def report(run: str, out: str | None, as_json: bool) -> None:
    """Write a page about RUN: figures, curves, confusion matrix, settings, leaks."""
    from models.report import write_report
    from models.runs import load_run

    trained = load_run(run)
    path = write_report(trained, Path(out) if out else trained.folder / "report.html")
    if as_json:
        print_json({"path": str(path)})
    else:
        click.echo(str(path))
