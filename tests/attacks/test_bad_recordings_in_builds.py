"""One recording that hangs or kills what reads it is rejected; the rest of the corpus is built."""

import numpy as np
import pytest
import soundfile
from demo_corpus import no_download
from distributed import LocalCluster

from featurestore.corpus.sheet.manifest import find_manifest
from featurestore.signal import guarded
from featurestore.specs.presets import feature_preset
from pipelines import culprits
from pipelines.build import build
from pipelines.culprits import REASON, isolate_culprits
from pipelines.dataset_recipe import DatasetRecipe
from pipelines.dispatch import bundles_of
from pipelines.engines import kept_engine
from pipelines.ingest import ingest
from pipelines.planning import plan_build
from pipelines.rejects import known_rejects

pytestmark = pytest.mark.timeout(60)

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
    "import sys; sys.path.insert(0, sys.argv[1]); import os; from featurestore.signal import decoder_process as d\n"
    "d.CPU_SECONDS = 1; plain = d.decoded\n"
    "def decoded(data, max_seconds):\n"
    "    while b'trap' in data: pass\n"
    "    if b'kill' in data: os.kill(os.getpid(), 11)\n"
    "    return plain(data, max_seconds)\n"
    "d.TASKS['decode'] = decoded; d.serve()"
)


def test_files_that_hang_or_crash_their_decoder_are_rejected_and_the_rest_is_built(
    store, corpus, monkeypatch, tmp_path
):
    monkeypatch.setattr(guarded, "_START", HOSTILE)
    kept_engine.cache_clear()  # an engine of another test may hold a child that behaves
    corpus("flac")
    (tmp_path / "few" / "c_up_98.flac").write_bytes(b"fLaC" + b"kill" * 50)
    both = ingest(store, find_manifest(str(tmp_path / "few.toml")), tmp_path / "few", no_download)

    with LocalCluster(n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None) as here:
        report = build(
            store, both, DatasetRecipe(feature_preset("mathworks"), None, 0), scheduler=here.scheduler_address
        )

    reasons = {one.path: one.reason for one in report.rejected}
    assert reasons["c_up_98.flac"] == "the decoder crashed (SIGSEGV)."
    assert reasons[f"{BAD}.flac"] == "the decoder did not end: it was stopped."
    assert report.clean == 6


def test_a_recording_that_kills_its_worker_is_found_among_the_others_and_rejected(store, corpus, monkeypatch):
    plan = plan_build(store, corpus("wav"), DatasetRecipe(feature_preset("mathworks"), None, 0))
    (bundle,) = bundles_of(store, plan)
    deadly = (
        "import sys; sys.path.insert(0, sys.argv[1]); import os; from featurestore.rows import RowEngine\n"
        "load = RowEngine.load\n"
        "RowEngine.load = lambda self, data: os.kill(os.getpid(), 9) if b'trap' in data else load(self, data)\n"
        "from pipelines.culprits import probe; probe()"
    )

    monkeypatch.setattr(culprits, "_START", deadly)
    found = isolate_culprits(bundle)

    bad = next(one.content for one in plan.corpus.utterances if one.path.endswith(f"{BAD}.wav"))
    assert found == ((bad, REASON),)
    assert known_rejects(store, bundle.spec) == {bad: REASON}
