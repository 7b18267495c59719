"""White Gaussian noise for many rows: the counters, words and samples of `featurestore.signal.noise`.

References
----------
Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3"; Box and Muller (1958).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from featurestore.signal.noise import COUNTERS

ROUNDS = 10
_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_WEYL0, _WEYL1 = 0x9E3779B9, 0xBB67AE85
_WORD, _LOW = 32, 0xFFFFFFFF
_SIGN, _POSITIVE = 0x80000000, 0x7FFFFFFF


def philox(counters: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the four random words of counters (c, 0, 0, 0), each of the shape [rows, counters].

    Words of 32 bits are held in int64. A product overflows into the sign, which changes no bit of it; bits above the
    32nd are masked before they could count.

    Parameters
    ----------
    counters : tensor [counters], int64
        From 0 to 2**32 - 1.
    keys : tensor [rows, 2], int64
        The two words of each row's key, low word first.
    """
    k0, k1 = keys[:, :1], keys[:, 1:]
    c0 = counters[None]
    c1 = c2 = c3 = counters.new_zeros(1, 1)  # the rows and counters part in the first rounds, at no cost until then
    for _ in range(ROUNDS):
        p0, p1 = (c0 & _LOW) * _M0, (c2 & _LOW) * _M1
        c0, c1 = (p1 >> _WORD) ^ c1 ^ k0, p1
        c2, c3 = (p0 >> _WORD) ^ c3 ^ k1, p0
        k0, k1 = (k0 + _WEYL0) & _LOW, (k1 + _WEYL1) & _LOW
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


def key_words(noise_keys: Sequence[int]) -> Tensor:
    """Split keys of 64 bits into their words, tensor [rows, 2], int64, low word first."""
    return torch.tensor([[key & _LOW, key >> _WORD] for key in noise_keys], dtype=torch.int64)


def standard_normal(keys: Tensor, samples: int) -> Tensor:
    """Return standard normal numbers, tensor [rows, samples], float32.

    Sample 1024 q + 256 p + i comes from counter 256 q + i: p = 0, 1 are cosine and sine of its first two words,
    p = 2, 3 of its last two.
    """
    blocks = -(-samples // (4 * COUNTERS))
    words = philox(torch.arange(blocks * COUNTERS, device=keys.device), keys)
    planes = (*_normal_pair(*words[:2]), *_normal_pair(*words[2:]))
    stacked = torch.stack([plane.view(len(keys), blocks, COUNTERS) for plane in planes], dim=2)
    return stacked.view(len(keys), -1)[:, :samples]


def _normal_pair(radius_word: Tensor, angle_word: Tensor) -> tuple[Tensor, Tensor]:
    """Return radius * cosine and radius * sine: sqrt(-2 log u), u = (a + 1/2) / 2**31, and 2 pi b / 2**32."""
    uniform = ((radius_word & _POSITIVE).to(torch.float32) + 0.5) * 2.0**-31
    radius = torch.sqrt(-2 * torch.log(uniform))
    signed = (angle_word ^ _SIGN) - _SIGN
    angle = signed.to(torch.float32) * (math.pi * 2.0**-31)
    return radius * torch.cos(angle), radius * torch.sin(angle)
