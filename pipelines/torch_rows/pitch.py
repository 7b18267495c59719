"""Pitch shifts of many rows: the phase vocoder and the interpolation of `featurestore.signal`, on padded tensors.

Phases are whole numbers of 64 bits, 2**64 a turn: their sums over the frames are exact in any order, whole turns
overflow and are gone, and nothing needs a correction towards the unit circle.

References
----------
Flanagan and Golden (1966), "Phase vocoder"; Laroche and Dolson (1999); see `featurestore.signal.vocoder`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featurestore.signal.interpolation import LEAD, TAPS, interpolation_weights, passband
from featurestore.signal.pitch_grid import PITCH_GRID
from featurestore.signal.stft import periodic_window
from featurestore.signal.vocoder import OVERLAP, PASSBAND_EDGE, WINDOW_POWER
from pipelines.torch_rows.pieces import in_pieces, piece_bounds

RADIANS = 2 * math.pi / 2**64
"""One unit of phase."""
_NOTHING = 1e-100
"""Magnitudes below have no phase."""
_SAMPLES = 2**21
"""Samples interpolated at a time; each takes about 200 bytes meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """What the pitch shifts of some sources start from."""

    magnitudes: Tensor
    """Tensor [sources, frames + 1, bins], float32, divided by the passband of the interpolation; the last is silent."""
    turns: Tensor
    """Tensor [sources, frames + 1, bins], int64: the first frame's phase, then the turn from frame t - 1 to frame t;
    behind the last frame there is none."""
    counts: Tensor
    """Tensor [sources]: frames of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """Which source each row shifts, and how far."""

    source: Tensor
    """Tensor [rows]: position among the sources."""
    steps: Tensor
    """Tensor [rows]: the frequency ratio times 2048."""
    samples: Tensor
    """Tensor [rows]: length of each row's signal."""


