"""Commands that train many times for one table and figure: `matrix`, `curve`. `pipelines.experiments` does the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cli import completion
from cli.console import figure, notice, print_json, print_table, printable, say
from cli.metrics import MEASURES, TWO, between
from cli.options import (
    change_option,
    fold_jobs_option,
    json_option,
    store_option,
    training_options,
    trust_code_option,
)
from cli.progress import progress_options

Command = Callable[..., Any]


def classifier_options(command: Command) -> Command:
    """Add what is trained: `--model`, `--recipe`, `--normalisation` and `--regularisation`."""
    for option in reversed(
        (
            click.option(
                "--model",
                shell_complete=completion.models,
                help="svm-linear, svm-rbf or logistic, on functionals of clean rows, or a network. Default: the "
                "recipe's, else svm-linear.",
            ),
            click.option(
                "--recipe", metavar="NAME|FILE", shell_complete=completion.recipes, help="Settings of a network."
            ),
            click.option(
                "--normalisation",
                type=click.Choice(["training", "speaker", "utterance", "none"]),
                help="speaker sees the test speakers' features (transductive). Default: training, or the recipe's.",
            ),
            click.option(
                "--regularisation",
                type=click.FloatRange(0, min_open=True),
                metavar="C",
                help="Of a baseline. Default: chosen by inner folds over the training speakers.",
            ),
        )
    ):
        command = option(command)
    return command


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers such as `2,4,8`."""

    name = "numbers"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r:.80} is no list of whole numbers; write it as 2,4,8.", param, ctx)


@click.command(
    epilog="Example: featurestore matrix emodb ravdess --normalisation speaker;  "
    "featurestore matrix emodb ravdess --recipe best --split speakers"
)
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...", shell_complete=completion.datasets)
@click.option(
    "--scheme", default="emotions", show_default=True, help="Labels; classes that not all datasets have are left out."
)
@click.option("--split", default="loso", show_default=True, help="Of the diagonal: one split, or one with folds.")
@classifier_options
@training_options
@change_option
@click.option(
    "--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; one of the same matrix is continued."
)
@trust_code_option
@store_option
@progress_options
@json_option
def matrix(datasets: tuple[str, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Train on each DATASET and test on each other one, under the classes that all of them have.

    On the diagonal a dataset's own split decides; elsewhere all of one trains and all of another tests. The run folder
    gets a table (JSON, CSV), a figure, and the predictions of each cell, which 'compare' takes.
    """
    from pipelines import experiments

    result = experiments.matrix(datasets, **options)
    if as_json:
        print_json(result)
        return
    cells = {(cell["train"], cell["test"]): cell for cell in result["cells"]}
    names = [printable(name) for name in result["datasets"]]
    rows = [
        [shown, *(figure(cells[name, test].get("uar"), ".4f") for test in result["datasets"])]
        for shown, name in zip(names, result["datasets"], strict=True)
    ]
    print_table(("UAR (UA), trained on", *names), rows, numbers=names)
    say(f"classes: {', '.join(map(printable, result['classes']))}; chance {1 / len(result['classes']):.4f}")
    for cell in result["cells"]:
        if "none" in cell:
            notice(f"note: {cell['train']} on {cell['test']}: {cell['none']}")
    say(f"written to {result['run']}: matrix.json, matrix.csv, matrix.svg and the predictions of each cell")


@click.command(
    epilog="Example: featurestore curve emodb --normalisation speaker;  "
    "featurestore curve emodb --over copies --values 0,5,15,30 --recipe best --split group-5fold"
)
@click.argument("dataset", shell_complete=completion.datasets)
@click.option("--over", type=click.Choice(["speakers", "copies"]), default="speakers", show_default=True)
@click.option(
    "--values",
    type=Numbers(),
    default=(),
    metavar="N,N,...",
    help="Numbers of training speakers, or of copies; 0 copies are the clean rows. Default: doubled up to the most.",
)
@click.option(
    "--draws",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Trainings at each value, with other speakers and seeds.",
)
@click.option("--split", default="loso", show_default=True, help="One split, or one with folds.")
@classifier_options
@training_options
@change_option
@fold_jobs_option("Values and draws follow one another.")
@click.option(
    "--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; one of the same curve is continued."
)
@trust_code_option
@store_option
@progress_options
@json_option
def curve(dataset: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Train with ever more speakers or copies of DATASET, and test on the same items each time.

    No row is computed: copies are those that the dataset has. The run folder gets a table (JSON, CSV) and a figure.
    """
    from pipelines import experiments

    result = experiments.curve(dataset, **options)
    if as_json:
        print_json(result)
        return
    shown = [MEASURES[name] for name in TWO]
    columns = (result["over"], "rows", "draws", *shown, "deviation of UAR", "95 % interval of UAR")
    rows = [
        [
            *(point["value"], point["rows"], len(point["runs"])),
            *(figure(point["mean"][name], ".4f") for name in TWO),
            figure(point["deviation"]["uar"], ".4f"),
            between(point["interval"]["uar"]),
        ]
        for point in result["points"]
    ]
    print_table(columns, rows, numbers=columns)
    say(f"written to {result['run']}: curve.json, curve.csv and curve.svg")
