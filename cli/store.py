"""Commands that look at a store: `ls`, `info`, `forget`, `export`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from cli.console import print_card, print_json, print_table, size
from cli.options import json_option, store_option

if TYPE_CHECKING:
    from featurestore.store import Store

DIGITS = 12
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
    from pathlib import Path

    from featurestore.store import open_store
    from pipelines.export import export as write

    rows = write(open_store(place).view(dataset), target, Path(out))
    if as_json:
        print_json({"rows": rows, "path": out})
    else:
        click.echo(f"{rows:,} rows in {out}")
