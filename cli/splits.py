"""`featurestore splits`: the splits of a corpus, their sides, and what appears on more than one side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli import completion
from cli.console import (
    json_text,
    notice,
    print_card,
    print_json,
    print_some,
    print_table,
    printable,
    some_names,
    terminal_width,
)
from cli.options import json_option, seed_option, source_option, store_option
from cli.terminal import Terminal

if TYPE_CHECKING:
    from featurestore.store import Store


@click.command(epilog="Example: featurestore splits emodb --split loso --source download.zip")
@click.argument("name", metavar="CORPUS|DATASET", shell_complete=completion.datasets_and_corpora)
@click.option(
    "--split",
    shell_complete=completion.splits_or_paths,
    help="mathworks, loso, group-5fold, emodb/loso, sides.tsv, ... Default: list all.",
)
@source_option
@seed_option
@store_option
@json_option
def splits(name: str, split: str | None, source: str | None, seed: int | None, store: Store, as_json: bool) -> None:
    """List the splits of CORPUS|DATASET, or show the sides of one split and what appears on more than one side."""
    from pipelines.ingest.fetch import Fetcher
    from pipelines.splits import describe_split, list_splits

    if split is None:
        rows = list_splits(store, name)
        if as_json:
            print_json(rows)
        else:
            print_card({row["split"]: row["description"] for row in rows})
        return
    terminal = Terminal()
    fetcher = Fetcher(notice, terminal.download(), reading=terminal.reading, hashing=terminal.hashing)
    document, by_sound = describe_split(store, name, split, source, seed or 0, fetcher)
    if as_json:
        for piece in _json_pieces(document, {}):
            click.echo(piece, nl=False)
        click.echo()
        return
    folds = document.get("folds", [document])
    _print_sides(folds)
    print_card({label: printable(document[label]) for label in ("description", "citation") if document.get(label)})
    if document["unknown_speakers"]:
        notice(
            f"the speakers of {document['unknown_speakers']:,} utterances are unknown: no split can "
            "guarantee unseen speakers"
        )
    print_some("note", document["notes"], most=5)
    if not all(fold["validation"] for fold in folds):
        notice("the validation side is empty: training keeps its last epoch")
    if by_sound:
        notice("identical audio is found by its sound: a copy at another level, cut or encoded anew is not found")
    else:
        notice("identical audio is found by the bytes of the files; once the dataset is built, by its sound")


def _json_pieces(value: Any, texts: dict[int, list[str]]) -> Iterator[str]:  # noqa: ANN401
    """Yield what `print_json` prints of sides, a side at a time: those of hundreds of folds do not fit into memory.

    `texts` holds the JSON texts of the paths of a corpus once, by the id of their tuple; `value` keeps that alive.
    """
    from featurestore.corpus.splits.types import Members

    if isinstance(value, Members):
        known = texts.get(id(value.paths)) or texts.setdefault(id(value.paths), [*map(json_text, value.paths)])
        yield f"[{', '.join(value.among(known))}]"
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{json_text(key)}: "
            yield from _json_pieces(item, texts)
        yield "}" if value else "{}"
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield ", " if number else "["
            yield from _json_pieces(item, texts)
        yield "]"
    else:
        yield json_text(value)


def _print_sides(folds: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each fold; shared speakers are named as far as the terminal is wide."""
    columns = ("fold", "train", "validation", "test", "shared speakers", "shared audio")
    names = [printable(str(fold.get("fold", 1))) for fold in folds]
    width = terminal_width() - max(map(len, ("fold", *names))) - sum(map(len, columns[1:4])) - len(columns[5]) - 11
    rows = [
        [
            name,
            *(len(fold[side]) for side in ("train", "validation", "test")),
            printable(some_names(fold["shared_speakers"], max(len(columns[4]), width))),
            len(fold["shared_audio"]),
        ]
        for name, fold in zip(names, folds, strict=True)
    ]
    print_table(columns, rows, numbers=columns[1:4])
