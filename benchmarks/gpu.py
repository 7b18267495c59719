"""The build on a GPU against that of the processor, on Emo-DB: clips a second, and how busy the GPU was.

    python benchmarks/gpu.py download.zip [--copies 75] [--rounds 3]

Results are JSON. Without a GPU they say so, and give the rate of the torch engine on the processor, which is there for
testing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from building import command

from featurestore.row_engine import Engine
from featurestore.specs.augmentation import draw
from featurestore.specs.presets import feature_preset, policy
from featurestore.specs.row_spec import RowSpec
from pipelines.workers.engines import open_engine

RECORDINGS = 535
TORCH_FILES, TORCH_COPIES = 8, 25


@contextmanager
def watched_gpu(seen: list[int]) -> Iterator[None]:
    """Note the GPU's utilisation in percent five times a second."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200", "-i", "0"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.terminate()
            output = process.communicate()[0]
            seen += [int(line) for line in output.split() if line.isdigit()]


def build_seconds(archive: Path, store: Path, device: str, copies: int) -> float:
    """Return the seconds of a build into an empty store, from the start of the process to its end."""
    shutil.rmtree(store, ignore_errors=True)
    options = ("--augment", str(copies), "--source", str(archive), "--device", device, "--store", str(store))
    return command("build", "emodb", *options, "--json")[0]


def engine_rate(engine: Engine, archive: Path, files: int, copies: int) -> float:
    """Return the rows a second of an engine alone, given all copies of a few recordings at once; the second time."""
    wanted = []
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".wav"))
        for name in names[:: max(1, len(names) // files)][:files]:
            data = opened.read(name)
            source, content = engine.load(data), hashlib.sha256(data).hexdigest()
            augmentation = engine.check(source)
            wanted += [(source, draw(augmentation, content, copy)) for copy in range(1, copies + 1)]
    engine.rows(wanted)
    begun = time.perf_counter()
    engine.rows(wanted)
    return len(wanted) / (time.perf_counter() - begun)


def spec(engine: str) -> RowSpec:
    """Return the spec of the main job's augmented rows."""
    return RowSpec.current(feature_preset("mathworks"), policy("mathworks"), engine)


def compare(archive: Path, copies: int, rounds: int) -> dict[str, object]:
    """Time builds on the GPU and on the processor in turn; return what came out."""
    rows = RECORDINGS * (copies + 1)
    rates: dict[str, list[float]] = {"cuda": [], "cpu": []}
    busy: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        build_seconds(archive, Path(folder) / "warm", "cpu", 1)
        for _ in range(rounds):
            with watched_gpu(busy):
                rates["cuda"].append(rows / build_seconds(archive, Path(folder) / "cuda", "cuda", copies))
            rates["cpu"].append(rows / build_seconds(archive, Path(folder) / "cpu", "cpu", copies))
    return {
        "device": torch.cuda.get_device_name(0),
        "rows": rows,
        "build_clips_per_second": rates,
        "cuda_against_cpu": statistics.median(rates["cuda"]) / statistics.median(rates["cpu"]),
        "utilisation_percent": {"mean": statistics.mean(busy or [0]), "max": max(busy, default=0)},
        "engine_alone_clips_per_second": engine_rate(open_engine(spec("torch"), "cuda"), archive, 64, 75),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--copies", type=int, default=75)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if torch.cuda.is_available():
        print(json.dumps(compare(arguments.archive, arguments.copies, arguments.rounds), indent=1))
        return
    torch.set_num_threads(1)
    rates = {
        name: engine_rate(open_engine(spec(name), device), arguments.archive, TORCH_FILES, TORCH_COPIES)
        for name, device in (("torch", "torch-cpu"), ("cpu", None))
    }
    print(json.dumps({"device": "no GPU, one thread", "engine_alone_clips_per_second": rates}, indent=1))


if __name__ == "__main__":
    main()
