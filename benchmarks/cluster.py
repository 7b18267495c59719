"""Processor time of a build on a Dask cluster of this machine against that of the local path, in interleaved pairs.

    python benchmarks/cluster.py --source download.zip

A pair is one local build and one by a scheduler and workers that run already, as a group's cluster does, each into a
new store. Counted are the user and system time of all processes of either: of the command and the workers that it
forks, or of the command, the scheduler and the workers from before the build to its end. What starting the cluster
took, and its first build, in which workers import what they need, are printed apart. Scheduler and workers have the
settings of docs/examples/cluster/dask.yaml, or Dask's with --default-settings.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

JOBS = 2
SETTINGS = Path(__file__).resolve().parent.parent / "docs" / "examples" / "cluster" / "dask.yaml"
TICKS = os.sysconf("SC_CLK_TCK")


def used(pids: list[int]) -> float:
    """Return the processor seconds that processes and their ended children have used so far."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(sum(map(int, one[11:15])) for one in fields) / TICKS


def build(place: Path, source: Path, copies: int, *options: str) -> tuple[float, str]:
    """Build into a new store; return the processor seconds of the command and its children, and the digest."""
    store = place / "store"
    words = ["build", "emodb", "--source", str(source), "--augment", str(copies), "--store", str(store), *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "cli", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(store)
    found = re.search(r"digest (\w+)", done.stdout)
    assert found is not None, done.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, found[1]


def start(place: Path, settings: dict[str, str]) -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Start a scheduler and its workers; return its address and all processes."""
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | settings}
    file = place / "scheduler.json"
    own = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen([*dask, "scheduler", "--port", "0", *own], cwd=place, **quiet)]
    worker = [*dask, "worker", *own, "--nthreads", "1", "--no-nanny"]
    while not file.exists():
        time.sleep(0.1)
    processes += [subprocess.Popen(worker, cwd=place, **quiet) for _ in range(JOBS)]
    from distributed import Client

    with Client(scheduler_file=str(file)) as client:
        client.wait_for_workers(JOBS)
        return client.scheduler.address, processes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="Emo-DB's download.zip")
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--default-settings", action="store_true", help="leave Dask's settings as they are")
    options = parser.parse_args()
    source = options.source.absolute()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        build(place, source, options.copies, "--jobs", str(JOBS))  # compiles what is not yet
        address, processes = start(place, {} if options.default_settings else {"DASK_CONFIG": str(SETTINGS)})
        try:
            pids = [process.pid for process in processes]
            print(f"starting {JOBS} workers and a scheduler: {used(pids):.1f} s", flush=True)
            pairs, digests = [], set()
            for number in range(options.pairs + 1):
                local, first = build(place, source, options.copies, "--jobs", str(JOBS))
                before = [used([pid]) for pid in pids]
                command, second = build(place, source, options.copies, "--scheduler", address)
                scheduler, *workers = (used([pid]) - then for pid, then in zip(pids, before, strict=True))
                cluster = command + scheduler + sum(workers)
                digests |= {first, second}
                what = f"pair {number}" if number else "first build of the cluster's workers"
                share = f"{cluster / local:.2f} times local (command {command:.1f}, scheduler {scheduler:.1f})"
                print(f"{what}: local {local:.1f} s, cluster {cluster:.1f} s, {share}", flush=True)
                pairs += [(local, cluster)] * bool(number)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert len(digests) == 1, digests
    ratio = statistics.median(cluster / local for local, cluster in pairs)
    print(f"median of {len(pairs)} pairs: {ratio:.2f} times the processor time of the local path; one digest")


if __name__ == "__main__":
    main()
