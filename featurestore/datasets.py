"""What a store remembers: datasets, listings of corpora, and the names for them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from featurestore.checksummed_json import (
    FORMAT,
    canonical_json,
    digest,
    reading,
    sealed,
    unsealed,
)
from featurestore.corpus.types import ListedFile
from featurestore.errors import DamagedObjectError, SpecError
from featurestore.segments import recording_of
from featurestore.shards.parts import Part
from featurestore.shards.record import ShardRecord
from featurestore.specs.row_spec import RowSpec
from featurestore.storage.protocol import DATASET_NAME, Storage, checked_key
from featurestore.tables import Table
from featurestore.typed_values import check_types

CALLED = 12
"""Hexadecimal digits by which a nameless dataset is called."""
LISTING, SOURCES = LEFT_OUT = ("listing", "sources")
"""What a copy of a dataset can lack without damage: its corpus's listing, and its originals."""


def check_dataset_name(name: str) -> str:
    """Return a valid dataset name; `SpecError` if it is none."""
    if not re.fullmatch(DATASET_NAME, name):
        raise SpecError(f"{name!r} is not a dataset name: use 1 to 80 letters, digits, '.', '_', '+' or '-'.")
    return name


def dataset_name(corpus: str) -> str:
    """Return what a corpus's dataset is called by default: `iemocap/impro4` becomes `iemocap-impro4`."""
    return corpus.replace("/", "-")


def corpora_of(corpus: str) -> tuple[str, ...]:
    """Return the corpora in a table's name: `emodb+ravdess/4class` is two of them, under a scheme."""
    return tuple(corpus.partition("/")[0].split("+"))


@dataclass(frozen=True)
class DatasetRecord:
    """The rows of a dataset and the shards that hold them; no labels, no paths, no names."""

    parts: tuple[Part, ...]
    addresses: tuple[str, ...]
    """Shards that hold the rows, sorted."""
    digest: str
    """The sha256 over the sorted row keys and row checksums: the data, not the layout."""

    @cached_property
    def id(self) -> str:
        """What the record is stored under, 32 hexadecimal digits."""
        return digest([self.digest, list(self.addresses)])[:32]

    @property
    def key(self) -> str:
        """The key of the record in the store."""
        return f"datasets/{self.id}.json"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(part.rows for part in self.parts)

    @property
    def originals(self) -> tuple[str, ...]:
        """The sha256 of all that rows were computed from, sorted: recordings, noises and room responses."""
        contents = {recording_of(content) for part in self.parts for content in part.contents}
        return tuple(sorted(contents.union(*(part.spec.inputs for part in self.parts))))

    def to_bytes(self) -> bytes:
        """Return the record as sealed canonical JSON."""
        return sealed(self._body)

    @property
    def _body(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "digest": self.digest,
            "addresses": list(self.addresses),
            "parts": [
                {"spec": p.spec.document, "first": p.first, "stop": p.stop, "contents": list(p.contents)}
                for p in self.parts
            ],
        }

    @classmethod
    def from_bytes(cls, key: str, data: bytes) -> DatasetRecord:
        """Read and check a record; `DamagedObjectError` if it is not sound or has another's key."""
        body = unsealed(key, data)
        with reading(key, "a dataset record"):
            parts = tuple(
                Part(RowSpec.from_document(p["spec"]), tuple(p["contents"]), p["first"], p["stop"])
                for p in body["parts"]
            )
            record = cls(parts, tuple(body["addresses"]), body["digest"])
            check_types(record)
            for part in record.parts:
                check_types(part)
                check_types(part.spec)
            record._check_parts()
            specs = ([part["spec"] for part in one["parts"]] for one in (body, record._body))
            sound = body == record._body and len({*map(canonical_json, specs)}) == 1  # 1 and 1.0 are equal
        if not sound:
            raise DamagedObjectError(key, "it holds more than its rows")
        if record.key != key:
            raise DamagedObjectError(key, "the record belongs to another name")
        return record

    def _check_parts(self) -> None:
        """Refuse with a `ValueError` what no build leaves: no rows, rows of two kinds of features, shards twice."""
        spans = all(0 <= p.first < p.stop and list(p.contents) == sorted(set(p.contents)) for p in self.parts)
        if not (self.rows and spans) or len({part.spec.id for part in self.parts}) < len(self.parts):
            raise ValueError("its parts hold no rows, or rows twice")
        if len({part.spec.features for part in self.parts}) > 1:
            raise ValueError("its parts have different features")
        if list(self.addresses) != sorted(set(self.addresses)):
            raise ValueError("its shards are not sorted")


