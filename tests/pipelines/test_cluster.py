"""Bundles reach the workers of a cluster, each once; those that would write other rows, or elsewhere, are left out."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo_corpus import ROOT, ingest_demo, no_download
from distributed import Client, LocalCluster
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.errors import BuildError
from featurestore.integrity.verify import verify
from featurestore.specs.presets import feature_preset, policy
from featurestore.store import Store, open_store
from pipelines.build.cluster_crew import WINDOW, ClusterCrew, run_checked
from pipelines.build.dispatch import BundleCounts, run_bundles
from pipelines.build.plan import bundles_of, plan_build
from pipelines.build.report import SilentBuild
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle, run_bundle
from pipelines.ingest.ingest import ingest
from pipelines.workers import cluster_workers
from pipelines.workers.pool import Workers
from pipelines.workers.scheduler import connect

MOUNTS = ("unshare", "--mount", "sh", "-c")
OLD_VERSION = """
from featurestore.specs import row_spec
row_spec.OPERATIONS["mel"] = (1, row_spec.OPERATIONS["mel"][1])
"""


@pytest.fixture
def bundles(store: Store, tmp_path: Path) -> list[Bundle]:
    folder = write_corpus(tmp_path / "tiny", range(1, 5))
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    return bundles_of(store, plan_build(store, corpus, recipe(4)))


@contextmanager
def worker(scheduler: str, *options: str, nthreads: int = 1, before: Sequence[str] = ()) -> Iterator[None]:
    """Run a Dask worker, in a shell line of its own if `before` gives one to put the command into."""
    command = [sys.executable, "-m", "dask", "worker", scheduler, "--host", "127.0.0.1", "--nthreads", str(nthreads)]
    command += ["--no-dashboard", "--no-nanny", *options]
    if before:
        command = [*before[:-1], before[-1].format(" ".join(command))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a Dask scheduler without workers."""
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50) as running:
        yield running.scheduler_address


def test_a_worker_of_another_version_is_named_and_writes_nothing(store, bundles, scheduler, tmp_path):
    (tmp_path / "old_version.py").write_text(OLD_VERSION)

    with worker(scheduler, "--preload", str(tmp_path / "old_version.py")), connect(scheduler) as client:
        client.wait_for_workers(1, timeout=240)
        with pytest.raises(BuildError, match=r"no worker can take part; tcp://127.* \(mel 1 in place of \d+\)"):
            run_bundles(ClusterCrew(client, bundles, SilentBuild()), bundles, SilentBuild(), BundleCounts())

    assert store.storage.children("shards") == []


@pytest.mark.skipif(
    not shutil.which("unshare") or subprocess.run([*MOUNTS, "true"], capture_output=True, check=False).returncode != 0,
    reason="needs the right to make mounts of its own",
)
def test_a_worker_that_sees_another_store_is_named_and_writes_nothing(store, bundles, scheduler, tmp_path):
    shutil.copytree(store.uri, tmp_path / "own")
    line = f"mount --bind '{tmp_path}/own' '{store.uri}' && exec {{}}"

    with worker(scheduler, before=(*MOUNTS, line)), connect(scheduler) as client:
        client.wait_for_workers(1, timeout=240)
        with pytest.raises(BuildError, match="is not the store of this command"):
            run_bundles(ClusterCrew(client, bundles, SilentBuild()), bundles, SilentBuild(), BundleCounts())

    assert list((tmp_path / "own").rglob("zarr.json")) == []


def test_a_worker_of_many_threads_computes_the_rows_of_one(store, tmp_path):
    wanted = DatasetSpec(feature_preset("mathworks"), policy("mathworks"), 5)
    alone = build(store, ingest_demo(store), wanted, workers=Workers(1))
    other = open_store(tmp_path / "other")

    with LocalCluster(n_workers=1, threads_per_worker=4, host="127.0.0.1", dashboard_address="127.0.0.1:0") as here:
        together = build(other, ingest_demo(other), wanted, workers=Workers(scheduler=here.scheduler_address))

    assert together.digest == alone.digest


def test_a_build_in_a_bucket_has_the_digest_of_one_in_a_folder(store, scheduler, place, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 5))
    alone, rows = build_here(store, folder, recipe(4))
    bucket = open_store(place)
    corpus = ingest(bucket, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)

    with worker(scheduler):  # with the credentials of this process
        report = build(bucket, corpus, recipe(4), workers=Workers(scheduler=scheduler))

    assert (report.digest, report.computed) == (alone, rows)
    assert verify(bucket).damaged == []


