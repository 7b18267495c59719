"""The version of each operation that rows go through, and the libraries that its numbers depend on.

Perturbations declare their own, see `featurestore.perturbations`.
"""

from __future__ import annotations

OPERATIONS = {
    "decode": (2, ("soundfile", "numpy")),
    "resample": (1, ("soxr",)),
    "trim": (2, ("numpy",)),
    "stft": (3, ("scipy", "numba")),
    "mel": (3, ("numba", "numpy")),
    "log": (2, ("numba",)),
    "bins": (1, ("numba", "numpy")),
    "decibels": (2, ("numpy",)),
    "dct": (2, ("numba", "numpy")),
    "length": (1, ()),
    "waveform": (2, ("numpy",)),
    "egemaps": (1, ("opensmile",)),
    "function": (2, ()),
    "draw": (2, ()),
    "own": (1, ("numpy",)),
}
"""Version, raised whenever its numbers change, and libraries of each."""
