"""One recording that hangs or kills what reads it is rejected; the rest of the corpus is built."""

import sys
from functools import partial

import numpy as np
import pytest
import soundfile
from demo_corpus import no_download
from distributed import LocalCluster

from featurestore.corpus.catalog import find_manifest
from featurestore.errors import BuildError
from featurestore.perturbations.policy_tables import OwnPerturbation
from featurestore.signal import guarded
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset
from featurestore.specs.row_spec import RowSpec
from featurestore.trusted_code import VARIABLE
from pipelines.build.dispatch import REASON, isolate_culprits
from pipelines.build.plan import bundles_of, plan_build
from pipelines.build.rejects import known_rejects
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.ingest import ingest
from pipelines.workers import local_workers
from pipelines.workers.engines import forget_engines
from pipelines.workers.pool import Workers

pytestmark = pytest.mark.timeout(600)

MANIFEST = """
name = "few"
title = "A few tones"
licence = "CC0"
[audio]
include = ["*.wav", "*.flac"]
[labels]
pattern = '(?P<speaker>[a-z])_(?P<emotion>[a-z]+)_\\d+\\.(wav|flac)'
target = "emotion"
"""
BAD = "c_up_99"


@pytest.fixture
def corpus(tmp_path, store):
    """Six good tones, three of them compressed, and a bad file that is marked in its samples."""

    def make(ending):
        (tmp_path / "few.toml").write_text(MANIFEST)
        (tmp_path / "few").mkdir()
        for number in range(6):
            tone = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * np.arange(8_000) / 16_000)
            name = f"{'ab'[number % 2]}_{('up', 'down')[number % 2]}_{number}.{('wav', 'flac')[number % 2]}"
            soundfile.write(tmp_path / "few" / name, tone, 16_000)
        (tmp_path / "few" / f"{BAD}.{ending}").write_bytes(MARKED[ending])
        return ingest(store, find_manifest(str(tmp_path / "few.toml")), tmp_path / "few", no_download)

    return make


MARKED = {"flac": b"fLaC" + b"trap" * 50, "wav": b"RIFFtrap"}
HOSTILE = (
    "import os; from featurestore.signal import guarded as d\n"
    "d.CPU_SECONDS = 1; plain = d.decoded\n"
    "def decoded(data, max_seconds):\n"
    "    while b'trap' in data: pass\n"
    "    if b'kill' in data: os.kill(os.getpid(), 11)\n"
    "    return plain(data, max_seconds)\n"
    "d.decoded = decoded; d.serve()"
)


def test_files_that_hang_or_crash_their_decoder_are_rejected_and_the_rest_is_built(
    store, corpus, monkeypatch, tmp_path
):
    monkeypatch.setattr(guarded, "_START", HOSTILE)
    forget_engines()  # an engine of another test may hold a child that behaves
    corpus("flac")
    (tmp_path / "few" / "c_up_98.flac").write_bytes(b"fLaC" + b"kill" * 50)
    both = ingest(store, find_manifest(str(tmp_path / "few.toml")), tmp_path / "few", no_download)

    with LocalCluster(n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None) as here:
        report = build(
            store,
            both,
            DatasetSpec(feature_preset("mathworks"), None, 0),
            workers=Workers(scheduler=here.scheduler_address),
        )

    reasons = {one.path: one.reason for one in report.rejected}
    assert reasons["c_up_98.flac"] == "the decoder crashed (SIGSEGV)."
    assert reasons[f"{BAD}.flac"] == "the decoder did not end: it was stopped."
    assert report.clean == 6


def test_a_recording_that_kills_its_worker_is_found_among_the_others_and_rejected(store, corpus, monkeypatch):
    plan = plan_build(store, corpus("wav"), DatasetSpec(feature_preset("mathworks"), None, 0))
    (bundle,) = bundles_of(store, plan)
    deadly = (
        "import os; from featurestore.row_engine import RowEngine\n"
        "load = RowEngine.load_segments\n"
        "def deadly(self, data, *rest):\n"
        "    return os.kill(os.getpid(), 9) if b'trap' in data else load(self, data, *rest)\n"
        "RowEngine.load_segments = deadly\n"
        "from pipelines.workers.worker_server import serve; serve()"
    )

    monkeypatch.setattr(local_workers, "_START", deadly)
    found = isolate_culprits(bundle)

    bad = next(one.content for one in plan.corpus.utterances if one.path.endswith(f"{BAD}.wav"))
    assert found == ((bad, REASON),)
    assert known_rejects(store, bundle.spec) == {bad: REASON}


