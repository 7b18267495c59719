"""How long each stage of a row takes, and how many rows a second one process computes.

    python benchmarks/rows.py path/to/emodb.zip [--copies 75] [--yardstick folder with prototype.py]

24 recordings at evenly spaced quantiles of length, `mathworks` features and policy, nothing written. With
`--yardstick` its prototype runs the same job in turn, rounds interleaved, since machines drift.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from featurestore import presets
from featurestore.row_engine import RowEngine, warm
from featurestore.signal import interpolation, noise, splices, timing
from featurestore.signal.kernels import level, rounding
from featurestore.signal.log_power import log_mel_power
from featurestore.signal.splices import resemblance
from featurestore.specs.augmentation import AugmentationSpec, draw
from featurestore.specs.features import FeatureSpec

FOLDER = Path(presets.__file__).parent
FEATURES = FeatureSpec.from_dict(tomllib.loads((FOLDER / "features/mathworks.toml").read_text()))
POLICY = AugmentationSpec.from_dict(tomllib.loads((FOLDER / "policies/mathworks.toml").read_text()))
FILES = 24


def recordings(archive: Path) -> list[bytes]:
    """Return recordings at evenly spaced quantiles of length."""
    with zipfile.ZipFile(archive) as source:
        members = sorted(
            (info for info in source.infolist() if info.filename.endswith(".wav")), key=lambda info: info.file_size
        )
        chosen = [members[int((i + 0.5) * len(members) / FILES)] for i in range(FILES)]
        return [source.read(info) for info in chosen]


def build(files: list[bytes], copies: int) -> None:
    engine = RowEngine(FEATURES, POLICY)
    for number, data in enumerate(files):
        source = engine.load(data)
        for copy in range(1, copies + 1):
            engine.augmented(source, draw(POLICY, f"{number:064x}", copy))


def microseconds(action: Callable[[], object], rounds: int = 7, repeats: int = 20) -> float:
    """Return the best mean of a few rounds."""
    action()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            action()
        best = min(best, (time.perf_counter() - start) / repeats)
    return best * 1e6


def stages(data: bytes) -> dict[str, float]:
    """Return microseconds of each stage on one recording, shifted up by 1.3 semitones."""
    engine = RowEngine(FEATURES, POLICY)
    source = engine.load(data)
    signal, steps = source.signal, 2208
    samples = len(signal)
    needed, lead = interpolation.reach(samples, steps), interpolation.LEAD + interpolation.FILTER_REACH
    longer = splices.lengthen(signal, source.similar, steps, needed + interpolation.FILTER_REACH, lead)
    touched, half = interpolation.touched(samples, steps), interpolation.reading_filters()[400]
    filtered = longer[interpolation.FILTER_REACH : -interpolation.FILTER_REACH].copy()
    lanes = np.zeros(interpolation.lanes_length(steps), np.float32)
    read = np.zeros(interpolation.blocks_of(samples) * 2048, np.float32)
    output, row = np.zeros(samples, np.float32), np.zeros(engine.clean(source).size, np.float32)
    weights, key = interpolation.interpolation_weights(), noise.key_words(7)
    log_mel = log_mel_power(FEATURES, source.rate)
    halves = np.zeros(len(row), np.uint16)
    plain, pitched = draw(POLICY, "0", 1), draw(POLICY, "0", 1)
    for copy in range(1, 50):
        drawn = draw(POLICY, "0", copy)
        plain, pitched = (drawn, pitched) if drawn.semitones is None else (plain, drawn)
    work: dict[str, Callable[[], object]] = {
        "decode (once a file)": lambda: engine.load(data),
        "analysis (once a file)": lambda: resemblance(signal, source.rate),
        "draw": lambda: draw(POLICY, "0", 5),
        "splice": lambda: splices.lengthen(signal, source.similar, steps, touched),
        "filter": lambda: interpolation.filter_band(longer, half, filtered[:touched]),
        "interpolate": lambda: interpolation.interpolate(filtered, steps, weights, lanes, read),
        "shift": lambda: timing.shift(signal, 1000, False, output),
        "energy": lambda: level.energy(signal),
        "noise": lambda: noise.standard_normal(key, output),
        "add noise": lambda: noise.add_scaled(signal, output, np.float32(0.1)),
        "log-mel float32": lambda: log_mel(signal, np.float32(1), np.float32, None),
        "log-mel float64": lambda: log_mel(signal, np.float32(1), np.float64, None),
        "to float16": lambda: rounding.round_to_half(row, halves),
        "row without pitch": lambda: engine.augmented(source, plain),
        "row with pitch": lambda: engine.augmented(source, pitched),
    }
    return {name: microseconds(action) for name, action in work.items()}


def prototype_run(folder: Path, copies: int) -> Callable[[], float]:
    """Return a function that runs the yardstick's prototype once and gives its rows a second."""
    sys.path.insert(0, str(folder))
    import prototype  # type: ignore[import-not-found]

    files = prototype.subset(FILES)
    prototype.run(files[:2], 2, "float16", ram=True)
    return lambda: float(FILES * copies / prototype.run(files, copies, "float16", ram=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--copies", type=int, default=75)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--yardstick", type=Path)
    arguments = parser.parse_args()
    start = time.perf_counter()
    warm(FEATURES, POLICY)
    print(f"compiling or loading kernels: {time.perf_counter() - start:.2f} s")
    files = recordings(arguments.archive)
    for name, value in stages(files[FILES // 2]).items():
        print(f"{name:28} {value:9.1f} us")
    rates: dict[str, list[float]] = {"rows": []}
    other = prototype_run(arguments.yardstick, arguments.copies) if arguments.yardstick else None
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        build(files, arguments.copies)
        rates["rows"].append(FILES * arguments.copies / (time.perf_counter() - start))
        if other is not None:
            rates.setdefault("prototype", []).append(other())
    for name, values in rates.items():
        print(f"{name:28} {statistics.median(values):9.0f} rows/s  {[round(value) for value in values]}")


if __name__ == "__main__":
    main()
