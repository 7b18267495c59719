"""Another duration at the same pitch: the signal is kept, but for splices where it resembles itself.

A jump back lets some milliseconds be heard twice, a jump ahead leaves them out. Jumps go by the lag at which the
signal resembles itself best, mostly by a period of the voice, and the two sides are cross-faded over 8 ms; between
splices, samples are those of the recording. Before a sound begins the time that was lost or gained is made up, so
that onsets stay where they belong, and none is heard twice.

Where a signal resembles itself is found once for all copies of a recording: for each 2 ms the best lags from 2 to
16 ms are kept. Samples are compared as whole numbers, so sums are exact in any order and every processor finds the
same lags.

References
----------
Malah (1979), "Time-domain algorithms for harmonic bandwidth reduction and time scaling of speech signals"; Hejna and
Musicus (1991), "The SOLAFS time-scale modification algorithm"; Verhelst and Roelants (1993), "An overlap-add
technique based on waveform similarity (WSOLA)".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.pitch_grid import PITCH_GRID

Int32 = NDArray[np.int32]

BLOCK_SECONDS = 0.002
SPAN = 8
"""Blocks of the longest lag, a period of 62.5 Hz, and of the window in which a signal is compared with itself."""
STEPS = 4
"""Limits of a lag in a block."""
SIMILARITY_SCALE = 8192
"""The similarity of a signal to itself; that of its negative is -8192."""
LAG_BITS = 16
LAG_PARTS = 16
"""Parts of a sample in which a lag is given."""
NEVER = 2**30
_RISE = 6
"""How many times as much energy there is after an onset as before: 8 dB."""
_NEAR = 4
"""Blocks around an onset that have none sharper."""
_QUIET = 1e-5
"""Energy, as a share of the loudest block's, below which nothing begins."""
_RING = 16
"""Blocks that are remembered, over `SPAN`."""
Splices = NDArray[np.int64]
"""Array [splices, 3]: sample of the result in the middle of the fade, samples to jump back, similarity of the sides."""
FADE = 4
"""Blocks of a cross-fade; splices are at least as far apart."""
_AHEAD = 8
"""Blocks in which a better splice is waited for."""
_BETTER = 50
"""How much more similar the sides must be for every block of waiting."""
_ENOUGH = 3277
"""Similarity, 0.4, below which a splice is put off."""
_LATEST = 4
"""Blocks by which the signal may be early or late before a splice is no longer put off."""
_RESYNC = 7
"""Blocks before an onset, besides half a fade, in which the time is made up."""


@dataclass(frozen=True, slots=True, eq=False)
class Resemblance:
    """For each block of a recording the best lags, and whether a sound begins in it."""

    block: int
    """Samples of a block."""
    backward: Int32
    """Array [blocks, 33]: the best lag of at most c / 4 blocks to what was before the block's first sample, below its
    similarity + 8192, by c, in sixteenths of a sample; 0 if there is none of a block or more."""
    forward: Int32
    """The same for what comes after it."""
    next_onset: Int32
    """Array [blocks]: the first block from this one on in which a sound begins, or `NEVER`."""


