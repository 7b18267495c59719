"""Examples of a dataset: recordings and their copies as they were computed, to be looked at and listened to."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import AudioError, FeatureStoreError
from featurestore.pages.pictures import MelPicture, drawing, mel_picture, range_of, signal_picture
from featurestore.perturbations import PERTURBATIONS
from featurestore.signal.arrays import Signal

if TYPE_CHECKING:
    from featurestore.specs.augmentation import Perturbation
    from featurestore.view import DatasetView


@dataclass(frozen=True)
class Clip:
    """One copy of a recording."""

    title: str
    """`original` or `copy 3`."""
    words: tuple[str, ...]
    """What was done to it, and how long and loud it is."""
    drawing: str
    """Waveform and log-mel picture, SVG."""
    audio: str
    """The address of its sound, a 16-bit FLAC file within the page; empty without audio."""


@dataclass(frozen=True)
class Example:
    """A recording and some of its copies."""

    path: str
    label: str
    speaker: str
    levels: tuple[float, float]
    """dB that are drawn as black and white in all its pictures."""
    clips: tuple[Clip, ...]
    fault: str = ""
    """Why its signals cannot be synthesised here; its pictures are then those of the stored rows."""


def chosen_paths(view: DatasetView, count: int) -> list[str]:
    """Return recordings from all classes in turn, and within a class from its whole range of paths."""
    by_class: dict[str, list[str]] = defaultdict(list)
    clean = view.copies == 0
    for path, label in zip(np.array(view.paths)[clean].tolist(), view.labels[clean].tolist(), strict=True):
        by_class[label].append(path)
    classes = sorted(by_class)
    turns = -(-count // max(len(classes), 1))
    of_class = {label: min(turns, len(paths)) for label, paths in by_class.items()}
    return [
        by_class[label][turn * len(by_class[label]) // of_class[label]]
        for turn in range(max(of_class.values(), default=0))
        for label in classes
        if turn < of_class[label]
    ][:count]


def examples(view: DatasetView, paths: Iterable[str], copies: int, *, audio: bool) -> list[Example]:
    """Return recordings with their first copies; each signal is synthesised again exactly as its row was computed.

    Parameters
    ----------
    view : DatasetView
    paths : iterable of str
        Those of the recordings; others than the view's are left out.
    copies : int
        Augmented copies of each.
    audio : bool
        Whether the sound is part of the page.
    """
    wanted = list(paths)
    rows: dict[str, list[int]] = {path: [] for path in wanted}
    shown = np.flatnonzero(view.copies <= copies)
    utterances = view.paths
    for row in shown.tolist():
        if utterances[row] in rows:
            rows[utterances[row]].append(row)
    return [_example(view, found, audio=audio) for found in rows.values() if found]


def _example(view: DatasetView, rows: Sequence[int], *, audio: bool) -> Example:
    signals: list[Signal | None] = []
    fault = ""
    for row in rows:
        try:
            signals.append(view.waveform(row))
        except FeatureStoreError as error:
            signals.append(None)
            fault = str(error)
    try:
        rate = view.rate(rows[0])
    except FeatureStoreError:
        rate = view.features.rate or 16_000
    pictures = [picture_of_row(view, row, signal, rate) for row, signal in zip(rows, signals, strict=True)]
    drawn = [one for one in pictures if one is not None]
    levels = range_of(drawn)
    lengths = [len(one) / rate for one in signals if one is not None]
    lengths += [one.start + len(one.levels) * one.step for one in drawn if not lengths]
    seconds = max(lengths, default=0.0)
    largest = max((float(np.max(np.abs(one))) for one in signals if one is not None and len(one)), default=1.0)
    clips = []
    for row, signal, picture in zip(rows, signals, pictures, strict=True):
        copy = int(view.copies[row])
        title = f"copy {copy}" if copy else "original"
        words = (*words_of_row(view, row), *_measured(signal, rate))
        svg = drawing(
            signal,
            rate,
            picture,
            levels=levels,
            seconds=seconds,
            largest=largest,
            title=f"{title} of {view.paths[row]}",
            description=f"Waveform above a log-mel picture. {'; '.join(words)}.",
        )
        clips.append(Clip(title, words, svg, sound(signal, rate) if audio and signal is not None else ""))
    speaker = view.speakers[rows[0]] or "unknown"
    return Example(view.paths[rows[0]], str(view.labels[rows[0]]), speaker, levels, tuple(clips), fault)


def picture_of_row(view: DatasetView, row: int, signal: Signal | None, rate: int) -> MelPicture | None:
    """Return a log-mel row as a picture, or that of the signal it was computed from; None where there is no picture."""
    if view.features.kind == "logmel":
        return mel_picture(view.features, rate, view[row][0])
    return None if signal is None else signal_picture(signal, rate)


def words_of_row(view: DatasetView, row: int) -> tuple[str, ...]:
    """Return what was done to a row, or why that cannot be drawn again here; nothing for a clean one."""
    try:
        perturbation = view.perturbation(row)
    except FeatureStoreError as error:
        return (str(error),)
    own = view.augmentation.own if view.augmentation else ()
    return () if perturbation is None else in_words(perturbation, [one.function for one in own])


def in_words(perturbation: Perturbation, own: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is done to a copy, a text for each perturbation in the order in which they are applied.

    Parameters
    ----------
    perturbation : Perturbation
    own : sequence of str
        Names of the policy's own functions.
    """
    said = [PERTURBATIONS[name].words(value) for name, value in perturbation.values.items()]
    said += [name for name, key in zip(own, perturbation.own, strict=False) if key is not None]
    return tuple(said) or ("nothing was drawn for it",)


def _measured(signal: Signal | None, rate: int) -> tuple[str, ...]:
    if signal is None or not len(signal):
        return ()
    peak = float(np.max(np.abs(signal)))
    level = f"peak {round(20 * np.log10(peak), 1) + 0.0:.1f} dB of full scale" if peak > 0 else "silent"
    return (f"{len(signal) / rate:.2f} s, {level}",)


def sound(signal: Signal, rate: int) -> str:
    """Return a signal, array [time], as the address of a FLAC file of 16 bits; beyond full scale it is made softer."""
    import soundfile

    peak = float(np.max(np.abs(signal))) if len(signal) else 0.0
    samples = np.rint(signal * (32_767 / max(peak, 1.0))).astype(np.int16)
    file = io.BytesIO()
    try:
        soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot be written as FLAC at {rate} Hz: {error}") from error
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"
