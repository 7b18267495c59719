"""What a run records of its making, and what its page says of it."""

import dataclasses
import json
import re
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from array_view import some_view

from models.reports.parts import Changed, beside_defaults, table
from models.reports.plots import curves_in_words
from models.reports.provenance import cost, model_rows, terms
from models.reports.report import render_report
from models.runs.provenance import command_line, commit, describe_provenance
from models.runs.run import RunConfig, read_config


def test_a_run_records_command_date_and_commit_and_they_change_no_identity(finished):
    config = read_config(finished[0])
    later = dataclasses.replace(config, made={**config.made, "date": "2030-01-01T00:00:00+00:00"})

    assert datetime.fromisoformat(config.made["date"]).tzinfo == UTC
    assert config.made.keys() <= {"date", "command", "commit", "licence", "citation"}
    assert later.id == config.id


def test_a_run_of_before_it_was_recorded_is_read_and_its_page_says_nothing_of_it(finished):
    document = json.loads((finished[0] / "config.json").read_text())
    del document["made"]
    old = RunConfig.from_dict(document)
    text = render_report(dataclasses.replace(finished[2], config=old))

    assert old.id == finished[2].config.id
    assert not re.search("<th>(command|begun|commit|licence)", text)


def test_a_page_shows_who_made_the_run_and_on_which_terms(finished):
    made = {"command": "featurestore train <demo>", "date": "2026-01-02T03:04:05+00:00", "commit": "ab12-dirty",
            "licence": "CC BY 4.0", "citation": "A. Author 2005"}  # fmt: skip
    run = finished[2]
    text = render_report(dataclasses.replace(run, config=dataclasses.replace(run.config, made=made)))

    for name, value in (("command", "featurestore train &lt;demo&gt;"), ("begun", made["date"]),
                        ("commit of featurestore", "ab12-dirty"), ("licence of the corpus", "CC BY 4.0"),
                        ("citation of the corpus", "A. Author 2005")):  # fmt: skip
        assert f"<th>{name}</th><td>{value}</td>" in text


def test_the_terms_of_an_older_run_are_those_of_the_dataset_at_hand(finished):
    config = dataclasses.replace(finished[2].config, made={})
    sounds = SimpleNamespace(view=SimpleNamespace(table=SimpleNamespace(licence="CC0", citation="")))

    assert terms(config, sounds) == [("licence of the corpus", "CC0")]
    assert terms(config, None) == []


def test_a_dataset_tells_its_licence_to_the_run():
    view = some_view(3, seed=1)
    view.table = SimpleNamespace(licence="CC0", citation="B. Author")

    assert (describe_provenance(view)["licence"], describe_provenance(view)["citation"]) == ("CC0", "B. Author")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["/usr/bin/featurestore", "train", "a b"], "featurestore train 'a b'"),
        (["x/cli/__main__.py", "train"], "python -m cli train"),
        (["featurestore", "--store", "https://me:word@host/store"], "featurestore --store https://host/store"),
        (["-c"], ""), ([""], ""), ([], ""), (["/x/ipykernel_launcher.py", "-f", "k.json"], ""),
    ],
)  # fmt: skip
def test_a_command_line_is_kept_as_one_types_it_without_passwords(words, told):
    assert command_line(words) == told


def test_a_commit_is_that_of_the_tree_and_says_when_files_differ(tmp_path, monkeypatch):
    def git(*words):
        told = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True, capture_output=True
        )
        return told.stdout.decode().strip()

    assert commit(tmp_path / "none") == ""
    git("init", "--quiet")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "one")
    git("tag", "v1")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    found = commit.__wrapped__(tmp_path)
    (tmp_path / "file").write_text("two")

    assert re.fullmatch("[0-9a-f]{40}", found)
    assert commit.__wrapped__(tmp_path) == f"{found}-dirty"


def test_settings_that_differ_from_the_default_are_marked_in_words_and_in_bold():
    lines = beside_defaults({"epochs": 3, "l2": 0.05, "repeat": {"fear": 2}}, {"epochs": 3, "l2": 5e-4, "repeat": {}})

    assert lines == ("epochs = 3", "l2 = 0.05 (default 0.0005)", "repeat.fear = 2 (default none)")
    assert [isinstance(line, Changed) for line in lines] == [False, True, True]
    assert "<li>epochs = 3</li><li><b>l2 = 0.05 (default 0.0005)</b></li>" in table(("", ""), [("training", lines)])


def test_a_page_has_every_setting_of_the_training_and_of_the_model(finished):
    run = finished[2]
    text = render_report(run)

    for name, value in run.config.training.to_dict().items():
        assert f"{name} = " in text or isinstance(value, dict), name
    assert "(default 3)" in text or run.config.training.epochs == 3
    named = dict(model_rows(dataclasses.replace(run.config, model="etienne-cnn-blstm", settings={"hidden": 4})))
    assert any(line.startswith("hidden = 4 (default ") for line in named["model settings"])
    assert any(line.startswith("convolutions = ") and "default" not in line for line in named["model settings"])


def test_the_cost_of_folds_is_that_of_all_of_them():
    timed = {"seconds": 60.4, "clips_per_second": 90.0, "device": "cpu"}

    assert cost([timed, {**timed, "seconds": 1000.0, "clips_per_second": 50.2}]) == [
        ("time", "1,060 s in all, 50 to 90 clips/s on cpu")
    ]
    assert cost([{"test": {}}]) == []


def test_a_figure_says_what_it_shows_to_those_who_cannot_see_it(finished):
    run = finished[2]
    text, said = render_report(run), curves_in_words(run.history)
    plots = [svg for svg in re.findall("<svg.*?</svg>", text, re.DOTALL) if "matplotlib" in svg]

    assert "training loss: " in said
    assert "learning rate: " in said
    assert [re.search("<title>(.*?)</title>", svg)[1] for svg in plots] == [
        "loss over epoch", "accuracy (WA) over epoch", "learning rate over epoch",
    ]  # fmt: skip
    for svg in re.findall("<svg.*?</svg>", text, re.DOTALL):
        assert re.match("<svg[^>]*role='img'[^>]*><title>[^<]+</title><desc>[^<]+</desc>", svg)
