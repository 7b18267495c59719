"""Which rows a dataset has: features, augmentation, copies, and the side of a split that gets them."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.corpus import protocols
from featurestore.corpus.types import Corpus
from featurestore.errors import SpecError
from featurestore.signal.arrays import LARGEST_MAX_SECONDS, MAX_SECONDS
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import CPU
from featurestore.trusted_code import check_trusted


@dataclass(frozen=True)
class DatasetSpec:
    """Which rows a dataset has; no corpus, no labels."""

    features: FeatureSpec
    augmentation: AugmentationSpec | None = None
    """None without copies, whatever was given."""
    copies: int = 0
    """Augmented copies of each utterance."""
    split: str | None = None
    """Split whose `side` alone gets augmented copies; None gives them to all."""
    side: str = "train"
    seed: int = 0
    """Seed of the split, where it is drawn."""
    engine: str = CPU
    """What computes the rows: `cpu` or `torch`; their bits differ, so it is in their key."""
    max_seconds: float = MAX_SECONDS
    """Longest recording or segment that gets rows, 600 to 86,400; in no key, as it changes no row."""

    def __post_init__(self) -> None:
        if not self.copies:
            object.__setattr__(self, "augmentation", None)
        if not 0 <= self.copies <= 100_000:
            raise SpecError(f"the number of copies must lie within 0 and 100,000, not {self.copies}.")
        if self.copies and self.augmentation is None:
            raise SpecError("augmented copies need a policy: give --policy NAME, or leave --augment out.")
        if not MAX_SECONDS <= self.max_seconds <= LARGEST_MAX_SECONDS:
            raise SpecError(
                f"the longest duration must lie within {MAX_SECONDS:g} and {LARGEST_MAX_SECONDS:g} seconds, not "
                f"{self.max_seconds:g}."
            )
        if self.side not in ("train", "validation", "test"):
            raise SpecError(f"a split has the sides train, validation and test, not {self.side!r}.")

    def check_code(self) -> None:
        """Refuse functions of the user's own whose modules are not allowed, with `SpecError`; nothing is imported."""
        own = self.augmentation.own if self.augmentation else ()
        for function in (self.features.function, *(one.function for one in own)):
            if function is not None:
                check_trusted(function)

    def augmented_paths(self, corpus: Corpus) -> set[str]:
        """Return the paths of the utterances that get augmented copies."""
        if self.split is None:
            return {utterance.path for utterance in corpus.utterances}
        chosen: tuple[str, ...] = getattr(protocols.split(corpus.utterances, self.split, seed=self.seed), self.side)
        return set(chosen)
