"""Another duration at the same pitch: the signal is kept, but for splices where it resembles itself.

A jump back lets some milliseconds be heard twice, a jump ahead leaves them out. Jumps go by the lag at which the
signal resembles itself best, mostly by a period of the voice, and the two sides are cross-faded over 8 ms; between
splices, samples are those of the recording. Before a sound begins the time that was lost or gained is made up, so
that onsets stand where they belong, and none is heard twice.

References
----------
Malah (1979), "Time-domain algorithms for harmonic bandwidth reduction and time scaling of speech signals"; Hejna and
Musicus (1991), "The SOLAFS time-scale modification algorithm"; Verhelst and Roelants (1993), "An overlap-add
technique based on waveform similarity (WSOLA)".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.self_similarity import ALIKE, LAG_BITS, LAG_PARTS, SPAN, STEPS, Int32, Resemblance

Splices = NDArray[np.int64]
"""Array [splices, 3]: sample of the result in the middle of the fade, samples to jump back, likeness of the sides."""


FADE = 4
"""Blocks of a cross-fade; splices are at least as far apart."""

_AHEAD = 8
"""Blocks in which a better splice is waited for."""

_BETTER = 50
"""How much more alike the sides must be for every block of waiting."""

_ENOUGH = 3277
"""Likeness, 0.4, below which a splice is put off."""

_LATEST = 4
"""Blocks by which the signal may be early or late before a splice is no longer put off."""

_RESYNC = 7
"""Blocks before an onset, besides half a fade, in which the time is made up."""


def lengthen(signal: Signal, similar: Resemblance, steps: int, length: int, lead: int = 0) -> Signal:
    """Return the first `length` samples of a signal lasting steps / 2048 times as long, at its own pitch.

    Parameters
    ----------
    signal : array [time]
    similar : Resemblance
        That of the signal; another signal with the same timing, as one filtered, may be spliced by it.
    steps : int
        The factor times 2048; 2048 gives the signal back.
    length : int
        What lies behind the end is silent.
    lead : int, optional
        Zeros before the signal.

    Returns
    -------
    array [lead + length], float32
    """
    longer = np.zeros(lead + length, np.float32)
    _splice(signal, plan(similar, steps, length), FADE * similar.block, longer[lead:])
    return longer


def plan(similar: Resemblance, steps: int, length: int) -> Splices:
    """Choose the splices for the first `length` samples of a signal lasting steps / 2048 times as long."""
    splices = np.empty((length // (FADE * similar.block) + 1, 3), np.int64)
    table = similar.backward if steps > PITCH_GRID else similar.forward
    count = 0 if steps == PITCH_GRID else _plan(table, similar.next_onset, similar.block, steps, length, splices)
    return splices[:count]


@kernel
def _plan(table: Int32, next_onset: Int32, block: int, steps: int, length: int, splices: Splices) -> int:
    """Write the splices and return how many there are."""
    sign, half = (1 if steps > PITCH_GRID else -1), FADE // 2
    awaited = half + _RESYNC + (0 if steps > PITCH_GRID else SPAN + FADE)
    count, jumped, parts, earliest = 0, 0, 0, half * block
    for middle in range(0, length, block):
        place = (middle - jumped + block // 2) // block
        if middle < earliest or place >= len(next_onset):
            continue
        onset = next_onset[min(place + 1, len(next_onset) - 1)]
        if onset <= place + awaited:
            jump, likeness, left = _due(middle + (onset - place) * block, steps) - jumped, 0, 0
            if abs(jump) < block // 4:
                continue
        else:
            lag, likeness = _best(table, place, sign * (_due(middle, steps) - jumped), block, steps)
            jump = (lag + parts + LAG_PARTS // 2) // LAG_PARTS
            left, jump = lag + parts - LAG_PARTS * jump, sign * jump
        first = max(0, place - half - max(jump, 0) // block)
        if jump == 0 or next_onset[first] <= place + half + (max(-jump, 0) + block - 1) // block:
            continue
        splices[count, 0], splices[count, 1], splices[count, 2] = middle, jump, likeness
        count += 1
        jumped, parts, earliest = jumped + jump, left, middle + FADE * block
    return count


@kernel
def _due(sample: int, steps: int) -> int:
    """Return by how much a sample of the result should have been put off from its place in the signal."""
    return sample - (sample * PITCH_GRID + steps // 2) // steps


@kernel
def _best(table: Int32, place: int, due: int, block: int, steps: int) -> tuple[int, int]:
    """Return by which lag to jump now, in parts of a sample, and the likeness of both sides; 0 to go on."""
    limit = min(SPAN * STEPS, 2 * due * STEPS // block)
    if limit < STEPS:
        return 0, 0
    likeness, lag = (table[place, limit] >> LAG_BITS) - ALIKE, table[place, limit] & (1 << LAG_BITS) - 1
    if due >= _LATEST * block:
        if lag == 0:
            return (LAG_PARTS * due if due > SPAN * block else 0), 0
        return lag * max(1, LAG_PARTS * due // lag), likeness
    for later in range(1, _AHEAD + 1):
        due_then = due + later * block * abs(steps - PITCH_GRID) // steps
        limit = min(SPAN * STEPS, 2 * due_then * STEPS // block)
        packed = table[min(place + later, len(table) - 1), limit]
        if (packed >> LAG_BITS) - ALIKE > likeness + later * _BETTER:
            return 0, 0
    return (lag, likeness) if likeness >= _ENOUGH else (0, 0)


@kernel
def _splice(signal: Signal, splices: Splices, fade: int, longer: Signal) -> None:
    """Add the pieces of a signal to zeros."""
    falling, rising = np.empty(fade, np.float32), np.empty(fade, np.float32)
    begin, jumped = 0, 0
    for i in range(len(splices)):
        end = splices[i, 0] - fade // 2
        _copy(signal, begin - jumped, longer[begin:end])
        _write_fade(np.float32(max(splices[i, 2], 0) / ALIKE), falling, rising)
        _add(signal, end - jumped, falling, longer[end : end + fade])
        jumped += splices[i, 1]
        _add(signal, end - jumped, rising, longer[end : end + fade])
        begin = end + fade
    _copy(signal, begin - jumped, longer[begin:])


@kernel
def _write_fade(alike: np.float32, falling: Signal, rising: Signal) -> None:
    """Write the weights of two sides of a correlation so that the energy stays even."""
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    for i in range(len(rising)):
        up = (np.float32(i) + half) / np.float32(len(rising))
        down = one - up
        scale = one / np.sqrt(down * down + up * up + two * alike * down * up)
        falling[i], rising[i] = down * scale, up * scale


@kernel
def _copy(signal: Signal, begin: int, target: Signal) -> None:
    """Write what the signal has from `begin` on; before and behind it is silence."""
    first, stop = max(0, -begin), min(len(target), len(signal) - begin)
    if first < stop:
        target[first:stop] = signal[begin + first : begin + stop]


@kernel
def _add(signal: Signal, begin: int, weights: Signal, target: Signal) -> None:
    """Add what the signal has from `begin` on, weighted."""
    first, stop = max(0, -begin), min(len(target), len(signal) - begin)
    if first < stop:
        given, weight, sums = signal[begin + first : begin + stop], weights[first:stop], target[first:stop]
        for n in range(len(sums)):
            sums[n] += given[n] * weight[n]
