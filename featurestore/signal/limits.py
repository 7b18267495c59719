"""How much of anything a recording may have."""

from __future__ import annotations

from featurestore.errors import AudioError

MAX_CHANNELS = 8
RATES = (1_000, 384_000)
"""Samples a second."""
MAX_SAMPLES = 57_600_000
"""Samples of one channel: ten minutes at 96 kHz, 230 MB."""
LOUDEST = 1e6
"""Largest absolute sample; 1 is full scale, and files of floats in 16-bit units reach 32,768."""


def check_channels_and_rate(channels: int, rate: int) -> None:
    """Refuse a number of channels or a sampling rate that no recording of speech has, with `AudioError`."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(f"a rate of {rate} Hz; {RATES[0]} to {RATES[1]} are read.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{channels} channels; at most {MAX_CHANNELS} are read.")


def check_length(samples: int, rate: int, max_seconds: float) -> None:
    """Refuse an announced length that is nothing or too much, with `AudioError`."""
    if samples < 1:
        raise AudioError("the file holds no samples.")
    if samples / rate > max_seconds:
        raise AudioError(f"too long: {samples / rate:.1f} s; at most {max_seconds:g} s are read.")
    if samples > MAX_SAMPLES:
        raise AudioError(f"too long: {samples} samples; at most {MAX_SAMPLES} are read.")
