"""The command line as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from demo_corpus import ROOT

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}


def featurestore(*arguments: object, store: Path | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as users do, in a process of its own."""
    place = {"FEATURESTORE_HOME": str(store)} if store else {}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, **place},
        timeout=240,
        **options,
    )
    if "the package torch is not installed" in done.stderr:
        pytest.importorskip("torch")
    return done


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the single line that an expected error prints."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
