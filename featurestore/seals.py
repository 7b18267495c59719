"""JSON records that carry a checksum of themselves, so that no byte of them can change unnoticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from featurestore.canonical import canonical_json, check_format, digest
from featurestore.errors import DamagedObjectError, FeatureStoreError


def sealed(body: Mapping[str, Any]) -> bytes:
    """Write a body with its seal as canonical JSON."""
    return canonical_json({**body, "seal": digest(body)}).encode("ascii")


def unsealed(key: str, data: bytes) -> dict[str, Any]:
    """Read a sealed body; `DamagedObjectError` unless every byte is as `sealed` writes it.

    Raises
    ------
    StoreTooNewError
        If a newer version wrote it.
    """
    try:
        body = dict(json.loads(data))
        check_format(body["format"])
        seal = body.pop("seal")
    except FeatureStoreError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedObjectError(key, "not a sealed record") from error
    if seal != digest(body) or data != sealed(body):
        raise DamagedObjectError(key, "its seal does not match")
    return body


def read_json(key: str, data: bytes) -> dict[str, Any]:
    """Read a JSON object; `DamagedObjectError` if the bytes are none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedObjectError(key, "not JSON") from error
    if not isinstance(value, dict):
        raise DamagedObjectError(key, "not a JSON object")
    return value
