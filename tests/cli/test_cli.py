"""The command line: exit codes, one line for an error, one JSON value for a result."""

from __future__ import annotations

import inspect
import json
import shutil
import zipfile
from pathlib import Path

import click
import pytest
from command_line import ENVIRONMENT, error_line, featurestore

from cli.main import COMMANDS
from cli.main import featurestore as featurestore_group


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A store with the demo corpus and two copies of each recording."""
    place = tmp_path_factory.mktemp("cli") / "store"
    result = featurestore("build", "demo", "--augment", 2, "--jobs", 2, "--json", store=place)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["rows"] == {"clean": 120, "augmented": 240}
    return place


def test_a_build_prints_one_json_object_with_all_keys(built):
    result = featurestore("build", "demo", "--augment", 2, "--json", store=built)

    document = json.loads(result.stdout)
    assert list(document) == [
        "corpus", "dataset", "digest", "utterances", "rows", "computed", "copied", "reused", "rejected",
        "notes", "bytes_written", "seconds",
    ]  # fmt: skip
    assert (document["computed"], document["copied"], document["reused"]) == (0, 0, 360)


def test_a_dry_run_estimates_and_writes_nothing(built):
    before = sorted(path for path in built.rglob("*"))

    document = json.loads(featurestore("build", "demo", "--augment", 9, "--dry-run", "--json", store=built).stdout)

    assert document["to_compute"] == 120 * 7
    assert document["estimated_bytes"] > 0
    assert document["estimated_seconds"] > 0
    assert sorted(path for path in built.rglob("*")) == before


def test_a_dry_run_for_torch_gives_no_time_since_only_the_cpu_engine_is_known(built):
    arguments = ("build", "demo", "--dry-run", "--device", "torch-cpu")

    document = json.loads(featurestore(*arguments, "--json", store=built).stdout)
    shown = featurestore(*arguments, store=built).stdout

    assert document["to_compute"] == 120
    assert document["estimated_bytes"] > 0
    assert document["estimated_seconds"] is None
    assert "the time that torch takes is unknown" in shown
    assert " s; nothing was written" not in shown


def test_ls_lists_datasets_with_their_sizes(built):
    (row,) = json.loads(featurestore("ls", "--json", store=built).stdout)

    assert (row["dataset"], row["corpus"], row["rows"], row["shared_bytes"]) == ("demo", "demo", 360, 0)
    assert row["bytes"] > 1_000_000


def test_info_describes_a_dataset(built):
    document = json.loads(featurestore("info", "demo", "--json", store=built).stdout)

    assert document["labels"] == {"angry": 30, "happy": 30, "neutral": 30, "sad": 30}
    assert document["copies"] == 2
    assert document["features"]["mels"] == 128
    assert document["augmentation"]["snr_db"]["uniform"] == [-20.0, 40.0]
    assert document["frames"]["min"] <= document["frames"]["median"] <= document["frames"]["max"]


def test_splits_say_which_speakers_stand_on_two_sides(built):
    document = json.loads(featurestore("splits", "demo", "--split", "shuffled", "--json", store=built).stdout)
    folds = json.loads(featurestore("splits", "demo", "--split", "loso", "--json", store=built).stdout)

    assert set(document["shared_speakers"]) <= {"f1", "f2", "f3", "m1", "m2", "m3"}
    assert document["shared_speakers"]
    assert len(folds["folds"]) == 6
    assert folds["shared_speakers"] == []


def test_verify_finds_a_flipped_bit_and_exits_with_4(built, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    assert featurestore("verify", store=copy).returncode == 0
    shard = next(path for path in sorted(copy.rglob("c/0/0")))
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)

    result = featurestore("verify", "--json", store=copy)

    assert result.returncode == 4
    (damage,) = json.loads(result.stdout)["damaged"]
    assert damage["object"] == shard.relative_to(copy).as_posix()


def test_an_export_to_hdf5_holds_every_row(built, tmp_path):
    import h5py
    import numpy as np

    from featurestore.store import open_store

    out = tmp_path / "demo.h5"

    result = featurestore("export", "demo", "--to", "hdf5", "--out", out, "--json", store=built)

    view = open_store(built).view("demo")
    assert json.loads(result.stdout) == {"rows": 360, "path": str(out)}
    with h5py.File(out) as file:
        offsets = file["offsets"][:]
        for row in (0, 100, 359):
            np.testing.assert_array_equal(file["features"][offsets[row] : offsets[row + 1]], view[row][0])
            assert file["labels"].asstr()[row] == view.labels[row]
        assert file.attrs["digest"] == view.digest


def test_an_export_never_overwrites_a_file(built, tmp_path):
    out = tmp_path / "mine.h5"
    out.write_text("mine")

    result = featurestore("export", "demo", "--to", "hdf5", "--out", out, store=built)

    assert result.returncode == 1
    assert "exists" in error_line(result)
    assert out.read_text() == "mine"


def test_a_forgotten_dataset_is_gone_from_the_list(built, tmp_path):
    place = Path(shutil.copytree(built, tmp_path / "store"))

    assert json.loads(featurestore("forget", "demo", "--json", store=place).stdout) == {"dataset": "demo"}
    assert json.loads(featurestore("ls", "--json", store=place).stdout) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["build", "emodbb"], 1, ["emodbb", "emodb"]),
        (["build", "../../no_such_place/x"], 1, ["../../no_such_place/x"]),
        (["build", "demo", "--augment", "5", "--policy", "mathwork"], 1, ["mathwork", "mathworks"]),
        (["build", "demo", "--features", "logmell"], 1, ["logmell", "logmel"]),
        (["build", "demo", "--set", "melz=3"], 1, ["melz", "mels"]),
        (["build", "demo", "--set", "snr_db=a,b"], 1, ["snr_db"]),
        (["build", "demo", "--split", "mathwork"], 1, ["mathwork", "mathworks"]),
        (["build", "demo", "--name", "../evil"], 1, ["../evil"]),
        (["build", "fsdd", "--source", "no-such-file.zip"], 1, ["no-such-file.zip", "--source"]),
        (["info", "nothing"], 1, ["no store at", "--store"]),
        (["verify", "nothing"], 1, ["no store at", "--store"]),
        (["ls"], 1, ["no store at", "--store"]),
    ],
)
def test_a_wrong_name_or_value_is_one_line_that_says_what_to_do(tmp_path, arguments, code, words):
    result = featurestore(*arguments, store=tmp_path / "store")

    assert result.returncode == code
    line = error_line(result)
    for word in words:
        assert word in line


@pytest.mark.parametrize("arguments", [["build"], ["build", "demo", "--augment", "-1"], ["bild"], ["ls", "--nothing"]])
def test_wrong_usage_exits_with_2(tmp_path, arguments):
    result = featurestore(*arguments, store=tmp_path)

    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_a_damaged_archive_is_named_and_leaves_nothing_visible(tmp_path):
    archive = tmp_path / "half.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("wav/03a01Fa.wav", bytes(1000))
    archive.write_bytes(archive.read_bytes()[:500])

    result = featurestore("build", "emodb", "--source", archive, store=tmp_path / "store")

    assert result.returncode == 1
    assert "half.zip" in error_line(result)
    assert not list((tmp_path / "store").rglob("*.json"))


def test_a_folder_without_recordings_is_named(tmp_path):
    (tmp_path / "empty").mkdir()

    result = featurestore("build", "emodb", "--source", tmp_path / "empty", store=tmp_path / "store")

    assert result.returncode == 1
    assert "--source" in error_line(result)


def test_a_corpus_that_cannot_be_downloaded_names_the_source_option(tmp_path):
    manifest = tmp_path / "mine.toml"
    manifest.write_text(
        'name = "mine"\ntitle = "Mine"\nlicence = "unknown"\n'
        "[labels]\npattern = '(?P<speaker>[a-z])(?P<emotion>[a-z]+)\\.wav'\ntarget = 'emotion'\n"
    )

    result = featurestore("build", manifest, "--name", "mine", store=tmp_path / "store")

    assert result.returncode == 1
    assert "--source" in error_line(result)


def test_a_store_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    result = featurestore("ls", "--store", tmp_path / "file")

    assert result.returncode == 1
    assert "is a file" in error_line(result)


@pytest.mark.parametrize("group", [[], ["corpora"]])
def test_the_list_of_commands_is_whole_at_80_columns(group):
    listed = featurestore(*group, "--help").stdout

    assert "..." not in listed.partition("Options:")[2]
    assert max(map(len, listed.splitlines())) <= 80
    assert [name for name in COMMANDS if f"\n  {name} " not in listed and not group] == []


def test_inspect_is_report_under_another_name():
    ours, other = featurestore("report", "--help").stdout, featurestore("inspect", "--help").stdout

    assert other == ours.replace("featurestore report [OPTIONS]", "featurestore inspect [OPTIONS]")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_every_command_shows_an_example(command):
    result = featurestore(command, "--help")

    assert result.returncode == 0
    assert "Example: featurestore" in result.stdout


@pytest.mark.parametrize(
    "name",
    [
        "baseline",
        "build",
        "compare",
        "crossval",
        "curve",
        "ensemble",
        "evaluate",
        "matrix",
        "predict",
        "reproduce",
        "train",
        "tune",
    ],
)
def test_options_are_parameters_of_the_function_of_the_same_name(name):
    import featurestore as library

    command = featurestore_group.get_command(click.Context(featurestore_group), name)
    given = {one.name for one in command.params if one.expose_value}
    limits = {"max_file_size", "max_files"}  # together the parameter `limits`
    progress = {"quiet", "verbose", "log"}  # together the parameter `listener`

    taken = inspect.signature(getattr(library, name)).parameters

    assert given - {*taken} <= {"as_json", "place", "show", *limits, *progress}
    assert not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())


def test_the_version_is_told():
    assert featurestore("--version").stdout.startswith("featurestore, version ")


@pytest.mark.parametrize("source", [[], ["--source", "https://127.0.0.1:1/download.zip"]])
def test_a_dry_run_never_downloads(tmp_path, source):
    empty = {**ENVIRONMENT, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    result = featurestore("build", "emodb", "--dry-run", *source, store=tmp_path / "store", environment=empty)

    assert result.returncode == 1
    assert "--source" in error_line(result)
    assert "downloading" not in result.stderr


def test_a_build_by_a_recipe_takes_its_rows_from_there(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[dataset]\ncorpus = "demo"\ncopies = 3\nside = "train"\n[split]\nname = "shuffled"\n')

    document = json.loads(featurestore("build", "--recipe", recipe, "--dry-run", "--json", store=tmp_path / "s").stdout)

    assert document["corpus"] == "demo"
    assert document["rows"] == {"clean": 120, "augmented": 3 * 84}
