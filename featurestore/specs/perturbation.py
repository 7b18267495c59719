"""The drawn parameters of one copy: a pure function of (augmentation, content, copy), never stored as truth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Perturbation:
    """What happens to one augmented copy, in the order of the fields; None means not applied."""

    semitones: float | None = None
    """Pitch shift in semitones, exactly as applied (on the pitch grid, finer than 1 cent)."""
    shift_seconds: float | None = None
    """Time shift in seconds; positive is later."""
    snr_db: float | None = None
    """Signal-to-noise ratio of the added white noise in decibels."""
    vtlp_alpha: float | None = None
    """Warping factor of the spectrogram's frequency axis."""
    peak: float | None = None
    """Largest absolute sample after normalisation."""
    noise_key: int = 0
    """Key of the noise stream, 64 bits."""
