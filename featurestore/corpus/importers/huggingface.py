"""Audio folders as Hugging Face datasets has them: `metadata.csv` or `.jsonl` beside the recordings.

The folders `train`, `validation`, `test` and their usual other names are sides of the official split, where all
recordings lie in such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from featurestore.corpus.importers.data_folder import (
    DataFolder,
    DataFormat,
    FoundCorpus,
    table_fields,
    texts_of,
    written_path,
)
from featurestore.corpus.suggest.roles import SIDES, side_of, speaker_field, split_field, text_field
from featurestore.errors import SourceError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.tsv")
KEY = "file_name"
DEEPEST = 2
"""Folders below the first in which metadata is looked for, such as `data/train`."""


class HuggingFace(DataFormat):
    """An audio folder as Hugging Face datasets has it."""

    name = "huggingface"
    title = "Hugging Face audio folder (metadata.csv or .jsonl)"
    rank = 4

    def recognises(self, folder: DataFolder) -> bool:
        """Tell whether a folder, or one of its sides, holds metadata with a column `file_name`."""
        return any(True for _ in _metadata_files(folder))

    def read(self, folder: DataFolder) -> FoundCorpus:
        """Read all metadata files of an audio folder; paths are relative to the metadata that names them.

        `SourceError` if a row names no file, a table has too many columns, or a folder holds two such files.
        """
        rows: list[tuple[str, dict[str, str]]] = []
        first: dict[Path, str] = {}
        for part, name in _metadata_files(folder):
            if first.setdefault(part.place, name) != name:
                raise SourceError(
                    f"{str(part.place)!r:.120} holds {first[part.place]} and {name}, which may differ. Remove one."
                )
            above = part.place.relative_to(folder.place).as_posix()
            of_json = ((place, texts_of(values)) for place, values in part.objects(name))
            for place, row in of_json if name.endswith(".jsonl") else table_fields(part, name):
                if KEY not in row:
                    raise SourceError(
                        f"{place}: no {KEY!r} among {', '.join(map(repr, row))[:200]}. Fill it in; commas stand "
                        "between the columns of a .csv file, tabs in a .tsv file."
                    )
                path = written_path(row.pop(KEY), place)
                rows.append((path if above == "." or path.startswith("/") else f"{above}/{path}", row))
        return FoundCorpus("Hugging Face audio folder", tuple(_with_roles(rows)))


def _metadata_files(folder: DataFolder, depth: int = DEEPEST) -> Iterator[tuple[DataFolder, str]]:
    yield from ((folder, name) for name in METADATA if folder.has(name) and KEY.encode() in folder.head(name))
    for part in folder.below() if depth else ():
        if depth < DEEPEST or part.place.name == "data" or part.place.name.casefold() in SIDES:
            yield from _metadata_files(part, depth - 1)


def _with_roles(rows: list[tuple[str, dict[str, str]]]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give speaker, sentence and split the names that a manifest has for them; folders name the split else."""
    counts: dict[str, dict[str, int]] = {}
    for _, row in rows:
        for name, value in row.items():
            counts.setdefault(name, {})[value] = 1
    split = split_field(counts)
    roles = {speaker_field(counts): "speaker", text_field(counts): "text", split: "split"}
    in_folders = [side_of(Path(path).parts[:-1]) for path, _ in rows]
    for (path, row), folder in zip(rows, in_folders, strict=True):
        fields = {roles.get(name, name): value for name, value in row.items()}
        side = fields.get("split") or (folder if all(in_folders) else None)
        yield path, {**fields, **({"split": SIDES.get(side.casefold(), side)} if side else {})}
