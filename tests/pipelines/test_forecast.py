"""What a dry run forecasts: from whose rate, and whether there is room; and the defaults that the environment gives."""

import json

import pytest
from command_line import ENVIRONMENT, error_line, featurestore

from featurestore.errors import BuildError
from pipelines.build import rate
from pipelines.build.rate import DEVELOPMENT, known_rate, remember_rate
from pipelines.workers.pool import Workers, available_cores


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, for this process and the commands that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(ENVIRONMENT, "XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "featurestore"


def test_the_rate_is_the_development_machines_until_one_is_measured_here(cache):
    before = known_rate()

    remember_rate(250.0)

    assert before == DEVELOPMENT
    assert known_rate().rows_per_second == 250.0
    assert "on this machine, 20" in known_rate().measured_by
    (file,) = (cache / "measured").iterdir()
    file.write_bytes(file.read_bytes().replace(b"250", b"260"))
    assert known_rate() == DEVELOPMENT


def test_a_rate_of_another_machine_is_none_of_this_one(cache, monkeypatch):
    remember_rate(250.0)

    monkeypatch.setattr(rate.platform, "node", lambda: "another")

    assert known_rate() == DEVELOPMENT


def test_a_dry_run_says_who_measured_and_what_is_free(cache, tmp_path):
    words = ("build", "demo", "--augment", 9, "--dry-run", "--jobs", 2)
    first = json.loads(featurestore(*words, "--json", store=tmp_path / "store").stdout)
    remember_rate(10.0)

    shown = featurestore(*words, store=tmp_path / "store").stdout
    second = json.loads(featurestore(*words, "--json", store=tmp_path / "store").stdout)

    assert first["free_bytes"] > 0
    assert "development machine" in first["estimated_by"]
    assert second["estimated_seconds"] == 2 + 1200 / 20
    assert "that are free" in shown
    assert "measured by 'featurestore doctor' on this machine" in " ".join(shown.split())


def test_the_environment_says_how_many_processes_build(monkeypatch):
    monkeypatch.setenv("FEATURESTORE_JOBS", "7")
    assert (Workers().jobs, Workers(2).jobs) == (7, 2)

    monkeypatch.setenv("FEATURESTORE_JOBS", "")
    assert Workers().jobs == available_cores()

    monkeypatch.setenv("FEATURESTORE_JOBS", "many")
    with pytest.raises(BuildError, match="FEATURESTORE_JOBS must be a number from 1 to 1,024, not 'many'"):
        Workers()


def test_a_wrong_number_of_processes_is_one_line_of_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(ENVIRONMENT, "FEATURESTORE_JOBS", "0")

    assert "FEATURESTORE_JOBS" in error_line(featurestore("build", "demo", store=tmp_path))


def test_the_environment_says_where_models_are_trained(monkeypatch):
    execution = pytest.importorskip("models.execution")
    monkeypatch.setenv("FEATURESTORE_DEVICE", "cpu")
    assert execution.choose_device("auto").type == "cpu"

    monkeypatch.setenv("FEATURESTORE_DEVICE", "tpu")
    with pytest.raises(execution.TrainingError, match="unknown device 'tpu'"):
        execution.choose_device("auto")
    assert execution.choose_device("cpu").type == "cpu"
