"""What readers of other tools' formats share: the folder, the rows they find, and the rules for paths."""

from __future__ import annotations

import gzip
import unicodedata
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from featurestore.corpus.labels.tables import LARGEST_LABEL_FILE, json_object, scalar_text, table_rows, text_lines
from featurestore.errors import SourceError
from featurestore.registry import check_declared
from featurestore.showing import has_control_characters

Row = Mapping[str, str]

MOST_FIELDS = 200
"""Fields of one recording."""
LONGEST_LINE = 2**20
"""Characters of a line; one of a million columns is no row of labels."""


@dataclass(frozen=True)
class FoundCorpus:
    """Recordings and their fields, as another tool wrote them down.

    The fields `speaker`, `text` and `split` mean what a manifest means by them.
    """

    format: str
    """The name of the format in messages."""
    rows: tuple[tuple[str, Row], ...]
    """The path of each recording as it was written, and its fields."""
    title: str = ""
    description: str = ""
    language: str = ""
    licence: str = "unknown"
    licence_url: str = ""
    homepage: str = ""
    notes: tuple[str, ...] = ()
    """What a user should know of how it was read."""


@dataclass(frozen=True)
class DataFolder:
    """A folder whose small files are read, within bounds."""

    place: Path

    def names(self) -> tuple[str, ...]:
        """Return the names of the files directly in it, sorted."""
        return tuple(one.name for one in self._entries(Path.is_file))

    def below(self) -> tuple[DataFolder, ...]:
        """Return the folders directly in it that are not hidden, sorted."""
        return tuple(DataFolder(one) for one in self._entries(Path.is_dir) if not one.name.startswith("."))

    def _entries(self, wanted: Callable[[Path], bool]) -> list[Path]:
        try:
            return sorted(filter(wanted, self.place.iterdir()))
        except OSError as error:
            raise SourceError(f"folder {str(self.place)!r} cannot be read ({error.strerror}).") from error

    def has(self, name: str) -> bool:
        """Tell whether it holds a regular file of this name."""
        return (self.place / name).is_file()

    def data(self, name: str, most: int = LARGEST_LABEL_FILE) -> bytes:
        """Return the bytes of a file, unpacked if its name ends in `.gz`; never more than `most`.

        `SourceError` if it is larger, cannot be read, or is no gzip file although its name says so.
        """
        where = f"{name!r:.120} in {str(self.place)!r}"
        try:
            with (self.place / name).open("rb") as raw:
                data = gzip.GzipFile(fileobj=raw).read(most + 1) if name.endswith(".gz") else raw.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{where} cannot be read ({error}). Check it.") from error
        if len(data) > most:
            raise SourceError(
                f"{where} holds more than {most:,} bytes, so it is no list of labels. Split or remove it."
            )
        return data

    def head(self, name: str, count: int = 4096) -> bytes:
        """Return the first bytes of a file; none if it cannot be read."""
        try:
            with (self.place / name).open("rb") as stream:
                return stream.read(count)
        except OSError:
            return b""

    def text(self, name: str) -> str:
        """Return the UTF-8 text of a file; `SourceError` also for a line of over a million characters."""
        where = f"{name!r:.120} in {str(self.place)!r}"
        try:
            text = self.data(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError(f"{where} is no UTF-8 text ({error.reason}). Save it as UTF-8.") from error
        if any(len(line) > LONGEST_LINE for line in text_lines(text)):
            raise SourceError(f"{where} has a line of more than {LONGEST_LINE:,} characters. It is no list of labels.")
        return text

    def lines(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield each line that is not empty, with its place for messages."""
        for number, line in enumerate(text_lines(self.text(name)), 1):
            if line.strip():
                yield f"{name!r:.120}, line {number}", line

    def objects(self, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the JSON object of each line that is not empty, with its place for messages."""
        for place, line in self.lines(name):
            yield place, json_object(line, place)


class DataFormat(ABC):
    """How another tool writes a corpus down; a subclass in `featurestore/corpus/importers` is an entry of `FORMATS`."""

    name: ClassVar[str]
    title: ClassVar[str]
    """The name of the format in messages."""
    rank: ClassVar[int]
    """Formats are tried from the lowest: files beside the audio may describe it in several."""

    def __init_subclass__(cls) -> None:
        """Check that nothing is left out."""
        check_declared(cls, ("name", "title", "rank"))

    @abstractmethod
    def recognises(self, folder: DataFolder) -> bool:
        """Tell whether a folder is in this format."""

    @abstractmethod
    def read(self, folder: DataFolder) -> FoundCorpus:
        """Return the corpus in a folder; `SourceError` if its data cannot be read."""


def written_path(text: str, place: str) -> str:
    """Check a recording's path as another tool wrote it, and return it with plain parts.

    `SourceError` if it is empty, climbs with `..`, is an address on the network, or holds control characters.
    """
    path = unicodedata.normalize("NFC", text.strip()).replace("\\", "/")
    if "://" in path:
        raise SourceError(f"{place}: {text!r:.120} is an address; download the recordings and name the files.")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or not parts or has_control_characters(path):
        raise SourceError(f"{place}: {text!r:.120} is no plain path of a file ('..' is not followed). Correct it.")
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values of JSON as fields; empty ones, lists and mappings are left out."""
    texts = {name: scalar_text(value) for name, value in values.items()}
    return {name: text for name, text in texts.items() if text}


def table_fields(folder: DataFolder, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield place and fields of each row of a CSV or TSV file with a header; empty values are left out.

    `SourceError` if it has more columns than a table of labels has, two of one name, or a line cannot be split into
    columns.
    """
    delimiter = "\t" if name.endswith(".tsv") else ","
    rows = table_rows(folder.text(name), delimiter, f"{name!r:.120}", header=True)
    place, cells = next(rows, ("", []))
    header = [cell.strip() for cell in cells]
    if len(header) > MOST_FIELDS:
        raise SourceError(f"{place}: {len(header):,} columns, at most {MOST_FIELDS} are read.")
    repeated = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if repeated:
        raise SourceError(f"{place}: two columns {repeated[0]!r:.80}. Rename one.")
    for place, cells in rows:
        yield place, {key: cell.strip() for key, cell in zip(header, cells, strict=True) if key and cell.strip()}
