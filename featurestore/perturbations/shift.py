"""Time shift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import UnknownNameError
from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.registry import Declared
    from featurestore.signal.copies import Copy

FILLS = ("zero", "circular")


class TimeShift(PerturbationKind):
    """Time shift, to the nearest sample; positive moves the signal later."""

    place = 30
    name, unit, limits = "shift_seconds", "s", (-60.0, 60.0)
    said = "shifted by {:+.3f} s"
    operation, version, libraries = "shift", 2, ("numpy",)
    settings = (("shift_fill", "zero", "`zero` fills what a shift uncovers with silence, `circular` with what left."),)
    moves = True
    in_torch = True

    def check(self, policy: Declared) -> None:
        """Refuse an unknown way to fill what is uncovered."""
        if policy.shift_fill not in FILLS:
            raise UnknownNameError("shift_fill", str(policy.shift_fill), FILLS)

    def apply(self, value: float, copy: Copy) -> None:
        """Move the signal."""
        from featurestore.signal.timing import shift

        shifted = copy.buffer("shifted", len(copy.signal))
        shift(copy.signal, round(value * copy.recording.rate), copy.policy.shift_fill == "circular", shifted)
        copy.signal = shifted
