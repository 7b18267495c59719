"""The drawn parameters of one copy: a pure function of (augmentation, content, copy), never stored as truth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Perturbation:
    """What happens to one augmented copy; None means not applied."""

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
    stretch: float | None = None
    """Factor of the duration, exactly as applied (a multiple of 1 / 2048)."""
    gain_db: float | None = None
    """Change of volume in decibels."""
    recorded_snr_db: float | None = None
    """Signal-to-noise ratio of the added recording in decibels."""
    noise: str | None = None
    """The sha256 of that recording."""
    noise_position: float = 0.0
    """Where in it the noise begins, in [0, 1): see `signal.perturbations.recorded_noise`."""
    reverb: float | None = None
    """Share of the signal in a room."""
    rir: str | None = None
    """The sha256 of the room's impulse response."""
    own: tuple[int | None, ...] = ()
    """Key of the random numbers of each function of the user, 64 bits; None for one that is not applied."""
