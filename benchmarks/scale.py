"""Time and memory of commands by the number of files and of rows, and how fast both grow.

    python benchmarks/scale.py [--files 1000,10000] [--rows 100000] [--folder SCRATCH] [--json FILE]

A corpus of N distinct recordings of 50 ms by 200 speakers lies in a stored zip archive and in folders. Each command is
the real one, in a process of its own; seconds are processor seconds of it and its children, memory is the largest
resident memory of all its processes together, looked at fifty times a second. Growth is the exponent between two
sizes: 1 is linear. A file without copies is one row. Sizes of 100,000 files take half an hour to build first.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from building import descendants, resident

RATE, SECONDS, SPEAKERS = 8_000, 0.05, 200
EMOTIONS = ("anger", "boredom", "fear", "sadness")
MANIFEST = """name = "many{files}"
title = "Many short recordings"
licence = "CC0"
[audio]
include = ["*.wav"]
[labels]
pattern = '(?P<speaker>s[0-9]+)_(?P<emotion>[a-z]+)_[0-9]+\\.wav'
target = "emotion"
"""
FEATURES = """kind = "logmel"
rate = 8000
window = "hann"
window_length = 200
hop_length = 80
fft_length = 256
centred = false
mels = 26
mel_scale = "htk"
low_hz = 0.0
high_hz = 4000.0
eps = 1e-10
dtype = "float16"
"""
VIEW = """
import re, sys, time
import numpy as np
import featurestore.view
from featurestore.store import open_store
def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
before = memory("VmRSS")
begun = time.process_time()
view = open_store(sys.argv[1]).view(sys.argv[2])
opened = time.process_time()
train, _, _ = view.split("speakers", seed=1)
split = time.process_time()
order = np.random.default_rng(0).permutation(len(view))
view.frames[order].sum(), view.shards[order].sum()
done = time.process_time()
print(len(view), opened - begun, split - opened, done - split, memory("VmHWM") - before)
"""


def recordings(files: int) -> Iterator[tuple[str, bytes]]:
    """Yield paths and WAV bytes of distinct noises."""
    generator = np.random.default_rng(7)
    for number in range(files):
        samples = (generator.standard_normal(int(RATE * SECONDS)) * 3_000).astype(np.int16)
        data = io.BytesIO()
        soundfile.write(data, samples, RATE, format="WAV", subtype="PCM_16")
        speaker, emotion = number % SPEAKERS, EMOTIONS[number // SPEAKERS % len(EMOTIONS)]
        yield f"s{speaker:03}/s{speaker:03}_{emotion}_{number:07}.wav", data.getvalue()


def write_corpus(folder: Path, files: int) -> None:
    """Write `all.zip`, the same files below `folder`, a manifest and a feature file."""
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path, data in recordings(files):
            archive.writestr(path, data)
            place = folder / "folder" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    (folder / "many.toml").write_text(MANIFEST.format(files=files))
    (folder / "features.toml").write_text(FEATURES)


def measured(*arguments: str) -> dict[str, float]:
    """Run a command to its end; return processor seconds, elapsed seconds and bytes of memory."""
    begun, before, seen, done = time.perf_counter(), os.times(), [0], threading.Event()
    running = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(sum(resident(pid) for pid in (running.pid, *descendants(running.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, errors = running.communicate()
    done.set()
    watcher.join()
    if running.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit {running.returncode}\n{errors.decode()[-2_000:]}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {"cpu_s": spent, "s": time.perf_counter() - begun, "bytes": max(seen), "printed": len(output)}


def commands(folder: Path, files: int, copies: int = 0) -> dict[str, Callable[[], dict[str, float]]]:
    """Return what is measured, in order; the first build makes what the others look at."""
    store, name = ("--store", str(folder / "store")), f"many{files}"

    def build(source: str, *more: str) -> dict[str, float]:
        chosen = [
            "--features",
            str(folder / "features.toml"),
            "--source",
            str(folder / source),
            "--augment",
            str(copies),
            "--max-files",
            str(max(250_000, 2 * files)),
        ]
        return measured("-m", "cli", "build", str(folder / "many.toml"), *chosen, *more, *store)

    def one_more() -> dict[str, float]:
        path, data = next(recordings(1))
        (folder / "folder" / path).with_stem("s000_anger_9999999").write_bytes(data[:-2] + b"\1\0")
        return build("folder", "--name", "grown")

    def run(*arguments: str) -> Callable[[], dict[str, float]]:
        return lambda: measured("-m", "cli", *arguments, *store)

    return {
        "first build": lambda: build("all.zip"),
        "no-op build, archive": lambda: build("all.zip"),
        "first build, folder": lambda: build("folder"),
        "no-op build, folder": lambda: build("folder"),
        "ls": run("ls"),
        "info": run("info", name),
        "splits loso": run("splits", name, "--split", "loso", "--json"),
        "verify": run("verify"),
        "gc": run("gc"),
        "view": lambda: _view(folder, name),
        "one more file": one_more,
    }


def _view(folder: Path, name: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", VIEW, str(folder / "store"), name], capture_output=True, text=True, check=True
    )
    rows, opened, split, order, memory = map(float, done.stdout.split())
    return {"cpu_s": opened, "s": opened, "bytes": memory, "rows": rows, "split_s": split, "order_s": order}


def growth(results: dict[int, dict[str, dict[str, float]]], name: str, figure: str) -> list[float]:
    """Return the exponents of a figure between each size and the next."""
    sizes = sorted(size for size in results if name in results[size])
    return [
        math.log(max(results[b][name][figure], 1e-9) / max(results[a][name][figure], 1e-9)) / math.log(b / a)
        for a, b in itertools.pairwise(sizes)
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default="1000,10000")
    parser.add_argument("--rows", type=int, default=0, help="also open a dataset of 1,000 files with this many rows")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scratch = options.folder or Path(tempfile.mkdtemp(prefix="scale-"))
    jobs = [(f"{files} files", int(files), 0) for files in options.files.split(",") if files]
    if options.rows:
        jobs.append((f"{options.rows} rows", 1_000, options.rows // 1_000 - 1))
    results: dict[str, Any] = {}
    try:
        for title, files, copies in jobs:
            folder = scratch / title.replace(" ", "-")
            if not (folder / "features.toml").exists():
                folder.mkdir(parents=True, exist_ok=True)
                write_corpus(folder, files)
            results[title] = {}
            for name, measure in commands(folder, files, copies).items():
                if options.only and name not in options.only.split(","):
                    continue
                figures = results[title][name] = measure()
                each = figures.get("rows", files * (copies + 1))
                of_views = [f"{key} {figures[key]:.2f}" for key in ("rows", "split_s", "order_s") if key in figures]
                print(
                    f"{title:>16}  {name:<22} {figures['cpu_s']:8.2f} s CPU  {figures['bytes'] / 1e6:7.0f} MB  "
                    f"{figures['s']:8.2f} s  a row: {1e6 * figures['cpu_s'] / each:8.2f} us CPU "
                    f"{figures['bytes'] / each:8.0f} B  {' '.join(of_views)}",
                    flush=True,
                )
        by_size = {files: results[title] for title, files, copies in jobs if not copies}
        if len(by_size) > 1:
            for name in commands(scratch, 0):
                if exponents := ", ".join(f"{value:.2f}" for value in growth(by_size, name, "cpu_s")):
                    print(f"{name:<22} grows with exponent {exponents}")
        if options.json:
            options.json.write_text(json.dumps(results, indent=1) + "\n")
    finally:
        if not options.folder:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
