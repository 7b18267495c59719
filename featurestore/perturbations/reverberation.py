"""A room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.perturbations.draws import CopyDraws
    from featurestore.signal.copies import Copy


class Reverberation(PerturbationKind):
    """A room: the share of the signal that is convolved with one of `rirs`; the rest is the signal as it was.

    The sum has the energy of the signal.
    """

    place = 40
    name, unit, limits = "reverb", "", (0.0, 1.0)
    said = "in a room (share {:.2f})"
    operation, version, libraries = "reverb", 2, ("scipy", "numpy", "soxr")
    recordings = "rirs"
    details = (("rir", None),)

    def draw_details(self, draws: CopyDraws) -> Mapping[str, Any]:
        """Return the sha256 of the room's impulse response."""
        return {"rir": draws.recording("rirs")[0]}

    def apply(self, value: float, copy: Copy) -> None:
        """Put the signal into the room."""
        from featurestore.signal.reverberation import reverberant

        wet = copy.buffer("room", len(copy.signal))
        reverberant(copy.signal, copy.inputs.room(copy.perturbation.rir, copy.recording.rate), value, wet)
        copy.signal = wet
