"""Who made a run: its command line, date and commit, and the terms of the corpus that it was trained on."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from models.batches.loader import FeatureView

LONGEST = 2000
"""Characters of a command line that are kept."""


def describe_provenance(view: FeatureView) -> dict[str, str]:
    """Return `date` (UTC) and, where they are known, `command`, `commit`, `licence` and `citation`.

    Parameters
    ----------
    view : FeatureView
        Of the dataset.
    """
    table = getattr(view, "table", None)
    found = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(sys.argv),
        "commit": commit(Path(__file__).parents[2]),
        "licence": getattr(table, "licence", ""),
        "citation": getattr(table, "citation", ""),
    }
    return {name: value for name, value in found.items() if value}


def command_line(words: Sequence[str]) -> str:
    """Return `sys.argv` as one types it, without passwords in addresses; nothing in a notebook or for `python -c`.

    Examples
    --------
    >>> command_line(["/usr/bin/featurestore", "train", "my data", "--store", "https://me:secret@host/store"])
    "featurestore train 'my data' --store https://host/store"
    >>> command_line(["/tree/cli/__main__.py", "models"])
    'python -m cli models'
    """
    program = Path(words[0]) if words else Path()
    if program.name in ("", "-c") or program.name.startswith(("ipykernel", "colab_kernel")):
        return ""
    start = ["python", "-m", program.parent.name] if program.name == "__main__.py" else [program.name]
    return re.sub(r"://[^/@\s]*@", "://", shlex.join([*start, *words[1:]]))[:LONGEST]


@cache
def commit(tree: Path) -> str:
    """Return the commit of a source tree, `-dirty` added if its files differ; nothing of an installed package."""
    if not (tree / ".git").exists():
        return ""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    words = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        told = subprocess.run(  # noqa: S603 (fixed words)
            words, env={**outside, "GIT_OPTIONAL_LOCKS": "0"}, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return ""  # no git, or a tree that it cannot read: the version says what there is to say
    return told.stdout.strip() if told.returncode == 0 else ""
