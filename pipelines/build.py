"""The build: plan, compute what is missing in parallel, publish the dataset."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from featurestore.corpus import splits
from featurestore.corpus.corpus import Corpus, Rejection
from featurestore.datasets import DatasetRecord, Table, dataset_digest
from featurestore.errors import BuildError, DamagedObjectError, SpecError, StorageError
from featurestore.shards.plan import Part, PartPlan, ShardTask, plan_part
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.rows import RowSpec
from featurestore.store import Store
from pipelines.cluster import available_cores, connect
from pipelines.estimate import estimate_bytes, estimate_seconds, rows_in_a_bundle
from pipelines.rejects import known_rejects, remember_reject
from pipelines.tasks import Bundle, Receipt, run_bundle

if TYPE_CHECKING:
    from distributed import Client, Future

WINDOW = 4
"""Bundles in flight for each worker: enough to keep it busy, few enough to stop soon."""


@dataclass(frozen=True)
class DatasetRecipe:
    """Which rows a dataset has; no corpus, no labels."""

    features: FeatureSpec
    augmentation: AugmentationSpec | None = None
    copies: int = 0
    """Augmented copies of each utterance."""
    split: str | None = None
    """Split whose `side` alone gets augmented copies; None gives them to all."""
    side: str = "train"
    seed: int = 0
    """Seed of the split, where it is drawn."""

    def __post_init__(self) -> None:
        if not 0 <= self.copies <= 100_000:
            raise SpecError(f"the number of copies must lie within 0 and 100,000, not {self.copies}.")
        if self.copies and self.augmentation is None:
            raise SpecError("augmented copies need a policy: give --policy NAME, or leave --augment out.")
        if self.side not in ("train", "validation", "test"):
            raise SpecError(f"a split has the sides train, validation and test, not {self.side!r}.")

    def augmented_paths(self, corpus: Corpus) -> set[str]:
        """Return the paths of the utterances that get augmented copies."""
        if self.split is None:
            return {utterance.path for utterance in corpus.utterances}
        chosen: tuple[str, ...] = getattr(splits.split(corpus.utterances, self.split, seed=self.seed), self.side)
        return set(chosen)


class Progress(Protocol):
    """What a build reports while it runs."""

    def begin(self, rows: int, standing: int) -> None:
        """Start: rows to write, and rows that stand already."""

    def advance(self, rows: int) -> None:
        """Tell that so many more rows are written."""

    def end(self) -> None:
        """Finish, whatever happened."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, rows: int, standing: int) -> None:
        """Do nothing."""

    def advance(self, rows: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did, or would do."""

    corpus: str
    dataset: str
    digest: str | None
    utterances: int
    clean: int
    augmented: int
    computed: int
    copied: int
    reused: int
    rejected: tuple[Rejection, ...]
    bytes_written: int
    seconds: float
    to_compute: int = 0
    estimated_bytes: int = 0
    estimated_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    dry: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        document: dict[str, Any] = {
            "corpus": self.corpus,
            "dataset": self.dataset,
            "digest": self.digest,
            "utterances": self.utterances,
            "rows": {"clean": self.clean, "augmented": self.augmented},
            "computed": self.computed,
            "copied": self.copied,
            "reused": self.reused,
            "rejected": [{"path": one.path, "reason": one.reason} for one in self.rejected],
            "bytes_written": self.bytes_written,
            "seconds": round(self.seconds, 3),
        }
        if self.dry:
            document |= {
                "to_compute": self.to_compute,
                "estimated_bytes": self.estimated_bytes,
                "estimated_seconds": self.estimated_seconds,
            }
        return document


@dataclass
class BuildPlan:
    """The rows of a dataset and how each part of them comes to stand."""

    corpus: Corpus
    recipe: DatasetRecipe
    parts: tuple[PartPlan, ...]
    rejected: dict[str, str]
    """Reason by content."""

    @property
    def computed(self) -> int:
        """Rows to compute."""
        return sum(part.computed for part in self.parts)

    @property
    def copied(self) -> int:
        """Rows to copy from other shards."""
        return sum(part.copied for part in self.parts)

    @property
    def reused(self) -> int:
        """Rows that stand where they are referred to."""
        return sum(part.reused for part in self.parts)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of all shards of the dataset, sorted."""
        return tuple(sorted({address for part in self.parts for address in part.addresses}))

    def rows(self, *, clean: bool) -> int:
        """Rows of the clean or of the augmented part."""
        return sum(plan.part.rows for plan in self.parts if (plan.part.first == 0) == clean)

    def rejections(self) -> tuple[Rejection, ...]:
        """Return all files that did not become rows, with their reasons, sorted by path."""
        of_audio = (
            Rejection(utterance.path, self.rejected[utterance.content])
            for utterance in self.corpus.utterances
            if utterance.content in self.rejected
        )
        aside = (*self.corpus.rejected, *self.corpus.unlabelled, *of_audio)
        return tuple(sorted(aside, key=lambda rejection: rejection.path))


def plan_build(store: Store, corpus: Corpus, recipe: DatasetRecipe) -> BuildPlan:
    """Find out which rows of a dataset stand, and what has to be written; reads only.

    Raises
    ------
    DamagedObjectError
        If a shard that the dataset needs has a damaged record.
    """
    rejected: dict[str, str] = {}
    plans: list[PartPlan] = []
    augmented = recipe.augmented_paths(corpus)
    for part in _parts(store, corpus, recipe, augmented, rejected):
        records, damaged = store.records(part.spec)
        plan = plan_part(part, records)
        for task in plan.tasks:
            if task.shard.address in damaged:
                raise damaged[task.shard.address]
        plans.append(plan)
    if not any(plan.part.contents for plan in plans):
        reason = next(iter(rejected.values()), "no utterance")
        raise BuildError(f"every recording of {corpus.name!r} was rejected, the first because: {reason}.")
    return BuildPlan(corpus, recipe, tuple(plans), rejected)


def _parts(
    store: Store, corpus: Corpus, recipe: DatasetRecipe, augmented: set[str], rejected: dict[str, str]
) -> Iterator[Part]:
    """Yield the clean part, then the augmented one, without the recordings that are known to be bad."""
    spec = RowSpec.current(recipe.features, None)
    bad = known_rejects(store, spec)
    contents = {utterance.content for utterance in corpus.utterances}
    rejected.update({content: bad[content] for content in contents & bad.keys()})
    yield Part.clean(spec, contents - bad.keys())
    if recipe.copies:
        spec = RowSpec.current(recipe.features, recipe.augmentation)
        chosen = {utterance.content for utterance in corpus.utterances if utterance.path in augmented} - bad.keys()
        bad = known_rejects(store, spec)
        rejected.update({content: bad[content] for content in chosen & bad.keys()})
        yield Part.augmented(spec, chosen - bad.keys(), recipe.copies)


@dataclass
class _Tally:
    """What the tasks of a build have done so far."""

    computed: int = 0
    copied: int = 0
    written: int = 0
    rejected: list[tuple[RowSpec, str, str]] = field(default_factory=list)

    def add(self, bundle: Bundle, receipt: Receipt) -> None:
        """Count a finished task."""
        self.computed += receipt.computed
        self.copied += receipt.copied
        self.written += receipt.bytes_written
        self.rejected.extend((bundle.spec, content, reason) for content, reason in receipt.rejected)


def build(
    store: Store,
    corpus: Corpus,
    recipe: DatasetRecipe,
    *,
    name: str | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Make all rows of a dataset stand in the store and publish it under a name.

    Running it again after any interruption continues; rows that stand are never computed twice.

    Parameters
    ----------
    store : Store
        Where the rows go; its `sources/` must hold the corpus's recordings.
    corpus : Corpus
        The labelled recordings.
    recipe : DatasetRecipe
        Which rows.
    name : str, optional
        The dataset's name; the corpus's by default.
    jobs : int, optional
        Local worker processes; all cores by default.
    scheduler : str, optional
        Address of a running Dask scheduler, in place of local processes.
    dry_run : bool
        Only plan and estimate.
    progress : Progress, optional
        Is told what happens.

    Raises
    ------
    BuildError
        If nothing can be built, or workers were lost; what is finished stays.
    StorageError
        If the store cannot be written or lacks the space.
    DamagedObjectError
        If a record or source that is needed is damaged.
    """
    started = time.monotonic()
    plan = plan_build(store, corpus, recipe)
    if dry_run:
        return _report(plan, name, started, jobs=jobs)
    store.storage.sweep()
    tally = _Tally()
    if plan.computed or plan.copied:
        plan = _write(store, plan, jobs, scheduler, progress or Silent(), tally)
    record = _dataset(store, plan)
    table = Table(corpus.name, corpus.utterances, plan.rejections(), corpus.manifest.licence, corpus.manifest.citation)
    store.publish(record, table, name or corpus.name)
    return _report(plan, name, started, tally=tally, digest=record.digest)


def _write(
    store: Store, plan: BuildPlan, jobs: int | None, scheduler: str | None, progress: Progress, tally: _Tally
) -> BuildPlan:
    """Run all tasks of a plan; recordings that turn out bad are dropped and the rest is planned again."""
    _check_space(store, plan)
    progress.begin(plan.computed + plan.copied, plan.reused)
    try:
        bundles = _bundles(store, plan)
        with connect(min(jobs or available_cores(), len(bundles)), scheduler) as client:
            while bundles:
                _run(client, bundles, progress, tally)
                for spec, content, reason in tally.rejected:
                    remember_reject(store, spec, content, reason)
                tally.rejected.clear()
                plan = plan_build(store, plan.corpus, plan.recipe)
                bundles = _bundles(store, plan)
    finally:
        progress.end()
        store.storage.sweep()  # what killed workers left
    return plan


def _bundles(store: Store, plan: BuildPlan) -> list[Bundle]:
    """Put tasks with the same members together, within a bound of memory; the largest come first."""
    bundles: list[Bundle] = []
    for part in plan.parts:
        for members, group in groupby(part.tasks, key=lambda task: task.shard.members):
            limit = rows_in_a_bundle(plan.corpus, part.part.spec.features)
            bundles.extend(Bundle(store.uri, part.part.spec, members, tasks) for tasks in _bounded(tuple(group), limit))
    return sorted(bundles, key=lambda bundle: -bundle.rows)


def _bounded(tasks: tuple[ShardTask, ...], limit: int) -> Iterator[tuple[ShardTask, ...]]:
    size = max(1, limit // tasks[0].shard.rows)
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def _run(client: Client, bundles: Sequence[Bundle], progress: Progress, tally: _Tally) -> None:
    """Run bundles on a cluster, a few for each worker at a time."""
    from distributed import as_completed

    waiting = iter(bundles)
    window = WINDOW * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    running: dict[Future, Bundle] = {}

    def submit(count: int) -> list[Future]:
        futures = {client.submit(_task, bundle, pure=False): bundle for bundle, _ in zip(waiting, range(count))}  # noqa: B905
        running.update(futures)
        return list(futures)

    finished = as_completed(submit(window))
    for future in finished:
        bundle = running.pop(future)
        receipt = _result(future)
        tally.add(bundle, receipt)
        progress.advance(receipt.computed + receipt.copied)
        for new in submit(1):
            finished.add(new)


def _result(future: Future) -> Receipt:
    """Return a task's receipt; a lost worker becomes an error that says how to go on."""
    from distributed import KilledWorker

    try:
        receipt: Receipt = future.result()
    except KilledWorker as error:
        raise BuildError(
            f"a worker died three times over the same task ({error.task}): run the same command again to continue."
        ) from error
    return receipt


def _task(bundle: Bundle) -> Receipt:
    """Run a bundle on a Dask worker, which computes the next one while this one is written."""
    from distributed import secede

    return run_bundle(bundle, before_commit=secede)


def _check_space(store: Store, plan: BuildPlan) -> None:
    free, needed = store.storage.free_bytes(), _bytes_to_write(plan)
    if free is not None and free < needed:
        raise StorageError(
            f"{store.uri} has {free / 1e6:,.0f} MB free and the build needs about {needed / 1e6:,.0f} MB: "
            "free some space or give --store another place. Nothing was written."
        )


def _bytes_to_write(plan: BuildPlan) -> int:
    tasks: Iterable[ShardTask] = (task for part in plan.parts for task in part.tasks)
    return estimate_bytes(plan.corpus, plan.recipe.features, sum(task.shard.rows for task in tasks))


def _dataset(store: Store, plan: BuildPlan) -> DatasetRecord:
    parts = tuple(part.part for part in plan.parts if part.part.contents)
    records = [store.record(address) for address in plan.addresses]
    return DatasetRecord(parts, plan.addresses, dataset_digest(parts, records))


def _report(
    plan: BuildPlan,
    name: str | None,
    started: float,
    *,
    tally: _Tally | None = None,
    digest: str | None = None,
    jobs: int | None = None,
) -> BuildReport:
    """Say what a plan comes to, or came to with a tally of what was done."""
    computed, copied = (tally.computed, tally.copied) if tally else (plan.computed, plan.copied)
    clean, augmented = plan.rows(clean=True), plan.rows(clean=False)
    return BuildReport(
        corpus=plan.corpus.name,
        dataset=name or plan.corpus.name,
        digest=digest,
        utterances=len(plan.corpus.utterances),
        clean=clean,
        augmented=augmented,
        computed=computed,
        copied=copied,
        reused=clean + augmented - computed - copied,
        rejected=plan.rejections(),
        bytes_written=tally.written if tally else 0,
        seconds=time.monotonic() - started,
        to_compute=plan.computed,
        estimated_bytes=_bytes_to_write(plan),
        estimated_seconds=estimate_seconds(plan.computed, jobs or available_cores()),
        notes=plan.corpus.notes,
        dry=tally is None,
    )


__all__ = ["BuildPlan", "BuildReport", "DamagedObjectError", "DatasetRecipe", "Progress", "build", "plan_build"]
