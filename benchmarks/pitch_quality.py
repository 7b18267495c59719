"""How well voices survive changes of pitch and duration, here, in Rubber Band and in librosa.

    python benchmarks/pitch_quality.py emodb.zip ravdess.zip [--files 6]

Files of each archive at evenly spaced quantiles of size, at 16 kHz in one channel, are shifted by 2 semitones up and
down and stretched by 0.8 and 1.25, each time also back again. The same is measured for every tool:

- ESTOI (Jensen and Taal 2016) of the recording against the round trip; what a shift of 2 semitones loses above 7 kHz
  is not heard by it,
- the median difference of F0 (Praat) in frames of 10 ms that are voiced before and after, from what was asked for,
- the level, as root mean square, after against before,
- how far onsets move: where the energy under 5 ms windows passes the middle, in decibels, of its sharpest rises,
- where a click has the centre of its energy,
- Praat's harmonics-to-noise ratio, after less before.

Needs featurestore, the packages of `benchmarks/peers.txt` named librosa, pystoi and praat-parselmouth, and the program
`rubberband` (Debian: rubberband-cli).
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import parselmouth  # type: ignore[import-not-found]
import soundfile
from numpy.typing import NDArray
from pystoi import stoi  # type: ignore[import-not-found]

from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.signal.pitch_grid import grid_semitones, nearest_factor, pitch_steps
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.features import FeatureSpec

RATE = 16_000
Signal = NDArray[np.float32]
Change = Callable[[Signal, float], Signal]
"""Changes a signal by semitones, or by a factor of its duration."""


def recordings(archive: Path, files: int) -> list[Signal]:
    """Return recordings at evenly spaced quantiles of size."""
    with zipfile.ZipFile(archive) as source:
        members = sorted((info for info in source.infolist() if info.filename.endswith(".wav")), key=_size)
        chosen = [members[int((i + 0.5) * len(members) / files)] for i in range(files)]
        return [librosa.load(io.BytesIO(source.read(info)), sr=RATE, res_type="soxr_hq")[0] for info in chosen]


def _size(info: zipfile.ZipInfo) -> int:
    return info.file_size


def own(policy: dict[str, Any] | None = None) -> tuple[Change, Change]:
    rules = {"semitones": {"uniform": [-24, 24]}, "stretch": {"uniform": [0.25, 4]}, **(policy or {})}
    engine = RowEngine(FeatureSpec(kind="waveform", rate=RATE, dtype="float32"), AugmentationSpec.from_dict(rules))

    def changed(signal: Signal, perturbation: Perturbation) -> Signal:
        return engine.waveform(engine.prepare_recording(Recording(signal, RATE)), perturbation)

    return (
        lambda signal, semitones: changed(signal, Perturbation(semitones=grid_semitones(pitch_steps(semitones)))),
        lambda signal, factor: changed(signal, Perturbation(stretch=nearest_factor(factor, 0.25, 4))),
    )


def rubber_band(*engine: str) -> tuple[Change, Change]:
    def run(signal: Signal, *options: str) -> Signal:
        with tempfile.TemporaryDirectory() as folder:
            given, made = f"{folder}/given.wav", f"{folder}/made.wav"
            soundfile.write(given, signal, RATE, subtype="FLOAT")
            subprocess.run(["rubberband", "-q", *engine, *options, given, made], check=True, stderr=subprocess.DEVNULL)
            return np.asarray(soundfile.read(made, dtype="float32")[0])

    return (
        lambda signal, semitones: run(signal, "-p", f"{semitones:.6f}"),
        lambda signal, factor: run(signal, "-t", f"{factor:.9f}"),
    )


def by_librosa(window: int) -> tuple[Change, Change]:
    return (
        lambda signal, semitones: librosa.effects.pitch_shift(signal, sr=RATE, n_steps=semitones, n_fft=window),
        lambda signal, factor: librosa.effects.time_stretch(signal, rate=1 / factor, n_fft=window),
    )


TOOLS: dict[str, tuple[Change, Change]] = {
    "featurestore": own(),
    "Rubber Band 3 (`-3`)": rubber_band("-3"),
    "Rubber Band 2 (default)": rubber_band(),
    "librosa, 32 ms window": by_librosa(512),
    "librosa, 128 ms window (default)": by_librosa(2048),
}


def fitted(signal: Signal, samples: int) -> Signal:
    return np.pad(signal[:samples], (0, max(0, samples - len(signal))))


def decibels(signal: Signal, before: Signal) -> float:
    return float(10 * np.log10(np.mean(np.square(signal, dtype=float)) / np.mean(np.square(before, dtype=float))))


def _praat(signal: Signal) -> Any:
    return parselmouth.Sound(signal.astype(float), RATE)


def cents_off(before: Signal, after: Signal, semitones: float) -> float:
    tracks = [
        _praat(one).to_pitch_ac(time_step=0.01, pitch_floor=60, pitch_ceiling=700).selected_array["frequency"]
        for one in (before, after)
    ]
    frames = min(map(len, tracks))
    first, second = (track[:frames] for track in tracks)
    voiced = (first > 0) & (second > 0)
    return abs(float(np.median(1200 * np.log2(second[voiced] / first[voiced]))) - 100 * semitones)


def harmonicity(signal: Signal) -> float:
    values = _praat(signal).to_harmonicity().values
    return float(np.mean(values[values > -100]))


def _energy(signal: Signal, floor: float) -> NDArray[np.float64]:
    window = np.hanning(RATE // 200)
    return 10 * np.log10(np.convolve(np.square(signal, dtype=float), window / window.sum(), "same") + floor)


def onsets_off(before: Signal, after: Signal) -> list[float]:
    """Return by how many milliseconds the eight sharpest rises of 12 dB or more in 10 ms have moved, 30 at most."""
    floor = 1e-6 * float(np.max(np.square(before)))
    old, new = _energy(before, floor), _energy(after, floor)
    half = RATE // 200
    rise = np.zeros_like(old)
    rise[half:-half] = old[2 * half :] - old[: -2 * half]
    found: list[float] = []
    for _ in range(8):
        place = int(np.argmax(rise))
        if rise[place] < 12:
            break
        rise[max(0, place - RATE // 10) : place + RATE // 10] = 0
        if 6 * half < place < len(before) - 6 * half:
            level = (old[place - half] + old[place + half]) / 2
            was = _crossings(old, level, place, half)
            exact = was[np.argmin(np.abs(was - place))] if len(was) else place
            now = _crossings(new, level, exact, 6 * half)
            found.append(float(np.min(np.abs(now - exact))) / RATE * 1000 if len(now) else 30.0)
    return found


def _crossings(energy: NDArray[np.float64], level: float, place: int, reach: int) -> NDArray[np.int64]:
    part = energy[place - reach : place + reach + 1]
    return place - reach + np.flatnonzero((part[:-1] < level) & (part[1:] >= level))


def click_off(pitch: Change) -> float:
    """Return by how many milliseconds the centre of a click's energy moves, at most."""
    click = np.zeros(2 * RATE, np.float32)
    click[RATE // 2] = 0.9
    power = [np.square(pitch(click, semitones), dtype=float) for semitones in (-2, 2)]
    return max(abs(float(one @ np.arange(len(one)) / one.sum()) / RATE - 0.5) * 1000 for one in power)


def measured(tool: tuple[Change, Change], signals: list[Signal]) -> list[str]:
    pitch, stretch = tool
    trips, stretches, cents, levels, longer_levels, harmonics = ([] for _ in range(6))  # type: ignore[var-annotated]
    onsets: list[float] = []
    for signal in signals:
        for semitones in (2.0, -2.0):
            there = fitted(pitch(signal, semitones), len(signal))
            back = fitted(pitch(there, -semitones), len(signal))
            trips.append(stoi(signal, back, RATE, extended=True))
            cents.append(cents_off(signal, there, semitones))
            levels.append(decibels(there, signal))
            harmonics.append(harmonicity(there) - harmonicity(signal))
            onsets += onsets_off(signal, there)
        for factor in (0.8, 1.25):
            longer = stretch(signal, factor)
            back = fitted(stretch(longer, 1 / factor), len(signal))
            stretches.append(stoi(signal, back, RATE, extended=True))
            longer_levels.append(decibels(longer, signal))
    worst = max(map(abs, levels + longer_levels))
    return [
        f"{np.mean(trips):.3f} ({np.min(trips):.2f})",
        f"{np.mean(stretches):.3f} ({np.min(stretches):.2f})",
        f"{np.mean(cents):.1f} ({np.max(cents):.1f})",
        f"{np.mean(levels + longer_levels):+.2f} ({worst:.2f})",
        f"{np.mean(onsets):.1f} ({np.percentile(onsets, 90):.1f})",
        f"{click_off(pitch):.1f}",
        f"{np.mean(harmonics):+.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--files", type=int, default=6, help="of each archive")
    arguments = parser.parse_args()
    signals = [signal for archive in arguments.archives for signal in recordings(archive, arguments.files)]
    print(
        "| | ESTOI, 2 semitones and back, mean (worst) | ESTOI, 0.8 or 1.25 and back | F0 off, cents, mean (worst) "
        "| level, dB, mean (worst) | onsets off, ms, mean (90 %) | click off, ms | HNR, dB |\n" + "| --- " * 8 + "|"
    )
    for name, tool in TOOLS.items():
        print("|", " | ".join([name, *measured(tool, signals)]), "|", flush=True)


if __name__ == "__main__":
    main()