def dataset_digest(parts: Sequence[Part], records: Iterable[ShardRecord]) -> str:
    """Return the digest of the rows of a dataset: sha256 over its sorted lines `spec/content/copy checksum`.

    `DamagedObjectError` if the records do not hold all rows.
    """
    lines: list[str] = []
    by_spec: dict[str, dict[tuple[str, int], str]] = {part.spec.id: {} for part in parts}
    for record in records:
        if record.spec.id not in by_spec:
            raise DamagedObjectError("datasets", f"{record.address} holds rows of another spec")
        by_spec[record.spec.id].update(zip(record.row_keys(), record.checksums, strict=True))
    for part in parts:
        checksums, spec = by_spec[part.spec.id], part.spec.id
        try:
            lines.extend(
                f"{spec}/{content}/{copy} {checksums[content, copy]}\n"
                for content in part.contents
                for copy in range(part.first, part.stop)
            )
        except KeyError as error:
            raise DamagedObjectError("datasets", f"no shard holds row {error}") from error
    return hashlib.sha256("".join(sorted(lines)).encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Reference:
    """A name for a dataset and the table that goes with it."""

    name: str
    dataset: str
    """Id of the dataset record."""
    table: str
    """Id of the table."""
    corpus: str = ""
    """The corpus that the table names, so that a list of datasets reads no table; empty in earlier versions."""
    without: tuple[str, ...] = ()
    """What a copy of a dataset was made without, of `LEFT_OUT`; what its root says counts."""

    @property
    def key(self) -> str:
        """Its key as a name."""
        return f"refs/{self.name}.json"

    @property
    def root(self) -> str:
        """Its key as what keeps the dataset from garbage collection until it is forgotten."""
        return f"refs/datasets/{self.dataset}.json"

    def to_bytes(self) -> bytes:
        """Return the reference as sealed canonical JSON."""
        body = {"format": FORMAT, "name": self.name, "dataset": self.dataset, "table": self.table}
        corpus = {"corpus": self.corpus} if self.corpus else {}
        return sealed({**body, **corpus, **({"without": list(self.without)} if self.without else {})})

    @classmethod
    def from_bytes(cls, key: str, data: bytes) -> Reference:
        """Read and check a reference; `DamagedObjectError` if it is not sound or has another's key."""
        body = unsealed(key, data)
        with reading(key, "a reference"):
            without = tuple(body.get("without", ()))
            reference = cls(body["name"], body["dataset"], body["table"], body.get("corpus", ""), without)
            check_types(reference)
            if list(without) != sorted({*without} & {*LEFT_OUT}):
                raise ValueError("nobody knows what it was made without")
            for target in (reference.key, reference.root, f"tables/{reference.table}.json"):
                checked_key(target)
        if key not in (reference.key, reference.root):
            raise DamagedObjectError(key, "it belongs to another name")
        return reference


Listing = tuple[ListedFile, ...]


def listing_object(listing: Listing) -> tuple[str, bytes]:
    """Return the checksum that a listing is stored under, and its bytes."""
    body = canonical_json([[file.path, file.content, file.size] for file in listing]).encode("ascii")
    return hashlib.sha256(body).hexdigest(), body


def listing_key(checksum: str) -> str:
    """Return the key of a listing."""
    return f"listings/{checksum}.json"


def parse_listing(key: str, data: bytes) -> Listing:
    """Read and check a listing; `DamagedObjectError` if its bytes do not match its key."""
    if key != listing_key(hashlib.sha256(data).hexdigest()):
        raise DamagedObjectError(key, "its bytes do not match its name")
    with reading(key, "a listing"):
        listing = tuple(ListedFile(path, content, size) for path, content, size in json.loads(data))
        for file in listing:
            if not (type(file.path) is type(file.content) is str and type(file.size) is int):
                check_types(file)  # reports what is wrong; it takes ten times as long
    return listing


@dataclass(frozen=True)
class CorpusReference:
    """Which listing a corpus has now."""

    corpus: str
    listing: str
    """Checksum of the listing."""
    origin: str
    """Checksum of the archive that it was read from; empty for a folder."""
    reading: Mapping[str, Any] = field(default_factory=dict)
    """`Manifest.reading` of the manifest that it was read for; one with another reading needs another listing."""

    @property
    def key(self) -> str:
        """The key of the reference in the store."""
        return f"refs/corpora/{self.corpus}.json"

    def to_bytes(self) -> bytes:
        """Return the reference as sealed canonical JSON."""
        body = {"format": FORMAT, "corpus": self.corpus, "listing": self.listing, "origin": self.origin}
        return sealed({**body, **({"reading": dict(self.reading)} if self.reading else {})})

    @classmethod
    def from_bytes(cls, key: str, data: bytes) -> CorpusReference:
        """Read and check a reference; `DamagedObjectError` if it is not sound or has another's key."""
        body = unsealed(key, data)
        with reading(key, "a reference to a listing"):
            reference = cls(body["corpus"], body["listing"], body["origin"], body.get("reading", {}))
            check_types(reference)
        if reference.key != key:
            raise DamagedObjectError(key, "it belongs to another corpus")
        return reference


class ReadableStore(Protocol):
    """What a view reads of a store."""

    storage: Storage

    def record(self, address: str) -> ShardRecord:
        """Return the record of a shard."""

    def dataset(self, dataset: str) -> DatasetRecord:
        """Return the record of a dataset."""

    def table(self, table: str) -> Table:
        """Return a table."""

    def original(self, content: str) -> bytes:
        """Return an original recording."""
