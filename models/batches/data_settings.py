"""What training makes of its rows: normalisation, repetition, copies and SpecAugment, as a part of a training spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import SpecError
from featurestore.typed_values import shown_value

DATA_CHOICES = {
    "normalisation": ("none", "training", "everything", "speaker", "utterance"),
    "normalisation_moments": ("auto", "band", "single"),
}
DATA_TABLES = ("repeat",)
"""Fields that are tables: `--set repeat.happiness=2` reaches into them."""
MOST_TIMES = 1_000_000
"""How often an epoch can repeat rows of a label."""
BEFORE: Mapping[str, Any] = {"normalisation": "none"}
"""What trainings did before they could say it, where that is not the default."""


@dataclass(frozen=True)
class DataSettings:
    """Which rows an epoch takes and what is done to their features.

    All of these came after the first runs, so `TrainingSpec.decisive` names them only where they change something.
    """

    normalisation: str = "training"
    """Features are brought to mean 0 and deviation 1 over `training` (the training side), `everything` (all sides: it
    sees the test side's features), each `speaker` (transductive: the test speakers' own rows), each `utterance`, or
    not at all (`none`)."""
    normalisation_moments: str = "auto"
    """One mean and deviation for each `band`, or a `single` one for all; `auto`: `single` for `everything` (Etienne et
    al. 2018), else `band`."""
    repeat: dict[str, int] = field(default_factory=dict, hash=False)
    """How often rows of a label come in an epoch, such as `{happiness = 2, anger = 2}` (Etienne et al. 2018); others
    come once."""
    copies_per_epoch: int = 0
    """Augmented copies of each utterance in an epoch, in turn: with 1, epoch e takes copy ((e - 1) mod N) + 1 of N.
    0 takes all of them. Clean rows that take part do so in every epoch."""
    spec_augment_frequency: int = 0
    """F of SpecAugment: the widest frequency mask, in bands; 0 masks none."""
    spec_augment_frequency_masks: int = 2
    """mF: frequency masks of a clip."""
    spec_augment_time: int = 0
    """T: the widest time mask, in frames; 0 masks none."""
    spec_augment_time_masks: int = 2
    """mT: time masks of a clip."""
    spec_augment_time_share: float = 0.2
    """p: no time mask is wider than this share of its clip."""

    @property
    def masks(self) -> bool:
        """Whether SpecAugment is on."""
        frequency = self.spec_augment_frequency and self.spec_augment_frequency_masks
        return bool(frequency or (self.spec_augment_time and self.spec_augment_time_masks))


def check_data(spec: DataSettings, balance: bool) -> None:
    """Raise `SpecError` if a value makes no sense; `balance` says that classes are made equal anyway."""
    numbers = [value for name, value in _fields(spec).items() if name.startswith(("copies", "spec")) and value < 0]
    rules = (
        (not numbers, "copies_per_epoch and the numbers of SpecAugment must not be negative"),
        (spec.spec_augment_time_share <= 1, "spec_augment_time_share must lie within 0 and 1"),
        (
            isinstance(spec.repeat, Mapping),
            f"repeat must be a table such as {{happiness = 2}}, not {shown_value(spec.repeat)}",
        ),
    )
    for holds, rule in rules:
        if not holds:
            raise SpecError(f"training: {rule}.")
    for label, times in spec.repeat.items():
        if type(times) is not int or not 1 <= times <= MOST_TIMES:
            known = f"a whole number from 1 to {MOST_TIMES:,}"
            raise SpecError(f"training: repeat.{label} must be {known}, not {shown_value(times)}.")
    if balance and spec.repeat:
        raise SpecError("training: balance makes all classes equal: leave out balance or repeat.")


def used_data_fields(spec: DataSettings) -> set[str]:
    """Return the fields of this part that change something."""
    neutral = {**_fields(DataSettings()), **BEFORE}
    given = _fields(spec)
    used = {name for name, value in given.items() if value != neutral[name]}
    if spec.normalisation == "none":
        used.discard("normalisation_moments")
    if spec.masks:
        return used | {name for name in given if name.startswith("spec_augment")}
    return {name for name in used if not name.startswith("spec_augment")}


def _fields(spec: DataSettings) -> dict[str, Any]:
    return {item.name: getattr(spec, item.name) for item in dataclasses.fields(DataSettings)}
