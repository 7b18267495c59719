"""Checks that several parts of a data sheet share."""

from __future__ import annotations

import re

from featurestore.errors import ManifestError

_HEX = re.compile(r"[0-9a-f]+")


def check_hex(checksum: str | None, length: int, where: str) -> None:
    """Refuse a checksum that is not `length` lower-case hexadecimal digits; None passes.

    Raises
    ------
    ManifestError
        Naming the place.
    """
    if checksum is not None and not (len(checksum) == length and _HEX.fullmatch(checksum)):
        raise ManifestError(f"{where}: a checksum has {length} hexadecimal digits, not {checksum!r:.80}.")


def is_relative(path: str) -> bool:
    """Tell whether a path stays below its folder: no `..`, drive, backslash or control character."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(r"[\\\x00-\x1f:]", path)
