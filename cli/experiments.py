"""Commands that train: `train`, `crossval`, `tune`, `reproduce`. `pipelines.experiments` does the work."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import figure, notice, print_json, print_table, say
from cli.metrics import MEASURES, print_chance, print_runs, print_sides, print_summary
from cli.options import (
    allow_unencrypted_option,
    change_option,
    device_option,
    experiment_options,
    fold_jobs_option,
    fold_scheduler_option,
    json_option,
    leak_option,
    refuse_changes,
    source_option,
    store_option,
    target_option,
    training_options,
    trust_code_option,
    validate_option,
)
from cli.progress import progress_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.experiments.recipe import Recipe


@click.command(epilog="Example: featurestore train --recipe mathworks --source download.zip")
@experiment_options
@click.option(
    "--split",
    shell_complete=completion.splits_or_paths,
    help="speakers, loso/03, emodb/mathworks, sides.tsv, ... Default: the recipe's.",
)
@validate_option
@target_option
@training_options
@click.option("--seeds", type=click.IntRange(1), help="Train this many times, with seeds 0, 1, ...")
@click.option("--resume", type=click.Path(file_okay=False), metavar="RUN", help="Continue an interrupted run.")
@change_option
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder. Default: runs/NAME-NUMBER.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Worker processes of the build that comes first; the training is one process. Default: all cores.",
)
@trust_code_option
@store_option
@progress_options
@json_option
def train(resume: str | None, device: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Train a model on DATASET or from a recipe; missing rows are built first.

    Several GPUs: 'torchrun --standalone --nproc-per-node 2 -m -- featurestore train ...'; --batch-size is the total
    over all GPUs.
    """
    from models.optimisation.distributed import joined
    from pipelines import experiments

    if resume:
        refuse_changes()
    with joined(device) as ranks, printing_only_if(ranks.first):
        result = experiments.train(resume=resume, device=device, ranks=ranks, **options)
        if as_json:
            print_json(result)
        elif ranks.first:
            _print_training(result)


@contextmanager
def printing_only_if(wanted: bool) -> Iterator[None]:
    """Suppress output, but not errors, unless it is wanted: only one of several processes prints."""
    if wanted:
        yield
        return
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _print_training(result: dict[str, Any]) -> None:
    from pipelines.experiments.training import recorded_run

    runs = result.get("runs", [result])
    if "runs" in result:
        print_runs(runs, "seeds", result)
    else:
        print_sides(result)
    experiment = recorded_run(Path(result["run"])).experiment
    for name, value in experiment.published.items():
        where = f"on {experiment.published_on} ({experiment.source})"
        say(f"published test {MEASURES.get(name, name)}: {value:.4f} {where}")
    rate, device = runs[0]["clips_per_second"], runs[0]["device"]
    say(f"{result['run']}: {rate:.0f} clips/s on {device}; 'featurestore report {result['run']}' makes a page of it")


