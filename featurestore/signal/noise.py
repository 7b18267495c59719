"""White Gaussian noise as a function of a key, and its addition at an exact signal-to-noise ratio.

References
----------
Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC'11; the known answers of their
Random123 library are in the tests.
Box and Muller (1958), "A note on the generation of random normal deviates": two uniform numbers give two normal ones.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.arrays import Signal
from featurestore.signal.kernels.compiled import inlined, kernel
from featurestore.signal.kernels.elementary import natural_log, power_of_ten
from featurestore.signal.kernels.level import MAGNITUDE, sum_of_squares
from featurestore.signal.kernels.simd import fma

ROUNDS = 10
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # multipliers and key steps of Philox 4x32
_WEYL0, _WEYL1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


@inlined
def philox_block(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four random words of a counter of four words under a key of two, all 32 bits held in uint64."""
    for _ in range(ROUNDS):
        # Masked here alone, since the processor's product of 32 bits leaves the upper halves out by itself.
        p0, p1 = (c0 & _LOW) * _M0, (c2 & _LOW) * _M1
        c0, c1 = (p1 >> _WORD) ^ c1 ^ k0, p1
        c2, c3 = (p0 >> _WORD) ^ c3 ^ k1, p0
        k0, k1 = (k0 + _WEYL0) & _LOW, (k1 + _WEYL1) & _LOW
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


@kernel
def philox(first: int, key: NDArray[np.uint64], words: NDArray[np.int32]) -> None:
    """Write the random words of consecutive counters, array [4, counters]: column i is that of (first + i, 0, 0, 0).

    Parameters
    ----------
    first : int
        The first word of the first column's counter; the last must stay below 2**32.
    key : array [2], uint64
        The two 32-bit words of the key.
    words : array [4, counters], int32
        Overwritten with the 32 bits of each word.
    """
    key0, key1, zero = key[0], key[1], np.uint64(0)
    w0, w1, w2, w3 = words[0], words[1], words[2], words[3]
    for i in range(words.shape[1]):
        c0, c1, c2, c3 = philox_block(np.uint64(first + i), zero, zero, zero, key0, key1)
        w0[i], w1[i], w2[i], w3[i] = np.int32(c0), np.int32(c1), np.int32(c2), np.int32(c3)


COUNTERS = 256
"""Counters computed together; they give 1024 samples."""
_PLANES, _BLOCK = 4, 4 * COUNTERS
_UNIT_31, _UNIT_32 = np.float32(2.0**-31), np.float32(2.0**-32)
_HALF, _ONE, _TWO, _PI = np.float32(0.5), np.float32(1), np.float32(2), np.float32(np.pi)
_POSITIVE = np.int32(0x7FFFFFFF)
# Least-squares fits of sin(a) / a - 1 and cos(a) - 1 in powers of a**2 on [-pi/2, pi/2]; errors below 2e-8 and 2e-9.
_S3, _S5, _S7, _S9 = (np.float32(c) for c in (-1.666666028e-01, 8.333084395e-03, -1.981087162e-04, 2.608454067e-06))
_C2, _C4, _C6 = (np.float32(c) for c in (-4.999999954e-01, 4.166664026e-02, -1.388839835e-03))
_C8, _C10 = np.float32(2.476165569e-05), np.float32(-2.607348008e-07)


def key_words(noise_key: int) -> NDArray[np.uint64]:
    """Split a key of 64 bits into the two words of 32 bits that `philox` takes, low word first."""
    return np.array([noise_key & 0xFFFFFFFF, noise_key >> 32], np.uint64)


@kernel
def standard_normal(key: NDArray[np.uint64], noise: Signal) -> float:
    """Write standard normal numbers, array [time], and return their sum of squares.

    From the words (a, b) of a counter: radius sqrt(-2 log u) with u = (a + 1/2) / 2**31, angle 2 pi b / 2**32, whose
    cosine and sine are those of the double of half the angle. Sample 1024 q + 256 p + i comes from counter 256 q + i:
    p = 0, 1 are cosine and sine of its first two words, p = 2, 3 of its last two.
    """
    words = np.empty((_PLANES, COUNTERS), np.int32)
    normal = np.empty((_PLANES, COUNTERS), np.float32)
    samples, total = len(noise), 0.0
    for start in range(0, samples, _BLOCK):
        philox(start // _PLANES, key, words)
        for pair in range(0, _PLANES, 2):
            radius_words, angle_words = words[pair], words[pair + 1]
            cosines, sines = normal[pair], normal[pair + 1]
            for i in range(COUNTERS):
                uniform = (np.float32(radius_words[i] & _POSITIVE) + _HALF) * _UNIT_31
                radius = np.float32(math.sqrt(-_TWO * natural_log(uniform)))
                a = np.float32(angle_words[i]) * _UNIT_32 * _PI
                q = a * a
                sine = a * fma(q, fma(q, fma(q, fma(q, _S9, _S7), _S5), _S3), _ONE)
                cosine = fma(q, fma(q, fma(q, fma(q, fma(q, _C10, _C8), _C6), _C4), _C2), _ONE)
                cosines[i] = radius * fma(-_TWO * sine, sine, _ONE)
                sines[i] = radius * _TWO * sine * cosine
        for plane in range(_PLANES):
            target = noise[start + plane * COUNTERS : start + (plane + 1) * COUNTERS]
            source = normal[plane]
            for i in range(len(target)):
                target[i] = source[i]
        total += np.float64(sum_of_squares(noise[start : start + _BLOCK]))
    return total


def noise_gain(signal_energy: float, noise_energy: float, snr_db: float) -> np.float32:
    """Return the gain that puts noise `snr_db` decibels below the signal, by their realised energies.

    gain**2 = (signal energy / noise energy) / 10**(snr_db / 10). The noise is scaled, never the signal.
    """
    return np.float32(math.sqrt(signal_energy / noise_energy * power_of_ten(-snr_db / 10)))


@kernel
def add_scaled(signal: Signal, noise: Signal, gain: np.float32) -> np.float32:
    """Turn noise [time] in place into signal + gain * noise, and return the largest absolute sample of the sum."""
    found = np.int32(0)
    for i in range(len(signal)):
        value = np.float32(fma(gain, noise[i], signal[i]))
        noise[i] = value
        found = max(found, np.int32(value.view(np.int32) & MAGNITUDE))
    return np.int32(found).view(np.float32)
