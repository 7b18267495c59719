"""Change of volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.signal.copies import Copy


class Volume(PerturbationKind):
    """Change of volume; nothing is clipped."""

    place = 70
    name, unit, limits = "gain_db", "dB", (-100.0, 100.0)
    said = "volume {:+.1f} dB"
    operation, version, libraries = "gain", 2, ("numpy",)
    in_torch = True

    def apply(self, value: float, copy: Copy) -> None:
        """Multiply the samples with 10 ** (value / 20)."""
        import numpy as np

        from featurestore.signal.kernels.level import volume_gain

        louder = copy.buffer("louder", len(copy.signal))
        np.multiply(copy.signal, volume_gain(value), out=louder)
        copy.signal = louder
