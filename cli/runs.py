"""Commands about trained models: `evaluate`, `compare`, `ensemble`, `predict`, `report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import figure, notice, print_json, print_table, printable, say
from cli.metrics import CALLED, MEASURES, TWO, between, print_summary, say_intervals, tracked
from cli.options import device_option, json_option, store_option, trust_code_option
from cli.terminal import Terminal
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from featurestore.store import Store

page_option = click.option("--page", type=click.Path(dir_okay=False), metavar="FILE", help="Also write an HTML page.")


@click.command(
    epilog="Example: featurestore evaluate runs/mathworks-001;  "
    "featurestore evaluate runs/etienne-001 --dataset warped --vote"
)
@click.argument("run", type=click.Path())
@click.option(
    "--side",
    type=click.Choice(["train", "validation", "test", "all"]),
    help="Side of the run's split; all uses every recording, trained on or not. Default: test or, for another corpus, "
    "all, which is refused if the run was trained on any of it.",
)
@click.option("--dataset", help="Evaluate on another dataset with the same features and classes.")
@click.option(
    "--vote", is_flag=True, help="Let the augmented copies of each recording vote; mean probability breaks ties."
)
@click.option(
    "--predictions", type=click.Path(dir_okay=False), metavar="FILE", help="Write a CSV file with a line for each item."
)
@device_option
@trust_code_option
@store_option
@json_option
def evaluate(run: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Evaluate RUN on a side of its split, on its training dataset or another one."""
    from pipelines import experiments

    result = experiments.evaluate(run, listener=Terminal(), **options)
    if as_json:
        print_json(result)
        return
    click.echo(f"{run} on {result['dataset']}, side: {result['side']}")
    print_summary(result)
    if result.get("sex", {}).get("sexes"):
        click.echo()
        _print_sexes(result["sex"])


def _print_sexes(found: Mapping[str, Any]) -> None:
    """Print accuracy and UAR of each sex and of their difference, with intervals."""
    groups = {**found["sexes"], **({found["difference"]["of"]: found["difference"]} if found["difference"] else {})}
    columns = ("sex", "speakers", "items", *(name for measure in TWO for name in (MEASURES[measure], "95 % interval")))
    rows = []
    for name, one in groups.items():
        form = "+.3f" if "of" in one else ".3f"
        cells = [cell for key in TWO for cell in (figure(one[key]["value"], form), between(one[key]["interval"], form))]
        rows.append([name, one.get("speakers", ""), one.get("items", ""), *cells])
    print_table(columns, rows, numbers=columns[1:])


