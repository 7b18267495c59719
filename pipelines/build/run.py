"""The build: plan, compute what is missing in parallel, publish the dataset."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from featurestore.corpus.corpus_spec import CorpusSpec
from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.splits.protocols import find_split
from featurestore.corpus.types import Corpus
from featurestore.datasets import DatasetRecord, check_dataset_name, dataset_digest, dataset_name
from featurestore.errors import BuildError, FeatureStoreError, MissingObjectError, SourceError, StorageError
from featurestore.shards.record import ShardRecord
from featurestore.specs.versions import CPU
from featurestore.store import Store
from pipelines.build.plan import BuildPlan, estimate_seconds, plan_before, plan_build
from pipelines.build.policy_inputs import with_inputs
from pipelines.build.progress import Progress, Silent, held_shared, wait_for_leases
from pipelines.build.rejects import dataset_table, remember_length, remember_reject
from pipelines.build.report import BuildReport, row_notes
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle, warm_worker
from pipelines.ingest.fetch import Fetcher, silent
from pipelines.ingest.ingest import ingest_spec
from pipelines.workers.cluster import ClusterCrew, Workers, available_cores
from pipelines.workers.dispatch import BundleCounts, Crew, DeviceCrew, LocalCrew, bundles_of, run_bundles
from pipelines.workers.engines import chosen_device, engine_of

PATIENCE = 5
"""Times that a build plans again because shards vanished under it."""
MOST_THREADS = 8
"""Threads beside a device: each holds the rows of a bundle."""


def build(
    store: Store,
    corpus: Corpus | CorpusSpec,
    recipe: DatasetSpec,
    *,
    name: str | None = None,
    source: str | None = None,
    fetcher: Fetcher | None = None,
    limits: Limits | None = None,
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
        Where the rows go.
    corpus : Corpus or CorpusSpec
        The labelled recordings, which the store's `sources/` hold; or what `find_corpus_spec` returns, which is read.
    recipe : DatasetSpec
        Which rows.
    name : str, optional
        The dataset's name; the corpus's by default.
    source, fetcher, limits
        Where a corpus is read from, as `ingest_spec` takes them; a dry run downloads none.
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
    name = check_dataset_name(name or dataset_name(corpus.name))
    if recipe.split is not None:
        find_split(recipe.split)  # a name that does not exist is told before anything is read
    with workers or Workers(jobs, scheduler) as workers:
        device = _settled_device(device, recipe, workers)
        recipe = with_inputs(store, dataclasses.replace(recipe, engine=engine_of(device)), write=not dry_run)
        if isinstance(corpus, CorpusSpec):
            warm = partial(workers.prepare, partial(warm_worker, recipe))
            corpus = ingest_spec(
                store,
                corpus,
                source,
                fetcher or Fetcher(lambda _: None, silent),
                fetch=_refuse_download if dry_run else None,
                write=not dry_run,
                before_reading=(lambda: None) if dry_run or device != CPU else warm,
                limits=limits,
            )
        started = time.monotonic()
        plan = plan_build(store, corpus, recipe)
        if dry_run:
            return _report(plan, name, started, jobs=workers.jobs)
        if plan.computed:
            recipe.check_code()
        work = _Work(store, workers, device, progress or Silent())
        former = _digest_of(store, name)
        plan, digest = work.published(plan, name)
    records = [store.record(address) for address in plan.addresses]
    done = plan_before(store, plan, work.tally.written)
    return _report(done, name, started, records=records, tally=work.tally, digest=digest, former=former)


def _refuse_download(manifest: Manifest) -> Path:
    """Stand in for the download in a dry run, which fetches nothing."""
    raise SourceError(f"{manifest.name!r} is not here yet and a dry run downloads nothing: give it with --source.")


def _report(
    plan: BuildPlan,
    name: str,
    started: float,
    *,
    records: Iterable[ShardRecord] = (),
    tally: BundleCounts | None = None,
    digest: str | None = None,
    former: str | None = None,
    jobs: int | None = None,
) -> BuildReport:
    """Say what a plan comes to, or came to with records and a tally of it; `former` is what the name stood for.

    A plan of what was done is that of the end as seen from the start (`plan_before`), so that its rows add up.
    """
    notes = [*plan.corpus.notes, *row_notes(plan.corpus, plan.recipe.features, records)]
    if former is not None and former != digest:
        notes.append(f"{name} was dataset {former[:12]} before, which is kept too: 'featurestore ls'")
    seconds: float | None = None  # other engines are as fast as their device
    if plan.recipe.engine == CPU or not plan.computed:
        seconds = estimate_seconds(plan.computed, jobs or available_cores(), plan.recipe.features)
    copied = min(plan.copied, tally.copied) if tally else plan.copied  # rows of a damaged donor were computed
    clean, augmented = plan.rows(clean=True), plan.rows(clean=False)
    return BuildReport(
        corpus=plan.corpus.name,
        dataset=name,
        digest=digest,
        utterances=len(plan.corpus.utterances),
        clean=clean,
        augmented=augmented,
        computed=plan.computed + plan.copied - copied,
        copied=copied,
        reused=plan.reused,
        rejected=plan.rejections(),
        bytes_written=tally.bytes_written if tally else 0,
        seconds=time.monotonic() - started,
        to_compute=plan.computed,
        estimated_bytes=plan.bytes_to_write,
        estimated_seconds=seconds,
        notes=tuple(notes),
        dry=tally is None,
    )


def _digest_of(store: Store, name: str) -> str | None:
    """Return the digest of the dataset that a name stands for; None if there is none that can be read."""
    with suppress(FeatureStoreError):
        return store.dataset(store.reference(name).dataset).digest if name in store.names() else None
    return None


def _settled_device(device: str, recipe: DatasetSpec, workers: Workers) -> str:
    """Return the device that computes; `BuildError` if it excludes the workers that were asked for."""
    chosen = chosen_device(device, recipe)
    if workers.scheduler is not None and chosen != CPU:
        raise BuildError(f"--scheduler and --device {chosen} exclude each other: a device computes in this process.")
    return chosen


def publish_plan(store: Store, plan: BuildPlan, name: str) -> DatasetRecord:
    """Publish the dataset of a plan whose shards all stand; return its record."""
    parts = tuple(part.part for part in plan.parts if part.part.contents)
    records = [store.record(address) for address in plan.addresses]
    record = DatasetRecord(parts, plan.addresses, dataset_digest(parts, records))
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
        crew: Crew
        if self.device != CPU:
            specs = [bundle.spec for bundle in bundles]
            crew = DeviceCrew(self.store, specs, self.device, min(self.workers.jobs, MOST_THREADS))
        elif self.workers.scheduler is not None:
            crew = ClusterCrew(self.workers.client(), bundles, self.progress)
        else:
            self.workers.prepare(partial(warm_worker, recipe))
            crew = LocalCrew(self.workers.local(), self.workers.jobs, self.progress)
        run_bundles(crew, bundles, self.progress, self.tally)
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
    """Explain that the store lacks what workers say they have written."""
    shards = sum(len(bundle.tasks) for bundle in bundles)
    return (
        f"workers have finished {shards:,} shards, but {store.uri} holds none of them: check that all workers see "
        "the same folder and that nothing removes files there, then run the same command again."
    )


def _check_space(store: Store, plan: BuildPlan) -> None:
    free, needed = store.storage.free_bytes(), plan.bytes_to_write
    if free is not None and free < needed:
        raise StorageError(
            f"{store.uri} has {free / 1e6:,.0f} MB free and the build needs about {needed / 1e6:,.0f} MB: "
            "free some space or give --store another place. Nothing was written."
        )
