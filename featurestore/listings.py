"""What a store remembers of a corpus: which recordings it has, and which archive they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.checksummed_json import FORMAT, canonical_json, check_types, reading, sealed, unsealed
from featurestore.corpus.types import ListedFile
from featurestore.errors import DamagedObjectError

Listing = tuple[ListedFile, ...]


def listing_object(listing: Listing) -> tuple[str, bytes]:
    """Return the checksum that a listing is stored under, and its bytes."""
    body = canonical_json([[file.path, file.content, file.size] for file in listing]).encode("ascii")
    return hashlib.sha256(body).hexdigest(), body


def listing_key(checksum: str) -> str:
    """Return the key of a listing."""
    return f"listings/{checksum}.json"


def parse_listing(key: str, data: bytes) -> Listing:
    """Read and check a listing; `DamagedObjectError` if its bytes are not what its key says."""
    if key != listing_key(hashlib.sha256(data).hexdigest()):
        raise DamagedObjectError(key, "its bytes do not match its name")
    with reading(key, "a listing"):
        listing = tuple(ListedFile(path, content, size) for path, content, size in json.loads(data))
        for file in listing:
            check_types(file)
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
        """Read and check a reference; `DamagedObjectError` if it is not sound or stands under another's key."""
        body = unsealed(key, data)
        with reading(key, "a reference to a listing"):
            reference = cls(body["corpus"], body["listing"], body["origin"], body.get("reading", {}))
            check_types(reference)
        if reference.key != key:
            raise DamagedObjectError(key, "it belongs to another corpus")
        return reference
