"""A room: the signal convolved with a room impulse response, in time with the signal and with its energy.

References
----------
Ko, Peddinti, Povey, Seltzer and Khudanpur (2017), "A study on data augmentation of reverberant speech for robust speech
recognition".
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from featurestore.signal.arrays import Float64, Signal
from featurestore.signal.kernel import kernel
from featurestore.signal.noise import noise_gain
from featurestore.signal.peak import energy


class Room:
    """An impulse response, ready to convolve with.

    Parameters
    ----------
    response : array [time], float64
        Of unit energy, so that noise with a flat spectrum keeps its power.
    direct : int
        Sample of the direct path: the largest absolute one.
    """

    def __init__(self, response: Float64, direct: int) -> None:
        self.response, self.direct = response, direct
        self._length, self._spectrum = 0, np.zeros(0, np.complex128)

    def spectrum(self, length: int) -> NDArray[np.complex128]:
        """Return the transform of the response, kept for the next copy of the same recording."""
        if length != self._length:
            self._length, self._spectrum = length, scipy.fft.rfft(self.response, length, workers=1)
        return self._spectrum

    @classmethod
    def of(cls, recorded: Signal) -> Room:
        """Take a recorded response, array [time]; one that is silent is a `ValueError`."""
        response = recorded.astype(np.float64)
        energy = float(np.sum(response**2))
        if not energy > 0:
            raise ValueError("a silent impulse response")
        return cls(response / np.sqrt(energy), int(np.argmax(np.abs(response))))


def reverberant(signal: Signal, room: Room, share: float, output: Signal) -> None:
    """Write `share` of the signal in a room and the rest of it as it was, array [time] as long as the signal.

    output(t) = share * sum_j h(j) x(t + d - j) + (1 - share) * x(t), where d is the sample of the direct path: what
    the room adds comes after the sound, and what it adds beyond the end is cut. The sum is then scaled to the energy
    of the signal: rooms alone would change levels by several decibels. Computed by one transform in float64.
    """
    samples = len(signal)
    length = scipy.fft.next_fast_len(samples + len(room.response) - 1, real=True)
    spectrum = scipy.fft.rfft(signal.astype(np.float64), length, workers=1)
    _multiply(spectrum, room.spectrum(length))
    wet = scipy.fft.irfft(spectrum, length, workers=1)[room.direct : room.direct + samples]
    output[:] = share * wet + (1 - share) * signal.astype(np.float64)
    loudness = energy(output)
    if loudness > 0:
        output *= noise_gain(energy(signal), loudness, 0.0)


@kernel
def _multiply(spectrum: NDArray[np.complex128], other: NDArray[np.complex128]) -> None:
    """Multiply a spectrum by another; numpy fuses products on processors that can."""
    for k in range(len(spectrum)):
        spectrum[k] *= other[k]