ARMED = (
    "import os\n"
    "from featurestore.row_engine import RowEngine\n"
    "load = RowEngine.load_segments\n"
    "def once(self, data, *rest):\n"
    "    try:\n"
    "        os.mkdir(os.environ['DIED_ONCE'])\n"
    "    except FileExistsError:\n"
    "        return load(self, data, *rest)\n"
    "    os.kill(os.getpid(), 9)\n"
    "def marked(self, data, *rest):\n"
    "    return os.kill(os.getpid(), 9) if b'trap' in data else load(self, data, *rest)\n"
    "def any_time(self, data, *rest):\n"
    "    os.kill(os.getpid(), 9)\n"
    "def arm(name):\n"
    "    RowEngine.load_segments = globals()[name]\n"
)


@pytest.fixture
def build_with(tmp_path, store, monkeypatch):
    """Build clean rows with two local workers in which loading a recording kills."""
    (tmp_path / "armed.py").write_text(ARMED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DIED_ONCE", str(tmp_path / "died"))

    def run(corpus, name):
        from armed import arm

        with Workers(2) as workers:
            workers.prepare(partial(arm, name))
            return build(store, corpus, DatasetSpec(feature_preset("mathworks"), None, 0), workers=workers)

    yield run
    sys.modules.pop("armed", None)


def test_a_worker_that_is_killed_once_costs_no_row(corpus, build_with, tmp_path):
    labelled = corpus("wav")

    report = build_with(labelled, "once")

    assert (tmp_path / "died").exists()
    assert [one.path for one in report.rejected] == [f"{BAD}.wav"]  # which is no recording at all
    assert report.clean == 6


def test_a_recording_that_kills_local_workers_is_rejected_and_the_rest_is_built(corpus, build_with, monkeypatch):
    deadly = (
        "import os; sys.path.insert(0, os.path.dirname(os.environ['DIED_ONCE']))\n"
        "from armed import arm; arm('marked'); from pipelines.workers.worker_server import serve; serve()"
    )
    monkeypatch.setattr(local_workers, "_START", deadly)

    report = build_with(corpus("wav"), "marked")

    assert [(one.path, one.reason) for one in report.rejected] == [(f"{BAD}.wav", REASON)]
    assert report.clean == 6


def test_workers_that_die_whatever_they_read_end_the_build_with_one_line(corpus, build_with):
    with pytest.raises(BuildError, match=r"6 workers died over the same 7 rows.* run the same command again"):
        build_with(corpus("wav"), "any_time")


DEADLY = "import os\ndef row(signal, rate):\n    os._exit(0)\ndef louder(signal, rate, rng):\n    os._exit(0)\n"
DEADLY_FEATURE = FeatureSpec(kind="function", function="deadly_code:row", version=1, bands=1)
DEADLY_POLICY = AugmentationSpec(own=(OwnPerturbation("deadly_code:louder", 1),))


@pytest.mark.parametrize(
    ("recipe", "function"),
    [
        (DatasetSpec(DEADLY_FEATURE, None, 0), "deadly_code:row"),
        (DatasetSpec(feature_preset("mathworks"), DEADLY_POLICY, 1), "deadly_code:louder"),
    ],
    ids=["feature", "perturbation"],
)
def test_a_function_of_the_user_that_ends_its_worker_stops_the_build_and_no_recording_is_rejected(
    store, corpus, monkeypatch, tmp_path, recipe, function
):
    (tmp_path / "deadly_code.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "deadly_code")
    corpus("flac")
    (tmp_path / "few" / f"{BAD}.flac").unlink()
    labelled = ingest(store, find_manifest(str(tmp_path / "few.toml")), tmp_path / "few", no_download)

    with Workers(2) as workers, pytest.raises(BuildError, match=function) as stopped:
        build(store, labelled, recipe, workers=workers)

    assert "\n" not in str(stopped.value)
    assert "no recording was rejected" in str(stopped.value)
    for augmentation in (None, recipe.augmentation):
        assert known_rejects(store, RowSpec.current(recipe.features, augmentation)) == {}
