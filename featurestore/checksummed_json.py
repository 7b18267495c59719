"""JSON as bytes: a canonical form, which equal values share, and records that carry their own checksum."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from featurestore.errors import DamagedObjectError, FeatureStoreError, StoreTooNewError

FORMAT = 1
"""Version of the store's format; a store with a higher one is refused."""


def check_format(found: object) -> None:
    """Refuse objects of a newer format (`StoreTooNewError`) and of none (`ValueError`)."""
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ValueError("it has no format version")
    if found > FORMAT:
        raise StoreTooNewError(
            f"the store's format is newer than {FORMAT}, the newest that this version reads: upgrade featurestore."
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


def sealed(body: Mapping[str, Any]) -> bytes:
    """Write a body with its seal as canonical JSON."""
    text = canonical_json(body)
    seal = hashlib.sha256(text.encode("ascii")).hexdigest()
    if max(body) < "seal":  # it comes last, and a large body is written once
        return f'{text[:-1]},"seal":"{seal}"}}'.encode("ascii")
    return canonical_json({**body, "seal": seal}).encode("ascii")


def unsealed(key: str, data: bytes) -> dict[str, Any]:
    """Read a sealed body; `DamagedObjectError` unless every byte is as `sealed` writes it.

    `StoreTooNewError` if a newer version wrote it.
    """
    with reading(key, "a sealed record"):
        body = parsed(data)
        check_format(body["format"])
        body.pop("seal")
        sound = data == sealed(body)
    if not sound:
        raise DamagedObjectError(key, "its seal does not match")
    return body


def parsed(data: bytes) -> dict[str, Any]:
    """Read a JSON object whose numbers are finite; `ValueError` if it is none."""

    def finite(text: str) -> float:
        """Return a finite number; `ValueError` for `NaN`, `Infinity` and what overflows."""
        number = float(text)  # also of `NaN` and `Infinity`, which Python's reader takes for numbers
        if not math.isfinite(number):
            raise ValueError(f"{text:.20} is not a finite number")
        return number

    value = json.loads(data, parse_constant=finite, parse_float=finite)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 (it is the bytes that are wrong)
    return value


WRONG = (FeatureStoreError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What reading bytes that anybody can have written raises: any part can be missing or of another type."""


@contextmanager
def reading(key: str, what: str) -> Iterator[None]:
    """Turn whatever goes wrong as a record is read into a `DamagedObjectError` that names what it should have been."""
    try:
        yield
    except (DamagedObjectError, StoreTooNewError):
        raise
    except WRONG as error:
        raise DamagedObjectError(key, f"not {what}: {error!s:.200}") from error
