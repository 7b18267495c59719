"""Features brought to mean 0 and deviation 1.

Statistics are measured in one pass over the rows, in float64 and in a fixed order; batches are normalised on their
device, by those statistics or each clip by its own.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batches.loader import Batch, FeatureView, ViewDataset
from models.batches.residence import pieces, shard_by_shard
from models.errors import CheckpointError, TrainingError
from models.layers.frames import RealFrames, to_device
from models.training_spec import TrainingSpec

VALUES = 2**18
"""Values that are converted to float64 at a time: few enough for a processor's cache."""
LOST = 1e-6
"""A deviation below this share of the mean is lost in float32's rounding: the band counts as constant."""


class BandStatistics:
    """Frames seen, their mean and their sum of squared deviations, float64 `[bands]`.

    Sets of frames are merged by their moments, so nothing is lost where the mean is large beside the deviation.

    References
    ----------
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def __init__(self, bands: int) -> None:
        self.frames = 0
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)

    def add(self, frames: Tensor) -> None:
        """Count `frames [frames, bands]` of float16 or float32."""
        for part in torch.split(frames, max(VALUES // max(frames.shape[1], 1), 1)):
            values = part.float().double().numpy()  # both exact; straight from float16 takes four times as long
            mean = values.mean(0)
            values -= mean
            np.multiply(values, values, out=values)
            self._merge(len(values), mean, values.sum(0))

    def merge(self, other: BandStatistics) -> None:
        """Count the frames of another set."""
        if other.frames:
            self._merge(other.frames, other.mean, other.squares)

    def _merge(self, frames: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        total, change = self.frames + frames, mean - self.mean
        self.mean += change * (frames / total)
        self.squares += squares + change * change * (self.frames * frames / total)
        self.frames = total

    def statistics(self, *, single: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and deviation of every band, `[bands]`; with `single`, those of all values for every band.

        The deviation is that of the population (n in the denominator). A constant band has the deviation 1.
        """
        mean, variance = self.mean, self.squares / max(self.frames, 1)
        if single:
            spread = variance.mean() + np.square(mean - mean.mean()).mean()
            mean, variance = np.full_like(mean, mean.mean()), np.full_like(variance, spread)
        deviation = np.sqrt(variance)
        return mean, np.where(deviation <= LOST * np.abs(mean), 1.0, deviation)


def band_statistics(dataset: ViewDataset, groups: Sequence[int], count: int) -> list[BandStatistics]:
    """Measure the real frames of all rows, for each of `count` groups; `groups [rows]` is the group of each row.

    Rows that are held or can be read singly are taken in the order of the view, so the result depends on the data alone
    and not on how the store lays it out; where shards are fetched, each of them is read once.

    Raises
    ------
    DamagedObjectError
        If the bytes of a row are not sound.
    """
    view = dataset.view
    moments = [BandStatistics(view.bands) for _ in range(count)]
    order = np.arange(len(view)) if dataset.random_access else shard_by_shard(view)
    ends = np.cumsum(view.frames[order], dtype=np.int64)
    group = np.asarray(groups, np.int64)[order]
    last = np.append(group[1:] != group[:-1], True)
    runs = deque(zip(ends[last].tolist(), group[last].tolist(), strict=True) if len(view) else ())
    for first, stop, piece in pieces(dataset, order, ends, pinned=False):
        for start, end, number in runs_within(runs, first, stop):
            moments[number].add(piece[start - first : end - first])
    return moments


