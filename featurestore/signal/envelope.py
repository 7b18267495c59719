"""Formants apart from the voice: each 5 ms of a recording as a filter, and the signal that excites it.

A filter of linear prediction follows the envelope of a spectrum; what it does not predict has a flat one. Where the
pitch of that rest is shifted and the filters are applied to it again, formants stay where they were.

References
----------
Makhoul (1975), "Linear prediction: a tutorial review"; Moulines and Charpentier (1990), section on LP-PSOLA.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.spectrum import periodic_window

_HOP, _WINDOW = 0.005, 0.03
"""Seconds."""
_FLOOR = 1.0001
"""White noise 40 dB below each frame, without which filters of few tones would ring for ever."""


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """Filters of a recording, and what excites them."""

    hop: int
    """Samples from filter to filter."""
    filters: Float64
    """Array [frames, order]: minus the weights of the samples before."""
    rest: Signal
    """Array [time], float32: what is not predicted."""


def envelope(signal: Signal, rate: int) -> Envelope:
    """Take a signal [time] apart."""
    hop, order = max(1, round(_HOP * rate)), 2 + rate // 1000
    window = periodic_window("hann", round(_WINDOW * rate))
    padded = np.pad(signal.astype(np.float64), (len(window), len(window)))
    filters, rest = np.zeros((len(signal) // hop + 1, order)), np.empty(len(signal), np.float32)
    _write_filters(padded, window, hop, filters)
    _write_rest(padded[len(window) - order :], filters, hop, rest)
    return Envelope(hop, filters, rest)


def excited(rest: Signal, found: Envelope) -> Signal:
    """Return the filters' answer to a signal [time], which may last longer or shorter than their recording."""
    answer = np.zeros(found.filters.shape[1] + len(rest))
    _write_answer(rest, found.filters, found.hop, len(found.rest), answer)
    return answer[found.filters.shape[1] :].astype(np.float32)


@kernel
def _write_filters(padded: Float64, window: Float64, hop: int, filters: Float64) -> None:
    """Write the filters of frames around each hop, by the recursion of Levinson and Durbin.

    From order i to i + 1, with r the autocorrelation, a the weights so far and E the energy of what they leave:
    k = -(r[i + 1] + sum a[j] r[i - j]) / E, then a[j] += k a[i - 1 - j], a[i] = k and E *= 1 - k**2.
    """
    order = filters.shape[1]
    alike, before = np.zeros(order + 1), np.zeros(order)
    for frame in range(len(filters)):
        begin = len(window) + frame * hop + hop // 2 - len(window) // 2
        part = padded[begin : begin + len(window)] * window
        alike[:] = 0
        for n in range(len(part)):
            for lag in range(min(n, order) + 1):
                alike[lag] += part[n] * part[n - lag]
        error, weights = alike[0] * _FLOOR, filters[frame]
        for i in range(order):
            if error <= 0:
                break
            total = alike[i + 1]
            for j in range(i):
                total += weights[j] * alike[i - j]
            reflection = -total / error
            before[:i] = weights[:i]
            for j in range(i):
                weights[j] = before[j] + reflection * before[i - 1 - j]
            weights[i] = reflection
            error *= 1 - reflection * reflection


@kernel
def _write_rest(padded: Float64, filters: Float64, hop: int, rest: Signal) -> None:
    """Write each sample less what its filter predicts; `padded` begins `order` samples earlier."""
    order = filters.shape[1]
    for n in range(len(rest)):
        weights, total = filters[n // hop], padded[n + order]
        for j in range(order):
            total += weights[j] * padded[n + order - 1 - j]
        rest[n] = np.float32(total)


@kernel
def _write_answer(rest: Signal, filters: Float64, hop: int, samples: int, answer: Float64) -> None:
    """Undo `_write_rest`, each filter at its share of the duration; `answer` begins `order` samples earlier."""
    order = filters.shape[1]
    for n in range(len(rest)):
        weights, total = filters[n * samples // len(rest) // hop], np.float64(rest[n])
        for j in range(order):
            total -= weights[j] * answer[n + order - 1 - j]
        answer[n + order] = total