def test_a_worker_that_no_longer_sees_the_store_of_the_client_refuses_before_it_writes(store, bundles, cluster):
    with connect(cluster) as client:
        answer = client.submit(run_checked, bundles[0], "host-1-0123456789ab").result()

    assert answer.reason.endswith("is not the store of this command")
    assert store.storage.children("shards") == []


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "ws://node:8786", "ucx://node:8786"])
def test_a_scheduler_elsewhere_that_encrypts_nothing_is_refused_unless_that_is_allowed(address):
    with pytest.raises(BuildError, match=r"--allow-unencrypted in a network that is yours alone"):
        Workers(1, address)
    assert Workers(1, address, allow_unencrypted=True).scheduler == address


@pytest.mark.parametrize("address", ["tcp://127.0.0.2:1", "localhost:1", "tcp://[::1]:1", "tls://node:1"])
def test_a_scheduler_of_this_machine_or_with_certificates_needs_no_permission(address):
    assert Workers(1, address).scheduler == address


def test_a_bundle_of_another_version_is_refused_where_it_is_computed(store, bundles, monkeypatch):
    from featurestore.specs import row_spec

    number, libraries = row_spec.OPERATIONS["mel"]
    monkeypatch.setitem(row_spec.OPERATIONS, "mel", (number + 1, libraries))

    with pytest.raises(BuildError, match=f"mel {number + 1} in place of {number}"):
        run_bundle(bundles[0])
    assert store.storage.children("shards") == []


def test_a_scheduler_that_ends_is_one_line(bundles):
    cluster = LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50)
    with connect(cluster.scheduler_address) as client:
        cluster.close()
        with pytest.raises(BuildError, match="scheduler is gone"):
            run_bundles(ClusterCrew(client, bundles, SilentBuild()), bundles, SilentBuild(), BundleCounts())


def test_what_a_closed_client_waited_for_in_vain_is_not_printed_when_python_finds_it(scheduler, caplog):
    async def wait_in_vain() -> list[asyncio.Task[None]]:
        async def fail() -> None:
            raise RuntimeError("the scheduler is gone")

        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])
        return [task]

    with connect(scheduler) as client:
        waiting = client.sync(wait_in_vain)
    waiting.clear()
    gc.collect()

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


class SlowToArrive:
    """What takes longer to unpickle than one look at a task lasts."""

    def __reduce__(self):
        return _arrive, ()


def _arrive() -> str:
    time.sleep(0.2)
    return "here"


def test_a_result_that_is_long_on_its_way_is_waited_for(cluster, monkeypatch):
    monkeypatch.setattr(cluster_workers, "TASK_LOOK", 0.02)
    with connect(cluster) as client:
        how = {"tell": print, "wait": print, "window": 1, "go_on": "go on"}
        workers = cluster_workers.ClusterWorkers(client, lambda: str, **how)

        assert workers.run(SlowToArrive, waiting=lambda _: None) == "here"


def test_a_scheduler_that_wants_certificates_is_one_line():
    with pytest.raises(BuildError, match="certificates"), connect("tls://127.0.0.1:1"):
        pass


def test_one_pass_runs_every_bundle_of_a_list_longer_than_the_window(store, cluster, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 49))
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    plan = plan_build(store, corpus, recipe(50))
    bundles = [
        Bundle(store.uri, part.part.spec, task.shard.members, (task,)) for part in plan.parts for task in part.tasks
    ]
    assert len(bundles) > 2 * WINDOW + 2
    tally = BundleCounts()
    with connect(cluster) as client:
        run_bundles(ClusterCrew(client, bundles, SilentBuild()), bundles, SilentBuild(), tally)

    assert tally.computed == sum(bundle.rows for bundle in bundles)


def test_a_build_whose_workers_are_gone_for_good_ends_with_one_line(bundles, monkeypatch):
    monkeypatch.setattr(cluster_workers, "WORKER_PATIENCE", 2)
    cluster = LocalCluster(
        n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    )
    with (
        cluster,
        Client(cluster) as client,
        pytest.raises(BuildError, match=r"scheduler has no workers.* run the same command again"),
    ):
        run_bundles(ClusterCrew(client, bundles, SilentBuild()), bundles, SilentBuild(), BundleCounts())
