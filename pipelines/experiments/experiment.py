"""An experiment as a recipe tells it: dataset, split, model, training; one TOML file each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.overrides import override
from featurestore.specs.presets import feature_preset, policy
from featurestore.typed_values import check_fields, shown_value, typed
from pipelines.build.spec import DatasetSpec

DEFAULT_MODEL = "mathworks-cnn-lstm"
SIDES = ("", "train", "validation", "test")
Plain: TypeAlias = bool | int | float | str
"""What a setting of a model can be."""


def _check(name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise SpecError(f"[{name}] of a recipe: {rule}.")


@dataclass(frozen=True)
class DatasetChoice:
    """The dataset of an experiment."""

    corpus: str
    """A corpus by name, `NAME/SCHEME`, several as `NAME+NAME`, or the path of a manifest."""
    features: str = "mathworks"
    """Feature preset."""
    policy: str = "mathworks"
    """Augmentation policy, or `none`."""
    copies: int = 0
    """Augmented copies of each utterance."""
    side: str = ""
    """The only side of the split that gets copies; empty gives them to all."""
    settings: tuple[str, ...] = ()
    """Changes of single fields, as `--set` takes them."""

    def __post_init__(self) -> None:
        check_fields(self, "[dataset] of a recipe")
        _check("dataset", self.copies >= 0, "copies must not be negative")
        _check("dataset", self.side in SIDES, f"side must be train, validation or test, not {self.side!r:.60}")


@dataclass(frozen=True)
class SplitChoice:
    """The split of an experiment."""

    name: str = "speakers"
    """A split or a protocol, see `featurestore splits CORPUS`."""
    seed: int = 0
    """Draws the sides of a split at random."""
    allow_leak: tuple[str, ...] = ()
    """Kinds of leak that the protocol carries and declares."""
    clean_in_training: bool = False
    """Train on the recordings as they are, besides their augmented copies."""
    validation_copy: int = 0
    """Copy of each utterance that validates; 0 is the recording as it is."""
    first_folds: int = 0
    """Of a protocol with folds, only so many are run; 0 runs all."""

    def __post_init__(self) -> None:
        check_fields(self, "[split] of a recipe")
        _check(
            "split",
            min(self.validation_copy, self.first_folds) >= 0,
            "validation_copy and first_folds must not be negative",
        )


@dataclass(frozen=True)
class VoteChoice:
    """Perturbed copies of each test utterance whose predictions are put together by a majority vote."""

    policy: str = ""
    """Augmentation policy of the copies; empty tests each recording as it is."""
    copies: int = 0
    """Copies that vote, 2 at least."""

    def __post_init__(self) -> None:
        check_fields(self, "[vote] of a recipe")
        _check("vote", not self.policy or self.copies >= 2, "a vote needs at least 2 copies")


@dataclass(frozen=True)
class Experiment:
    """Everything that a recipe says."""

    name: str
    dataset: DatasetChoice
    split: SplitChoice = SplitChoice()
    vote: VoteChoice = VoteChoice()
    model: str = DEFAULT_MODEL
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    published_on: str = ""
    """The corpus that the source's figures are of."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Figures of the source, to be shown beside ours."""

    def __post_init__(self) -> None:
        check_fields(self, "a recipe")
        typed(self.model_settings, Mapping[str, Plain], "[model]")
        copy, copies = self.split.validation_copy, self.dataset.copies
        _check("split", copy <= copies, f"validation_copy {copy} needs [dataset] copies from {copy}, not {copies}")
        validates = self.dataset.side in ("", "validation")
        _check(
            "split", not copy or validates, f"only the {self.dataset.side} side has copies: no copy {copy} validates"
        )

    @property
    def dataset_name(self) -> str:
        """What the experiment's dataset is called in the store: it never takes the place of the user's own build."""
        corpus = self.dataset.corpus
        shown = Path(corpus).stem if corpus.endswith(".toml") else corpus.replace("/", "-")
        return f"{shown}-{self.name}"

    @property
    def votes_name(self) -> str:
        """What the dataset of the copies that vote is called."""
        return f"{self.dataset_name}-votes"

    def specs(self) -> tuple[FeatureSpec, AugmentationSpec | None]:
        """Return the feature and augmentation spec."""
        chosen = self.dataset
        return override(feature_preset(chosen.features), policy(chosen.policy), chosen.settings)

    def vote_recipe(self) -> DatasetSpec | None:
        """Return which perturbed rows the test utterances are told by; None where there is no vote."""
        if not self.vote.policy:
            return None
        features, _ = self.specs()
        return DatasetSpec(features, policy(self.vote.policy), self.vote.copies)

    def dataset_recipe(self) -> DatasetSpec:
        """Return which rows the experiment needs."""
        features, augmentation = self.specs()
        limited = bool(self.dataset.side)
        return DatasetSpec(
            features,
            augmentation,
            self.dataset.copies,
            split=self.split.name if limited else None,
            side=self.dataset.side or "train",
            seed=self.split.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Experiment:
        """Read what `to_dict` wrote."""
        typed(document, dict, "a recipe")
        parts = {"dataset": DatasetChoice, "split": SplitChoice, "vote": VoteChoice}
        read = {name: section(kind, f"[{name}] of a recipe", document.get(name, {})) for name, kind in parts.items()}
        experiment: Experiment = section(cls, "a recipe", {**document, **read})
        return experiment


def section(kind: type[Any], where: str, table: Any) -> Any:  # noqa: ANN401 (one of the dataclasses above)
    """Read a table of a recipe into its dataclass; lists become tuples.

    Parameters
    ----------
    where : str
        What the table is called in a message.

    Raises
    ------
    UnknownNameError
        If a key does not exist.
    SpecError
        If it is no table, a key that has to be there is missing, or a value makes no sense.
    """
    known = [item.name for item in dataclasses.fields(kind)]
    if not isinstance(table, Mapping):
        raise SpecError(f"{where} must be a table, not {shown_value(table)}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"key of {where}", key, known)
    for item in dataclasses.fields(kind):
        if item.name not in table and item.default is MISSING and item.default_factory is MISSING:
            raise SpecError(f"{where}: the key {item.name!r} is missing.")
    return kind(**table)
