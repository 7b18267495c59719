"""The notebooks of the documentation run, and show what is kept in them."""

from __future__ import annotations

import json
import re

import pytest
from command_line import called
from documentation import differs
from notebooks import NOTEBOOKS, cells, run, text_of


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_kept_in_it(path, tmp_path):
    notebook = json.loads(path.read_text(encoding="utf-8"))

    found = called(run, notebook, folder=tmp_path)

    for cell, outputs in zip(cells(notebook), found, strict=True):
        told = text_of(cell["outputs"]).splitlines()
        assert differs(tuple(told), text_of(outputs)) == [], "python tests/notebooks.py --write"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_no_path_of_a_machine_and_no_error(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = json.dumps([cell["outputs"] for cell in cells(notebook)])

    assert all(cell["outputs"] or "".join(cell["source"]).startswith("import") for cell in cells(notebook))
    assert re.findall(r"/(?:home|root|tmp|work|usr|Users)/[^\"]*|Traceback|\"error\"", outputs) == []
