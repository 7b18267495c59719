"""Standard input, output and error that the caller closed, or that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ENVIRONMENT
from demo_corpus import ROOT

UNWRITTEN = "error: standard output cannot be written (Bad file descriptor).\n"
FULL = "error: standard output cannot be written (No space left on device).\n"
NO_STORE = f"error: no store at '{ROOT}/missing': check --store and FEATURESTORE_HOME, and that its disk is mounted.\n"
ls = f"{sys.executable} -m cli ls"


@pytest.fixture(autouse=True)
def _begun(store):
    """A store that holds nothing yet, at `tmp_path / "store"`."""
    with store.storage.hold(exclusive=False):
        pass


def in_a_shell(line, tmp_path):
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, "FEATURESTORE_HOME": str(tmp_path / "store")},
        timeout=120,
    )


@pytest.mark.parametrize(
    ("line", "code", "errors"),
    [
        (f"{ls} >&-", 1, UNWRITTEN),
        (f"{ls} --json >&-", 1, UNWRITTEN),
        (f"{ls} --help >&-", 1, UNWRITTEN),
        (f"{ls} --json --store {ROOT}/missing >&-", 1, NO_STORE),
        (f"{ls} <&-", 0, ""),
        (f"{ls} 2>&-", 0, ""),
        (f"{ls} nonsense >&- 2>&- <&-", 2, ""),
        (f"{ls} | exec 0<&-", 1, ""),
    ],
)
def test_a_closed_stream_ends_with_an_exit_code_and_no_traceback(tmp_path, line, code, errors):
    result = in_a_shell(line, tmp_path)

    assert (result.returncode, result.stderr) == (code, errors)


def test_a_full_disk_under_the_output_is_one_line(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    result = in_a_shell(f"{ls} > /dev/full", tmp_path)

    assert (result.returncode, result.stderr) == (1, FULL)


def test_no_file_takes_the_number_of_a_stream_that_was_closed(tmp_path):
    code = (
        "import os; from cli.main import open_closed_streams; open_closed_streams(); os._exit(os.open(os.devnull, 0))"
    )

    assert in_a_shell(f'{sys.executable} -c "{code}" <&- >&- 2>&-', tmp_path).returncode >= 3
