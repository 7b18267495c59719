"""All benchmarks in interleaved rounds, and the page that tells what came out.

    python benchmarks/run.py --source download.zip [--only build,reading,...] [--rounds 3] [--yardstick FOLDER]

Figures go to docs/performance.json, section by section, and the page docs/performance.md is written from them. Only
ratios of one round are compared: machines drift by a third within an hour. Peers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import building
import reading
import rows
from page import write_page
from subset import WHOLE, unpacked

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
FILES, COPIES = 24, 15
PEERS = {"librosa": "librosa", "audiomentations": "audiomentations", "datasets": "datasets", "lhotse": "lhotse"}
"""Peers by the library that must be there."""
LIBRARIES = ("numpy", "scipy", "numba", "zarr", "dask", "torch", "h5py", "tensorstore")


def peer(python: str, name: str, folder: Path) -> float:
    """Return the seconds that a peer needs for the whole job in two processes, from a part of it."""
    script = [python, str(HERE / f"peer_{name}.py"), str(folder), str(COPIES), "2"]
    single = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
    done = subprocess.run(script, capture_output=True, text=True, check=True, env=os.environ | single)
    return float(done.stdout.split()[-1]) / (FILES * COPIES) * WHOLE


def prototype(yardstick: Path) -> float:
    """Return the seconds that the prototype, already warm, needs for the whole job in two processes."""
    code = (
        "import multiprocessing as mp, prototype as p\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "files, pool = p.subset(), ProcessPoolExecutor(2, mp_context=mp.get_context('fork'))\n"
        "p.run_mp(files[:2], 2, 'float16', pool)\n"
        "print(p.run_mp(files, 75, 'float16', pool) / (len(files) * 75))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=yardstick, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1]) * WHOLE


def peer_versions(python: str) -> dict[str, str]:
    """Return the versions of the peers' libraries that are there, by library."""
    code = (
        "import json, sys, importlib.util as u, importlib.metadata as m\n"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:] if u.find_spec(name)}))\n"
    )
    done = subprocess.run([python, "-c", code, *PEERS.values()], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def build_rounds(
    source: Path, scratch: Path, rounds: int, yardstick: Path | None, peers: list[str], python: str
) -> dict[str, list[float]]:
    """Return the seconds of the whole job for every contender, round by round."""
    unpacked(source, scratch / "corpus", FILES)
    building.fresh(source, scratch / "store", copies=1)  # compiles what is not compiled yet
    contenders: dict[str, Callable[[], float]] = {
        "featurestore, 2 workers": lambda: building.fresh(source, scratch / "store"),
        "featurestore, 1 worker": lambda: building.fresh(source, scratch / "store", jobs=1),
    }
    if yardstick is not None:
        contenders["prototype, 2 processes, warm"] = lambda: prototype(yardstick)
    there = peer_versions(python)
    for name, library in PEERS.items():
        if name in peers and library in there:
            contenders[f"{name}, 2 processes"] = lambda name=name: peer(python, name, scratch / "corpus")  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            seconds[name].append(contender())
    return seconds


def training_rounds(store: Path, rounds: int, clips: int = 640) -> dict[str, list[float]]:
    """Return the rates of both training loops, each round in a process of its own."""
    figures: dict[str, list[float]] = {}
    for _ in range(rounds):
        script = [sys.executable, str(HERE / "training.py"), str(store), "--clips", str(clips)]
        done = subprocess.run(script, capture_output=True, text=True, check=True)
        for name, values in json.loads(done.stdout).items():
            figures.setdefault(name, []).extend(values)
    return figures


def commands(source: Path, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Return the figures of what must be quick or small, round by round."""
    figures: dict[str, list[float]] = {"growth": [], "peak memory": []}
    for _ in range(rounds):
        for name, value in building.small_commands(source, scratch / "store").items():
            figures.setdefault(name, []).append(value)
    figures["growth"].append(building.growth(source, scratch / "growing"))
    figures["peak memory"].append(building.peak_memory(source, scratch / "memory"))
    return figures


def stages(source: Path) -> dict[str, list[float]]:
    """Return the microseconds of each stage of a recording of middle length."""
    rows.warm(rows.FEATURES, rows.POLICY)
    files = rows.recordings(source)
    return {name: [value] for name, value in rows.stages(files[len(files) // 2]).items()}


def scaling(source: Path) -> dict[str, list[float]]:
    """Return rows a second of one process for short, middle and long recordings and for few and many copies."""
    files = rows.recordings(source)
    rows.build(files[:1], 1)  # loads what is compiled
    rates: dict[str, list[float]] = {}
    for length, part in {"shortest eight": files[:8], "middle eight": files[8:16], "longest eight": files[16:]}.items():
        for copies in (5, 25, 75):
            begun = time.perf_counter()
            rows.build(part, copies)
            rates[f"{length}, {copies} copies"] = [len(part) * copies / (time.perf_counter() - begun)]
    return rates


def machine(python: str) -> dict[str, Any]:
    """Describe the machine and the libraries."""
    versions = peer_versions(python)
    for library in sorted(set(LIBRARIES)):
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    model = next((line.split(":")[1].strip() for line in _processor() if line.startswith("model name")), "")
    flags = next((line for line in _processor() if line.startswith("flags")), "").split()
    return {
        "processor": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "vectors": "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "other",
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": dict(sorted(versions.items())),
    }


def _processor() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=os.environ.get("EMODB"), help="Emo-DB's download.zip, or $EMODB")
    parser.add_argument("--only", default="build,reading,training,commands,stages,scaling")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help="which other tools to build with")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has benchmarks/peers.txt")
    parser.add_argument("--yardstick", type=Path, help="folder with prototype.py")
    arguments = parser.parse_args()
    if arguments.source is None:
        parser.error("give Emo-DB's archive with --source or in EMODB")
    source = arguments.source.resolve()
    place = DOCS / "performance.json"
    figures = json.loads(place.read_text()) if place.exists() else {}
    with tempfile.TemporaryDirectory(prefix="featurestore-bench-") as folder:
        scratch = Path(folder)
        sections: dict[str, Callable[[], dict[str, list[float]]]] = {
            "build": lambda: build_rounds(
                source,
                scratch,
                arguments.rounds,
                arguments.yardstick,
                arguments.peers.split(","),
                arguments.peers_python,
            ),
            "reading": lambda: reading.measure(str(scratch / "store"), "emodb", arguments.rounds),
            "training": lambda: training_rounds(scratch / "store", arguments.rounds),
            "commands": lambda: commands(source, scratch, arguments.rounds),
            "stages": lambda: stages(source),
            "scaling": lambda: scaling(source),
        }
        chosen = arguments.only.split(",")
        if {"reading", "training"} & set(chosen):
            building.build(source, scratch / "store")
        for name in chosen:
            measured = sections[name]()
            figures[name] = {key: [float(f"{value:.5g}") for value in values] for key, values in measured.items()}
            figures["machine"] = machine(arguments.peers_python)
            place.write_text(json.dumps(figures, indent=1) + "\n")
            write_page(figures, DOCS / "performance.md")
            for key, values in figures[name].items():
                print(f"{name:10} {key:32} {statistics.median(values):12.4g}", flush=True)


if __name__ == "__main__":
    main()
