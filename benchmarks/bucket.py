"""Rows a second of an epoch in block-wise order, from a folder and from a bucket on loopback, in interleaved rounds.

    python benchmarks/bucket.py download.zip [--copies 15] [--rounds 3] [--delay 0.03]

Readers are those of training without a model: batches of 32, padded, made by a thread. Of each store:
`new` is the first epoch of a new reader (checksums are compared), `later` the second. `bucket, first pass` begins with
an empty cache. `link` is the same objects by plain requests, six at a time: no first pass can be faster. `delayed` is
with a proxy that answers each request so many seconds later. `cpu` is the seconds of processor time of this
process for 1,000 rows, which says more than the clock on a busy machine. Needs featurestore[test].
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from bucket_server import BUCKET, running_server  # noqa: E402
from building import build  # noqa: E402

from featurestore.shards.record import data_key  # noqa: E402
from featurestore.storage import open_storage  # noqa: E402
from featurestore.storage.bucket_requests import Requests  # noqa: E402
from featurestore.store import open_store  # noqa: E402
from featurestore.view import DatasetView  # noqa: E402
from models.batches.loader import PadCollate, ViewDataset, ahead, batches  # noqa: E402
from models.batches.samplers import make_sampler  # noqa: E402
from models.training_spec import TrainingSpec  # noqa: E402

PLACE = f"s3://{BUCKET}/benchmark/store"
SPEC = TrainingSpec.from_dict({"residence": "none", "shuffle": "blocks", "batch_size": 32})
PROXY = """
import sys, time
sys.path.insert(0, sys.argv[1])
import faulty_proxy
faulty_proxy.DELAY = float(sys.argv[3])
with faulty_proxy.faulty(sys.argv[2], 1.0, ("slow",)) as proxy:
    print(proxy.address, flush=True)
    sys.stdin.read()
"""


@contextmanager
def delayed(server: str, seconds: float) -> Iterator[str]:
    """Run a proxy in a process of its own; yield its address."""
    command = [sys.executable, "-c", PROXY, str(ROOT / "tests"), server, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate("", timeout=60)


def copied(folder: Path) -> None:
    """Copy what is read of a store in a folder into the bucket."""
    near, far = open_storage(folder), open_storage(PLACE)
    for key, _ in near.walk():
        if not key.startswith("sources/") and "/" in key:
            (far.replace if key.startswith("refs/") else far.put_if_absent)(key, near.get(key))


def epoch(view: DatasetView, number: int) -> dict[str, float]:
    """Return rows a second and processor seconds for 1,000 rows of one epoch."""
    data = ViewDataset(view, view.classes)
    sampler = make_sampler(data, SPEC)
    sampler.set_epoch(number)
    order = list(sampler)
    begun, used = time.perf_counter(), time.process_time()
    data.expect(row for batch in order for row in batch)
    with closing(ahead(batches(data, order, PadCollate()))) as feed:
        rows = sum(len(batch.labels) for batch in feed)
    passed, used = time.perf_counter() - begun, time.process_time() - used
    return {"rows_per_second": rows / passed, "cpu": 1000 * used / rows}


def opened(store: str) -> DatasetView:
    """Return the training side, by a new reader."""
    return open_store(store).view("emodb").split("mathworks")[0]


def link() -> dict[str, float]:
    """Return rows a second of fetching the training side's data objects by plain requests."""
    view, requests = opened(PLACE), Requests(PLACE)
    keys = [data_key(view._shards[number].record.address) for number in sorted(set(view.shards.tolist()))]
    begun, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda key: requests.get(key, 2**40), keys))
    passed, used = time.perf_counter() - begun, time.process_time() - used
    return {"rows_per_second": len(view) / passed, "cpu": 1000 * used / len(view)}


def measure(folder: Path, near: str, server: str, delay: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the figures of each reader in each round."""
    figures: dict[str, dict[str, list[float]]] = {}

    def note(name: str, found: dict[str, float]) -> None:
        for what, value in found.items():
            figures.setdefault(name, {}).setdefault(what, []).append(value)

    def pair(name: str, store: str) -> None:
        view = opened(store)
        note(f"{name}, new", epoch(view, 1))
        note(f"{name}, later", epoch(view, 2))

    def emptied(address: str) -> None:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        os.environ["AWS_ENDPOINT_URL"] = address

    with delayed(server, delay) as slow:
        for _ in range(rounds):
            for place, address in (("bucket", server), ("bucket, delayed", slow)):
                emptied(address)
                note(f"{place}, first pass", epoch(opened(PLACE), 1))
                note(f"{place}, link", link())
                os.environ["AWS_ENDPOINT_URL"] = address
                for _ in range(2):
                    pair("folder", near)
                    pair(f"{place}, cached", PLACE)
    return figures


def against(figures: dict[str, dict[str, list[float]]], what: str, better: Callable[[float, float], float]) -> None:
    """Print the median of each reader and its ratio to the folder's."""
    for name, values in figures.items():
        reference = figures["folder, new" if name.endswith(("new", "pass", "link")) else "folder, later"][what]
        found = statistics.median(values[what])
        print(f"{name:30} {what} {found:10,.3f}   {better(found, statistics.median(reference)):5.2f} of the folder's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--copies", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.03, help="seconds")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_REGION": "us-east-1",
    }
    with tempfile.TemporaryDirectory() as scratch, running_server() as server:
        folder = Path(scratch)
        os.environ |= {"AWS_ENDPOINT_URL": server, "FEATURESTORE_CACHE": str(folder / "cache")}
        build(arguments.archive, folder / "near", copies=arguments.copies)
        copied(folder / "near")
        figures = measure(folder, str(folder / "near"), server, arguments.delay, arguments.rounds)
    for what, better in (("rows_per_second", lambda a, b: a / b), ("cpu", lambda a, b: b / a)):
        against(figures, what, better)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
