"""Tables: what is known about the recordings of a dataset, read by column.

A table is stored as canonical JSON and called by the sha256 of its bytes. Of a hundred thousand utterances, most
commands want one or two fields: they get columns, and an `Utterance` is made only for one that is asked for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

from featurestore.checksummed_json import FORMAT, canonical_json, check_format, parsed, reading
from featurestore.corpus.types import Corpus, Rejection, Utterance
from featurestore.errors import DamagedObjectError
from featurestore.segments import segment_of
from featurestore.typed_values import check_types

Fields = tuple[tuple[str, str], ...]
FIELDS = tuple(field.name for field in dataclasses.fields(Utterance))
BLOCK = 4_000_000
"""Characters of a table that are taken apart at once, which bounds what is in memory twice."""
WRITTEN = 20_000
"""Utterances that are written at once, for the same reason."""


class Utterances(Sequence[Utterance]):
    """The utterances of a table: a column for each field, and an object for each that is asked for.

    Each column is a list with one value an utterance, in the order of the fields of `Utterance`; equal values of
    `fields`, `label`, `speaker` and `text` are one object.
    """

    def __init__(self, columns: Sequence[list[Any]]) -> None:
        self.columns = tuple(columns)
        self.paths: list[str]
        self.contents: list[str]
        self.sizes: list[int]
        self.fields: list[Fields]
        self.labels: list[str]
        self.speakers: list[str | None]
        self.texts: list[str | None]
        self.paths, self.contents, self.sizes, self.fields, self.labels, self.speakers, self.texts = self.columns

    @classmethod
    def of(cls, utterances: Iterable[Utterance]) -> Utterances:
        """Return utterances by column; those that are so already as they are."""
        if isinstance(utterances, cls):
            return utterances
        listed = tuple(utterances)
        return cls([list(map(operator.attrgetter(name), listed)) for name in FIELDS])

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Utterance: ...
    @overload
    def __getitem__(self, place: slice) -> Utterances: ...
    def __getitem__(self, place: int | slice) -> Utterance | Utterances:
        if isinstance(place, slice):
            return Utterances([column[place] for column in self.columns])
        return Utterance(*(column[place] for column in self.columns))

    def __iter__(self) -> Iterator[Utterance]:
        return map(Utterance, *self.columns)

    def __eq__(self, other: object) -> bool:
        return self.columns == other.columns if isinstance(other, Utterances) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # lists are its parts


@dataclass(frozen=True)
class Table:
    """What is known about the recordings of a dataset; nothing in it enters a cache key."""

    corpus: str
    utterances: Utterances
    """All labelled recordings, sorted by path; any iterable of utterances is taken."""
    rejected: tuple[Rejection, ...] = ()
    licence: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "utterances", Utterances.of(self.utterances))

    @classmethod
    def of(cls, corpus: Corpus, rejected: Mapping[str, str]) -> Table:
        """Return the table of a dataset of a corpus; `rejected` has the reasons of bad recordings, by content."""
        utterances, manifest = Utterances.of(corpus.utterances), corpus.manifest
        return cls(corpus.name, utterances, corpus.rejections(rejected), manifest.licence, manifest.citation)

    @cached_property
    def id(self) -> str:
        """The sha256 of the table's bytes."""
        return hashlib.sha256(self._bytes).hexdigest()

    @property
    def key(self) -> str:
        """The key of the table in the store."""
        return f"tables/{self.id}.json"

    def to_bytes(self) -> bytes:
        """Return the table as canonical JSON."""
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        body = {
            "format": FORMAT,
            "corpus": self.corpus,
            "licence": self.licence,
            "citation": self.citation,
            "utterances": [],  # the last key
            "rejected": [dataclasses.asdict(rejection) for rejection in self.rejected],
        }
        head, end = canonical_json(body)[:-2].encode("ascii"), b"]}"
        blocks = (self.utterances[start : start + WRITTEN] for start in range(0, len(self.utterances), WRITTEN))
        return b"".join((head, b",".join(",".join(_written(block)).encode("ascii") for block in blocks), end))

    @classmethod
    def from_bytes(cls, key: str, data: bytes) -> Table:
        """Read and check a table; `DamagedObjectError` if it is not sound."""
        if key != f"tables/{hashlib.sha256(data).hexdigest()}.json":
            raise DamagedObjectError(key, "its bytes do not match its name")
        with reading(key, "a table"):
            found = _read_columns(data)
            body = parsed(data if found is None else found[0])
            check_format(body["format"])
            utterances = _read_objects(body["utterances"]) if found is None else found[1]
            rejected = tuple(Rejection(**rejection) for rejection in body["rejected"])
            table = cls(body["corpus"], utterances, rejected, body["licence"], body["citation"])
            for record in (table, *table.rejected):
                check_types(record)
            for content in utterances.contents:
                segment_of(content)  # what is not a content id is no row's
        table.__dict__["_bytes"] = data  # what it is called by, however it was written
        return table


