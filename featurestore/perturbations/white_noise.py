"""White noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featurestore.perturbations.kind import PerturbationKind

if TYPE_CHECKING:
    from featurestore.perturbations.draws import CopyDraws
    from featurestore.signal.copies import Copy

SINGLE_BELOW_DB = 60.0
"""Rows whose noise is at least this strong are transformed in float32: its rounding lies 60 dB further down."""


class WhiteNoise(PerturbationKind):
    """White noise at this signal-to-noise ratio, against the realised power of signal and noise."""

    place = 60
    name, unit, limits = "snr_db", "dB", (-100.0, 100.0)
    said = "white noise at {:.1f} dB SNR"
    operation, version, libraries = "noise", 2, ("numba",)
    details = (("noise_key", 0),)
    needs_sound = True
    in_torch = True

    def draw_details(self, draws: CopyDraws) -> Mapping[str, Any]:
        """Return the key of the noise stream, 64 bits."""
        return {"noise_key": draws.words("noise")[0]}

    def apply(self, value: float, copy: Copy) -> None:
        """Add the noise."""
        from featurestore.signal.noise import add_scaled, key_words, noise_gain, standard_normal

        noisy = copy.buffer("noisy", len(copy.signal))
        noise_energy = standard_normal(key_words(copy.perturbation.noise_key), noisy)
        loudest = add_scaled(copy.signal, noisy, noise_gain(copy.energy, noise_energy, value))
        copy.signal, copy.loudest = noisy, loudest
        copy.single = value <= SINGLE_BELOW_DB
