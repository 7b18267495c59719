"""`featurestore push` and `featurestore pull`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli import completion
from cli.console import notice, print_json, printable
from cli.options import json_option, store_option
from cli.terminal import CountProgress
from featurestore.showing import spelled_bytes

if TYPE_CHECKING:
    from featurestore.moving.copying import Copied
    from featurestore.store import Store

name_option = click.option("--as", "name", metavar="NAME", help="Call the copy so. Default: as the dataset.")
without_option = click.option(
    "--without-sources",
    "without",
    is_flag=True,
    help="Leave the recordings out: the copy has features only, and whatever needs audio refuses it in one line.",
)


@click.command(epilog="Example: featurestore push emodb s3://our-bucket/features")
@click.argument("dataset", shell_complete=completion.datasets)
@click.argument("other", metavar="STORE")
@name_option
@without_option
@click.option(
    "--with-corpus", "corpus", is_flag=True, help="Also copy all files of its corpus, so that builds there need none."
)
@click.option(
    "--redistribute",
    is_flag=True,
    help="The licence, or who reads the other place, allows to pass the recordings on, though the manifest does not.",
)
@store_option
@json_option
def push(
    dataset: str,
    other: str,
    name: str | None,
    without: bool,
    corpus: bool,
    redistribute: bool,
    store: Store,
    as_json: bool,
) -> None:
    """Copy DATASET to STORE, a folder or s3://BUCKET/PREFIX; what stands there already is not sent again."""
    from featurestore.moving.copying import push as copy

    done = copy(
        store,
        dataset,
        _opened(other),
        name=name,
        sources=not without,
        corpus=corpus,
        redistribute=redistribute,
        progress=CountProgress("copied"),
    )
    _print(done, as_json=as_json)


@click.command(epilog="Example: featurestore pull emodb s3://our-bucket/features")
@click.argument("dataset", shell_complete=completion.datasets)
@click.argument("other", metavar="STORE")
@name_option
@without_option
@click.option(
    "--with-corpus",
    "corpus",
    is_flag=True,
    help="Also take over which files its corpus has, so that builds here need no source; from whom you trust.",
)
@store_option
@json_option
def pull(dataset: str, other: str, name: str | None, without: bool, corpus: bool, store: Store, as_json: bool) -> None:
    """Copy DATASET from STORE: a folder, s3://BUCKET/PREFIX or https://SERVER/FOLDER.

    Nothing of it is believed before it is checked.
    """
    from featurestore.moving.copying import pull as copy

    done = copy(
        store, dataset, _opened(other), name=name, sources=not without, corpus=corpus, progress=CountProgress("copied")
    )
    _print(done, as_json=as_json)


def _opened(place: str) -> Store:
    """Open the store at the other end, which no base belongs to."""
    from featurestore.storage import open_storage
    from featurestore.store import Store

    return Store(open_storage(place))


def _print(done: Copied, *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(done), "notes": list(done.notes)})
        return
    for text in done.notes:
        notice(f"note: {text}")
    notice(f"licence: {done.licence or 'none stated'}" + (f"; cite: {done.citation}" if done.citation else ""))
    kind = "" if done.sources else ", without recordings"
    click.echo(
        f"{printable(done.dataset)}: {done.objects:,} objects copied ({spelled_bytes(done.bytes)}), {done.standing:,} "
        f"there already{kind}; {done.seconds:.1f} s"
    )
    click.echo(f"digest {done.digest}")
