"""Hugging Face: a folder that `datasets.load_dataset` opens, Parquet files with the features and a card of them."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from featurestore.conversion import library, metadata
from featurestore.view import DatasetView
from pipelines.exports import Files, FolderFormat, Sides
from pipelines.exports.parquet import schema_of

SHARD = 256 * 2**20
"""Bytes of features in a file, about."""
GROUP = 16 * 2**20
"""Bytes of features in a row group, which is in memory at once."""
DTYPES = {"double": "float64", "halffloat": "float16", "float": "float32"}
"""What `datasets` calls types that Arrow calls otherwise."""


class Pieces(io.RawIOBase):
    """A file that keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 (any buffer)
        """Keep some bytes."""
        self._kept.append(bytes(data))
        return len(self._kept[-1])

    def take(self) -> bytes:
        """Return what was written since the last time."""
        data = b"".join(self._kept)
        self._kept.clear()
        return data


def files(view: DatasetView, out: Path) -> Files:
    """Yield the folder with all rows as `train`, as `datasets` calls data without sides."""
    return _files(view, {"train": view}, None)


def split_files(view: DatasetView, _: Path, sides: Sides) -> Files:
    """Yield the folder with the sides `train`, `validation` and `test`."""
    return _files(view, sides.views, sides)


def _files(view: DatasetView, views: Mapping[str, DatasetView], sides: Sides | None) -> Files:
    """Yield `README.md` and `data/SIDE-00000-of-00001.parquet`: the columns of the format parquet, and two of others.

    `features` is a list [frames] of lists [bands] of the storage type; `label` is the number of a class. Bytes are
    equal for equal datasets and the same pyarrow.
    """
    classes = sorted(set(view.table.utterances.labels))
    schema = _schema(view, classes)
    yield "README.md", (_card(view, views, schema, sides).encode(),)
    for side, rows in views.items():
        starts = _starts(rows, SHARD)
        for number, (start, stop) in enumerate(itertools.pairwise(starts)):
            name = f"data/{side}-{number:05d}-of-{len(starts) - 1:05d}.parquet"
            yield name, _parquet(rows[start:stop], schema, classes)


def _starts(view: DatasetView, size: int) -> list[int]:
    """Return the rows at which parts of about so many bytes start, and the end."""
    sizes = view.frames.astype(np.int64) * (view.bands * np.dtype(view.features.dtype).itemsize)
    return [*np.unique((np.cumsum(sizes) - sizes) // size, return_index=True)[1].tolist(), len(view)]


def _schema(view: DatasetView, classes: list[str]) -> Any:  # noqa: ANN401 (a schema of Arrow)
    """Return the types of the columns, and in the metadata what `datasets` makes of them."""
    arrow = library("pyarrow", "export")
    known = schema_of(view)
    values = arrow.list_(arrow.list_(arrow.from_numpy_dtype(view.features.dtype), view.bands))
    fields = [arrow.field("features", values), *(field for field in known if field.name != "label")]
    schema = arrow.schema([*fields, arrow.field("label", arrow.int64())])
    info = {"info": {"features": {field.name: _described(field.type) for field in fields}}}
    info["info"]["features"]["label"] = {"names": classes, "_type": "ClassLabel"}
    return schema.with_metadata({**known.metadata, b"huggingface": json.dumps(info).encode()})


def _described(kind: Any) -> dict[str, Any]:  # noqa: ANN401 (a type of Arrow)
    """Return a type as `datasets` writes it into the metadata of Parquet files."""
    types = library("pyarrow", "export").types
    if types.is_list(kind):
        return {"feature": _described(kind.value_type), "_type": "List"}
    if types.is_fixed_size_list(kind):
        return {"feature": _described(kind.value_type), "length": kind.list_size, "_type": "List"}
    return {"dtype": DTYPES.get(str(kind), str(kind)), "_type": "Value"}


def _parquet(view: DatasetView, schema: Any, classes: list[str]) -> Iterator[bytes]:  # noqa: ANN401
    """Yield a Parquet file of some rows, a row group after the other."""
    arrow, parquet = library("pyarrow", "export"), library("pyarrow.parquet", "export")
    file, number = Pieces(), {name: place for place, name in enumerate(classes)}
    with parquet.ParquetWriter(file, schema) as writer:
        for start, stop in itertools.pairwise(_starts(view, GROUP)):
            rows = view[start:stop]
            columns = metadata(rows)
            columns["label"] = [number[label] for label in columns["label"]]
            columns["features"] = _lists(rows)
            group = [arrow.array(columns[field.name], field.type) for field in schema if field.name != "features"]
            writer.write_table(arrow.table([columns["features"], *group], schema))
            yield file.take()
    yield file.take()


def _lists(view: DatasetView) -> Any:  # noqa: ANN401 (an array of Arrow)
    """Return the features of some rows as lists [frames] of lists [bands]."""
    arrow = library("pyarrow", "export")
    offsets = np.concatenate([[0], np.cumsum(view.frames, dtype=np.int32)]).astype(np.int32)
    frames = np.concatenate([view[row][0] for row in range(len(view))])
    return arrow.ListArray.from_arrays(
        arrow.array(offsets), arrow.FixedSizeListArray.from_arrays(arrow.array(frames.reshape(-1)), view.bands)
    )


def _card(
    view: DatasetView,
    views: Mapping[str, DatasetView],
    schema: Any,  # noqa: ANN401
    sides: Sides | None,
) -> str:
    """Return the card: which files are which side, for `datasets`, and what they hold, for people."""
    data = [{"split": side, "path": f"data/{side}-*.parquet"} for side in views]
    head = {"pretty_name": view.name, "configs": [{"config_name": "default", "data_files": data}]}
    columns = [f"| `{field.name}` | {_meaning(field.name, view)} |" for field in schema]
    counts = ", ".join(f"{side} {len(rows):,}" for side, rows in views.items())
    chosen = [] if sides is None else [f"- split: {_line(sides.split)}; {_line(sides.leaks)}"]
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True) + "---",
        "",
        f"# {_line(view.name)}",
        "",
        f"- corpus: {_line(view.table.corpus)}",
        f"- licence: {_line(view.table.licence) or 'none stated'}",
        f"- cite: {_line(view.table.citation) or 'nothing stated'}",
        f"- rows: {counts}",
        *chosen,
        f"- digest of all rows: `{view.digest}`",
        "",
        "| column | meaning |",
        "|---|---|",
        *columns,
        "",
        "`dataset.json` has the specs of features and augmentation. To read it:",
        "",
        "    datasets.load_dataset(PATH).with_format('numpy')['train'][0]['features']  # array [frames, bands]",
        "",
    ]
    return "\n".join(lines)


def _meaning(column: str, view: DatasetView) -> str:
    kind, dot, _ = column.partition(".")
    if dot:
        return {"field": "of the corpus", "perturbation": "as drawn for the copy"}[kind]
    return {
        "features": f"{view.features.kind}, [frames, {view.bands}] {view.features.dtype}",
        "path": "of the recording in its corpus",
        "copy": "0 is the recording as it is, 1 and up are augmented",
        "speaker": "as the corpus names them",
        "text": "what is spoken, where it is known",
        "content": "sha256 of the recording, with its place in it for a segment",
        "frames": "length of the features",
        "label": "number of the class",
    }[column]


def _line(text: str) -> str:
    """Return a text in one line without signs of Markdown tables and HTML."""
    return " ".join(text.replace("|", "/").replace("<", "(").replace(">", ")").split())


FORMAT = FolderFormat("huggingface", files, split_files=split_files)