class PitchShifter:
    """Windows and weights of one transform length on one device.

    Parameters
    ----------
    length : int
        Samples of a transform: see `featurestore.signal.vocoder.vocoder_length`.
    device : torch.device
    """

    def __init__(self, length: int, device: torch.device) -> None:
        self.length, self.hop, self.bins = length, length // OVERLAP, length // 2 + 1
        hann = torch.from_numpy(periodic_window("hann", length)).to(device)
        self._hann = hann
        self._window = (hann / WINDOW_POWER).float()
        self._squares = (hann**2 / WINDOW_POWER).float().view(OVERLAP, self.hop)
        self._gain = torch.from_numpy(1 / passband(self.bins)).to(device)
        self._weights = torch.from_numpy(interpolation_weights()).to(device)

    def analyse(self, signals: Tensor, samples: Tensor) -> Spectra:
        """Return the centred spectra of signals [sources, time], which are zero behind their `samples`."""
        padded = torch.nn.functional.pad(signals, (self.length // 2, self.length))
        frames = 1 + signals.shape[1] // self.hop
        framed = padded.unfold(1, self.length, self.hop)[:, :frames].reshape(-1, self.length)
        spectrum = in_pieces(lambda piece: torch.fft.rfft(piece.double() * self._hann), framed)
        magnitude = spectrum.abs()
        phase = torch.where(magnitude > _NOTHING, spectrum.angle(), 0.0)
        units = torch.round(phase * (0.5 / RADIANS)).long() * 2  # twice half of it: pi itself is no number of 64 bits
        shape = (len(signals), frames, self.bins)
        counts = 1 + samples // self.hop
        silent = torch.arange(frames, device=signals.device) >= counts[:, None]
        magnitudes = (magnitude * self._gain).float().view(shape).masked_fill(silent[:, :, None], 0)
        turns = torch.diff(units.view(shape), dim=1, prepend=units.new_zeros(len(signals), 1, self.bins))
        turns = turns.masked_fill(silent[:, :, None], 0)
        return Spectra(_one_more(magnitudes), _one_more(turns), counts)

    def __call__(self, spectra: Spectra, shifts: Shifts, longest: int) -> Tensor:
        """Return the shifted signals, tensor [rows, longest], float32, zero behind each row's samples."""
        stretched = self._stretch(spectra, shifts)
        size = max(1, _SAMPLES // longest)
        parts = [
            self._interpolate(stretched[first:stop], shifts.steps[first:stop], longest)
            for first, stop in piece_bounds(len(stretched), size)
        ]
        inside = torch.arange(longest, device=stretched.device) < shifts.samples[:, None]
        return torch.where(inside, torch.cat(parts), 0.0)

    def _stretch(self, spectra: Spectra, shifts: Shifts) -> Tensor:
        """Return signals that last steps / 2048 times as long, tensor [rows, time]; sample 0 stands at `LEAD`."""
        end = shifts.samples * shifts.steps // PITCH_GRID
        counts = (spectra.counts[shifts.source] * shifts.steps + PITCH_GRID - 1) // PITCH_GRID
        counts = torch.minimum(counts, (end + TAPS) // self.hop + OVERLAP)
        most = int(counts.max())
        spectrum = self._spectrum(spectra, shifts, counts, most)
        frames = in_pieces(lambda piece: torch.fft.irfft(piece, n=self.length), spectrum.view(-1, self.bins))
        quarters = (frames * self._window).view(-1, most, OVERLAP, self.hop)
        total = quarters.new_zeros(len(quarters), most + OVERLAP - 1, self.hop)
        for quarter in reversed(range(OVERLAP)):
            total[:, quarter : quarter + most] += quarters[:, :, quarter]
        self._even_out(total, counts)
        signal = total.view(len(total), -1)[:, self.length // 2 - LEAD :]
        needed = int(end.max()) + 2 * TAPS
        signal = torch.nn.functional.pad(signal, (0, max(0, needed - signal.shape[1])))
        place = torch.arange(signal.shape[1], device=signal.device)
        return torch.where(place < (LEAD + end + TAPS)[:, None], signal, 0.0)

    def _spectrum(self, spectra: Spectra, shifts: Shifts, counts: Tensor, most: int) -> Tensor:
        """Return the stretched spectra, tensor [rows, most, bins], complex64; frames behind `counts` are zero.

        A frame's magnitude lies on a straight line between those of the two frames around; its phase is the sum of
        the turns so far.
        """
        steps = shifts.steps[:, None]
        frame = torch.arange(most, device=steps.device)
        position = frame * PITCH_GRID
        below = torch.minimum(position // steps, spectra.counts[shifts.source][:, None] - 1)
        share = ((position % steps).double() / steps).float()[:, :, None]
        turned = torch.cat([torch.zeros_like(steps), below[:, :-1] + 1], dim=1)
        source = shifts.source[:, None]
        angle = spectra.turns[source, turned].cumsum(1).float() * RADIANS
        size = torch.lerp(spectra.magnitudes[source, below], spectra.magnitudes[source, below + 1], share)
        bins = torch.arange(self.bins, device=steps.device)
        kept = (PASSBAND_EDGE * (self.bins - 1) * (PITCH_GRID / steps.double()).clamp(max=1.0)).long() + 1
        heard = (frame < counts[:, None])[:, :, None] & (bins < kept)[:, None]
        return torch.polar(torch.where(heard, size, 0.0), angle)

    def _even_out(self, total: Tensor, counts: Tensor) -> None:
        """Divide blocks of a hop by the sum of squared windows where fewer than four frames cover them."""
        half = OVERLAP // 2
        last = torch.arange(half, total.shape[1], device=total.device)
        covered = total.new_zeros(len(total), len(last), self.hop)
        for quarter in range(OVERLAP):
            there = (last >= quarter) & (last - quarter < counts[:, None])
            covered += there[:, :, None] * self._squares[quarter]
        whole = (last >= OVERLAP - 1) & (last < counts[:, None])
        total[:, half:] /= torch.where(whole[:, :, None], 1.0, covered.clamp(min=1e-6))

    def _interpolate(self, stretched: Tensor, steps: Tensor, longest: int) -> Tensor:
        """Return the values at all multiples of steps / 2048, tensor [rows, longest]."""
        position = torch.arange(longest, device=steps.device) * steps[:, None]
        windows = stretched.unfold(1, TAPS, 1)
        begin = (position // PITCH_GRID).clamp(max=windows.shape[1] - 1)
        rows = torch.arange(len(stretched), device=steps.device)[:, None]
        return (windows[rows, begin] * self._weights[position % PITCH_GRID]).sum(-1)


def _one_more(frames: Tensor) -> Tensor:
    """Return tensors [sources, frames, bins] with a frame of zeros behind."""
    return torch.nn.functional.pad(frames, (0, 0, 0, 1))
