"""Commands about models and finished runs: `models`, `predict`, `report`."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import device_option, json_option, trust_code_option
from cli.output import notice, print_json, print_table, printable

REJECTED = 3
"""Exit code: done, but some files were rejected."""
AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")


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


@click.command(epilog="Example: featurestore predict runs/mathworks-001 recording.wav")
@click.argument("run", type=click.Path())
@click.argument("files", nargs=-1, required=True, type=click.Path())
@device_option
@trust_code_option
@json_option
def predict(run: str, files: tuple[str, ...], device: str, as_json: bool) -> int:
    """Label audio FILES, or all those in folders, with RUN's model; exit code 3 if some could not be read."""
    from models.prediction import predict_files
    from models.runs.run import load_run

    answers = predict_files(load_run(run), _audio_files(files), device)
    refused = [answer for answer in answers if answer["label"] is None]
    if as_json:
        print_json(answers)
        return REJECTED if refused else 0
    for answer in refused:
        notice(f"rejected: {printable(answer['reason'])}")
    for answer in answers:
        if answer["label"] is None:
            continue
        shares = sorted(answer["probabilities"].items(), key=lambda share: -share[1])[:3]
        likely = "  ".join(f"{name} {share:.3f}" for name, share in shares)
        click.echo(f"{printable(answer['file'])}: {answer['label']}  ({likely})")
    for remark in {answer["normalised_as"] for answer in answers if "normalised_as" in answer}:
        notice(f"normalised as {remark}")
    return REJECTED if refused else 0


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


@click.command(
    epilog="Example: featurestore report runs/mathworks-001 --out page.html;  featurestore report runs/emodb-loso-001"
)
@click.argument("run", type=click.Path())
@click.option("--out", type=click.Path(dir_okay=False), help="Default: report.html in the run folder.")
@json_option
def report(run: str, out: str | None, as_json: bool) -> None:
    """Write a page about RUN, the folds of a cross-validation or several seeds: figures, curves, settings, leaks."""
    from models.reports.report import write_any_report

    path = write_any_report(Path(run), Path(out) if out else None)
    if as_json:
        print_json({"path": str(path)})
    else:
        click.echo(str(path))
