"""`featurestore doctor`: what is broken is found and named, and trying leaves nothing behind."""

import json

import pytest
from command_line import featurestore

from featurestore.storage import open_storage
from pipelines.doctor import examine, installation, machine, measure_speed
from pipelines.doctor.speed import _start_and_rate


def by_name(findings):
    return {one.name: one for one in findings}


def test_a_sound_machine_is_sound_and_nothing_is_left_where_it_was_tried(tmp_path):
    told = []

    found = examine(str(tmp_path / "new" / "store"), benchmark=False, found=told.append)

    assert found.sound, [one for one in found.findings if one.state == "problem"]
    assert told == list(found.findings)
    assert {"python", "packages", "processor", "cores", "store", "cache", "gpu", "codecs", "kernels"} <= {
        *by_name(told)
    }
    assert found.speed is None
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_exists_is_the_same_afterwards(tmp_path):
    storage = open_storage(tmp_path)
    storage.put_if_absent("refs/a.json", b"{}")
    before = sorted(str(path) for path in tmp_path.rglob("*"))

    found = machine.check_store(str(tmp_path))

    assert found.state == "ok"
    assert "a store, can be written" in found.text
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("place", ["/proc/store", "{0}/file", "gs://bucket", "{0}?base={0}/none"])
def test_a_place_that_cannot_be_a_store_is_a_problem_and_nothing_is_measured(place, tmp_path):
    (tmp_path / "file").write_text("")

    found = examine(place.format(tmp_path))

    assert [one.name for one in found.findings if one.state == "problem"] == ["store"]
    assert found.speed is None


def test_the_command_fails_where_something_is_broken_and_says_so_as_json_too(tmp_path):
    (tmp_path / "file").write_text("")

    shown = featurestore("doctor", "--store", tmp_path / "file")
    asked = featurestore("doctor", "--json", "--store", tmp_path / "file")

    assert shown.returncode == asked.returncode == 1
    assert "problem: " in shown.stdout
    assert "give --store a folder" in " ".join(shown.stdout.split())
    assert json.loads(asked.stdout)["sound"] is False


def install(monkeypatch, folder, name, version):
    """Put the metadata of a package before that of the one that is installed."""
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    monkeypatch.syspath_prepend(folder)


def test_a_package_that_is_too_old_is_a_problem(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "soxr", "0.1")

    found = by_name(installation.check_packages())["packages"]

    assert (found.state, "soxr 0.1 is not >=0.5" in found.text) == ("problem", True)


def test_a_package_of_another_version_than_the_tested_one_is_worth_a_note(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "soxr", "99.0")

    found = by_name(installation.check_packages())["packages"]

    assert (found.state, f"soxr 99.0 (tested: {installation.tested_versions()['soxr']})" in found.text) == (
        "note",
        True,
    )


def test_the_benchmark_builds_the_demo_corpus_twice_and_leaves_nothing(tmp_path):
    speed = measure_speed(tmp_path, copies=2, jobs=1, tell=lambda _: None)

    assert (speed.rows, speed.emodb_rows, speed.jobs) == (120 + 360, 40_660, 1)
    assert speed.emodb_seconds > speed.emodb_rows * 2.7 / speed.sound_per_second  # seconds of sound a recording
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        ((100, 1.5), (9100, 10.5), (1.4, 1000.0)),
        ((100, 2.0), (9100, 9.0), (2 - 7 / 90, 9000 / 7)),
        ((1, 2.0), (9, 1.0), (0, 9)),
    ],
)
def test_the_rate_leaves_out_what_every_build_takes(small, large, expected):
    assert _start_and_rate(small, large) == pytest.approx(expected)
