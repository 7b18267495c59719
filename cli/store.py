"""Commands about a store: `ls`, `info`, `forget`, `export`, `verify`, `repair`, `gc`, `why`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import notice, print_card, print_json, print_table, printable, size
from cli.options import file_limit_options, json_option, source_option, store_option, trust_code_option
from featurestore.errors import ExitCode

if TYPE_CHECKING:
    from featurestore.corpus.sources.archive_safety import Limits
    from featurestore.store import Store

MOST_LISTED = 20
DIGITS = 12
"""Of a digest in a list."""
WIDEST_CORPUS = 20
"""Characters of a corpus in a list; more are cut, and `info` has them all."""


@click.command(epilog="Example: featurestore ls")
@store_option
@json_option
def ls(place: str | None, as_json: bool) -> None:
    """List the datasets of the store."""
    from featurestore.store import open_store

    store = open_store(place)
    rows = _datasets(store)
    if not rows:
        store.require()
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo(f"no datasets in {store.uri}; try: featurestore build demo --augment 10")
    else:
        columns = ("dataset", "corpus", "rows", "size", "shared", "digest", "")
        table = [
            (
                r["dataset"],
                _shown_corpus(r["corpus"]),
                f"{r['rows']:,}",
                size(r["bytes"]),
                size(r["shared_bytes"]),
                r["digest"][:DIGITS],
                "in the base" if r["base"] else "",
            )
            for r in rows
        ]
        print_table(columns, table, numbers=("rows", "size", "shared"))


def _shown_corpus(corpus: str) -> str:
    return corpus if len(corpus) <= WIDEST_CORPUS else f"{corpus[: WIDEST_CORPUS - 1]}…"


def _datasets(store: Store) -> list[dict[str, Any]]:
    """Describe every dataset; bytes in shards that another line refers to count as shared."""
    references = store.references()
    records = {reference.dataset: store.dataset(reference.dataset) for reference in references}
    users = Counter(address for reference in references for address in records[reference.dataset].addresses)
    named = set(store.names())
    return [
        {
            "dataset": r.name
            if r.name in named and store.reference(r.name) == r
            else records[r.dataset].digest[:DIGITS],
            "corpus": store.table(r.table).corpus,
            "rows": records[r.dataset].rows,
            "bytes": store.bytes_of(records[r.dataset].addresses),
            "shared_bytes": store.bytes_of(a for a in records[r.dataset].addresses if users[a] > 1),
            "digest": records[r.dataset].digest,
            "base": store.borrowed(records[r.dataset].key),
        }
        for r in references
    ]


@click.command(epilog="Example: featurestore info emodb")
@click.argument("dataset")
@store_option
@json_option
def info(dataset: str, place: str | None, as_json: bool) -> None:
    """Describe DATASET, a name or the beginning of a digest."""
    import numpy as np

    from featurestore.specs.recordings import briefly
    from featurestore.store import open_store

    view = open_store(place).view(dataset)
    clean = view.select(view.copies == 0)
    frames = {"min": int(view.frames.min()), "median": float(np.median(view.frames)), "max": int(view.frames.max())}
    document = {
        "dataset": view.name,
        "digest": view.digest,
        "corpus": view.table.corpus,
        "licence": view.table.licence,
        "citation": view.table.citation,
        "rows": len(view),
        "copies": int(view.copies.max()),
        "frames": frames,
        "labels": dict(sorted(Counter(clean.labels.tolist()).items())),
        "speakers": dict(sorted(Counter(speaker or "unknown" for speaker in clean.speakers).items())),
        "features": view.features.to_dict(),
        "augmentation": view.augmentation.to_dict() if view.augmentation else None,
        "rejected": [{"path": one.path, "reason": one.reason} for one in view.table.rejected],
    }
    if as_json:
        print_json(document)
        return
    print_card({**document, "augmentation": briefly(view.augmentation.to_dict() if view.augmentation else {})})


@click.command(epilog="Example: featurestore forget emodb")
@click.argument("dataset")
@store_option
@json_option
def forget(dataset: str, place: str | None, as_json: bool) -> None:
    """Forget DATASET: its name goes, its shards stay until garbage is collected."""
    from featurestore.store import open_store

    reference = open_store(place).forget(dataset)
    if as_json:
        print_json({"dataset": reference.name})
    else:
        named = dataset == reference.name
        click.echo(f"forgot {dataset}{'' if named else f', once named {reference.name}'}")


@click.command(epilog="Example: featurestore export emodb --to hdf5 --out emodb.h5")
@click.argument("dataset")
@click.option("--to", "target", required=True, metavar="FORMAT", help="hdf5")
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="File to write.")
@store_option
@json_option
def export(dataset: str, target: str, out: str, place: str | None, as_json: bool) -> None:
    """Write DATASET to a file of another format."""
    from featurestore.store import open_store
    from pipelines.export import export as write

    rows = write(open_store(place).view(dataset), target, Path(out))
    if as_json:
        print_json({"rows": rows, "path": out})
    else:
        click.echo(f"{rows:,} rows in {out}")


@click.command(epilog="Example: featurestore verify emodb --recompute 100")
@click.argument("dataset", required=False)
@click.option("--recompute", type=click.IntRange(0), default=0, help="Also compute so many rows again and compare.")
@trust_code_option
@store_option
@json_option
def verify(dataset: str | None, recompute: int, place: str | None, as_json: bool) -> int:
    """Check every byte of the store, or of DATASET; exit code 4 if anything is damaged."""
    from featurestore.integrity.verify import verify as check
    from featurestore.store import open_store

    store = open_store(place)
    findings = check(store, dataset)
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
            notice(f"damaged: {printable(key)}: {printable(reason)}")
        verdict = "no damage"
        if findings.damaged:
            verdict = f"{len(findings.damaged):,} damaged objects; 'featurestore repair' repairs what it can"
        click.echo(f"{findings.shards:,} shards, {findings.rows:,} rows: {verdict}")
    return ExitCode.DAMAGE if findings.damaged else 0


def _recomputed(store: Store, rows: int, dataset: str | None) -> dict[str, object]:
    """Compute a sample of rows again and say how it went."""
    from featurestore.integrity.verify import recompute
    from pipelines.workers.engines import open_engine

    drift = recompute(store, rows, dataset, open_engine)
    for row, reason in drift.drifted[:MOST_LISTED]:
        notice(f"drift: {row}: {printable(reason)}")
    notice(f"{drift.recomputed:,} rows computed again, {len(drift.drifted):,} with other bits")
    if drift.skipped:
        notice(f"{drift.skipped:,} sampled rows were made by other versions of the libraries and are not compared")
    drifted = [{"row": row, "reason": reason} for row, reason in drift.drifted]
    return {"recomputed": drift.recomputed, "skipped": drift.skipped, "drifted": drifted}


@click.command(epilog="Example: featurestore repair emodb --source download.zip")
@click.argument("dataset", required=False)
@source_option
@file_limit_options
@trust_code_option
@store_option
@json_option
def repair(dataset: str | None, source: str | None, place: str | None, as_json: bool, limits: Limits) -> int:
    """Repair what is damaged, in the store or in DATASET; exit code 4 if something cannot be repaired."""
    from featurestore.store import open_store
    from pipelines.repair.repair import repair as mend

    repairs = mend(open_store(place), dataset, source, limits)
    if as_json:
        left = [{"object": key, "reason": reason} for key, reason in repairs.left]
        print_json({"repaired": list(repairs.repaired), "damaged": left})
    else:
        for key in repairs.repaired:
            notice(f"repaired: {printable(key)}")
        for key, reason in repairs.left:
            notice(f"still damaged: {printable(key)}: {printable(reason)}")
        click.echo(f"{len(repairs.repaired):,} objects repaired, {len(repairs.left):,} still damaged")
    return ExitCode.DAMAGE if repairs.left else 0


@click.command(epilog="Example: featurestore gc --delete")
@click.option("--delete", is_flag=True, help="Remove what is listed.")
@click.option(
    "--grace", type=click.FloatRange(0), default=7.0, show_default=True, metavar="DAYS", help="Keep what is younger."
)
@click.option("--compact", is_flag=True, help="First give grown datasets the layout of fresh builds (writes).")
@store_option
@json_option
def gc(delete: bool, grace: float, compact: bool, place: str | None, as_json: bool) -> None:
    """List what no dataset needs, or remove it; what is younger than the grace period is kept."""
    from featurestore.integrity.collect import DAY, collect
    from featurestore.store import open_store
    from pipelines.repair.relocate import compact as move

    store = open_store(place)
    if compact:
        notice(f"{move(store):,} datasets moved to the layout of a fresh build")
    found = collect(store, grace=grace * DAY, delete=delete, announce=_announce)
    if as_json:
        deleted = len(found.objects) if found.deleted else 0
        print_json({"objects": len(found.objects), "bytes": found.bytes, "deleted": deleted})
        return
    verb = "removed" if delete else "can be removed with --delete"
    click.echo(f"{len(found.objects):,} objects, {size(found.bytes)}: {verb}")
    if found.young:
        notice(f"{found.young:,} more are younger than {grace:g} days and are kept (--grace)")


def _announce(objects: Iterable[tuple[str, int]]) -> None:
    """Print objects before they are removed."""
    for key, count in objects:
        notice(f"{printable(key)}  {size(count)}")


@click.command(epilog="Example: featurestore why emodb --against emodb-mathworks")
@click.argument("dataset")
@click.option("--against", metavar="DATASET", help="Another dataset. Default: what a build would make now.")
@store_option
@json_option
def why(dataset: str, against: str | None, place: str | None, as_json: bool) -> None:
    """Explain how DATASET differs from another, or why a build would compute its rows again."""
    from featurestore.integrity.explain import compare_datasets, explain_build, readable
    from featurestore.store import open_store

    store = open_store(place)
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
