"""Philox4x32-10: random bits as a function of a counter and a key, with no state to carry from row to row.

References
----------
Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", SC'11; the known answers of their
Random123 library are in the tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from featurestore.signal.kernel import inlined, kernel

ROUNDS = 10
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
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