@click.command(
    epilog="Example: featurestore crossval emodb --split loso --jobs 2;  featurestore crossval --resume runs/x-001"
)
@experiment_options
@click.option(
    "--split",
    shell_complete=completion.splits_or_paths,
    help="A split with folds: loso, group-5fold, emodb/loso, ... Default: the recipe's.",
)
@validate_option
@target_option
@training_options
@change_option
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder; an existing one is resumed.")
@click.option(
    "--resume", type=click.Path(file_okay=False), metavar="FOLDER", help="Continue an interrupted cross-validation."
)
@fold_jobs_option("With --scheduler, its number of workers applies instead.")
@fold_scheduler_option
@allow_unencrypted_option
@trust_code_option
@store_option
@progress_options
@json_option
def crossval(resume: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Train and test once for every fold of a protocol; a fold that fails does not stop the others."""
    from pipelines import experiments

    if resume:
        refuse_changes()
    elif not (options["recipe"] or options["split"]):
        raise click.UsageError("give a protocol with folds: --split loso, or --recipe NAME.")
    result = experiments.crossval(resume=resume, **options)
    if as_json:
        print_json(result)
        return
    print_runs(result["folds"], "folds", result)
    click.echo("\ntest items of all folds together (pooled)")
    print_summary(result["pooled"])
    click.echo()
    say(f"written to {result['run']}; 'featurestore report {result['run']}' makes a page of it")


@click.command(
    epilog="Example: featurestore baseline emodb --normalisation speaker;  "
    "featurestore compare runs/emodb-loso-001 runs/emodb-svm-linear-loso-001"
)
@click.argument("dataset", shell_complete=completion.datasets)
@click.option(
    "--split",
    default="loso",
    shell_complete=completion.splits_or_paths,
    show_default=True,
    help="One split, or one with folds; validation trains too.",
)
@click.option(
    "--model", type=click.Choice(["svm-linear", "svm-rbf", "logistic"]), default="svm-linear", show_default=True
)
@click.option(
    "--normalisation",
    type=click.Choice(["training", "speaker", "utterance", "none"]),
    default="training",
    show_default=True,
    help="What functionals are scaled over; speaker sees the features of the test speakers (transductive).",
)
@click.option(
    "--regularisation",
    type=click.FloatRange(0, min_open=True),
    metavar="C",
    help="Default: chosen by inner folds over the training speakers.",
)
@leak_option
@click.option("--run", "folder", type=click.Path(), metavar="FOLDER", help="Run folder. Default: runs/NAME-NUMBER.")
@store_option
@progress_options
@json_option
def baseline(as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Classify functionals of the clean rows of DATASET: what a network has to beat, in seconds.

    Mean, deviation, percentiles and slopes of each feature over time, and a classifier of scikit-learn. 'report' and
    'compare' take its run folder.
    """
    from pipelines import experiments

    result = experiments.baseline(**options)
    if as_json:
        print_json(result)
        return
    if len(result["folds"]) > 1:
        print_runs(result["folds"], "folds", result)
        click.echo("\ntest items of all folds together (pooled)")
    print_summary(result["pooled"])
    click.echo()
    print_chance(result["chance"])
    say(f"written to {result['run']}; 'featurestore compare RUN {result['run']}' tests a network against it")


@click.command(epilog="Example: featurestore tune --recipe zhao --trials 20 --source download.zip")
@click.option(
    "--recipe",
    required=True,
    metavar="NAME|FILE",
    shell_complete=completion.recipes,
    help="A recipe with a [tune] table.",
)
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Total number of trainings.")
@click.option("--corpus", help="Use the recipe on another corpus.")
@source_option
@click.option("--split", help="Default: the recipe's.")
@click.option("--epochs", type=click.IntRange(1))
@click.option(
    "--objective", default="validation accuracy", show_default=True, help="Or: validation uar, validation loss."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the search.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Fix a field at a value; repeatable.")
@click.option("--run", "folder", type=click.Path(file_okay=False), metavar="FOLDER", help="Folder of all trials.")
@device_option
@fold_jobs_option("Trials follow one another. With --scheduler, its number of workers applies instead.")
@fold_scheduler_option
@allow_unencrypted_option
@trust_code_option
@store_option
@progress_options
@json_option
def tune(recipe: str, objective: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Search a recipe's settings: train with many, and list those with the best validation results.

    Trials are compared by their validation side only. Rerun the same command to resume an interrupted search.
    """
    from pipelines import experiments
    from pipelines.experiments.search import best_first

    found = experiments.tune(recipe, objective=objective, **options)
    if as_json:
        print_json(found)
        return
    fields = list(found["best"]["settings"])
    rows = []
    for trial in best_first(found["trials"], objective):
        values = [trial["settings"][field] for field in fields]
        shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
        rows.append([trial["trial"], figure(trial["value"], ".4f"), *shown])
    print_table(("trial", objective, *fields), rows, numbers=("trial", objective, *fields))
    command = ["featurestore", "train", "--recipe", recipe]
    for option in ("corpus", "split", "epochs"):
        command += [f"--{option}", str(options[option])] if options[option] else []
    chosen = [f"{field}={value}" for field, value in found["best"]["settings"].items()]
    command += [part for setting in (*options["settings"], *chosen) for part in ("--set", setting)]
    click.echo(f"train the best: {shlex.join(command)}")


@click.command(epilog="Example: featurestore reproduce mathworks --seeds 5 --full --source download.zip")
@click.argument("recipe", metavar="NAME")
@click.option("--corpus", help="Train on this corpus, if the recipe supports it. Default: the published one.")
@source_option
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Trainings of each row.")
@click.option("--full", is_flag=True, help="Train as published, for hours. Default: the recipe's reduced setting.")
@click.option("--plan", is_flag=True, help="Print what would be trained and for how long; train nothing.")
@click.option("--row", "rows", multiple=True, metavar="ROW", help="Only this row; repeatable.")
@click.option(
    "--split",
    shell_complete=completion.splits_or_paths,
    help="Another split or protocol; published figures do not stand beside its rows.",
)
@leak_option
@click.option("--show", is_flag=True, help="Print the results that come with the repository; train nothing.")
@click.option("--keep", type=click.Path(dir_okay=False), metavar="FILE", help="Also add the results to this file.")
@click.option("--run", "folder", type=click.Path(file_okay=False), metavar="FOLDER", help="Folder of all trainings.")
@device_option
@fold_jobs_option("Rows and seeds follow one another.")
@trust_code_option
@store_option
@progress_options
@json_option
def reproduce(recipe: str, corpus: str | None, show: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Train the rows of the table published for recipe NAME, and print its results next to ours.

    Rerun an interrupted command to resume it. The reduced setting takes few epochs: read its results against chance,
    not against the source.
    """
    from pipelines import experiments
    from pipelines.experiments.kept_results import committed_results
    from pipelines.experiments.recipe import read_recipe

    if show:
        if options["split"] or options["rows"]:
            raise click.UsageError("--show prints all that is kept: leave out --split and --row, or leave out --show.")
        lines = committed_results(recipe, corpus, options["listener"])
    else:
        lines = experiments.reproduce(recipe, corpus=corpus, **options)
    if as_json:
        print_json(lines)
    elif options["plan"] and not show:
        _print_plan(lines)
    else:
        _print_results(lines, read_recipe(recipe))


def _print_plan(lines: list[dict[str, Any]]) -> None:
    """Print what `reproduce` would train."""
    columns = ("row", "protocol", "folds", "seeds", "epochs", "clips", "rows", "clips/s", "hours")
    table = [
        [
            *(line["row"], line["protocol"], line["folds"] or "-", line["seeds"], line["epochs"]),
            figure(line["clips"], ","),
            "in the store" if line["cached"] else "to compute",
            *(figure(line["clips_per_second"], ".0f"), figure(line["hours"], ".2f")),
        ]
        for line in lines
    ]
    print_table(columns, table, numbers=(*columns[2:6], *columns[7:]))
    known = [line["hours"] for line in lines if line["hours"] is not None]
    if len(known) < len(lines):
        notice("a dash: not known before the corpus is read (--source), or a row of this network was trained")
    if known:
        notice(f"at most {sum(known):.1f} hours of training, at the rate of one step timed now, or of the kept results")


def _print_results(lines: list[dict[str, Any]], recipe: Recipe) -> None:
    """Print published results beside ours, and under the table what both are of."""
    from pipelines.experiments.row_figures import row_names

    columns = ("row", "metric", "published", "ours", "95 %", "chance", "baseline", "runs")
    table, why = [], []
    measured = iter(row_names([line for line in lines if line["runs"]]))
    for line in lines:
        interval, baseline = line["interval"], line["baseline"]
        reduced = " REDUCED" if line["setting"] == "reduced" else ""
        table.append(
            [
                *(next(measured) if line["runs"] else line["row"], line["metric"]),
                with_deviation(line["published"], line["published_deviation"]),
                with_deviation(line["ours"], line["deviation"]) + reduced,
                f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "-",
                figure(line["chance"], ".2f"),
                f"{baseline['figure']:.2f} (p {baseline['p_holm']:.4f})" if baseline else "-",
                line["runs"],
            ]
        )
        why += [f"no figure of ours on {line['corpus']}: {line['why']}"] if line["why"] else []
    print_table(columns, table, numbers=columns[2:])
    for text in (*dict.fromkeys(why), *dict.fromkeys(map(_condition, (one for one in lines if one["runs"])))):
        notice(text)
    notice("95 %: over speakers. baseline: linear SVM on functionals of the same rows; p: that ours equals it (Holm)")
    if any(line["baseline"] and line["baseline"]["exchanged"] == "items" for line in lines):
        notice("p is too small where fewer than six speakers are judged: their recordings are exchanged one by one")
    for text in (*filter(None, [recipe.deviation]), *recipe.departures):
        notice(f"note: {text}")


def with_deviation(value: float | None, deviation: float | None) -> str:
    """Return a figure, with its deviation where it has one."""
    return figure(value, ".4f") + (f" +- {deviation:.4f}" if deviation is not None else "")


def _condition(line: dict[str, Any]) -> str:
    """Return on what a result of ours was measured, in words."""
    theirs = line["published_corpus"]
    named = f" ({line['task']})" if line["task"] else ""
    task = f", {line['classes']} classes{named}" if line["classes"] else ""
    over = f", +- over {line['deviation_over']}" if line["deviation_over"] else ""
    published = f"; published on {theirs}" if theirs and theirs != line["corpus"].partition("/")[0] else ""
    return f"ours: {line['corpus']}, {line['protocol']}{task}, {line['setting']} setting{over}{published}"
