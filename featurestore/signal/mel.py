"""Mel bands: the scale, and triangles on it. Imports no kernels, so that plans of builds can use the scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from featurestore.signal.arrays import Float64

_LN10 = 2.302585092994046  # as in `kernels.elementary`, which loads the compiler
_BREAK_HZ, _HZ_A_MEL, _BREAK_MEL = 1000.0, 200.0 / 3, 15.0


def mel_corners(
    mels: int, scale: str, low_hz: float, high_hz: float, log: Callable[..., Any], exp: Callable[..., Any]
) -> Float64:
    """Return mels + 2 frequencies in hertz that are equally spaced in mel, array [mels + 2].

    `htk`: 2595 log10(1 + f / 700) (O'Shaughnessy 1987; the HTK book). `slaney`: linear to 1 kHz, logarithmic above
    (Slaney, Auditory Toolbox, 1998). Rows need `log` and `exp` of `featurestore.signal.kernels.elementary`, whose bits
    depend on no processor.
    """
    ends = np.array([low_hz, high_hz])
    if scale == "htk":
        low, high = 2595.0 * (log(1.0 + ends / 700.0) / _LN10)
        return np.asarray(700.0 * (exp(np.linspace(low, high, mels + 2) / 2595.0 * _LN10) - 1.0))
    step = log(6.4) / 27.0
    above = _BREAK_MEL + log(np.maximum(ends, _BREAK_HZ) / _BREAK_HZ) / step
    low, high = np.where(ends < _BREAK_HZ, ends / _HZ_A_MEL, above)
    mel = np.linspace(low, high, mels + 2)
    above = _BREAK_HZ * exp(step * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_A_MEL, above)


def mel_triangles(rate: int, fft_length: int, mels: int, scale: str, low_hz: float, high_hz: float) -> Float64:
    """Return triangular filters of unit area, array [mels, fft_length / 2 + 1].

    Triangle m rises from corner m to m + 1 and falls to m + 2; its height 2 / (f[m + 2] - f[m]) gives it unit area over
    hertz.
    """
    from featurestore.signal.kernels.elementary import exp, log

    bins = np.arange(fft_length // 2 + 1) * (rate / fft_length)
    corners = mel_corners(mels, scale, low_hz, high_hz, log, exp)
    steps = np.diff(corners)
    rising = (bins[None, :] - corners[:-2, None]) / steps[:-1, None]
    falling = (corners[2:, None] - bins[None, :]) / steps[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None])
