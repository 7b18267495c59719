"""A build on a torch device: the same path to the store, rows of their own key, and what the other commands say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from demo_corpus import no_download
from tiny_corpus import tone, write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.errors import BuildError, UnknownNameError
from featurestore.integrity.explain import compare_datasets, explain_build
from featurestore.integrity.verify import recompute, verify
from featurestore.shards.commit import commit_shard
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, policy
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store, open_store
from pipelines.build.plan import plan_build
from pipelines.build.report import BuildReport
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import gather_rows
from pipelines.ingest.ingest import ingest
from pipelines.repair import repair
from pipelines.workers.engines import device_of_rows, open_engine
from pipelines.workers.pool import Workers

DEVICE = "torch-cpu"
NEARLY = {"rtol": 1e-3, "atol": 1e-3}
"""One unit in the last place of a float16."""
pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of six short tones with its own manifest."""
    return write_corpus(tmp_path / "few", range(1, 7))


def recipe(copies: int) -> DatasetSpec:
    return DatasetSpec(feature_preset("mathworks"), policy("mathworks"), copies)


def build_folder(store: Store, folder: Path, copies: int, device: str = DEVICE, **options: object) -> BuildReport:
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    return build(store, corpus, recipe(copies), device=device, **options)


def counts(report: BuildReport) -> tuple[int, int, int]:
    return report.computed, report.copied, report.reused


def test_a_build_on_a_device_stands_beside_that_of_the_processor(store, folder, cluster):
    first = build_folder(store, folder, 2, "cpu", workers=Workers(scheduler=cluster), name="own")

    report = build_folder(store, folder, 2, name="other")

    own, other = store.view("own"), store.view("other")
    addresses = [set(store.dataset(store.reference(name).dataset).addresses) for name in ("own", "other")]
    assert counts(report) == (18, 0, 0)
    assert report.digest != first.digest
    assert addresses[0].isdisjoint(addresses[1])
    assert verify(store).damaged == []
    assert [own.perturbation(row) for row in range(18)] == [other.perturbation(row) for row in range(18)]
    for row in range(18):
        np.testing.assert_allclose(own[row][0], other[row][0], **NEARLY)


def test_the_engine_is_told_as_the_difference_of_two_datasets(store, folder, cluster):
    build_folder(store, folder, 1, "cpu", workers=Workers(scheduler=cluster), name="own")
    build_folder(store, folder, 1, name="other")

    found = {one.field: (one.old, one.new) for one in compare_datasets(store, "own", "other")}

    assert found["versions.engine"] == (None, "torch-1")
    assert {field.partition(".")[0] for field in found} == {"versions"}
    assert explain_build(store, "other", None) == []


def test_rows_of_the_processor_name_no_engine():
    assert "engine" not in RowSpec.current(FeatureSpec(), None).document["versions"]
    assert RowSpec.current(FeatureSpec(), None).engine == "cpu"


def test_growing_gives_what_a_build_at_once_gives(tmp_path, store, folder):
    build_folder(store, folder, 25)

    grown = build_folder(store, folder, 27)

    assert counts(grown) == (12, 0, 6 * 26)
    assert grown.digest == build_folder(open_store(tmp_path / "fresh"), folder, 27).digest


def test_the_same_build_again_computes_nothing_and_needs_no_device(store, folder):
    first = build_folder(store, folder, 2)

    again = build_folder(store, folder, 2, "cuda")

    assert counts(again) == (0, 0, 18)
    assert again.digest == first.digest


def test_bad_and_silent_recordings_are_rejected_with_their_reasons(store, folder):
    (folder / "b_up_50.wav").write_bytes(b"no audio")
    (folder / "b_up_51.wav").write_bytes(tone(0))

    report = build_folder(store, folder, 2)

    assert [one.path for one in report.rejected] == ["b_up_50.wav", "b_up_51.wav"]
    assert "silent" in report.rejected[1].reason
    assert (report.clean, report.augmented) == (7, 12)


def test_stored_rows_come_out_the_same_when_computed_again(store, folder):
    build_folder(store, folder, 2)

    found = recompute(store, 10, open_engine=open_engine)

    assert (found.recomputed, found.skipped, found.drifted) == (10, 0, ())
    assert recompute(store, 10).skipped == 10


def test_a_lost_shard_is_repaired_to_the_bit_by_its_own_engine(store, folder):
    build_folder(store, folder, 2)
    shards = {key: store.storage.get(key) for key, _ in store.storage.walk("shards")}
    for key in shards:
        if key.endswith("c/0/0"):
            (Path(store.uri) / key).unlink()

    repairs = repair(open_store(store.uri))

    assert repairs.left == ()
    assert {key: store.storage.get(key) for key in shards} == shards


def test_rows_that_another_gpu_made_are_not_replaced_and_the_need_is_told(store, folder):
    """Another GPU rounds differently: here every value of its shards is the next float16."""
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    plan = plan_build(store, corpus, dataclasses.replace(recipe(2), engine="torch"))
    for task in (task for part in plan.parts for task in part.tasks):
        rows, remarks = gather_rows(store, task.shard, ())
        commit_shard(store.storage, task.shard, [np.nextafter(row, np.float16(0)) for row in rows], remarks)
    assert counts(build_folder(store, folder, 2)) == (0, 0, 18)
    for key in [key for key, _ in store.storage.walk("shards") if key.endswith("c/0/0")]:
        (Path(store.uri) / key).unlink()

    repairs = repair(open_store(store.uri))

    assert repairs.left != ()
    assert all("the kind of GPU that made it" in reason for _, reason in repairs.left)
    assert len(recompute(store, 10, open_engine=open_engine).drifted) == 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(store, folder):
    with pytest.raises(BuildError, match=r"--device cuda: .*leave --device out") as failure:
        build_folder(store, folder, 1, "cuda")

    assert "\n" not in str(failure.value)
    assert list(store.storage.walk("shards")) == []
    assert device_of_rows("auto") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "mps"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(UnknownNameError, match="unknown device"):
        device_of_rows(name)


def test_a_scheduler_and_a_device_exclude_each_other(store, folder):
    with pytest.raises(BuildError, match="exclude each other"):
        build_folder(store, folder, 1, workers=Workers(scheduler="tcp://127.0.0.1:1"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_a_build_on_a_gpu_agrees_with_the_processor_and_with_itself(tmp_path, store, folder, cluster):
    build_folder(store, folder, 8, "cpu", workers=Workers(scheduler=cluster), name="own")

    report = build_folder(store, folder, 8, "cuda", name="other")

    own, other = store.view("own"), store.view("other")
    for row in range(len(own)):
        np.testing.assert_allclose(own[row][0], other[row][0], **NEARLY)
    assert build_folder(open_store(tmp_path / "again"), folder, 8, "cuda", workers=Workers(1)).digest == report.digest
    assert recompute(store, 20, "other", open_engine).drifted == ()
