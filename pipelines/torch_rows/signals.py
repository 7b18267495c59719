"""The perturbed signals of many rows, in the fixed order pitch, shift, noise, volume, peak.

References
----------
Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3"; Box and Muller (1958).

Where a signal is spliced is decided by whole numbers on the processor, so that both engines hear the same samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featurestore.perturbations import PERTURBATIONS
from featurestore.signal.interpolation import (
    FILTER_REACH,
    LEAD,
    TAPS,
    band_limit,
    interpolation_weights,
    reading_filters,
    touched,
)
from featurestore.signal.kernels.level import volume_gain
from featurestore.signal.noise import COUNTERS
from featurestore.signal.pitch_grid import PITCH_GRID, pitch_steps
from featurestore.signal.recordings import DecodedRecording
from featurestore.signal.splices import lengthen
from featurestore.specs.augmentation import Perturbation

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


SAMPLES_AT_ONCE = 2**21
"""Samples interpolated at a time; each takes about 200 bytes meanwhile."""


class PitchShifter:
    """Reads signals faster or slower on one device, which holds the filters and weights."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._filters = torch.from_numpy(reading_filters()).to(device)
        self._weights = torch.from_numpy(interpolation_weights()).to(device)

    def __call__(self, recordings: Sequence[DecodedRecording], steps: Sequence[int], longest: int) -> Tensor:
        """Return signals read steps / 2048 times as fast, tensor [rows, longest], float32, zero behind each one's end.

        There is one recording for each row, and `longest` is at least the samples of each.
        """
        needed = [touched(len(one.signal), step) + FILTER_REACH for one, step in zip(recordings, steps, strict=True)]
        lead = LEAD + FILTER_REACH  # sample 0 stands where the filter and the interpolation begin
        padded = np.zeros((len(needed), lead + max(needed)), np.float32)
        for row, recording, step, length in zip(padded, recordings, steps, needed, strict=True):
            row[: lead + length] = lengthen(recording.signal, recording.similar, step, length, lead)
        longer = torch.from_numpy(padded).to(self._device)
        filtered = self._filtered(longer, torch.tensor([band_limit(step) for step in steps], device=self._device))
        ratios = torch.tensor(steps, device=self._device)
        size = max(1, SAMPLES_AT_ONCE // longest)
        parts = [
            self._interpolate(piece, ratio, longest)
            for piece, ratio in zip(torch.split(filtered, size), torch.split(ratios, size), strict=True)
        ]
        samples = torch.tensor([len(one.signal) for one in recordings], device=self._device)
        inside = torch.arange(longest, device=self._device) < samples[:, None]
        return torch.where(inside, torch.cat(parts), 0.0)

    def _filtered(self, longer: Tensor, limits: Tensor) -> Tensor:
        """Return tensors [rows, time] of [rows, time + 64], summed from the middle of the filter outwards."""
        half, time = self._filters[limits], longer.shape[1] - 2 * FILTER_REACH
        total = longer[:, FILTER_REACH : FILTER_REACH + time] * half[:, :1]
        for lag in range(1, FILTER_REACH + 1):
            before, after = (longer[:, FILTER_REACH + by : FILTER_REACH + by + time] for by in (-lag, lag))
            total += (before + after) * half[:, lag : lag + 1]
        return total

    def _interpolate(self, filtered: Tensor, steps: Tensor, longest: int) -> Tensor:
        """Return the values at all multiples of steps / 2048, tensor [rows, longest]."""
        position = torch.arange(longest, device=steps.device) * steps[:, None]
        windows = filtered.unfold(1, TAPS, 1)
        begin = (position // PITCH_GRID).clamp(max=windows.shape[1] - 1)
        rows = torch.arange(len(filtered), device=steps.device)[:, None]
        return (windows[rows, begin] * self._weights[position % PITCH_GRID]).sum(-1)


APPLIED = frozenset({"semitones", "shift_seconds", "snr_db", "gain_db", "vtlp_alpha", "peak"})
"""What this package does to a copy; VTLP in `log_mel`."""

if {name for name, kind in PERTURBATIONS.items() if kind.in_torch} != APPLIED:
    raise TypeError("the perturbations that say they are done in torch are not those that are")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows that are computed together: signals of one rate, padded to the longest."""

    recordings: tuple[DecodedRecording, ...]
    """The different recordings."""
    positions: tuple[int, ...]
    """Position of each row's recording."""
    perturbations: tuple[Perturbation, ...]
    """What is done to each row; a clean one has none."""

    @property
    def samples(self) -> list[int]:
        """Length of each row's signal."""
        return [len(self.recordings[position].signal) for position in self.positions]

    @classmethod
    def of(cls, wanted: Sequence[tuple[DecodedRecording, Perturbation | None]]) -> Batch:
        """Put rows together; what they share is taken once."""
        recordings = {id(recording): recording for recording, _ in wanted}
        places = {identity: place for place, identity in enumerate(recordings)}
        return cls(
            tuple(recordings.values()),
            tuple(places[id(recording)] for recording, _ in wanted),
            tuple(perturbation or Perturbation() for _, perturbation in wanted),
        )


def perturbed(batch: Batch, shifter: PitchShifter, circular: bool, device: torch.device) -> Tensor:
    """Return the signals of a batch at their level, tensor [rows, longest], float32, zero behind each row's samples.

    `circular` tells whether a time shift fills what it uncovers with what left on the other side.
    """
    padded = np.zeros((len(batch.recordings), max(len(one.signal) for one in batch.recordings)), np.float32)
    for row, recording in zip(padded, batch.recordings, strict=True):
        row[: len(recording.signal)] = recording.signal
    signals = torch.from_numpy(padded).to(device)[torch.tensor(batch.positions, device=device)]
    samples = torch.tensor(batch.samples, device=device)
    signals = _pitched(batch, signals, shifter)
    signals = _shifted(batch, signals, samples, circular)
    inside = torch.arange(signals.shape[1], device=device) < samples[:, None]
    signals = _noisy(batch, signals, inside)
    if any(one.gain_db is not None for one in batch.perturbations):
        gains = [1.0 if one.gain_db is None else float(volume_gain(one.gain_db)) for one in batch.perturbations]
        signals = signals * torch.tensor(gains, dtype=torch.float32, device=device)[:, None]
    return _levelled(batch, signals)


def _pitched(batch: Batch, signals: Tensor, shifter: PitchShifter) -> Tensor:
    """Shift the pitch of the rows that want it."""
    steps = [PITCH_GRID if one.semitones is None else pitch_steps(one.semitones) for one in batch.perturbations]
    chosen = [row for row, step in enumerate(steps) if step != PITCH_GRID]
    if not chosen:
        return signals
    recordings = [batch.recordings[batch.positions[row]] for row in chosen]
    shifted = shifter(recordings, [steps[row] for row in chosen], signals.shape[1])
    return signals.index_copy(0, torch.tensor(chosen, device=signals.device), shifted)


def _shifted(batch: Batch, signals: Tensor, samples: Tensor, circular: bool) -> Tensor:
    """Move each signal by its own number of samples."""
    if all(one.shift_seconds is None for one in batch.perturbations):
        return signals
    by = [
        0 if one.shift_seconds is None else round(one.shift_seconds * batch.recordings[place].rate)
        for one, place in zip(batch.perturbations, batch.positions, strict=True)
    ]
    time = torch.arange(signals.shape[1], device=signals.device)
    origin = time - torch.tensor(by, device=signals.device)[:, None]
    inside = time < samples[:, None]
    if circular:
        origin = origin % samples[:, None]
    else:
        inside = inside & (origin >= 0) & (origin < samples[:, None])
    return torch.where(inside, signals.gather(1, origin.clamp(0, signals.shape[1] - 1)), 0.0)


def _energy(signals: Tensor) -> Tensor:
    """Return sums of squares, tensor [rows], float64."""
    return signals.double().square().sum(1)


def _noisy(batch: Batch, signals: Tensor, inside: Tensor) -> Tensor:
    """Add noise at each row's ratio, by realised energies."""
    chosen = [one for one in batch.perturbations if one.snr_db is not None]
    if not chosen:
        return signals
    places = [row for row, one in enumerate(batch.perturbations) if one.snr_db is not None]
    rows = torch.tensor(places, device=signals.device)
    keys = key_words([one.noise_key for one in chosen]).to(signals.device)
    noise = torch.where(inside[rows], standard_normal(keys, signals.shape[1]), 0.0)
    ratio = torch.tensor([10.0 ** (-(one.snr_db or 0.0) / 10) for one in chosen], dtype=torch.float64)
    gain = torch.sqrt(_energy(signals[rows]) / _energy(noise) * ratio.to(signals.device)).float()
    return signals.index_copy(0, rows, signals[rows] + gain[:, None] * noise)


def _levelled(batch: Batch, signals: Tensor) -> Tensor:
    """Bring the largest sample of each row to its peak."""
    if all(one.peak is None for one in batch.perturbations):
        return signals
    peaks = [float("nan") if one.peak is None else one.peak for one in batch.perturbations]
    peak = torch.tensor(peaks, dtype=torch.float64, device=signals.device)
    found = signals.abs().amax(1).double()
    gain = torch.where((found > 0) & ~peak.isnan(), peak / found, 1.0)
    return signals * gain.float()[:, None]
