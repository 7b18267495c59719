"""How fast a process computes rows: as `featurestore doctor` measured it here, else on the development machine.

What was measured is kept in the user's cache, one file for each machine, since a home can be shared by many.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from featurestore.checksummed_json import FORMAT, sealed, unsealed
from featurestore.errors import FeatureStoreError
from featurestore.files import read_regular

LARGEST = 10_000
"""Bytes of a file that is read."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one process computes rows of 2.8 s of sound in the default features."""

    rows_per_second: float
    measured_by: str
    """Who measured it, as the end of a sentence."""


DEVELOPMENT = Rate(1_000, "on the development machine (AMD Zen 3, 2.4 GHz); 'featurestore doctor' measures this one")
"""Rounded down."""


def known_rate() -> Rate:
    """Return what was measured on this machine, else on the development machine; a damaged file counts for none."""
    with suppress(OSError, FeatureStoreError, KeyError, TypeError, ValueError):
        body = unsealed("rate", read_regular(_file(), LARGEST))
        if body["machine"] == platform.node() and float(body["rows_per_second"]) > 0:
            return Rate(float(body["rows_per_second"]), f"by 'featurestore doctor' on this machine, {body['date']}")
    return DEVELOPMENT


def remember_rate(rows_per_second: float) -> None:
    """Keep what was measured on this machine, if the file can be written."""
    date = datetime.now(UTC).date().isoformat()
    body = {"date": date, "format": FORMAT, "machine": platform.node(), "rows_per_second": rows_per_second}
    with suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=_file().parent)
        with os.fdopen(handle, "wb") as file:
            file.write(sealed(body))
        Path(name).replace(_file())


def _file() -> Path:
    name = hashlib.sha256(platform.node().encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("featurestore")) / "measured" / f"{name}.json"