def runs_within(runs: deque[tuple[int, int]], first: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and group of the runs within frames `first` to `stop`; runs that end there are taken away."""
    while first < stop:
        end, group = runs[0]
        yield first, min(end, stop), group
        first = min(end, stop)
        if end <= stop:
            runs.popleft()


class Standardiser:
    """Brings the real frames of a batch to its groups' mean 0 and deviation 1; padding stays 0.

    Parameters
    ----------
    mean, deviation : Tensor
        `[groups, bands]`.
    groups : Tensor
        Group of each row of the dataset, int64 `[rows]`; empty if there is only one.
    device : torch.device
    """

    def __init__(self, mean: Tensor, deviation: Tensor, groups: Tensor, device: torch.device) -> None:
        self.groups = groups
        self.table = torch.stack([mean, deviation], 1).float().to(device)
        """`[groups, mean and deviation, bands]`."""

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with other features `[rows, frames, bands]`, float32; nothing waits for the device."""
        table = self.table
        if len(self.groups):
            if batch.rows is None:
                raise TrainingError("normalisation speaker: a batch without row numbers has no speakers.")
            table = table[to_device(self.groups[batch.rows], table.device)]
        real, frames = batch.real, batch.features.shape[1]
        mean, deviation = (real.spread(values, frames) for values in table.unbind(1))
        features = (batch.features - mean).div_(deviation)
        return replace(batch, features=without_padding(features, real))


def by_utterance(batch: Batch, *, single: bool) -> Batch:
    """Bring the real frames of each clip of a batch to mean 0 and deviation 1.

    It is computed in float64, so that the padding, which the order of summation depends on, does not show.
    """
    values, real, frames = batch.features.double(), batch.real, batch.features.shape[1]
    lengths = real.placed[1][:, None]
    mean = real.sums(values) / lengths
    mean = mean.mean(1, keepdim=True) if single else mean
    centred = without_padding(values - real.spread(mean, frames), real)
    variance = real.sums(centred.square()) / lengths
    deviation = (variance.mean(1, keepdim=True) if single else variance).sqrt()
    deviation = torch.where(deviation <= LOST * mean.abs(), 1.0, deviation)
    return replace(batch, features=(centred / real.spread(deviation, frames)).float())


def without_padding(features: Tensor, real: RealFrames) -> Tensor:
    """Set the padded frames of `features [rows, frames, bands]` to 0, in place."""
    frames = features.shape[1]
    return features if real.fill(frames) else features.mul_(real.mask(frames)[:, :, None])


class Scope(NamedTuple):
    """What a normalisation looks at."""

    fitted_on: str
    leakage: str
    """What of the test side it has seen; labels are never looked at."""


SCOPES: Mapping[str, Scope] = {
    "none": Scope("nothing", "none"),
    "training": Scope("the training side", "none"),
    "everything": Scope("the training, validation and test sides", "features of the test side"),
    "speaker": Scope("each speaker's own rows on all sides", "transductive: features of the test speakers"),
    "utterance": Scope("each utterance alone", "none"),
}


def describe_normalisation(spec: TrainingSpec) -> dict[str, str]:
    """Return how a training normalises, in words: `kind, moments, fitted_on, leakage`."""
    moments = "none" if spec.normalisation == "none" else "single" if is_single(spec) else "band"
    return {"kind": spec.normalisation, "moments": moments, **SCOPES[spec.normalisation]._asdict()}


def is_single(spec: TrainingSpec) -> bool:
    """Tell whether one mean and one deviation serve all bands; `auto` does so for `everything`, as system C did."""
    if spec.normalisation_moments == "auto":
        return spec.normalisation == "everything"
    return spec.normalisation_moments == "single"


@dataclass(frozen=True)
class Normalisation:
    """Fitted statistics of one group of rows, or of one for each speaker."""

    kind: str
    single: bool
    """One mean and one deviation for all bands."""
    mean: Tensor
    """Float64 `[groups, bands]`; no groups for `utterance`."""
    deviation: Tensor
    """Float64 `[groups, bands]`, never 0: a constant band has 1."""
    speakers: tuple[str, ...] = ()
    """Whose statistics each group holds, for `speaker`; none if one group serves all."""

    def normaliser(self, device: torch.device, dataset: ViewDataset | None = None) -> Callable[[Batch], Batch]:
        """Return what normalises the batches of a dataset, or any batch if one group serves all.

        A speaker that the training did not have is measured on the rows of the dataset.

        Raises
        ------
        TrainingError
            If `speaker` is asked for and rows have no speaker, or there is no dataset.
        """
        if self.kind == "utterance":
            return partial(by_utterance, single=self.single)
        if not self.speakers:
            return Standardiser(self.mean, self.deviation, torch.zeros(0, dtype=torch.int64), device)
        if dataset is None:
            raise TrainingError("normalisation speaker: clips of no dataset have no speakers.")
        spoken = speakers_of(dataset.view)
        others = tuple(sorted(set(spoken) - set(self.speakers)))
        mean, deviation = self.mean, self.deviation
        if others:
            names = (*others, *self.speakers)
            measured = band_statistics(dataset, speaker_numbers(spoken, names), len(names))[: len(others)]
            new = fitted(self.kind, self.single, measured, others)
            mean, deviation = torch.cat([mean, new.mean]), torch.cat([deviation, new.deviation])
        groups = torch.tensor(speaker_numbers(spoken, (*self.speakers, *others)))
        return Standardiser(mean, deviation, groups, device)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file beside the weights has to hold."""
        return {"mean": self.mean, "deviation": self.deviation}

    def described(self) -> str:
        """Return the rest of it as JSON text."""
        return json.dumps({"kind": self.kind, "single": self.single, "speakers": self.speakers})

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], described: str) -> Normalisation:
        """Read what `tensors` and `described` gave; `CheckpointError` if it makes no sense."""
        try:
            fields = json.loads(described)
            kind, single, speakers = str(fields["kind"]), bool(fields["single"]), tuple(map(str, fields["speakers"]))
            one = cls(kind, single, tensors["mean"], tensors["deviation"], speakers)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the statistics of its normalisation cannot be read ({error}).") from error
        groups = 0 if kind == "utterance" else len(speakers) or 1
        sound = one.mean.ndim == 2 and one.mean.shape == one.deviation.shape and len(one.mean) == groups
        if not sound or not bool((one.deviation > 0).all() and one.mean.isfinite().all()):
            raise CheckpointError("the statistics of its normalisation make no sense. Train again.")
        return one


def fit(spec: TrainingSpec, datasets: Sequence[ViewDataset]) -> Normalisation | None:
    """Measure what a training normalises by; None if it does not.

    Parameters
    ----------
    datasets : sequence of ViewDataset
        The training side first, then the others.

    Raises
    ------
    TrainingError
        If features are not finite, or `speaker` is asked for and rows have no speaker.
    """
    kind, single = spec.normalisation, is_single(spec)
    if kind == "none":
        return None
    if kind == "utterance":
        nothing = torch.zeros(0, datasets[0].view.bands, dtype=torch.float64)
        return Normalisation(kind, single, nothing, nothing)
    names: tuple[str, ...] = ()
    if kind == "speaker":
        spoken = [speakers_of(dataset.view) for dataset in datasets]
        names = tuple(sorted(set().union(*spoken)))
        groups = [speaker_numbers(one, names) for one in spoken]
    else:
        datasets = datasets[:1] if kind == "training" else datasets
        groups = [[0] * len(dataset) for dataset in datasets]
    total = [BandStatistics(datasets[0].view.bands) for _ in range(len(names) or 1)]
    for dataset, group in zip(datasets, groups, strict=True):
        for whole, part in zip(total, band_statistics(dataset, group, len(total)), strict=True):
            whole.merge(part)
    return fitted(kind, single, total, names)


def fitted(kind: str, single: bool, moments: Sequence[BandStatistics], speakers: tuple[str, ...] = ()) -> Normalisation:
    """Return the normalisation by some groups' moments; `TrainingError` if features are not finite.

    They are rounded to float32, as batches use them: then the order of summation, which is another one where shards
    are fetched, shows in less than one training of ten thousand.
    """
    pairs = [group.statistics(single=single) for group in moments]
    table = torch.from_numpy(np.array(pairs)).float().double()
    if not bool(table.isfinite().all()):
        raise TrainingError(
            "features that are not finite have no mean to normalise by: run 'featurestore verify', "
            "or train with '--set normalisation=none'."
        )
    return Normalisation(kind, single, table[:, 0].contiguous(), table[:, 1].contiguous(), speakers)


def fit_unknown_speaker(clips: Iterable[NDArray[Any]], bands: int, *, single: bool) -> Normalisation:
    """Measure the clips of an unknown speaker, each `array [frames, bands]`."""
    moments = BandStatistics(bands)
    for clip in clips:
        moments.add(torch.from_numpy(np.ascontiguousarray(clip)))
    return fitted("speaker", single, [moments])


def speakers_of(view: FeatureView) -> list[str]:
    """Return the speaker of each row; `TrainingError` names a recording without one."""
    for row, speaker in enumerate(view.speakers):
        if speaker is None:
            raise TrainingError(
                f"dataset {view.name}: normalisation speaker needs to know who speaks, and the corpus does not say "
                f"for {view.paths[row]!r}. Normalise by 'training' instead."
            )
    return [str(speaker) for speaker in view.speakers]


def speaker_numbers(spoken: Iterable[str], names: Sequence[str]) -> list[int]:
    """Return the position of each speaker among the names."""
    position = {name: number for number, name in enumerate(names)}
    return [position[speaker] for speaker in spoken]
