"""Splices as their definition says, in plain numpy: slow, without sums that move on."""

from __future__ import annotations

import math

import numpy as np

SPAN = 8
"""Blocks of the longest lag and of the window."""


def likeness(signal, rate):
    """Return samples of a block and, in 1/8192, how alike 16 ms around each 2 ms are to what was each lag before."""
    block = 4 * max(1, round(rate / 2000))
    most, half = SPAN * block, SPAN * block // 2
    peak = float(np.max(np.abs(signal), initial=0)) or 1.0
    whole = np.rint(signal.astype(np.float64) / peak * math.isqrt((2**31 - 1) // block))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(whole, 4 * most), 2 * half)
    found = np.zeros((len(signal) // block + 1 + SPAN, most + 1))
    for place, row in enumerate(found):
        begin = 4 * most + place * block - half
        now, before = windows[begin], windows[begin - np.arange(most + 1)]
        row[:] = before @ now / np.maximum(np.sqrt(np.sum(now**2) * np.sum(before**2, axis=1)), 1)
    return block, np.floor(found * 8192 + 0.5).astype(int)


def best_lag(found, block, place, limit, ahead):
    """Return likeness and lag, in 1/16 sample, of the best peak of at least a block and at most limit / 4 blocks."""
    best = (-8192, 0)
    for lag in range(block, min(limit * block // 4 + 1, SPAN * block)):
        quarters = -(-4 * lag // block)
        before, here, after = found[place + ahead * ((quarters + 1) // 4)][lag - 1 : lag + 2]
        if here > best[0] and here >= max(before, after):
            fall = 2 * here - before - after
            best = (here, 16 * lag + (0 if fall == 0 else (16 * (after - before) + fall) // (2 * fall)))
    return best


def spliced(signal, splices, fade, length):
    """Return the signal with its jumps, each sample looked up for itself."""

    def heard(place):
        return np.where((place >= 0) & (place < len(signal)), signal[place.clip(0, len(signal) - 1)], 0.0)

    sample = np.arange(length)
    source = sample - sum(((sample >= middle + fade // 2) * jump for middle, jump, _ in splices), np.zeros(length, int))
    result = heard(source).astype(np.float64)
    for middle, jump, alike in splices:
        inside = (sample >= middle - fade // 2) & (sample < middle + fade // 2)
        up = (sample[inside] - middle + fade // 2 + 0.5) / fade
        even = np.sqrt((1 - up) ** 2 + up**2 + 2 * max(alike, 0) / 8192 * up * (1 - up))
        result[inside] = ((1 - up) * heard(source[inside]) + up * heard(source[inside] - jump)) / even
    return result
