"""The description of an augmentation: what may happen to a copy, how often, and how much.

A policy never says how many copies are made: copy 7 is the same whether 10 or 100 are asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.drawn import Drawn, checked_number, checked_whole, read_table
from featurestore.specs.own import OwnPerturbation
from featurestore.specs.recordings import Recordings

__all__ = ["LIMITS", "PERTURBATIONS", "RECORDINGS", "SHIFT_FILLS", "AugmentationSpec", "Drawn", "Needed"]

SHIFT_FILLS = ("zero", "circular")
PERTURBATIONS = (
    "semitones",
    "stretch",
    "shift_seconds",
    "reverb",
    "recorded_snr_db",
    "snr_db",
    "gain_db",
    "vtlp_alpha",
    "peak",
)
"""The perturbations in the order in which they are applied; functions of the user come after the gain."""
RECORDINGS = {"reverb": "rirs", "recorded_snr_db": "noises"}
"""Which field names the recordings that a perturbation takes in."""

LIMITS = {
    "semitones": (-24.0, 24.0),
    "stretch": (0.25, 4.0),
    "shift_seconds": (-60.0, 60.0),
    "reverb": (0.0, 1.0),
    "recorded_snr_db": (-100.0, 100.0),
    "snr_db": (-100.0, 100.0),
    "gain_db": (-100.0, 100.0),
    "vtlp_alpha": (0.5, 2.0),
    "peak": (1e-6, 1.0),
}

Needed = dict[str, Recordings]
"""Recordings by the field that names them."""


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
    stretch: Drawn | None = None
    """Time stretch: the duration is multiplied by this factor, the pitch is kept."""
    gain_db: Drawn | None = None
    """Change of volume in decibels; nothing is clipped."""
    recorded_snr_db: Drawn | None = None
    """A recording of `noises` at this signal-to-noise ratio in decibels, as with `snr_db`."""
    noises: Recordings | None = None
    """The noises of `recorded_snr_db`."""
    reverb: Drawn | None = None
    """A room: the share of the signal convolved with one of `rirs`, in [0, 1]; the rest is the signal as it was."""
    rirs: Recordings | None = None
    """The room impulse responses of `reverb`."""
    own: tuple[OwnPerturbation, ...] = ()
    """Functions of the user, applied in this order after the gain."""

    def __post_init__(self) -> None:
        if self.shift_fill not in SHIFT_FILLS:
            raise UnknownNameError("shift_fill", str(self.shift_fill), SHIFT_FILLS)
        object.__setattr__(self, "vtlp_f0", checked_number("vtlp_f0", self.vtlp_f0))
        if not 0 < self.vtlp_f0 < 1:
            raise SpecError(f"vtlp_f0 must lie between 0 and 1, not {self.vtlp_f0:g}.")
        object.__setattr__(self, "seed", checked_whole("the seed", self.seed))
        for name, drawn in self.drawn.items():
            drawn.check(name, *LIMITS[name])
        if self.vtlp_alpha is not None and max(self.vtlp_alpha.values) * self.vtlp_f0 >= 1:
            raise SpecError(
                f"vtlp_alpha {max(self.vtlp_alpha.values):g} moves vtlp_f0 {self.vtlp_f0:g} beyond the highest "
                "frequency, so that the warp would fold: vtlp_alpha * vtlp_f0 must lie below 1."
            )

    @property
    def drawn(self) -> dict[str, Drawn]:
        """The perturbations that are present, by name, in the order in which they are applied."""
        rules = {name: getattr(self, name) for name in PERTURBATIONS}
        return {name: rule for name, rule in rules.items() if rule is not None}

    @property
    def recordings(self) -> Needed:
        """The recordings that rows take in, by the field that names them.

        Raises
        ------
        SpecError
            If a perturbation needs recordings and none are named.
        """
        needed = {RECORDINGS[name]: getattr(self, RECORDINGS[name]) for name in self.drawn if name in RECORDINGS}
        for name, recordings in needed.items():
            if recordings is None:
                raise SpecError(f"the policy names no {name}: give them as '[{name}] source = FOLDER' in its file.")
        return needed

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sha256 of each recording that rows take in, sorted; the store keeps them as long as rows need them."""
        return tuple(sorted({content for chosen in self.recordings.values() for content in chosen.contents}))

    @property
    def mean_duration(self) -> float:
        """How long copies last on average, as a share of their recording."""
        if self.stretch is None:
            return 1.0
        values = self.stretch.values
        return 1.0 + self.stretch.probability * (sum(values) / len(values) - 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical JSON form: absent perturbations and the settings that belong to them are left out.

        Raises
        ------
        SpecError
            If recordings that rows take in have not been read.
        """
        document: dict[str, Any] = {"seed": self.seed}
        for name, drawn in self.drawn.items():
            document[name] = drawn.to_dict()
        for name, recordings in self.recordings.items():
            document[name] = recordings.to_dict()
        if self.own:
            document["own"] = [one.to_dict() for one in self.own]
        if self.shift_seconds is not None:
            document["shift_fill"] = self.shift_fill
        if self.vtlp_alpha is not None:
            document["vtlp_f0"] = self.vtlp_f0
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> AugmentationSpec:
        """Read the canonical form or a policy file; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in document:
            if name not in known:
                raise UnknownNameError("augmentation field", name, known)
        try:
            return cls(**{name: _field(name, value) for name, value in document.items()})
        except (TypeError, ValueError) as error:
            raise SpecError(f"augmentation spec: a field has the wrong type ({error}).") from error


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 (checked here)
    """Read one field; tables become what they describe."""
    if name in RECORDINGS.values():
        return read_table(Recordings, name, value, "'source' or 'corpus'")
    if name == "own":
        return tuple(read_table(OwnPerturbation, "own", one, "'function' and 'version'") for one in _list(value))
    if name not in PERTURBATIONS:
        return value
    if name == "reverb" and isinstance(value, Mapping) and not {"uniform", "listed"} & value.keys():
        value = {**value, "listed": (1.0,)}  # a room is heard alone unless a share of it is asked for
    return read_table(Drawn, name, value, "'uniform' or 'listed'")


def _list(value: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list | tuple):
        raise SpecError(f"own perturbations are a list of tables [[own]], not {value!r}.")
    return list(value)
