"""Bundles reach the workers, each once, whatever the size of the window."""

from __future__ import annotations

import pytest
from demo_corpus import ingest_demo
from distributed import Client, LocalCluster

from featurestore.errors import BuildError
from featurestore.specs.presets import feature_preset, policy
from featurestore.store import Store
from pipelines.build.plan import plan_build
from pipelines.build.progress import Silent
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle
from pipelines.workers import dispatch
from pipelines.workers.cluster import connect
from pipelines.workers.dispatch import WINDOW, BundleCounts, bundles_of, run_bundles


def test_one_pass_runs_every_bundle_of_a_list_longer_than_the_window(store: Store, cluster: str) -> None:
    corpus = ingest_demo(store)
    plan = plan_build(store, corpus, DatasetSpec(feature_preset("mathworks"), policy("mathworks"), 50))
    bundles = [
        Bundle(store.uri, part.part.spec, task.shard.members, (task,)) for part in plan.parts for task in part.tasks
    ]
    assert len(bundles) > 2 * WINDOW + 2
    tally = BundleCounts()
    with connect(cluster) as client:
        run_bundles(client, bundles, Silent(), tally)

    assert tally.computed == sum(bundle.rows for bundle in bundles)


def test_a_build_whose_workers_are_gone_for_good_ends_with_one_line(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "WORKER_PATIENCE", 2)
    corpus = ingest_demo(store)
    plan = plan_build(store, corpus, DatasetSpec(feature_preset("mathworks"), policy("mathworks"), 75))
    cluster = LocalCluster(
        n_workers=0, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    )
    with (
        cluster,
        Client(cluster) as client,
        pytest.raises(BuildError, match=r"all workers are gone .* run the same command again"),
    ):
        run_bundles(client, bundles_of(store, plan), Silent(), BundleCounts())
