"""Commands about a store: `ls`, `info`, `forget`, `export`, `verify`, `repair`, `gc`, `why`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import (
    columns_to_fit,
    notice,
    print_card,
    print_json,
    print_table,
    printable,
    say,
    shorten_middle,
)
from cli.options import file_limit_options, json_option, source_option, store_option, trust_code_option
from cli.terminal import CountProgress
from featurestore.errors import ExitCode
from featurestore.showing import spelled_bytes

if TYPE_CHECKING:
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.store import Store

MOST_LISTED = 20
WIDEST_CORPUS = 20
"""Columns of a corpus in a list on a terminal; `info` has all of it."""


@click.command(epilog="Example: featurestore ls")
@store_option
@json_option
def ls(store: Store, as_json: bool) -> int:
    """List the datasets of the store; exit code 4 if a name cannot be read."""
    from featurestore.store import SHOWN_DIGITS

    rows = store.describe_datasets()
    if not rows:
        store.require()
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(f"no datasets in {store.uri}; try: featurestore build demo --augment 10")
    else:
        table = [
            (
                row["dataset"],
                row["corpus"] if columns_to_fit() is None else shorten_middle(row["corpus"], WIDEST_CORPUS),
                f"{row['rows']:,}",
                spelled_bytes(row["bytes"]),
                spelled_bytes(row["shared_bytes"]),
                row["digest"][:SHOWN_DIGITS],
                _state(row),
            )
            for row in rows
        ]
        columns = ("dataset", "corpus", "rows", "size", "shared", "digest", "")
        print_table(columns, table, numbers=("rows", "size", "shared"))
    wrong = store.damaged_references()
    for error in wrong:
        notice(f"error: {error}")
    return ExitCode.DAMAGE if wrong else ExitCode.DONE


def _state(row: Mapping[str, Any]) -> str:
    """Say what else is to be known of a dataset in a list."""
    if row["missing"]:
        return f"{row['missing']:,} shards missing" if row["digest"] else "its record is missing"
    return "in the base" if row["base"] else ""


@click.command(epilog="Example: featurestore info emodb")
@click.argument("dataset", shell_complete=completion.datasets)
@store_option
@json_option
def info(dataset: str, store: Store, as_json: bool) -> None:
    """Describe DATASET, given by its name or the beginning of its digest."""
    from featurestore.datasets import SOURCES
    from featurestore.perturbations.policy_tables import briefly

    document = store.view(dataset).describe()
    document["sources"] = SOURCES not in store.lacks(store.reference(dataset).dataset)
    if as_json:
        print_json(document)
        return
    print_card({**document, "augmentation": briefly(document["augmentation"] or {})})


@click.command(epilog="Example: featurestore forget emodb")
@click.argument("dataset", shell_complete=completion.datasets)
@store_option
@json_option
def forget(dataset: str, store: Store, as_json: bool) -> None:
    """Forget DATASET: its name is removed; 'featurestore gc --delete' removes what nothing else needs."""
    reference = store.forget(dataset)
    if as_json:
        print_json({"dataset": reference.name})
    else:
        named = dataset == reference.name
        click.echo(f"forgot {dataset}{'' if named else f', once named {reference.name}'}")


@click.command(epilog="Example: featurestore export emodb --to hdf5 --out emodb.h5")
@click.argument("dataset", metavar="DATASET|RUN", shell_complete=completion.datasets_or_paths)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="FORMAT",
    help="csv, hdf5, huggingface, kaldi, lhotse, parquet, wav, webdataset for a dataset; onnx, torchscript for a run.",
)
@click.option(
    "--out", required=True, type=click.Path(), help="File to write; the folder, but for csv, hdf5, parquet and models."
)
@click.option("--split", metavar="NAME", help="Keep the sides of this split apart, in huggingface and lhotse.")
@store_option
@json_option
def export(dataset: str, target: str, out: str, split: str | None, store: Store, as_json: bool) -> None:
    """Write DATASET, or the model of the folder RUN with its normalisation, in another format."""
    if target in ("onnx", "torchscript"):
        if split is not None:
            raise click.UsageError("--split belongs to a dataset, not to a model.")
        from models.exports import export_model
        from models.runs.run import load_run

        run = load_run(dataset)
        export_model(run, target, Path(out))
        if as_json:
            print_json({"model": run.config.model, "path": out})
        else:
            click.echo(f"{run.config.model} in {out}")
        return
    from pipelines.exports import export as write
    from pipelines.exports import leak_note, licence_note

    view = store.view(dataset)
    rows = write(view, target, Path(out), split)
    for note in (licence_note(view, target), leak_note(view, split) if split else ""):
        if note:
            notice(f"note: {printable(note)}")
    if as_json:
        print_json({"rows": rows, "path": out})
    else:
        click.echo(f"{rows:,} rows in {out}")


@click.command(epilog="Example: featurestore verify emodb --recompute 100")
@click.argument("dataset", required=False, shell_complete=completion.datasets)
@click.option("--recompute", type=click.IntRange(0), default=0, help="Also recompute this many rows and compare.")
@trust_code_option
@store_option
@json_option
def verify(dataset: str | None, recompute: int, store: Store, as_json: bool) -> int:
    """Check every byte of the store, or of DATASET; exit code 4 if anything is damaged."""
    from featurestore.integrity.verify import verify as check

    findings = check(store, dataset, CountProgress("checked", "objects"))
    document: dict[str, object] = {
        "shards": findings.shards,
        "rows": findings.rows,
        "damaged": [{"object": key, "reason": reason} for key, reason in findings.damaged],
    }
    if recompute:
        document |= _recomputed(store, recompute, dataset)
    if as_json:
        print_json(document)
    else:
        for key, reason in findings.damaged:
            notice(f"damaged: {key}: {reason}")
        verdict = "no damage"
        if findings.damaged:
            verdict = f"{len(findings.damaged):,} damaged objects; 'featurestore repair' repairs what it can"
        say(f"{findings.shards:,} shards, {findings.rows:,} rows: {verdict}")
    return ExitCode.DAMAGE if findings.damaged else 0


def _recomputed(store: Store, rows: int, dataset: str | None) -> dict[str, object]:
    """Recompute a sample of rows and report those that differ."""
    from featurestore.integrity.verify import recompute
    from pipelines.workers.engines import open_engine

    drift = recompute(store, rows, dataset, open_engine)
    for row, reason in drift.drifted[:MOST_LISTED]:
        notice(f"drift: {row}: {reason}")
    notice(f"{drift.recomputed:,} rows recomputed, {len(drift.drifted):,} with different bits")
    if drift.skipped:
        notice(
            f"{drift.skipped:,} sampled rows were made by other versions of the libraries, or lack their recordings: "
            "they are not compared"
        )
    drifted = [{"row": row, "reason": reason} for row, reason in drift.drifted]
    return {"recomputed": drift.recomputed, "skipped": drift.skipped, "drifted": drifted}


@click.command(epilog="Example: featurestore repair emodb --source download.zip")
@click.argument("dataset", required=False, shell_complete=completion.datasets)
@source_option
@file_limit_options
@trust_code_option
@store_option
@json_option
def repair(dataset: str | None, source: str | None, store: Store, as_json: bool, limits: Limits) -> int:
    """Repair what is damaged, in the store or in DATASET; exit code 4 if something cannot be repaired."""
    from pipelines.repair import repair as mend

    repairs = mend(store, dataset, source, limits, CountProgress("checked", "objects"))
    if as_json:
        left = [{"object": key, "reason": reason} for key, reason in repairs.left]
        print_json({"repaired": list(repairs.repaired), "damaged": left})
    else:
        for key in repairs.repaired:
            notice(f"repaired: {key}")
        for key, reason in repairs.left:
            notice(f"still damaged: {key}: {reason}")
        say(f"{len(repairs.repaired):,} objects repaired, {len(repairs.left):,} still damaged")
    return ExitCode.DAMAGE if repairs.left else 0


@click.command(epilog="Example: featurestore gc --delete")
@click.option("--delete", is_flag=True, help="Remove what is listed.")
@click.option(
    "--grace", type=click.FloatRange(0), default=7.0, show_default=True, metavar="DAYS", help="Keep what is younger."
)
@click.option(
    "--compact", is_flag=True, help="First rewrite datasets that grew in steps into the layout of a fresh build."
)
@store_option
@json_option
def gc(delete: bool, grace: float, compact: bool, store: Store, as_json: bool) -> None:
    """List what no dataset needs, or remove it; what is younger than the grace period is kept."""
    from featurestore.integrity.collect import DAY, collect
    from pipelines.compact import compact as move

    def announce(objects: Iterable[tuple[str, int]]) -> None:
        """Print the objects that are about to go, with their bytes."""
        for key, count in objects:
            notice(f"{key}  {spelled_bytes(count)}")

    if compact:
        notice(f"{move(store):,} datasets moved to the layout of a fresh build")
    found = collect(store, grace=grace * DAY, delete=delete, announce=announce)
    if as_json:
        deleted = len(found.objects) if found.deleted else 0
        print_json({"objects": len(found.objects), "bytes": found.bytes, "deleted": deleted})
        return
    verb = "removed" if delete else "can be removed with --delete"
    say(f"{len(found.objects):,} objects, {spelled_bytes(found.bytes)}: {verb}")
    if found.young:
        notice(f"{found.young:,} more are younger than {grace:g} days and are kept (--grace)")


@click.command(epilog="Example: featurestore why emodb --against emodb-mathworks")
@click.argument("dataset", shell_complete=completion.datasets)
@click.option("--against", metavar="DATASET", help="Another dataset. Default: what a build would make now.")
@store_option
@json_option
def why(dataset: str, against: str | None, store: Store, as_json: bool) -> None:
    """Explain how DATASET differs from another, or why a build would recompute its rows."""
    from featurestore.integrity.explain import compare_datasets, explain_build, readable

    if against is not None:
        found = compare_datasets(store, dataset, against)
    else:
        found = explain_build(store, dataset, _contents_now(store, dataset))
    if as_json:
        print_json([difference.to_dict() for difference in found])
    elif found:
        print_card([(printable(name), printable(text)) for name, text in readable(found)])
    else:
        click.echo("no difference" if against else "nothing: a build like it would compute no row")


def _contents_now(store: Store, dataset: str) -> set[str] | None:
    """Return the recordings that a dataset's corpus has now; None if the store does not know."""
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.errors import FeatureStoreError
    from pipelines.ingest.ingest import corpus_of_store

    try:
        corpus = corpus_of_store(store, find_corpus_spec(store.table(store.reference(dataset).table).corpus))
    except FeatureStoreError:  # a corpus of the user's own, or a store without its listing
        return None
    return {utterance.content for utterance in corpus.utterances} if corpus else None
