"""From a corpus and a recipe to what has to be done: reads the store, writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from featurestore.corpus.corpus import Corpus, Rejection
from featurestore.errors import BuildError
from featurestore.shards.plan import Part, PartPlan, plan_part
from featurestore.specs.rows import RowSpec
from featurestore.store import Store
from pipelines.dataset_recipe import DatasetRecipe
from pipelines.estimate import estimate_bytes, mean_duration
from pipelines.rejects import known_rejects, rejections


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

    @property
    def bytes_to_write(self) -> int:
        """Bytes that the tasks will write, estimated."""
        rows = 0.0
        for part in self.parts:
            share = mean_duration(self.recipe.features, part.part.spec.augmentation)
            rows += share * sum(task.shard.rows for task in part.tasks)
        return estimate_bytes(self.corpus, self.recipe.features, rows)

    def rejections(self) -> tuple[Rejection, ...]:
        """Return all files that did not become rows, with their reasons, sorted by path."""
        return rejections(self.corpus, self.rejected)


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
        raise BuildError(f"every recording of {corpus.name!r} was rejected, the first because: {reason.rstrip('.')}.")
    return BuildPlan(corpus, recipe, tuple(plans), rejected)


def plan_before(store: Store, plan: BuildPlan, written: Collection[str]) -> BuildPlan:
    """Return the plan of the same rows as if the shards with these addresses did not stand."""
    parts = tuple(
        plan_part(part.part, [record for record in store.records(part.part.spec)[0] if record.address not in written])
        for part in plan.parts
    )
    return replace(plan, parts=parts)


def _parts(
    store: Store, corpus: Corpus, recipe: DatasetRecipe, augmented: set[str], rejected: dict[str, str]
) -> Iterator[Part]:
    """Yield the clean part, then the augmented one, without the recordings that are known to be bad."""
    spec = RowSpec.current(recipe.features, None, recipe.engine)
    bad = known_rejects(store, spec, recipe.max_seconds)
    contents = {utterance.content for utterance in corpus.utterances}
    rejected.update({content: bad[content] for content in contents & bad.keys()})
    yield Part.clean(spec, contents - bad.keys())
    if recipe.copies:
        spec = RowSpec.current(recipe.features, recipe.augmentation, recipe.engine)
        chosen = {utterance.content for utterance in corpus.utterances if utterance.path in augmented} - bad.keys()
        bad = known_rejects(store, spec, recipe.max_seconds)
        rejected.update({content: bad[content] for content in chosen & bad.keys()})
        yield Part.augmented(spec, chosen - bad.keys(), recipe.copies)
