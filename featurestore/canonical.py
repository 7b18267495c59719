"""One way to write a value as bytes, so that equal values have equal digests on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from featurestore.errors import StoreTooNewError

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