def resemblance(signal: Signal, rate: int) -> Resemblance:
    """Compare a signal [time] with itself."""
    block = STEPS * max(1, round(BLOCK_SECONDS * rate / STEPS))
    blocks = len(signal) // block + 1
    margin = 2 * SPAN * block
    whole = np.zeros(margin + blocks * block + margin, np.int32)
    peak = float(np.max(np.abs(signal), initial=0))
    if peak > 0:
        largest = math.isqrt((2**31 - 1) // block)  # so that a block's sum of products fits 32 bits
        whole[margin : margin + len(signal)] = np.rint(signal.astype(np.float64) / peak * largest)
    squares = np.empty(len(whole) + 1, np.int64)
    _add_squares(whole, squares)
    tables = np.empty((2, blocks, SPAN * STEPS + 1), np.int32)
    _write_best_lags(whole, _inverse_norms(squares, SPAN * block), block, tables[0], tables[1])
    energies = np.diff(squares[margin : margin + blocks * block + 1 : block]).astype(np.float64)
    next_onset = np.empty(blocks, np.int32)
    _write_next_onsets(energies, next_onset)
    return Resemblance(block, tables[0], tables[1], next_onset)


@kernel
def _add_squares(whole: Int32, squares: NDArray[np.int64]) -> None:
    """Write the sums of squares up to each sample."""
    squares[0] = 0
    for n in range(len(whole)):
        squares[n + 1] = squares[n] + np.int64(whole[n]) * np.int64(whole[n])


@kernel
def _inverse_norms(squares: NDArray[np.int64], window: int) -> Float64:
    """Return 1 / sqrt of the energy of the window around each sample, from the sums of squares up to each sample."""
    norms = np.ones(len(squares))
    for n in range(len(squares) - window):
        norms[n + window // 2] = 1.0 / np.sqrt(np.maximum(np.float64(squares[n + window] - squares[n]), 1.0))
    return norms


@kernel
def _write_next_onsets(energies: Float64, following: Int32) -> None:
    """Write, for each block, given their energies, the first from it on in which a sound begins."""
    count = len(energies)
    quiet = 3 * _QUIET * np.max(energies) + 1.0
    padded = np.zeros(_NEAR + count + 1)
    padded[_NEAR : _NEAR + count] = energies
    rise = np.zeros(_NEAR + count + _NEAR)
    for i in range(count):
        before = padded[i] + padded[i + 1] + padded[i + 2]
        rise[_NEAR + i] = (2 * energies[i] + padded[i + _NEAR + 1] + quiet) / (before + quiet)
    onset = NEVER
    for i in range(count - 1, -1, -1):
        here = rise[_NEAR + i]
        if here >= _RISE and here == np.max(rise[i : i + 2 * _NEAR + 1]):
            onset = i
        following[i] = onset


@kernel
def _write_best_lags(whole: Int32, inverse_norms: Float64, block: int, backward: Int32, forward: Int32) -> None:
    """Write both tables. The window around a block's begin moves on by adding the products of one block.

    What resembles its past by a lag is what resembles its future by that lag, a lag earlier: `forward` is written
    when the similarity of blocks up to `SPAN` later is known. Lags are in descending order, as samples do in time.
    """
    lags, margin, half = SPAN * block + 1, 2 * SPAN * block, SPAN // 2
    products = np.zeros((_RING, lags), np.int32)
    window = np.zeros(lags)
    similarity = np.zeros((_RING, lags), np.int32)
    for step in range(-SPAN, len(backward) + SPAN):
        newest = products[(step + half) % _RING]
        _write_products(whole, margin + (step + half - 1) * block, block, newest)
        _move(window, newest, products[(step - half) % _RING])
        if step < 0:
            continue
        middle = margin + step * block
        _write_similarity(window, inverse_norms[middle - lags + 1 : middle + 1], similarity[step % _RING])
        if step < len(backward):
            _write_row(similarity, step, 0, block, backward[step])
        if step >= SPAN:
            _write_row(similarity, step - SPAN, 1, block, forward[step - SPAN])


@kernel
def _write_products(whole: Int32, begin: int, block: int, sums: Int32) -> None:
    """Write the sum of products of a block with what lies each lag before it, four samples at a time."""
    sums[:] = 0
    for n in range(begin, begin + block, STEPS):
        past = whole[n - len(sums) + 1 : n + STEPS]
        first, second, third, fourth = whole[n], whole[n + 1], whole[n + 2], whole[n + 3]
        for i in range(len(sums)):
            sums[i] += np.int32(first * past[i] + second * past[i + 1] + third * past[i + 2] + fourth * past[i + 3])


@kernel
def _move(window: Float64, newest: Int32, oldest: Int32) -> None:
    """Move the sums of a window on by a block; they are whole numbers below 2**53, and so exact."""
    for i in range(len(window)):
        window[i] += np.float64(newest[i]) - np.float64(oldest[i])


@kernel
def _write_similarity(window: Float64, inverse_norms: Float64, similarity: Int32) -> None:
    """Write correlation coefficients times 8192, rounded."""
    scale = SIMILARITY_SCALE * inverse_norms[len(window) - 1]
    for i in range(len(window)):
        similarity[i] = np.int32(window[i] * scale * inverse_norms[i] + (SIMILARITY_SCALE + 0.5)) - SIMILARITY_SCALE


@kernel
def _write_row(similarity: Int32, step: int, later: int, block: int, row: Int32) -> None:
    """Write the best lag up to each limit; `later` looks up the similarity to the past in the block a lag later."""
    best, packed, first, longest = -SIMILARITY_SCALE, 0, block, SPAN * block
    for limit in range(STEPS, len(row)):
        here = similarity[(step + later * ((limit + 1) // STEPS)) % _RING]
        for lag in range(first, min(limit * block // STEPS + 1, longest)):
            i = longest - lag
            if here[i] > best and here[i] >= here[i + 1] and here[i] >= here[i - 1]:
                best = here[i]
                packed = (best + SIMILARITY_SCALE) << LAG_BITS | _exact_lag(here[i + 1], best, here[i - 1], lag)
        first = limit * block // STEPS + 1
        row[limit] = packed
    row[:STEPS] = 0


@kernel
def _exact_lag(before: int, peak: int, after: int, lag: int) -> int:
    """Return where the parabola through a peak and its neighbours is highest, in sixteenths of a sample.

    Its vertex lies (after - before) / (2 (2 peak - before - after)) lags behind the peak, `after` being one lag more;
    whole numbers round it half up.
    """
    fall = 2 * peak - before - after
    return LAG_PARTS * lag + (0 if fall == 0 else (LAG_PARTS * (after - before) + fall) // (2 * fall))


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
            jump, similarity, left = _due(middle + (onset - place) * block, steps) - jumped, 0, 0
            if abs(jump) < block // 4:
                continue
        else:
            lag, similarity = _best(table, place, sign * (_due(middle, steps) - jumped), block, steps)
            jump = (lag + parts + LAG_PARTS // 2) // LAG_PARTS
            left, jump = lag + parts - LAG_PARTS * jump, sign * jump
        first = max(0, place - half - max(jump, 0) // block)
        if jump == 0 or next_onset[first] <= place + half + (max(-jump, 0) + block - 1) // block:
            continue
        splices[count, 0], splices[count, 1], splices[count, 2] = middle, jump, similarity
        count += 1
        jumped, parts, earliest = jumped + jump, left, middle + FADE * block
    return count


@kernel
def _due(sample: int, steps: int) -> int:
    """Return by how much a sample of the result should have been put off from its place in the signal."""
    return sample - (sample * PITCH_GRID + steps // 2) // steps


@kernel
def _best(table: Int32, place: int, due: int, block: int, steps: int) -> tuple[int, int]:
    """Return by which lag to jump now, in parts of a sample, and the similarity of both sides; 0 to go on."""
    limit = min(SPAN * STEPS, 2 * due * STEPS // block)
    if limit < STEPS:
        return 0, 0
    similarity, lag = (table[place, limit] >> LAG_BITS) - SIMILARITY_SCALE, table[place, limit] & (1 << LAG_BITS) - 1
    if due >= _LATEST * block:
        if lag == 0:
            return (LAG_PARTS * due if due > SPAN * block else 0), 0
        return lag * max(1, LAG_PARTS * due // lag), similarity
    for later in range(1, _AHEAD + 1):
        due_then = due + later * block * abs(steps - PITCH_GRID) // steps
        limit = min(SPAN * STEPS, 2 * due_then * STEPS // block)
        packed = table[min(place + later, len(table) - 1), limit]
        if (packed >> LAG_BITS) - SIMILARITY_SCALE > similarity + later * _BETTER:
            return 0, 0
    return (lag, similarity) if similarity >= _ENOUGH else (0, 0)


@kernel
def _splice(signal: Signal, splices: Splices, fade: int, longer: Signal) -> None:
    """Add the pieces of a signal to zeros."""
    falling, rising = np.empty(fade, np.float32), np.empty(fade, np.float32)
    begin, jumped = 0, 0
    for i in range(len(splices)):
        end = splices[i, 0] - fade // 2
        _copy(signal, begin - jumped, longer[begin:end])
        _write_fade(np.float32(max(splices[i, 2], 0) / SIMILARITY_SCALE), falling, rising)
        _add(signal, end - jumped, falling, longer[end : end + fade])
        jumped += splices[i, 1]
        _add(signal, end - jumped, rising, longer[end : end + fade])
        begin = end + fade
    _copy(signal, begin - jumped, longer[begin:])


@kernel
def _write_fade(similarity: np.float32, falling: Signal, rising: Signal) -> None:
    """Write the weights of two sides of a correlation so that the energy stays even.

    The mean energy of down a + up b, where a and b have energy 1 and correlation r, is down**2 + up**2 + 2 r down up.
    """
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    for i in range(len(rising)):
        up = (np.float32(i) + half) / np.float32(len(rising))
        down = one - up
        scale = one / np.sqrt(down * down + up * up + two * similarity * down * up)
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
