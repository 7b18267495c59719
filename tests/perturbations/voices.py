"""Sounds like voices that tests of pitch and duration share."""

from __future__ import annotations

import numpy as np


def voice(ratio=1.0, rate=16_000, seconds=2.0):
    """Return syllables of 100 ms at a gliding pitch around 150 Hz times a ratio."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(150 * (1 + 0.03 * np.sin(2 * np.pi * 3 * time))) / rate
    gate = np.sin(2 * np.pi * 5 * time) > 0
    return (0.1 * gate * sum(np.cos(ratio * k * phase) / k for k in range(1, 30))).astype(np.float32)


def frequency(signal, rate=16_000):
    """Return the strongest frequency, in hertz."""
    size = 1 << 21
    return np.argmax(np.abs(np.fft.rfft(signal * np.hanning(len(signal)), size))) * rate / size


def cents(found, wanted):
    return abs(1200 * np.log2(found / wanted))


def decibels(signal, original):
    return 20 * np.log10(np.sqrt(np.mean(np.square(signal, dtype=float)) / np.mean(np.square(original, dtype=float))))