@click.command(
    epilog="Example: featurestore compare runs/demo-001 runs/demo-002;  "
    "featurestore compare runs/a runs/b runs/c --page comparison.html"
)
@click.argument("first", metavar="RUN", type=click.Path())
@click.argument("second", metavar="RUN", type=click.Path())
@click.argument("others", metavar="[RUN...]", nargs=-1, type=click.Path())
@click.option("--side", type=click.Choice(["validation", "test"]), default="test", show_default=True)
@click.option(
    "--unit",
    type=click.Choice(["auto", "speakers", "items"]),
    default="auto",
    show_default=True,
    help="What is exchanged as a whole; auto: speakers if there are six or more, else items.",
)
@click.option("--permutations", type=click.IntRange(100, 10_000_000), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random exchanges.")
@page_option
@json_option
def compare(first: str, second: str, others: tuple[str, ...], side: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Test whether runs differ, by exchanging their predictions for the same items.

    A RUN is a run folder, a folder with the folds of a cross-validation or with several seeds, or a CSV file of
    'evaluate --predictions'. A small p-value means that equally good models would seldom differ as much. Of more than
    two runs, every pair is tested, and p-values are corrected by Holm's method.
    """
    from pipelines import experiments

    found = experiments.compare(first, second, *others, side=side, **options)
    if as_json:
        print_json(found)
    elif others:
        _print_pairs(found)
    else:
        _print_comparison(first, second, side, found)


def _print_comparison(first: str, second: str, side: str, found: Mapping[str, Any]) -> None:
    click.echo(f"first:  {first}\nsecond: {second}")
    columns = (f"{side} side", "first", "second", "difference", "95 % interval", "p-value")
    rows = [
        [
            shown,
            *(f"{one[key]:.4f}" for key in ("first", "second")),
            f"{one['difference']:+.4f}",
            between(one["interval"], "+.3f"),
            f"{one['p_value']:.4f}",
        ]
        for shown, one in _compared(found)
    ]
    print_table(columns, rows, numbers=columns[1:])
    _say_how(found)


def _compared(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what two runs were compared by, with its name: accuracy and UAR, or the CCC of each dimension."""
    if "ccc" in found:
        return [("CCC, mean", found["ccc"]), *((f"CCC of {name}", one) for name, one in found["dimensions"].items())]
    return [(MEASURES[name], found[name]) for name in TWO]


def _print_pairs(found: Mapping[str, Any]) -> None:
    names, pairs = found["runs"], found["pairs"]
    for place, name in enumerate(names, start=1):
        say(f"{place}: {printable(name)}")
    columns = (f"{found['side']} side", "runs", "difference", "95 % interval", "p-value", "Holm")
    rows = [
        [
            shown,
            f"{one} - {other}",
            f"{figures['difference']:+.4f}",
            between(figures["interval"], "+.3f"),
            f"{figures['p_value']:.4f}",
            f"{figures['p_holm']:.4f}",
        ]
        for place in range(len(_compared(pairs[0])))
        for (one, other), pair in zip(combinations(range(1, 1 + len(names)), 2), pairs, strict=True)
        for shown, figures in [_compared(pair)[place]]
    ]
    print_table(columns, rows, numbers=columns[2:])
    say(f"Holm: p-values corrected for {len(pairs)} pairs, for each measure alone")
    _say_how(pairs[0])


def _say_how(found: Mapping[str, Any]) -> None:
    """Say what was exchanged, how often, and what intervals are over."""
    reason = f" ({found['reason']})" if found["reason"] else ""
    click.echo(f"{found['items']:,} items; {found['clusters']:,} {found['unit']} exchanged{reason}")
    how = f"all {found['permutations']:,}" if found["exact"] else f"{found['permutations']:,} random"
    agreed = "the two agree on every item" if found["exact"] and found["permutations"] == 1 else f"{how} exchanges"
    click.echo(agreed)
    say_intervals("intervals", found["interval_over"], tracked(found))
    if found["ignores_speakers"]:
        say("note: items are exchanged as if independent, but clips of one speaker are similar: p-values are too small")


@click.command(epilog="Example: featurestore ensemble runs/emodb-loso-001 runs/emodb-loso-002 --out ensemble.csv")
@click.argument("members", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option("--side", type=click.Choice(["validation", "test"]), default="test", show_default=True)
@click.option(
    "--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write its predictions as CSV, for 'compare'."
)
@page_option
@json_option
def ensemble(members: tuple[str, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Let several runs label the same items together, by the mean of their probabilities.

    A RUN is what 'compare' takes; each seed of a folder is a member, and folds are pooled first.
    """
    from pipelines import experiments

    found = experiments.ensemble(members, **options)
    if as_json:
        print_json(found)
        return
    names = tracked(found)
    columns = ("member", *(CALLED[name] for name in names))
    rows = [[one["run"], *(figure(one[name], ".4f") for name in names)] for one in found["members"]]
    print_table(columns, rows, numbers=columns[1:])
    click.echo()
    print_summary(found)


@click.command(
    epilog="Example: featurestore predict runs/mathworks-001 recording.wav;  "
    "featurestore predict runs/mathworks-001 talk.wav --window 3 --hop 1 --page talk.html;  "
    "featurestore predict --pretrained recording.wav;  "
    "sox in.wav -t wav - | featurestore predict runs/emodb-loso-001 -"
)
@click.argument("run", required=False, metavar="[RUN]", type=click.Path())
@click.argument("files", nargs=-1, metavar="FILES...", type=click.Path())
@click.option(
    "--pretrained",
    is_flag=True,
    help="In place of RUN, take the small model that comes with the package: seven emotions of acted German speech.",
)
@click.option(
    "--window", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Label windows of this length."
)
@click.option(
    "--hop", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Time between the starts of two windows."
)
@click.option("--out", type=click.Path(dir_okay=False), metavar="FILE", help="Write a table FILE.csv or FILE.json.")
@click.option(
    "--page",
    type=click.Path(dir_okay=False),
    metavar="FILE.html",
    help="Write a page with the probabilities over time and, inside it, the recordings to listen to.",
)
@click.option(
    "--ffmpeg", is_flag=True, help="Let the ffmpeg of this machine convert M4A, MP4, WebM, AMR, AAC and WMA first."
)
@device_option
@trust_code_option
@json_option
def predict(
    run: str | None,
    files: tuple[str, ...],
    pretrained: bool,
    window: float | None,
    hop: float | None,
    out: str | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401 (as the function takes them)
) -> int:
    """Label audio FILES, or all audio in folders, with RUN's model; exit code 3 if some could not be read.

    Of a model that learnt dimensions such as valence, their values are printed.

    FILES may be -, for one audio file on standard input. RUN may be a folder of folds or seeds: the mean of their
    probabilities answers.

    A model expects clips like those it was trained on: for long recordings, give a --window of about their length.
    """
    from pipelines import experiments

    if hop is not None and window is None:
        raise click.UsageError("--hop needs --window.")
    if out is not None and not out.endswith((".csv", ".json")):
        raise click.UsageError("--out needs a file name that ends in .csv or .json.")
    if pretrained and run is not None:  # without RUN its place has the first file
        files, run = (run, *files), None
    if not files:
        raise click.UsageError("give a RUN and FILES, or --pretrained and FILES.")
    if pretrained:
        _refuse_runs(files)
    answers = experiments.predict(run, files, pretrained=pretrained, window=window, hop=hop, out=out, **options)
    if as_json:
        print_json(answers)
    else:
        _print_answers(answers)
    if pretrained:
        from models.pretrained import model_card

        for remark in model_card().remarks:
            notice(remark)
    return ExitCode.REJECTED if any("reason" in answer for answer in answers) else 0


def _refuse_runs(files: Sequence[str]) -> None:
    """Refuse a run folder among the files of the pretrained model."""
    from models.errors import RunError
    from models.runs.folders import RunFolder

    for file in files:
        with suppress(RunError):
            raise click.UsageError(f"--pretrained takes the place of a RUN, and {RunFolder.of(file).path} is one.")


def _print_answers(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        file = printable(answer["file"])
        if "reason" in answer:
            notice(f"rejected: {printable(answer['reason'])}")
            continue
        for one in answer.get("timeline", ()):
            click.echo(f"{file} {one['start']:.2f} to {one['end']:.2f} s: {_most_likely(one)}")
        if "timeline" not in answer:
            click.echo(f"{file}: {_most_likely(answer)}")
        for remark in answer["outside"]:
            notice(f"note: {file}: {remark}: outside the range that the model was trained on")
    for remark in {answer["normalised_as"] for answer in answers if "normalised_as" in answer}:
        notice(f"normalised as {remark}")


def _most_likely(answer: dict[str, Any]) -> str:
    if "values" in answer:
        return "  ".join(f"{printable(name)} {value:.3f}" for name, value in answer["values"].items()) or "silent"
    if answer["label"] is None:
        return "silent"
    shares = sorted(answer["probabilities"].items(), key=lambda share: -share[1])[:3]
    likely = "  ".join(f"{printable(name)} {share:.3f}" for name, share in shares)
    return f"{printable(answer['label'])}  ({likely})"


@click.command(
    epilog="Example: featurestore report emodb --examples 20;  featurestore report runs/mathworks-001 --out page.html"
)
@click.argument("what", metavar="DATASET|RUN", type=click.Path(), shell_complete=completion.datasets_or_paths)
@click.option(
    "--out", type=click.Path(dir_okay=False), help="File to write. Default: DATASET.html, or report.html in the RUN."
)
@click.option(
    "--examples",
    type=click.IntRange(0, 500),
    default=8,
    show_default=True,
    help="Recordings to look at and listen to: of a DATASET with their first copies, of a RUN its worst mistakes, and "
    "one of each cell of its confusion matrix.",
)
@click.option(
    "--audio/--no-audio",
    default=None,
    help="Put the sound of examples into the page, or not. Default: where the licence lets recordings be passed on.",
)
@click.option(
    "--baseline",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Compare a RUN with this run of 'featurestore baseline' on the same test items.",
)
@click.option("--folds", is_flag=True, help="Also write the page of each fold of a RUN, and link to them.")
@click.option(
    "--figures",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Also write every figure of a RUN there: PNG, SVG, PDF, and its numbers as CSV.",
)
@click.option("--quality", is_flag=True, help="Decode all recordings of a DATASET and list what deserves a look.")
@store_option
@json_option
def report(what: str, store: Store, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as the function takes them)
    """Write an HTML page about DATASET, or about RUN, which may be a folder of folds or seeds.

    A page about a dataset shows its card, classes, speakers, splits and leaks, and examples as the rows have them; one
    about a run its metrics, curves, settings and leaks. Each is one file that needs no other and no network.
    """
    from pipelines import experiments

    found = experiments.report(what, store=store, listener=Terminal(), **options)
    if as_json:
        print_json(found)
        return
    click.echo(found["path"])
    if "figures" in found:
        click.echo(f"{len(found['figures'])} files in {options['figures']}")
