"""Checksums of archives that were trusted at their first download, because their publisher gives none."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from featurestore.errors import SourceError

FILE_NAME = "trust.toml"


def trusted_checksum(folder: Path, url: str) -> str | None:
    """Return the sha256 that was recorded for a URL, or None.

    Raises
    ------
    SourceError
        If the trust file cannot be read: then nothing may be trusted.
    """
    return _records(folder / FILE_NAME).get(url)


def trust(folder: Path, url: str, sha256: str) -> None:
    """Record the sha256 of a first download; the file is replaced in one step."""
    file = folder / FILE_NAME
    records = {**_records(file), url: sha256}
    temporary = file.with_suffix(".new")
    lines = [f"{json.dumps(known)} = {json.dumps(records[known])}\n" for known in sorted(records)]
    temporary.write_text("".join(lines), encoding="utf-8")
    temporary.replace(file)


def _records(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{str(file)!r} cannot be read ({error}). Repair it, or delete it to trust anew.") from error
    return {url: sha256 for url, sha256 in values.items() if isinstance(sha256, str)}
