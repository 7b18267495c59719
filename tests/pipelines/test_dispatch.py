"""Bundles reach the workers, each once, whatever the size of the window."""

from __future__ import annotations

from demo_corpus import ingest_demo

from featurestore.specs.presets import feature_preset, policy
from featurestore.store import Store
from pipelines.cluster import connect
from pipelines.dataset_recipe import DatasetRecipe
from pipelines.dispatch import WINDOW, Tally, run_bundles
from pipelines.planning import plan_build
from pipelines.progress import Silent
from pipelines.tasks import Bundle


def test_one_pass_runs_every_bundle_of_a_list_longer_than_the_window(store: Store, cluster: str) -> None:
    corpus = ingest_demo(store)
    plan = plan_build(store, corpus, DatasetRecipe(feature_preset("mathworks"), policy("mathworks"), 150))
    bundles = [
        Bundle(store.uri, part.part.spec, task.shard.members, (task,)) for part in plan.parts for task in part.tasks
    ]
    assert len(bundles) > 2 * WINDOW + 2
    tally = Tally()
    with connect(2, cluster) as client:
        run_bundles(client, bundles, Silent(), tally)

    assert tally.computed == sum(bundle.rows for bundle in bundles)
