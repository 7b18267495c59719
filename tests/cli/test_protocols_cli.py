"""Protocols, checks and corpora together from the command line."""

from __future__ import annotations

import json

import pytest
from command_line import error_line, featurestore


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with the demo corpus, and a protocol for it in a manifest beside."""
    folder = tmp_path_factory.mktemp("protocols")
    (folder / "own.toml").write_text(
        'name = "demo"\ntitle = "Demo"\n[labels]\ntarget = "emotion"\n'
        "pattern = '(?P<speaker>[fm]\\d)_(?P<sentence>s\\d)_(?P<emotion>[a-z]{3})\\.wav'\n"
        '[schemes.two]\nmap = { happy = "high", angry = "high", sad = "low" }\nkeep = ["high", "low"]\n'
        '[protocols."two-speakers@me2026"]\nsplit = "group-3fold"\nscheme = "two"\ncitation = "me 2026"\n'
    )
    result = featurestore("build", "demo", "--jobs", 1, "--json", store=folder / "store")
    assert result.returncode == 0, result.stderr
    return folder


def test_splits_show_the_whole_name_classes_and_citation_of_a_protocol(place):
    name = f"{place / 'own.toml'}/two-speakers"

    document = json.loads(featurestore("splits", "demo", "--split", name, "--json", store=place / "store").stdout)

    assert document["protocol"] == f"{name}@me2026"
    assert document["labels"] == {"high": 60, "low": 30}
    assert (document["citation"], document["scheme"], document["unknown_speakers"]) == ("me 2026", "two", 0)
    assert document["shared_speakers"] == []
    assert [len(fold["test"]) for fold in document["folds"]] == [30, 30, 30]


def test_the_splits_of_a_corpus_are_listed_with_what_they_are():
    rows = json.loads(featurestore("splits", "iemocap", "--json").stdout)

    assert rows[0]["split"].startswith("iemocap/")
    assert {"iemocap/impro4-loso10@etienne2018", "loso"} <= {row["split"] for row in rows}


def test_a_protocol_trains_by_its_name_on_its_own_classes(place):
    name = f"{place / 'own.toml'}/two-speakers/1"
    options = ("--split", name, "--epochs", 1, "--run", place / "run", "--json")

    result = featurestore("train", "demo", *options, store=place / "store")

    assert result.returncode == 0, result.stderr
    config = json.loads((place / "run" / "config.json").read_text())
    assert config["split"] == f"{place / 'own.toml'}/two-speakers@me2026/1"
    assert config["classes"] == ["high", "low"]


def test_a_protocol_of_another_corpus_is_an_error_that_names_both(place):
    result = featurestore("train", "demo", "--split", "emodb/loso/03", store=place / "store")

    assert result.returncode == 1
    assert "emodb" in error_line(result)
    assert "demo" in error_line(result)


def test_a_complete_corpus_checks_out_and_a_partial_one_does_not(place, tmp_path):
    whole = featurestore("corpora", "check", "demo", "--json", store=place / "store")
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "f1_s1_neu.wav").write_bytes(b"x")
    part = featurestore("corpora", "check", "demo", "--source", folder, "--json", store=place / "store")

    assert (whole.returncode, json.loads(whole.stdout)["files"]) == (0, 120)
    assert part.returncode == 3
    assert {"files", "missing", "extra", "mismatched", "rejected", "labels", "speakers"} <= json.loads(
        part.stdout
    ).keys()


def test_a_licensed_corpus_without_its_folder_is_one_line_that_says_where_to_get_it(tmp_path):
    result = featurestore("build", "iemocap/impro4", store=tmp_path / "store")

    assert result.returncode == 1
    assert "https://sail.usc.edu/iemocap/" in error_line(result)
    assert "--source" in error_line(result)


def test_a_scheme_and_a_company_build_without_computing_a_row_again(place):
    scheme = featurestore("build", "demo/4class", "--jobs", 1, "--json", store=place / "store")
    document = json.loads(scheme.stdout)

    assert (document["computed"], document["reused"], document["dataset"]) == (0, 120, "demo-4class")
    assert document["corpus"] == "demo/4class"
