"""JSON as bytes: a canonical form, which equal values share, and records that carry their own checksum."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from featurestore.errors import DamagedObjectError, FeatureStoreError, StoreTooNewError

FORMAT = 1
"""Version of the store's format; a store with a higher one is refused."""


def check_format(found: object) -> None:
    """Refuse objects of a newer format (`StoreTooNewError`) and of none (`ValueError`)."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError("it names no format version")
    if found > FORMAT:
        raise StoreTooNewError(
            f"the store has a newer format than {FORMAT}, which this version reads: upgrade featurestore."
        )


def canonical_json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """Write a JSON value with sorted keys, no spaces, ASCII only; NaN and infinities are refused.

    Examples
    --------
    >>> canonical_json({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Any) -> str:  # noqa: ANN401
    """Return the sha256 of a value's canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


LONGEST_REASON = 200
"""Characters of what is wrong with a record that a message shows."""


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
    with reading(key, "a sealed record"):
        body = parsed(data)
        check_format(body["format"])
        seal = body.pop("seal")
        sound = seal == digest(body) and data == sealed(body)
    if not sound:
        raise DamagedObjectError(key, "its seal does not match")
    return body


def parsed(data: bytes) -> dict[str, Any]:
    """Read a JSON object whose numbers are finite; `ValueError` if it is none."""
    value = json.loads(data, parse_constant=_no_number, parse_float=_finite)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 (it is the bytes that are wrong)
    return value


@contextmanager
def reading(key: str, what: str) -> Iterator[None]:
    """Turn whatever goes wrong as a record is read into a `DamagedObjectError` that says what it should have been.

    Records are read from bytes that anybody can have written: any part can be missing or of another type.
    """
    try:
        yield
    except (DamagedObjectError, StoreTooNewError):
        raise
    except (
        FeatureStoreError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise DamagedObjectError(key, f"not {what}: {str(error)[:LONGEST_REASON]}") from error


def check_types(record: object) -> None:
    """Compare the values of a record with its annotations, inside tuples too; `TypeError` where they differ."""
    for name, kind in _kinds(type(record)):  # type: ignore[arg-type]  # a class is hashable
        if not _fits(getattr(record, name), kind):
            raise TypeError(f"{name} has the wrong type")


@lru_cache
def _kinds(record: Hashable) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(record)
    return tuple(hints.items())


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 (an annotation)
    if type(value) is kind:
        return True
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    inner = get_args(kind)
    if get_origin(kind) is tuple and type(value) is tuple:
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    return isinstance(value, get_origin(kind) or kind) and not isinstance(value, bool)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.20} is too large a number")
    return number
