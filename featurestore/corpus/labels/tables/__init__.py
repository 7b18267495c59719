"""Label files beside the audio, a reader for each format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from featurestore.corpus.labels.tables.columns import read_columns
from featurestore.corpus.labels.tables.corpora import read_aihub, read_evaluation, read_samples
from featurestore.corpus.labels.tables.json_lines import read_json_lines
from featurestore.corpus.labels.tables.rows import Row
from featurestore.corpus.manifest.model import TableRule

__all__ = ["TABLE_FORMATS", "Row", "TableReader"]

TableReader = Callable[[TableRule, str, bytes], Iterator[Row]]
"""Given the rule, the label file's path and its bytes, yields the rows."""

TABLE_FORMATS: Mapping[str, TableReader] = {
    "columns": read_columns,
    "jsonl": read_json_lines,
    "iemocap": read_evaluation,
    "agender": read_samples,
    "aihub": read_aihub,
}
"""The readers by name."""
