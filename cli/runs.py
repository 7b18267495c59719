"""Commands about models and finished runs: `models`, `predict`, `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.console import notice, print_json, print_table, printable
from cli.options import device_option, json_option, trust_code_option

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


@click.command(
    epilog="Example: featurestore predict runs/mathworks-001 recording.wav;  "
    "featurestore predict runs/mathworks-001 talk.wav --window 3 --hop 1 --out timeline.csv"
)
@click.argument("run", type=click.Path())
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option(
    "--window", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Label each window by itself."
)
@click.option("--hop", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="From window to window.")
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write a table FILE.csv or FILE.json.")
@device_option
@trust_code_option
@json_option
def predict(
    run: str,
    files: tuple[str, ...],
    window: float | None,
    hop: float | None,
    out: str | None,
    device: str,
    as_json: bool,
) -> int:
    """Label audio FILES, or all those in folders, with RUN's model; exit code 3 if some could not be read.

    A model labels clips like those that it was trained on: long recordings want a --window of about their length.
    """
    from models.prediction import predict_files, write_answers
    from models.runs.run import load_run

    if hop is not None and window is None:
        raise click.UsageError("--hop goes with --window.")
    if out is not None and not out.endswith((".csv", ".json")):
        raise click.UsageError("--out takes a file that ends in .csv or .json.")
    answers = predict_files(load_run(run), _audio_files(files), device, window=window, hop=hop)
    if out is not None:
        write_answers(Path(out), answers)
    if as_json:
        print_json(answers)
    else:
        _print_answers(answers)
    return REJECTED if any(answer["label"] is None for answer in answers) else 0


def _print_answers(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        file = printable(answer["file"])
        if answer["label"] is None:
            notice(f"rejected: {printable(answer['reason'])}")
            continue
        for one in answer.get("timeline", ()):
            click.echo(f"{file} {one['start']:.2f} to {one['end']:.2f} s: {_most_likely(one)}")
        if "timeline" not in answer:
            click.echo(f"{file}: {_most_likely(answer)}")
        for remark in answer["outside"]:
            notice(f"note: {file}: {remark}: outside of what the model was trained on")
    for remark in {answer["normalised_as"] for answer in answers if "normalised_as" in answer}:
        notice(f"normalised as {remark}")


def _most_likely(answer: dict[str, Any]) -> str:
    if answer["label"] is None:
        return "silent"
    shares = sorted(answer["probabilities"].items(), key=lambda share: -share[1])[:3]
    likely = "  ".join(f"{printable(name)} {share:.3f}" for name, share in shares)
    return f"{printable(answer['label'])}  ({likely})"


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
