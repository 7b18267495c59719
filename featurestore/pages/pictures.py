"""What a signal looks like: its waveform above a log-mel picture, in one drawing with axes in seconds and hertz."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from featurestore.errors import AudioError
from featurestore.features import FEATURES
from featurestore.signal.arrays import Float32, Float64, Signal
from featurestore.specs.features import FeatureSpec

COLOURS = "magma"
"""Perceptually uniform, and readable without colour: lighter is louder."""
PALETTE = bytes.fromhex(
    "00000401010602010902020d03031205041606051a08071e0a08220c09260e0b2b110c2f130d34150e38180f3d1a10421d114720114b"
    "22115025125529115a2c115f2f116333106736106b390f6e3d0f71400f74440f764710784a10794e117b51127c54137d57157e5a167e"
    "5d177f601880641a80671b806a1c816d1d81701f817320817621817922827c23828025828326818627818928818c2981902a81932b80"
    "962c80992d809c2e7fa02f7fa3307ea6317daa337dad347cb0357bb3367ab83779bc3978bf3a77c23b75c53c74c83e73cc3f71cf4070"
    "d2426fd5446dd8456cdb476ade4968e04c67e34e65e55064e85362ea5661ec5860ee5b5ef05f5ef2625df3655cf4695cf66c5cf7705c"
    "f8745cf9785df97b5dfa7f5efb835ffb8761fc8a62fc8e64fd9266fd9668fd9a6afe9d6cfea16efea571fea973feac76feb078feb47b"
    "feb77efebb81febf84fec287fec68afeca8dfecd90fed194fed597fed89afddc9efde0a1fde3a5fde7a9fdebacfceeb0fcf2b4fcf6b8"
    "fcf9bbfcfdbf"
)
"""Red, green and blue of each level, since importing matplotlib for them would take half a second."""
LEVELS = len(PALETTE) // 3
RANGE_DB = 80.0
"""What lies further below the loudest part of an example is drawn as black."""
HERTZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)
COLUMNS = 280
"""Columns of a waveform."""
LEFT, RIGHT, WAVE, TOP, BOTTOM, WIDE, HIGH = 36, 336, 40, 46, 186, 340, 206
"""Places in a drawing: the axes, the height of the waveform, the picture, and the whole."""


@dataclass(frozen=True)
class MelPicture:
    """The levels of a clip in dB, array [frames, bands], and where its frames and bands lie."""

    levels: Float64
    start: float
    """Seconds at which the first frame begins to be drawn: half a step before its centre."""
    step: float
    """Seconds between two frames."""
    hertz: Float64
    """The centre of each band, array [bands]."""


def mel_picture(spec: FeatureSpec, rate: int, row: Float32) -> MelPicture:
    """Return the picture of a row of log-mel features, array [frames, bands], as it is stored."""
    from featurestore.signal.kernels.elementary import exp, log
    from featurestore.signal.mel import mel_corners

    to_db = 1.0 if spec.decibels else 10 / np.log(10)
    corners = mel_corners(spec.mels, spec.mel_scale, spec.low_hz, spec.high_hz or rate / 2, log, exp)
    centre = 0.0 if spec.centred else spec.window_length / 2
    return MelPicture(
        np.asarray(row, np.float64) * to_db,
        (centre - spec.hop_length / 2) / rate,
        spec.hop_length / rate,
        corners[1:-1],
    )


def signal_picture(signal: Signal, rate: int) -> MelPicture | None:
    """Return a log-mel picture of a signal whose rows are something else; None if it is too short for one."""
    spec = FeatureSpec(
        rate=rate, window_length=rate // 40, hop_length=rate // 100, fft_length=2 * (rate // 40), mels=80
    )
    transform = FEATURES["logmel"].transform(spec, rate)
    try:
        transform.check(len(signal))
    except AudioError:
        return None
    return mel_picture(spec, rate, transform(signal, np.float32(1), np.float64, None))


def range_of(pictures: Sequence[MelPicture]) -> tuple[float, float]:
    """Return the levels that are black and white, so that pictures can be compared."""
    highest = max((float(one.levels.max()) for one in pictures), default=0.0)
    lowest = min((float(one.levels.min()) for one in pictures), default=0.0)
    return max(lowest, highest - RANGE_DB), highest


def drawing(
    signal: Signal | None,
    rate: int,
    picture: MelPicture | None,
    *,
    levels: tuple[float, float],
    seconds: float,
    largest: float,
    title: str,
    description: str,
) -> str:
    """Return a waveform above a picture as SVG.

    Parameters
    ----------
    signal : array [time] or None
    rate : int
        Samples a second.
    picture : MelPicture or None
    levels : tuple of float
        Drawn as black and white, in dB.
    seconds, largest : float
        What the axes of time and of the waveform reach to.
    title, description : str
        What a screen reader says.
    """
    parts = [f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"]
    scale = (RIGHT - LEFT) / max(seconds, 1e-3)
    if picture is not None:
        x, width = LEFT + picture.start * scale, len(picture.levels) * picture.step * scale
        parts.append(
            f"<image x='{x:.1f}' y='{TOP}' width='{width:.1f}' height='{BOTTOM - TOP}' "
            f"preserveAspectRatio='none' href='{_png(picture.levels, levels)}'/>"
        )
        parts += _hertz_axis(picture.hertz)
    if signal is not None and len(signal):
        parts.append(f"<path class='wave' d='{_wave(signal, scale / rate, largest)}'/>")
    parts += _time_axis(seconds, scale)
    return f"<svg class='clip' role='img' viewBox='0 0 {WIDE} {HIGH}' xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"


def _wave(signal: Signal, scale: float, largest: float) -> str:
    """Return the path through the lowest and highest sample of each column."""
    starts = np.unique(np.linspace(0, len(signal), COLUMNS, endpoint=False).astype(np.int64))
    low, high = np.minimum.reduceat(signal, starts), np.maximum.reduceat(signal, starts)
    middle, half = WAVE / 2 + 1, WAVE / 2 / max(largest, 1e-9)
    return "".join(
        f"M{LEFT + start * scale:.1f} {middle - top * half:.1f}V{middle - bottom * half + 0.4:.1f}"
        for start, bottom, top in zip(starts.tolist(), low.tolist(), high.tolist(), strict=True)
    )


def _hertz_axis(hertz: Float64) -> list[str]:
    bands = np.arange(len(hertz)) + 0.5
    parts, free = [], BOTTOM + 4.0
    for value in HERTZ:
        y = BOTTOM - float(np.interp(value, hertz, bands)) / len(hertz) * (BOTTOM - TOP)
        if hertz[0] <= value <= hertz[-1] and TOP + 8 < y <= free:
            free = y - 12
            said = f"{value // 1000} k" if value >= 1000 else str(value)
            parts.append(f"<path class='tick' d='M{LEFT - 3} {y:.1f}h3'/>")
            parts.append(f"<text x='{LEFT - 5}' y='{y + 3.5:.1f}' text-anchor='end'>{said}</text>")
    return [*parts, f"<text x='{LEFT - 5}' y='{TOP - 1}' text-anchor='end'>Hz</text>"]


def _time_axis(seconds: float, scale: float) -> list[str]:
    step = next((one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300) if seconds / one <= 7), 600.0)
    marks = np.arange(0, seconds + 1e-9, step).tolist()
    parts = [f"<path class='tick' d='M{LEFT} {BOTTOM}H{RIGHT}'/>"]
    for mark in marks:
        x = LEFT + mark * scale
        unit = " s" if mark == marks[-1] else ""
        parts.append(f"<path class='tick' d='M{x:.1f} {BOTTOM}v3'/>")
        parts.append(f"<text x='{x:.1f}' y='{BOTTOM + 15}' text-anchor='middle'>{mark:g}{unit}</text>")
    return parts


def _png(levels: Float64, shown: tuple[float, float]) -> str:
    """Return a picture as the address of a PNG file, low bands at the bottom."""
    from PIL import Image

    low, high = shown
    places = np.clip((levels - low) / max(high - low, 1e-9), 0, 1) * (LEVELS - 1)
    image = Image.fromarray(np.ascontiguousarray(np.rint(places).astype(np.uint8).T[::-1]))
    image.putpalette(PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
