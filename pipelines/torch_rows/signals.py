"""The perturbed signals of many rows, in the fixed order pitch, shift, noise, volume, peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featurestore.perturbations import KINDS
from featurestore.rows.source import Source
from featurestore.signal.perturbations.volume import volume_gain
from featurestore.signal.pitch_grid import PITCH_GRID, pitch_steps
from featurestore.specs.perturbation import Perturbation
from pipelines.torch_rows.noise import key_words, standard_normal
from pipelines.torch_rows.pitch import PitchShifter

CLEAN = Perturbation()
"""What a clean row has."""
APPLIED = frozenset({"semitones", "shift_seconds", "snr_db", "gain_db", "vtlp_alpha", "peak"})
"""What this package does to a copy; VTLP in `log_mel`."""
if {name for name, kind in KINDS.items() if kind.in_torch} != APPLIED:
    raise TypeError("the perturbations that say they are done in torch are not those that are")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows that are computed together: signals of one rate, padded to the longest."""

    sources: tuple[Source, ...]
    """The different sources."""
    source: tuple[int, ...]
    """Position of each row's source."""
    perturbations: tuple[Perturbation, ...]
    """What is done to each row; a clean one has none."""

    @property
    def samples(self) -> list[int]:
        """Length of each row's signal."""
        return [len(self.sources[position].signal) for position in self.source]

    @classmethod
    def of(cls, wanted: Sequence[tuple[Source, Perturbation | None]]) -> Batch:
        """Put rows together; what they share is taken once."""
        sources = {id(source): source for source, _ in wanted}
        places = {identity: place for place, identity in enumerate(sources)}
        return cls(
            tuple(sources.values()),
            tuple(places[id(source)] for source, _ in wanted),
            tuple(perturbation or CLEAN for _, perturbation in wanted),
        )


def perturbed(batch: Batch, shifter: PitchShifter, circular: bool, device: torch.device) -> Tensor:
    """Return the signals of a batch at their level, tensor [rows, longest], float32, zero behind each row's samples.

    Parameters
    ----------
    batch : Batch
    shifter : PitchShifter
    circular : bool
        Whether a time shift fills what it uncovers with what left on the other side.
    device : torch.device
    """
    originals = _padded(batch.sources).to(device)
    source = torch.tensor(batch.source, device=device)
    samples = torch.tensor(batch.samples, device=device)
    signals = originals[source]
    signals = _pitched(batch, signals, shifter)
    signals = _shifted(batch, signals, samples, circular)
    inside = torch.arange(signals.shape[1], device=device) < samples[:, None]
    signals = _noisy(batch, signals, inside)
    return _levelled(batch, _louder(batch, signals))


def _padded(sources: Sequence[Source]) -> Tensor:
    padded = np.zeros((len(sources), max(len(source.signal) for source in sources)), np.float32)
    for row, source in zip(padded, sources, strict=True):
        row[: len(source.signal)] = source.signal
    return torch.from_numpy(padded)


def _pitched(batch: Batch, signals: Tensor, shifter: PitchShifter) -> Tensor:
    """Shift the pitch of the rows that want it."""
    steps = [PITCH_GRID if one.semitones is None else pitch_steps(one.semitones) for one in batch.perturbations]
    chosen = [row for row, step in enumerate(steps) if step != PITCH_GRID]
    if not chosen:
        return signals
    sources = [batch.sources[batch.source[row]] for row in chosen]
    shifted = shifter(sources, [steps[row] for row in chosen], signals.shape[1])
    return signals.index_copy(0, torch.tensor(chosen, device=signals.device), shifted)


def _shifted(batch: Batch, signals: Tensor, samples: Tensor, circular: bool) -> Tensor:
    """Move each signal by its own number of samples."""
    if all(one.shift_seconds is None for one in batch.perturbations):
        return signals
    by = [
        0 if one.shift_seconds is None else round(one.shift_seconds * batch.sources[place].rate)
        for one, place in zip(batch.perturbations, batch.source, strict=True)
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


def _louder(batch: Batch, signals: Tensor) -> Tensor:
    """Change the volume of the rows that want it."""
    if all(one.gain_db is None for one in batch.perturbations):
        return signals
    gains = [1.0 if one.gain_db is None else float(volume_gain(one.gain_db)) for one in batch.perturbations]
    return signals * torch.tensor(gains, dtype=torch.float32, device=signals.device)[:, None]


def _levelled(batch: Batch, signals: Tensor) -> Tensor:
    """Bring the largest sample of each row to its peak."""
    if all(one.peak is None for one in batch.perturbations):
        return signals
    peaks = [float("nan") if one.peak is None else one.peak for one in batch.perturbations]
    peak = torch.tensor(peaks, dtype=torch.float64, device=signals.device)
    found = signals.abs().amax(1).double()
    gain = torch.where((found > 0) & ~peak.isnan(), peak / found, 1.0)
    return signals * gain.float()[:, None]