def _written(utterances: Utterances) -> Iterator[str]:
    """Yield the canonical JSON of each utterance; `labels` in it are its `fields`. A column is written at once."""
    columns = [_texts_of(column) for name, column in zip(FIELDS, utterances.columns, strict=True) if name != "fields"]
    paths, contents, sizes, labels, speakers, texts = columns
    several = {fields: canonical_json(fields) for fields in set(utterances.fields)}
    fields_of = map(several.__getitem__, utterances.fields)
    for content, label, fields, path, size, speaker, text in zip(
        contents, labels, fields_of, paths, sizes, speakers, texts, strict=True
    ):
        yield (
            f'{{"content":{content},"label":{label},"labels":{fields},"path":{path},"size":{size},'
            f'"speaker":{speaker},"text":{text}}}'
        )


def _texts_of(column: list[Any]) -> list[str]:
    """Return the JSON of each value, none of which holds others; JSON has no line breaks of its own."""
    return json.dumps(column, separators=("\n", ":"), allow_nan=False)[1:-1].split("\n") if column else []


_TEXT = r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"'
_PAIR = rf"\[{_TEXT},{_TEXT}\]"
_BEGINNING = '{"content":"'
_UTTERANCE = re.compile(
    rf'\{{"content":"([0-9a-f]{{64}}[0-9a-z.-]*+)","label":({_TEXT}),"labels":(\[(?:{_PAIR}(?:,{_PAIR})*+)?+\]),'
    rf'"path":({_TEXT}),"size":(0|[1-9][0-9]{{0,17}}),"speaker":(null|{_TEXT}),"text":(null|{_TEXT})\}}(?:,|\Z)'
)
"""An utterance as `_written` leaves it, and what is behind it."""
_BETWEEN = len(_BEGINNING) + len('","label":,"labels":,"path":,"size":,"speaker":,"text":},')
"""Characters of an utterance outside the groups."""


class _Values(dict[str, Any]):
    """Values by their JSON, each read once."""

    def __missing__(self, text: str) -> Any:  # noqa: ANN401 (any JSON value)
        value = json.loads(text)
        self[text] = value = tuple(map(tuple, value)) if isinstance(value, list) else value
        return value


def _read_columns(data: bytes) -> tuple[bytes, Utterances] | None:
    """Take a table apart into JSON without utterances, and these; None unless each is written as we write it.

    A table that is written otherwise is read as any JSON is, and has its damage named there.
    """
    marker = b',"utterances":['
    start = data.find(marker) + len(marker)
    if not data.isascii() or start < len(marker) or not data.endswith(b"]}"):
        return None
    text, end, values = data.decode("ascii"), len(data) - len("]}"), _Values()
    columns: list[list[Any]] = [[] for _ in FIELDS]
    paths, contents, sizes, fields, labels, speakers, texts = columns
    place = start
    while place < end:
        stop = text.find(_BEGINNING, min(place + BLOCK, end), end)
        stop = end if stop < 0 else stop
        found = _UTTERANCE.findall(text, place, stop)
        taken = len(found) * _BETWEEN + sum(map(len, itertools.chain.from_iterable(found)))
        if not found or taken - (stop == end) != stop - place:  # the last has no comma
            return None
        content, label, several, path, size, speaker, said = zip(*found, strict=True)
        contents += content
        paths += (json.loads(one) if "\\" in one else one[1:-1] for one in path)
        sizes += map(int, size)
        fields += map(values.__getitem__, several)
        labels += map(values.__getitem__, label)
        speakers += map(values.__getitem__, speaker)
        texts += map(values.__getitem__, said)
        place = stop
    return data[:start] + b"]}", Utterances(columns)


def _read_objects(found: Iterable[dict[str, Any]]) -> Utterances:
    """Make utterances of JSON objects and check the types of all values."""
    utterances = []
    for one in found:
        fields = tuple(map(tuple, one["labels"]))
        utterances.append(Utterance(fields=fields, **{name: one[name] for name in one if name != "labels"}))
    for utterance in utterances:
        check_types(utterance)
    return Utterances.of(utterances)
