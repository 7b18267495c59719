"""What another tool's data becomes here: rows for a data sheet in memory, and where its recordings were said to lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Translation:
    """Data in a format of another tool, as it was understood.

    The rows travel with the recordings as a label file of their own, so that a store can label them again without the
    folder they came from.
    """

    format: str
    """What messages call the format."""
    rows: bytes
    """One JSON object a line: `file`, the path inside the corpus, and the fields of this recording."""
    paths: Mapping[str, str]
    """For each path inside the corpus, the path as it was written down: relative, or absolute on another machine."""

    @property
    def file(self) -> str:
        """The path of the rows among the files of the corpus; hidden, and new for every change of a label."""
        return f".featurestore/{hashlib.sha256(self.rows).hexdigest()[:32]}.jsonl"
