"""Parquet: the table of the format csv with types, which pandas, Polars, DuckDB and `datasets` read."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from featurestore.conversion import library
from featurestore.view import DatasetView
from pipelines.exports import FileFormat, attributes
from pipelines.exports.rows import blocks


def to_parquet(view: DatasetView, out: IO[bytes]) -> None:
    """Write the columns of `featurestore.conversion.metadata`, a row group a block; the file's metadata has the specs.

    Texts are strings, counts int64, keys of noise uint64, parameters float64; what a row does not have is null.
    """
    arrow, parquet = library("pyarrow", "export"), library("pyarrow.parquet", "export")
    schema = schema_of(view)
    with parquet.ParquetWriter(out, schema) as writer:
        for block in blocks(view):
            writer.write_table(arrow.Table.from_pydict(block, schema))


def in_parquet(view: DatasetView, path: Path) -> bool:
    """Tell whether a file holds the table, value by value."""
    arrow, parquet = library("pyarrow", "export"), library("pyarrow.parquet", "export")
    try:
        with parquet.ParquetFile(path) as file:
            if not file.schema_arrow.equals(schema_of(view), check_metadata=True):
                return False
            expected = list(range(file.num_row_groups))
            for group, block in enumerate(blocks(view)):
                if group not in expected or file.read_row_group(group).to_pydict() != block:
                    return False
            return bool(file.metadata.num_rows == len(view))
    except (arrow.ArrowException, OSError):
        return False


def schema_of(view: DatasetView) -> Any:  # noqa: ANN401 (a schema of Arrow)
    """Return the type of each column: that of its values in any block."""
    arrow = library("pyarrow", "export")
    kinds: dict[str, set[type]] = {}
    for block in blocks(view):
        for name, column in block.items():
            kinds.setdefault(name, set()).update(map(type, column))
    types = {str: arrow.string(), bool: arrow.bool_(), float: arrow.float64()}
    fields = []
    for name, found in kinds.items():
        (kind,) = found - {type(None)} or {str}
        whole = arrow.uint64() if name.startswith("perturbation.") else arrow.int64()
        fields.append(arrow.field(name, types.get(kind, whole)))
    return arrow.schema(fields, metadata=attributes(view))


FORMAT = FileFormat("parquet", to_parquet, in_parquet)
