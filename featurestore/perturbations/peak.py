"""Peak normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.signal.copies import Copy


class Peak(PerturbationKind):
    """Peak normalisation: the largest absolute sample afterwards."""

    place = 90
    name, unit, limits = "peak", "", (1e-6, 1.0)
    said = "peak set to {:.2f}"
    operation, version, libraries = "peak", 1, ("numba",)
    needs_sound = True
    in_torch = True
    last = True

    def apply(self, value: float, copy: Copy) -> None:
        """Set the gain; the transform applies it."""
        from featurestore.signal.kernels.level import largest, peak_gain

        copy.gain = peak_gain(float(largest(copy.signal) if copy.loudest is None else copy.loudest), value)
