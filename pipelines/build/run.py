"""The build: plan, compute what is missing in parallel, publish the dataset."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from featurestore.corpus.types import Corpus
from featurestore.datasets import DatasetRecord, dataset_digest, dataset_name
from featurestore.errors import BuildError, FeatureStoreError, MissingObjectError, StorageError
from featurestore.specs.versions import CPU
from featurestore.store import Store
from pipelines.build.plan import BuildPlan, plan_before, plan_build
from pipelines.build.policy_inputs import with_inputs
from pipelines.build.progress import Progress, Silent, held_shared, wait_for_leases
from pipelines.build.rejects import dataset_table, remember_length, remember_reject
from pipelines.build.report import BuildReport, report_of
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle, warm_worker
from pipelines.workers.cluster import Workers
from pipelines.workers.dispatch import BundleCounts, bundles_of, run_bundles, run_bundles_here
from pipelines.workers.engines import chosen_device, engine_of
from pipelines.workers.local_dispatch import run_bundles_locally

PATIENCE = 5
"""Times that a build plans again because shards vanished under it."""
MOST_THREADS = 8
"""Threads beside a device: each holds the rows of a bundle."""


def build(
    store: Store,
    corpus: Corpus,
    recipe: DatasetSpec,
    *,
    name: str | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    device: str = "cpu",
    dry_run: bool = False,
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> BuildReport:
    """Make all rows of a dataset stand in the store and publish it under a name.

    Running it again after any interruption continues; rows that stand are never computed twice.

    Parameters
    ----------
    store : Store
        Its `sources/` must hold the corpus's recordings.
    corpus : Corpus
        The labelled recordings.
    recipe : DatasetRecipe
        Which rows.
    name : str, optional
        The dataset's name; the corpus's by default.
    jobs : int, optional
        Local worker processes, or threads beside another device than `cpu`; all cores by default.
    scheduler : str, optional
        Address of a running Dask scheduler, in place of local processes.
    device : str
        `cpu`, or with torch `cuda`, `cuda:N`, `auto` or (for testing) `torch-cpu`: other bits, and keys of their own.
    dry_run : bool
        Only plan and estimate.
    progress : Progress, optional
        Is told what happens.
    workers : Workers, optional
        Started already, in place of `jobs` and `scheduler`; they end with the build.

    Raises
    ------
    BuildError
        If nothing can be built, the device is not there, or workers were lost; what is finished stays.
    SpecError
        If a noise or room response of the policy, or the user's own function that rows need, cannot be used.
    StorageError
        If the store cannot be written or lacks the space.
    DamagedObjectError
        If a record or source that is needed is damaged.
    """
    started = time.monotonic()
    workers = workers or Workers(jobs, scheduler)
    device = _settled_device(device, recipe, workers)
    recipe = with_inputs(store, dataclasses.replace(recipe, engine=engine_of(device)), write=not dry_run)
    plan = plan_build(store, corpus, recipe)
    if dry_run:
        return report_of(plan, name, started, jobs=workers.jobs)
    if plan.computed:
        recipe.check_code()
    work = _Work(store, workers, device, progress or Silent())
    name = name or dataset_name(corpus.name)
    former = _digest_of(store, name)
    plan, digest = work.published(plan, name)
    records = [store.record(address) for address in plan.addresses]
    done = plan_before(store, plan, work.tally.written)
    return report_of(done, name, started, records=records, tally=work.tally, digest=digest, former=former)


def _digest_of(store: Store, name: str) -> str | None:
    """Return the digest of the dataset that a name stands for; None if there is none that can be read."""
    with suppress(FeatureStoreError):
        return store.dataset(store.reference(name).dataset).digest if name in store.names() else None
    return None


def _settled_device(device: str, recipe: DatasetSpec, workers: Workers) -> str:
    """Return the device that computes; `BuildError` if it cannot go with where the workers are."""
    chosen = chosen_device(device, recipe)
    if workers.scheduler is not None and chosen != CPU:
        raise BuildError(f"--scheduler and --device {chosen} exclude each other: a device computes in this process.")
    return chosen


def publish_plan(store: Store, plan: BuildPlan, name: str) -> DatasetRecord:
    """Publish the dataset of a plan whose shards all stand; return its record."""
    record = _dataset(store, plan)
    store.publish(record, dataset_table(plan.corpus, plan.rejected), name)
    return record


@dataclass
class _Work:
    """What computes the rows of a build, and what it has done so far."""

    store: Store
    workers: Workers
    device: str
    progress: Progress
    tally: BundleCounts = field(default_factory=BundleCounts)

    def published(self, plan: BuildPlan, name: str) -> tuple[BuildPlan, str]:
        """Publish a plan's dataset while no garbage is collected; return what became of the plan, and the digest."""
        with held_shared(self.store, self.progress):
            self.store.storage.sweep()
            return self._until_published(plan, name)

    def _until_published(self, plan: BuildPlan, name: str) -> tuple[BuildPlan, str]:
        """Write what a plan lacks and publish its dataset, again if a shard vanishes meanwhile."""
        left = PATIENCE
        while True:
            if plan.computed or plan.copied:
                plan = self._write(plan)
            try:
                return plan, publish_plan(self.store, plan, name).digest
            except MissingObjectError:  # a shard was taken away since it was planned: it is built again
                left -= 1
                if not left:
                    raise
                plan = plan_build(self.store, plan.corpus, plan.recipe)

    def _write(self, plan: BuildPlan) -> BuildPlan:
        """Run all tasks of a plan; recordings that turn out bad are dropped and the rest is planned again."""
        _check_space(self.store, plan)
        self.progress.begin(plan.computed + plan.copied, plan.reused)
        try:
            bundles = bundles_of(self.store, plan)
            with self.workers:
                while bundles:
                    waited = self._run(bundles, plan.recipe)
                    plan = plan_build(self.store, plan.corpus, plan.recipe)
                    before, bundles = bundles, bundles_of(self.store, plan)
                    if bundles == before and not waited:
                        raise BuildError(_no_progress(self.store, bundles))
        finally:
            self.progress.end()
            self.store.storage.sweep()  # what killed workers left
        return plan

    def _run(self, bundles: Sequence[Bundle], recipe: DatasetSpec) -> bool:
        """Run bundles once each, on workers or beside a device; remember rejects.

        Return whether it was waited for other builders.
        """
        jobs, watched = self.workers.jobs, (self.progress, self.tally)
        if self.device != CPU:
            run_bundles_here(self.store, bundles, self.device, min(jobs, MOST_THREADS), *watched)
        elif self.workers.scheduler is not None:
            run_bundles(self.workers.client(), bundles, *watched)
        else:
            self.workers.prepare(partial(warm_worker, recipe))
            run_bundles_locally(self.workers.local(), jobs, bundles, *watched)
        for spec, content, reason in self.tally.rejected:
            remember_reject(self.store, spec, content, reason)
        for spec, content, seconds in self.tally.long:
            remember_length(self.store, spec, content, seconds)
        self.tally.rejected.clear()
        self.tally.long.clear()
        wait_for_leases(self.store, self.tally.leased, self.progress)
        waited = bool(self.tally.leased)
        self.tally.leased.clear()
        return waited


def _no_progress(store: Store, bundles: Sequence[Bundle]) -> str:
    """Say that what workers call written does not stand in the store."""
    shards = sum(len(bundle.tasks) for bundle in bundles)
    return (
        f"workers have ended {shards:,} shards and none of them stands in {store.uri}: see whether that is the same "
        "folder for all of them, and whether something removes files there, then run the same command again."
    )


def _check_space(store: Store, plan: BuildPlan) -> None:
    free, needed = store.storage.free_bytes(), plan.bytes_to_write
    if free is not None and free < needed:
        raise StorageError(
            f"{store.uri} has {free / 1e6:,.0f} MB free and the build needs about {needed / 1e6:,.0f} MB: "
            "free some space or give --store another place. Nothing was written."
        )


def _dataset(store: Store, plan: BuildPlan) -> DatasetRecord:
    parts = tuple(part.part for part in plan.parts if part.part.contents)
    records = [store.record(address) for address in plan.addresses]
    return DatasetRecord(parts, plan.addresses, dataset_digest(parts, records))
