"""A recording of a dataset and its copies as log-mel pictures, for a terminal or as a PNG file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import FeatureStoreError, SpecError, UnknownNameError
from featurestore.pages.examples import picture_of_row, words_of_row
from featurestore.pages.pictures import COLOURS, HERTZ, MelPicture, range_of
from featurestore.signal.arrays import Float64

if TYPE_CHECKING:
    from featurestore.view import DatasetView

PANEL = (8.0, 2.4)
"""Inches of a copy in a PNG file."""


@dataclass(frozen=True)
class ShownCopy:
    """One copy of a recording."""

    copy: int
    """0 is the recording itself."""
    words: tuple[str, ...]
    """What was done to it."""
    picture: MelPicture

    @property
    def title(self) -> str:
        """What it is and what was done to it, in words."""
        return "original" if not self.copy else f"copy {self.copy}: {', '.join(self.words)}"

    @property
    def seconds(self) -> float:
        """Seconds that the picture covers."""
        return len(self.picture.levels) * self.picture.step


@dataclass(frozen=True)
class ShownRecording:
    """A recording and some of its copies."""

    path: str
    label: str
    speaker: str
    levels: tuple[float, float]
    """dB that are drawn darkest and lightest, in all pictures alike."""
    copies: tuple[ShownCopy, ...]

    @property
    def seconds(self) -> float:
        """Seconds of the longest copy."""
        return max(one.seconds for one in self.copies)


def show(view: DatasetView, utterance: str | None = None, copies: Sequence[int] = ()) -> ShownRecording:
    """Return a recording of a dataset and some of its copies as pictures.

    Log-mel rows are shown as they are stored; of rows of other kinds the signal is synthesised again, exactly as it was
    computed, and its log-mel power shown.

    Parameters
    ----------
    view : DatasetView
    utterance : str, optional
        Its path, or a part that no other path has; the first one if there is none.
    copies : sequence of int
        Augmented copies, from 1 up, that are shown beside the original.

    Raises
    ------
    UnknownNameError
        If no path has this part.
    SpecError
        If several have it, or the dataset does not have such a copy of it, or nothing can be drawn.
    """
    path = _path(view, utterance)
    rows = {int(view.copies[row]): row for row, one in enumerate(view.paths) if one == path}
    for copy in copies:
        if copy not in rows:
            raise SpecError(f"{view.name!r} has no copy {copy} of {path!r}: it has {len(rows) - 1} augmented ones.")
    there = [(copy, rows[copy]) for copy in sorted({0, *copies})]
    shown = []
    for copy, row in there:
        picture = _picture(view, row)
        if picture is None or not len(picture.levels):
            raise SpecError(f"{path!r} is too short to be drawn.")
        shown.append(ShownCopy(copy, words_of_row(view, row), picture))
    levels, row = range_of([one.picture for one in shown]), there[0][1]
    return ShownRecording(path, str(view.labels[row]), view.speakers[row] or "unknown", levels, tuple(shown))


def _path(view: DatasetView, utterance: str | None) -> str:
    paths = sorted(set(view.paths))
    if utterance is None or utterance in paths:
        return utterance or paths[0]
    found = [path for path in paths if utterance in path]
    if not found:
        raise UnknownNameError("utterance", utterance, paths)
    if len(found) > 1:
        raise SpecError(f"{utterance!r} is part of {len(found):,} paths, {found[0]!r} and {found[1]!r} among them.")
    return found[0]


def _picture(view: DatasetView, row: int) -> MelPicture | None:
    """Return the picture of a row; where its original is not here, `FeatureStoreError` unless the row itself is one."""
    if view.features.kind == "logmel":
        rate = view.features.rate
        if rate is None:
            try:
                rate = view.rate(row)
            except FeatureStoreError as error:
                raise SpecError(f"its sampling rate, and so its axes, are not known here: {error}") from error
        return picture_of_row(view, row, None, rate)
    return picture_of_row(view, row, view.waveform(row), view.rate(row))


def pixels(picture: MelPicture, levels: tuple[float, float], width: int, height: int) -> Float64:
    """Return a picture as an array [height, width] of brightness in [0, 1], high bands first.

    Where a pixel covers several frames or bands it is their mean level; where several pixels share one, they are equal.
    """
    low, high = levels
    shades = np.clip((picture.levels - low) / max(high - low, 1e-9), 0, 1)
    found: Float64 = _resized(_resized(shades, width).T, height)[::-1]
    return found


def _resized(values: Float64, size: int) -> Float64:
    """Return an array [old, other] as [size, other]: means of neighbours, or each several times."""
    edges = np.arange(size + 1) * len(values) // size
    if size > len(values):
        return values[edges[:-1]]
    return np.add.reduceat(values, edges[:-1]) / np.diff(edges)[:, None]


def hertz_marks(picture: MelPicture, height: int) -> dict[int, str]:
    """Return the rows of a picture of this height, 0 at its top, at which round frequencies lie, with those."""
    marks = {}
    for hertz in HERTZ:
        if picture.hertz[0] <= hertz <= picture.hertz[-1]:
            band = float(np.interp(hertz, picture.hertz, np.arange(len(picture.hertz))))
            place = height - 1 - int((band + 0.5) / len(picture.hertz) * height)
            marks[place] = f"{hertz // 1000} kHz" if hertz >= 1000 else f"{hertz} Hz"
    return marks


def png(shown: ShownRecording) -> bytes:
    """Return the pictures of a recording and its copies as a PNG file, one below the other, in seconds and hertz."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL[0], PANEL[1] * len(shown.copies)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, one in zip(
        figure.subplots(len(shown.copies), squeeze=False, sharex=True)[:, 0], shown.copies, strict=True
    ):
        picture, bands = one.picture, len(one.picture.hertz)
        extent = (picture.start, picture.start + one.seconds, -0.5, bands - 0.5)
        low, high = shown.levels
        image = axes.imshow(
            picture.levels.T, COLOURS, aspect="auto", origin="lower", extent=extent, vmin=low, vmax=high
        )
        marks = [hertz for hertz in HERTZ if picture.hertz[0] <= hertz <= picture.hertz[-1]]
        axes.set_yticks(np.interp(marks, picture.hertz, np.arange(bands)), [f"{hertz:,}" for hertz in marks])
        axes.set_ylabel("frequency (Hz)")
        axes.set_title(one.title, fontsize="medium", loc="left", wrap=True, parse_math=False)
        figure.colorbar(image, ax=axes, label="level (dB)")
    axes.set_xlim(0, max(one.picture.start + one.seconds for one in shown.copies))
    axes.set_xlabel("time (s)")
    figure.suptitle(f"{shown.path}: {shown.label}, speaker {shown.speaker}", fontsize="medium", parse_math=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()
