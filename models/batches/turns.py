"""Copies of an utterance taking turns: each epoch trains on a few of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class CopyTurns:
    """Which rows each epoch takes, as a function of the epoch alone.

    Of an utterance with N augmented copies, epoch e takes k: with k = 1 copy ((e - 1) mod N) + 1, so that a value that
    is drawn once for each copy index holds for a whole epoch. Clean rows are taken in every epoch.

    Parameters
    ----------
    paths : sequence of str
        Recording of each row.
    copies : array [rows]
        Copy index of each row; 0 is clean.
    per_epoch : int
        k; all copies of an utterance that has no more.

    References
    ----------
    Etienne et al., "CNN+LSTM Architecture for Speech Emotion Recognition with Data Augmentation", 2018: one VTLP
    factor for an epoch (strategy 1), or one for each spectrogram and epoch (strategy 2).
    """

    def __init__(self, paths: Sequence[str], copies: NDArray[np.integer], per_epoch: int) -> None:
        self.per_epoch = per_epoch
        augmented = copies > 0
        _, recording = np.unique(np.asarray(paths, dtype=str), return_inverse=True)
        self._augmented = torch.from_numpy(augmented)
        self._place = torch.from_numpy(places(recording, copies, augmented))
        self._copies = torch.from_numpy(np.bincount(recording[augmented], minlength=len(paths))[recording])

    def rows(self, epoch: int) -> Tensor:
        """Return the rows that an epoch takes, in the order of the view; the first epoch is 1."""
        first = (epoch - 1) * self.per_epoch
        turn = (self._place - first).remainder(self._copies.clamp(min=1)) < self.per_epoch
        return torch.nonzero(turn | ~self._augmented)[:, 0]


def places(recording: NDArray[np.intp], copies: NDArray[np.integer], augmented: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the place of each row among the augmented copies of its recording, by copy index; 0 for clean rows."""
    order = np.lexsort((copies, ~augmented, recording))
    sorted_recording = recording[order]
    starts = np.flatnonzero(np.append(True, sorted_recording[1:] != sorted_recording[:-1])) if len(order) else order
    first = np.repeat(starts, np.diff(np.append(starts, len(order))))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - first
    return np.where(augmented, place, 0)
