"""The build: plan, compute what is missing in parallel, publish the dataset."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial

from featurestore.corpus.corpus_spec import CorpusSpec
from featurestore.corpus.protocols import find_split
from featurestore.corpus.types import Corpus
from featurestore.datasets import DatasetRecord, check_dataset_name, dataset_digest, dataset_name
from featurestore.errors import BuildError, FeatureStoreError, MissingObjectError, StorageError
from featurestore.shards.record import ShardRecord
from featurestore.showing import spelled_bytes
from featurestore.specs.row_spec import CPU
from featurestore.store import Store
from featurestore.tables import Table
from pipelines.build.cluster_crew import ClusterCrew
from pipelines.build.dispatch import BundleCounts, Crew, DeviceCrew, LocalCrew, run_bundles
from pipelines.build.plan import BuildPlan, bundles_of, plan_before, plan_build
from pipelines.build.policy_inputs import with_inputs
from pipelines.build.rate import known_rate
from pipelines.build.rejects import remember_length, remember_reject
from pipelines.build.report import BuildProgress, BuildReport, SilentBuild, held_shared, row_notes, wait_for_leases
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle, warm_worker
from pipelines.ingest.fetch import Fetcher, silent
from pipelines.ingest.ingest import AS_USUAL, ReadOptions, ingest_spec
from pipelines.workers.engines import device_of_rows, engine_of
from pipelines.workers.pool import Workers
from pipelines.workers.scheduler import SchedulerLostError

PATIENCE = 5
"""Times that a build plans again because shards vanished under it."""
MOST_LOSSES = 3
"""Times in a row that a scheduler may be lost before any shard is written."""
MOST_THREADS = 8
"""Threads beside a device: each holds the rows of a bundle."""


def build(
    store: Store,
    corpus: Corpus | CorpusSpec,
    spec: DatasetSpec,
    *,
    name: str | None = None,
    source: str | None = None,
    fetcher: Fetcher | None = None,
    reading: ReadOptions = AS_USUAL,
    workers: Workers | None = None,
    device: str = "cpu",
    dry_run: bool = False,
    check: Callable[[DatasetSpec], None] = lambda _: None,
    progress: BuildProgress | None = None,
) -> BuildReport:
    """Store all rows of a dataset and publish it under a name, by default the corpus's.

    Running it again after any interruption continues; existing rows are never recomputed. A `FeatureStoreError`
    says what stopped it; what is finished stays.

    Parameters
    ----------
    corpus : Corpus or CorpusSpec
        The labelled recordings, which the store's `sources/` hold; or what `find_corpus_spec` returns, which is read.
    source, fetcher, reading
        Where a corpus is read from, as `ingest_spec` takes them; a dry run, which plans and estimates, downloads none.
    workers : Workers, optional
        They end with the build; by default one local process for each core.
    device : str
        `cpu`, or with torch `cuda`, `cuda:N`, `auto` or (for testing) `torch-cpu`, whose rows differ in their last bits
        and are stored under separate keys.
    check : callable
        Called before rows are computed with the spec, its noises and rooms named by their bytes; it raises to refuse
        them.
    """
    name = check_dataset_name(name or dataset_name(corpus.name))
    if spec.split is not None:
        find_split(spec.split)  # a name that does not exist is reported before anything is read
    with workers or Workers() as workers:
        device = device_of_rows(device, spec.features, spec.augmentation)
        if workers.scheduler is not None and device != CPU:
            raise BuildError(
                f"--scheduler and --device {device} exclude each other: a device computes in this process."
            )
        spec = with_inputs(store, dataclasses.replace(spec, engine=engine_of(device)), write=not dry_run)
        check(spec)
        if isinstance(corpus, CorpusSpec):
            warm = partial(workers.prepare, partial(warm_worker, spec.features, spec.augmentation))
            before_reading = reading.before_reading if dry_run or device != CPU else warm
            reading = dataclasses.replace(reading, write=not dry_run, before_reading=before_reading)
            fetcher = fetcher or Fetcher(lambda _: None, silent)
            corpus = ingest_spec(store, corpus, source, fetcher.dry() if dry_run else fetcher, reading)
        started = time.monotonic()
        plan = plan_build(store, corpus, spec)
        if dry_run:
            return _report(plan, name, started, jobs=workers.jobs, free=store.storage.free_bytes())
        if plan.computed:
            spec.check_code()
        before = _dataset_of(store, name)
        running = _RunningBuild(store, workers, device, progress or SilentBuild())
        plan, digest = running.publish(plan, name)
        former = _digest_of(store, before) if before and before != _dataset_of(store, name) else digest
    counts, records = running.counts, [store.record(address) for address in plan.addresses]
    done = plan_before(store, plan, counts.written)
    return _report(done, name, started, records=records, counts=counts, digest=digest, former=former)


def _dataset_of(store: Store, name: str) -> str | None:
    """Return the id of the dataset that a name stands for; None if there is none that can be read."""
    with suppress(FeatureStoreError):
        return store.reference(name).dataset if name in store.names() else None
    return None


def _digest_of(store: Store, dataset: str) -> str | None:
    """Return the digest of a dataset; None if its record cannot be read."""
    with suppress(FeatureStoreError):
        return store.dataset(dataset).digest
    return None


def _report(
    plan: BuildPlan,
    name: str,
    started: float,
    *,
    records: Iterable[ShardRecord] = (),
    counts: BundleCounts | None = None,
    digest: str | None = None,
    former: str | None = None,
    jobs: int = 1,
    free: int | None = None,
) -> BuildReport:
    """Say what a plan comes to, or came to with records and counts of it; `former` is what the name stood for.

    After a build, pass the plan as it would have been before it (`plan_before`), so that its rows add up.
    """
    notes = [*plan.corpus.notes, *row_notes(plan.corpus, plan.spec.features, records)]
    if former is not None and former != digest:
        notes.append(f"{name} was dataset {former[:12]} before, which is kept too: 'featurestore ls'")
    if free is not None and plan.bytes_to_write > free:
        need, left = plan.bytes_to_write / 1e6, free / 1e6
        notes.append(
            f"about {need:,.0f} MB are needed and {left:,.0f} MB are free: give --store a place with more room"
        )
    seconds: float | None = None  # other engines are as fast as their device
    rate = known_rate()
    if plan.spec.engine == CPU or not plan.computed:
        seconds = plan.seconds_to_compute(jobs, rate)
    copied = min(plan.copied, counts.copied) if counts else plan.copied  # rows of a damaged donor were computed
    return BuildReport(
        corpus=plan.corpus.name,
        dataset=name,
        digest=digest,
        utterances=len(plan.corpus.utterances),
        clean=plan.rows(clean=True),
        augmented=plan.rows(clean=False),
        computed=plan.computed + plan.copied - copied,
        copied=copied,
        reused=plan.reused,
        rejected=plan.corpus.rejections(plan.rejected),
        bytes_written=counts.bytes_written if counts else 0,
        seconds=time.monotonic() - started,
        to_compute=plan.computed,
        estimated_bytes=plan.bytes_to_write,
        estimated_seconds=seconds,
        estimated_by=rate.measured_by,
        free_bytes=free,
        notes=tuple(notes),
        dry=counts is None,
    )


def publish_plan(store: Store, plan: BuildPlan, name: str) -> DatasetRecord:
    """Publish the dataset of a plan whose shards all exist; return its record."""
    parts = tuple(planned.part for planned in plan.parts if planned.part.contents)
    records = [store.record(address) for address in plan.addresses]
    record = DatasetRecord(parts, plan.addresses, dataset_digest(parts, records))
    store.publish(record, Table.of(plan.corpus, plan.rejected), name)
    return record


class _Outcome(Enum):
    """What came of running bundles once."""

    ALL_RAN = auto()
    OTHERS_HAVE_SHARDS = auto()
    """Other builders had leased some shards, and were waited for."""
    SCHEDULER_LOST = auto()
    """The scheduler was lost, and is back."""


@dataclass
class _RunningBuild:
    """What computes the rows of a build, and what it has done so far."""

    store: Store
    workers: Workers
    device: str
    progress: BuildProgress
    counts: BundleCounts = field(default_factory=BundleCounts)

    def publish(self, plan: BuildPlan, name: str) -> tuple[BuildPlan, str]:
        """Write what a plan lacks and publish its dataset, again if a shard vanishes meanwhile.

        No garbage is collected in that time. Return what became of the plan, and the dataset's digest.
        """
        with held_shared(self.store, self.progress):
            self.store.storage.sweep()
            left = PATIENCE
            while True:
                if plan.computed or plan.copied:
                    plan = self.write_missing_rows(plan)
                try:
                    return plan, publish_plan(self.store, plan, name).digest
                except MissingObjectError:  # a shard was taken away since it was planned: it is built again
                    left -= 1
                    if not left:
                        raise
                    plan = plan_build(self.store, plan.corpus, plan.spec)

    def write_missing_rows(self, plan: BuildPlan) -> BuildPlan:
        """Run all tasks of a plan and return it as done; bad recordings are dropped and the rest is planned again."""
        store, free, needed = self.store, self.store.storage.free_bytes(), plan.bytes_to_write
        if free is not None and free < needed:
            raise StorageError(
                f"{store.uri} has {spelled_bytes(free)} free and the build needs about {spelled_bytes(needed)}: "
                "free some space or give --store another place. Nothing was written."
            )
        self.progress.begin(plan.computed + plan.copied, plan.reused)
        try:
            bundles = bundles_of(store, plan)
            with self.workers:
                losses = 0
                while bundles:
                    outcome = self._run_or_await_scheduler(bundles, plan.spec, losses)
                    plan = plan_build(store, plan.corpus, plan.spec)
                    before, bundles = bundles, bundles_of(store, plan)
                    losses = losses + 1 if outcome is _Outcome.SCHEDULER_LOST and bundles == before else 0
                    if outcome is _Outcome.ALL_RAN and bundles == before:
                        shards = sum(len(bundle.tasks) for bundle in bundles)
                        raise BuildError(
                            f"workers have finished {shards:,} shards, but {store.uri} holds none of them: check that "
                            "all workers see the same folder and that nothing removes files there, then run the same "
                            "command again."
                        )
        finally:
            self.progress.end()
            store.storage.sweep()  # what killed workers left
        return plan

    def _run_or_await_scheduler(self, bundles: Sequence[Bundle], spec: DatasetSpec, losses: int) -> _Outcome:
        """Run bundles once each; if the scheduler is lost, wait until it is back.

        It may be lost `MOST_LOSSES` times in a row, then `SchedulerLostError` is raised.
        """
        try:
            return self._run(bundles, spec)
        except SchedulerLostError:
            if losses == MOST_LOSSES:
                raise
            self.workers.await_scheduler(self.progress.tell)
            return _Outcome.SCHEDULER_LOST

    def _run(self, bundles: Sequence[Bundle], spec: DatasetSpec) -> _Outcome:
        """Run bundles once each, remember rejects, and wait for shards that other builders have leased."""
        crew: Crew
        if self.device != CPU:
            specs = [bundle.spec for bundle in bundles]
            crew = DeviceCrew(self.store, specs, self.device, min(self.workers.jobs, MOST_THREADS))
        elif self.workers.scheduler is not None:
            crew = ClusterCrew(self.workers.client(), bundles, self.progress)
        else:
            self.workers.prepare(partial(warm_worker, spec.features, spec.augmentation))
            crew = LocalCrew(self.workers.local(), self.workers.jobs, self.progress)
        counts = self.counts
        run_bundles(crew, bundles, self.progress, counts)
        for row_spec, content, reason in counts.rejected:
            remember_reject(self.store, row_spec, content, reason)
        for row_spec, content, seconds in counts.long:
            remember_length(self.store, row_spec, content, seconds)
        wait_for_leases(self.store, counts.leased, self.progress)
        outcome = _Outcome.OTHERS_HAVE_SHARDS if counts.leased else _Outcome.ALL_RAN
        counts.rejected, counts.long, counts.leased = [], [], []
        return outcome
