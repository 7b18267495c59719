"""From a corpus and a dataset's spec to what has to be done and what it will cost: reads the store, writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from featurestore.corpus.types import Corpus
from featurestore.errors import BuildError
from featurestore.features import FEATURES
from featurestore.segments import segment_of
from featurestore.shards.parts import Part, PartPlan, plan_part
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.store import Store
from pipelines.build.rate import DEVELOPMENT, Rate
from pipelines.build.rejects import known_rejects
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import Bundle

BUNDLE_BYTES = 48_000_000
"""Rows that a worker holds at once, in bytes of their storage type; it needs about three times that."""
BUNDLE_SECONDS = 60
"""Computing that a worker does before it commits, where features are slow."""
START_SECONDS = 2.0
"""Starting workers and publishing."""


@dataclass
class BuildPlan:
    """The rows of a dataset, and how each part is obtained."""

    corpus: Corpus
    spec: DatasetSpec
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
        """Rows reused where they are already stored."""
        return sum(part.reused for part in self.parts)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of all shards of the dataset, sorted."""
        return tuple(sorted({address for part in self.parts for address in part.addresses}))

    def rows(self, *, clean: bool) -> int:
        """Rows of the clean or of the augmented part."""
        return sum(plan.part.rows for plan in self.parts if (plan.part.first == 0) == clean)

    @property
    def bytes_to_write(self) -> int:
        """Bytes that the tasks will write, estimated."""
        rows = 0.0
        for planned in self.parts:
            share = _mean_duration(self.spec.features, planned.part.spec.augmentation)
            rows += share * sum(task.shard.rows for task in planned.tasks)
        return int(rows * _mean_row_bytes(self.corpus, self.spec.features))

    def seconds_to_compute(self, jobs: int, rate: Rate) -> float:
        """Estimate how long so many processes of the processor's own engine take, at a rate of the default features."""
        speed = rate.rows_per_second / FEATURES[self.spec.features.kind].cost * jobs
        return round(START_SECONDS + self.computed / speed, 1) if self.computed else 0.0


def plan_build(store: Store, corpus: Corpus, spec: DatasetSpec) -> BuildPlan:
    """Find out which rows of a dataset exist and which must be written; reads only.

    Raises
    ------
    DamagedObjectError
        If a shard that the dataset needs has a damaged record.
    """
    rejected: dict[str, str] = {}
    plans: list[PartPlan] = []
    augmented = spec.augmented_paths(corpus)
    for part in _parts(store, corpus, spec, augmented, rejected):
        records, damaged = store.records(part.spec)
        plan = plan_part(part, records)
        for task in plan.tasks:
            if task.shard.address in damaged:
                raise damaged[task.shard.address]
        plans.append(plan)
    if not any(plan.part.contents for plan in plans):
        reason = next(iter(rejected.values()), "no utterance")
        raise BuildError(f"every recording of {corpus.name!r} was rejected, the first because: {reason.rstrip('.')}.")
    return BuildPlan(corpus, spec, tuple(plans), rejected)


def _parts(
    store: Store, corpus: Corpus, spec: DatasetSpec, augmented: set[str], rejected: dict[str, str]
) -> Iterator[Part]:
    """Yield the clean part, then the augmented one, without the recordings that are known to be bad."""
    rows = RowSpec.current(spec.features, None, spec.engine)
    bad = known_rejects(store, rows, spec.max_seconds)
    contents = {utterance.content for utterance in corpus.utterances}
    rejected.update({content: bad[content] for content in contents & bad.keys()})
    yield Part.clean(rows, contents - bad.keys())
    if spec.copies:
        rows = RowSpec.current(spec.features, spec.augmentation, spec.engine)
        chosen = {utterance.content for utterance in corpus.utterances if utterance.path in augmented} - bad.keys()
        bad = known_rejects(store, rows, spec.max_seconds)
        rejected.update({content: bad[content] for content in chosen & bad.keys()})
        yield Part.augmented(rows, chosen - bad.keys(), spec.copies)


def plan_before(store: Store, plan: BuildPlan, written: Collection[str]) -> BuildPlan:
    """Return the plan of the same rows as if the shards with these addresses did not exist."""
    if not written:
        return plan
    parts = tuple(
        plan_part(planned.part, [one for one in store.records(planned.part.spec)[0] if one.address not in written])
        for planned in plan.parts
    )
    return replace(plan, parts=parts)


def bundles_of(store: Store, plan: BuildPlan) -> list[Bundle]:
    """Put tasks with the same members together, within bounds of memory and time; the largest come first."""
    bundles: list[Bundle] = []
    features = plan.spec.features
    for planned in plan.parts:
        if not planned.tasks:
            continue
        spec = planned.part.spec
        held = BUNDLE_BYTES / _mean_row_bytes(plan.corpus, features) / _mean_duration(features, spec.augmentation)
        limit = int(min(held, BUNDLE_SECONDS * _rows_a_second(features)))
        for members, group in groupby(planned.tasks, key=lambda task: task.shard.members):
            tasks = tuple(group)
            size = max(1, limit // tasks[0].shard.rows)
            bundles.extend(
                Bundle(store.uri, spec, members, tasks[start : start + size], plan.spec.max_seconds)
                for start in range(0, len(tasks), size)
            )
    return sorted(bundles, key=lambda bundle: -bundle.rows)


def _mean_row_bytes(corpus: Corpus, features: FeatureSpec) -> float:
    """Estimate the bytes of an average row from the sizes of 16-bit mono recordings at the corpus's rate."""
    rate = corpus.manifest.rate or features.rate or 16_000
    lengths = [(segment_of(one.content).seconds, one.size) for one in corpus.utterances]
    sizes = [size if seconds is None else 2 * rate * seconds for seconds, size in lengths] or [0]
    kept = features.rate or rate
    samples = float(np.mean(sizes)) / 2 * kept / rate
    frames = max(1.0, (features.seconds or samples / kept) * FEATURES[features.kind].pace(features, kept))
    return frames * features.width * np.dtype(features.dtype).itemsize


def _mean_duration(features: FeatureSpec, augmentation: AugmentationSpec | None) -> float:
    """Return how many frames a row has on average, as a share of its recording's."""
    return 1.0 if augmentation is None or features.seconds else augmentation.mean_duration


def _rows_a_second(features: FeatureSpec) -> float:
    return DEVELOPMENT.rows_per_second / FEATURES[features.kind].cost
