"""The description of an augmentation: what may happen to a copy, how often, and how much.

A policy never says how many copies are made: copy 7 is the same whether 10 or 100 are asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import SpecError, UnknownNameError

SHIFT_FILLS = ("zero", "circular")
PERTURBATIONS = ("semitones", "shift_seconds", "snr_db", "vtlp_alpha", "peak")
"""The perturbations in the order in which they are applied."""

LIMITS = {
    "semitones": (-24.0, 24.0),
    "shift_seconds": (-60.0, 60.0),
    "snr_db": (-100.0, 100.0),
    "vtlp_alpha": (0.5, 1.1),  # above 1 / 0.9 the warped f0 of equation 1 would leave the frequency axis
    "peak": (1e-6, 1.0),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """How often a perturbation is applied, and the rule for its value.

    The value is uniform in `[low, high]`, drawn anew for each row (`per="row"`) or once for each copy index and
    shared by all files (`per="copy"`), or taken from `listed` in turn: copy k takes entry (k - 1) mod length.
    """

    probability: float = 1.0
    """Share of the copies it is applied to, in [0, 1]."""
    uniform: tuple[float, float] | None = None
    """Lower and upper bound of the value."""
    per: str = "row"
    """`row` or `copy`: what a uniform value is drawn for."""
    listed: tuple[float, ...] = ()
    """The values, where they are listed and not drawn."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise SpecError(f"a probability must lie within 0 and 1, not {self.probability}.")
        if self.per not in ("row", "copy"):
            raise UnknownNameError("value rule", self.per, ("row", "copy"))
        if (self.uniform is None) == (not self.listed):
            raise SpecError("a perturbation needs either 'uniform = [low, high]' or 'listed = [...]'.")
        object.__setattr__(self, "probability", float(self.probability))
        object.__setattr__(self, "listed", tuple(float(value) for value in self.listed))
        if self.uniform is not None:
            low, high = (float(bound) for bound in self.uniform)
            if not low <= high:
                raise SpecError(f"a range must rise: {low:g} is above {high:g}.")
            object.__setattr__(self, "uniform", (low, high))

    @property
    def values(self) -> tuple[float, ...]:
        """The bounds or the listed values."""
        return self.uniform or self.listed

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that matter as JSON values."""
        rule: dict[str, Any] = {"listed": list(self.listed)}
        if self.uniform is not None:
            rule = {"uniform": list(self.uniform), "per": self.per}
        return {"probability": self.probability, **rule}


@dataclass(frozen=True, slots=True)
class AugmentationSpec:
    """Which perturbations the augmented copies get, in the fixed order of `PERTURBATIONS`.

    A perturbation that is None is absent; it is left out of the canonical form, so that a perturbation added to
    this class later changes no address.
    """

    semitones: Drawn | None = None
    """Pitch shift in semitones, duration kept."""
    shift_seconds: Drawn | None = None
    """Time shift in seconds; positive moves the signal later."""
    shift_fill: str = "zero"
    """`zero` fills what a shift uncovers with silence, `circular` with what left on the other side."""
    snr_db: Drawn | None = None
    """White noise at this signal-to-noise ratio in decibels, against the realised power of signal and noise."""
    vtlp_alpha: Drawn | None = None
    """Vocal tract length perturbation: the warping factor of equation 1 (Etienne et al. 2018)."""
    vtlp_f0: float = 0.9
    """Where the warp bends, as a share of the highest frequency."""
    peak: Drawn | None = None
    """Peak normalisation: the largest absolute sample afterwards."""
    seed: int = 0
    """Chooses the draws; equal seeds give equal copies on every machine."""

    def __post_init__(self) -> None:
        if self.shift_fill not in SHIFT_FILLS:
            raise UnknownNameError("shift_fill", self.shift_fill, SHIFT_FILLS)
        object.__setattr__(self, "vtlp_f0", float(self.vtlp_f0))
        if not 0 < self.vtlp_f0 < 1:
            raise SpecError(f"vtlp_f0 must lie between 0 and 1, not {self.vtlp_f0:g}.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise SpecError(f"the seed must be a whole number, not {self.seed!r}.")
        for name in PERTURBATIONS:
            self._check_values(name)

    def _check_values(self, name: str) -> None:
        drawn: Drawn | None = getattr(self, name)
        low, high = LIMITS[name]
        for value in drawn.values if drawn else ():
            if not (math.isfinite(value) and low <= value <= high):
                raise SpecError(f"{name} must lie within {low:g} and {high:g}, not {value:g}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical JSON form: absent perturbations and the settings that belong to them are left out."""
        document: dict[str, Any] = {"seed": self.seed}
        for name in PERTURBATIONS:
            drawn: Drawn | None = getattr(self, name)
            if drawn is not None:
                document[name] = drawn.to_dict()
        if self.shift_seconds is not None:
            document["shift_fill"] = self.shift_fill
        if self.vtlp_alpha is not None:
            document["vtlp_f0"] = self.vtlp_f0
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> AugmentationSpec:
        """Read the canonical form or a policy file; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        fields: dict[str, Any] = {}
        for name, value in document.items():
            if name not in known:
                raise UnknownNameError("augmentation field", name, known)
            fields[name] = _drawn(name, value) if name in PERTURBATIONS else value
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise SpecError(f"augmentation spec: a field has the wrong type ({error}).") from error


def _drawn(name: str, table: Any) -> Drawn | None:  # noqa: ANN401 (checked here)
    if table is None:
        return None
    known = [field.name for field in dataclasses.fields(Drawn)]
    if not isinstance(table, Mapping):
        raise SpecError(f"{name} must be a table with 'uniform' or 'listed', not {table!r}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"field of {name}", key, known)
    try:
        return Drawn(**table)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name}: {error}") from error
