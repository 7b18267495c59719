"""Every recipe from the recordings to the published table, in the reduced setting, on copies of its corpora."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import spoken_copies

from cli.main import run
from pipelines.experiments.recipe import recipe_text

CASES = [
    ("digits", "speech_commands_v1", ("BaseModel", "ParallelNet")),
    ("etienne", "iemocap", ("8 kHz oversampling VTLP",)),
    ("zhao", "aihub_emotion", ("Korean modified",)),
    ("keren", "fau_aibo", ("table I 2 classes CLSTM", "table I 5 classes standard")),
    ("keren", "agender", ("table II gender log mel CBLSTM", "table III age log mel standard")),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]} on {case[1]}")
def reproduced(request, tmp_path_factory):
    """A recipe, its corpus, the rows that were asked for, and the folder where they were trained."""
    name, corpus, rows = request.param
    folder = tmp_path_factory.mktemp(corpus)
    source = getattr(spoken_copies, corpus)(folder / "source")
    return name, corpus, rows, reproduce(folder, name, corpus, rows, source), folder


def reproduce(folder: Path, name: str, corpus: str, rows: tuple[str, ...], source: Path) -> list[dict]:
    """Run `reproduce` in this process, with one epoch, and return its lines."""
    before, reduced, after = recipe_text(name).partition("[reduced]")
    recipe = folder / f"{name}.toml"
    recipe.write_text(before + reduced + re.sub(r"epochs = \d+", "epochs = 1", after, count=1))
    asked = [part for row in rows for part in ("--row", row)]
    place = ["--store", str(folder / "store"), "--run", str(folder / "runs"), "--keep", str(folder / "kept.json")]
    code = run(["reproduce", str(recipe), "--corpus", corpus, "--source", str(source), *asked, *place])
    assert code == 0
    return json.loads((folder / "kept.json").read_text())[name]["rows"]


def test_a_recipe_runs_from_recordings_to_its_table(reproduced):
    name, corpus, rows, lines, _ = reproduced

    assert {line["row"] for line in lines} == set(rows)
    for line in lines:
        assert line["corpus"].partition("/")[0] == corpus
        assert 0 <= line["ours"] <= 1
        if name == "zhao":  # five classes in the source, all seven here
            assert (line["published"], line["published_corpus"]) == (None, None)
        else:
            assert 0 < line["published"] <= 1
            assert line["published_corpus"] == corpus


def test_each_training_says_what_it_was(reproduced):
    name, _, _, _, folder = reproduced

    configs = [json.loads(path.read_text()) for path in folder.rglob("config.json")]
    assert configs
    for config in configs:
        assert config["recipe"]["name"] == name
        assert config["leaks"]["found"].keys() - {"sentence"} <= set(config["leaks"]["declared"])


def test_etienne_trains_ten_folds_and_tests_by_eleven_warps(reproduced):
    name, _, _, lines, folder = reproduced
    if name != "etienne":
        pytest.skip("another recipe")
    means = {line["metric"]: line for line in lines if not line["metric"].startswith("fold ")}
    folds = [line["ours"] for line in lines if line["metric"].startswith("fold ") and line["metric"].endswith("uar")]
    fold = folder / "runs" / "8-khz-oversampling-vtlp" / "seed-0" / "fold-01"
    told = json.loads((fold / "summary.json").read_text())

    assert means["test uar"]["runs"] == 10
    assert means["test uar"]["ours"] == pytest.approx(sum(folds) / 10)
    assert json.loads((fold / "config.json").read_text())["rows"]["test"] == 8 * 11
    assert sum(row["support"] for row in told["test"]["per_class"].values()) == 8
