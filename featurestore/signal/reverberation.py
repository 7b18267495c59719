"""The room of a recording, and noises recorded in rooms.

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
from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.level import energy
from featurestore.signal.noise import noise_gain

LEAST_POWER = 0.01
"""Share of the power of the whole noise that a piece must have."""
STEP = 256
"""Samples between the pieces that are tried where the drawn one is silent."""


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


def noise_start(position: float, noise_samples: int, samples: int) -> int:
    """Return the sample of a noise at which a piece begins.

    Parameters
    ----------
    position : float
        Drawn, in [0, 1).
    noise_samples : int
        Length of the noise.
    samples : int
        Length of the piece. Where the noise is at least as long, the piece lies whole in it; a shorter noise is
        repeated, and the piece may begin anywhere.
    """
    return int(position * _starts(noise_samples, samples))


def _starts(noise_samples: int, samples: int) -> int:
    return noise_samples - samples + 1 if noise_samples >= samples else noise_samples


class Noise:
    """A noise at one rate, array [time]."""

    def __init__(self, signal: Signal) -> None:
        self.signal, self._energy = signal, energy(signal)
        self._length, self._sounding = 0, np.zeros(0, np.int64)

    def cut(self, position: float, piece: Signal) -> None:
        """Write the piece of a drawn position, array [time], beginning anew where the noise ends."""
        done, start = 0, noise_start(position, len(self.signal), len(piece))
        while done < len(piece):
            here = self.signal[start : start + len(piece) - done]
            piece[done : done + len(here)] = here
            done, start = done + len(here), 0

    def sounding(self, position: float, samples: int) -> float:
        """Return a position whose piece sounds: the drawn one, or as far through those that do.

        A piece sounds if its power is at least `LEAST_POWER` of that of the whole noise.
        """
        length = len(self.signal)
        if length <= samples:
            return position
        start = noise_start(position, length, samples)
        if energy(self.signal[start : start + samples]) >= LEAST_POWER * samples / length * self._energy:
            return position
        if self._length != samples:
            sums = np.concatenate([[0.0], np.cumsum(np.square(self.signal, dtype=np.float64))])  # one after the other
            starts = np.append(np.arange(0, length - samples, min(STEP, samples)), length - samples)
            energies = sums[starts + samples] - sums[starts]
            found = starts[energies >= LEAST_POWER * samples / length * sums[-1]]
            self._sounding = found if len(found) else starts[[int(np.argmax(energies))]]  # the loudest, if none sounds
            self._length = samples
        return (int(self._sounding[int(position * len(self._sounding))]) + 0.5) / _starts(length, samples)
