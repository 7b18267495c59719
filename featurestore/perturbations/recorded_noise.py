"""Noise that was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore.errors import AudioError
from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.perturbations.draws import CopyDraws
    from featurestore.signal.copies import Copy


class RecordedNoise(PerturbationKind):
    """A piece of one of `noises` at this signal-to-noise ratio, against the realised power of both.

    A piece has at least a hundredth of the power of its recording.
    """

    place = 50
    name, unit, limits = "recorded_snr_db", "dB", (-100.0, 100.0)
    said = "recorded noise at {:.1f} dB SNR"
    operation, version, libraries = "recorded noise", 2, ("numba", "numpy", "soxr")
    recordings = "noises"
    details = (("noise", None), ("noise_position", 0.0))
    needs_sound = True

    def draw_details(self, draws: CopyDraws) -> Mapping[str, Any]:
        """Return the sha256 of the noise and where in it a piece begins, in [0, 1)."""
        noise, position = draws.recording("noises")
        return {"noise": noise, "noise_position": position}

    def settled(self, value: float, copy: Copy) -> Mapping[str, Any]:
        """Move a piece that would be silence into the part of the noise that sounds."""
        noise = copy.inputs.noise(copy.perturbation.noise, copy.recording.rate)
        position = noise.sounding(copy.perturbation.noise_position, copy.samples)
        return {} if position == copy.perturbation.noise_position else {"noise_position": position}

    def apply(self, value: float, copy: Copy) -> None:
        """Add the piece."""
        from featurestore.signal.kernels.level import energy
        from featurestore.signal.noise import add_scaled, noise_gain

        mixed = copy.buffer("mixed", len(copy.signal))
        copy.inputs.noise(copy.perturbation.noise, copy.recording.rate).cut(copy.perturbation.noise_position, mixed)
        noise_energy = energy(mixed)
        if noise_energy == 0:
            raise AudioError("the piece of the noise is silent.")
        gain = noise_gain(copy.energy, noise_energy, value)
        copy.signal, copy.loudest = mixed, add_scaled(copy.signal, mixed, gain)
