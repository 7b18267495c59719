"""Builds on a cluster whose workers and scheduler are killed: same store, and no row written twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bucket_server
import pytest
from cluster_machines import Cluster, Machine, certificates, machines
from command_line import featurestore
from demo_corpus import ROOT
from scale import LONG
from tiny_corpus import write_corpus

from featurestore.integrity.verify import verify
from featurestore.store import open_store

NAMES = ("client", "scheduler", "storage", "node1", "node2", "node3")
BUILDS = {"folder": 8, "bucket": 1} if LONG else {"folder": 1, "bucket": 0}
EVENTS = 6
"""Times that something is killed in a build of the long run."""
COPIES, TONES = (24, 320) if LONG else (10, 160)
MOST_RUNS = 5
"""Runs of the command that a build may take: one that gives up names the next."""
PATIENCE = 300

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]


@dataclass
class Chaos:
    """What is killed at which moment of a build, and what was counted."""

    cluster: Cluster
    log: Path
    counts: Counter[str] = field(default_factory=Counter)

    def start_worker(self, machine: Machine) -> None:
        self.cluster.start_worker(machine, "--preload", str(ROOT / "tests/chaos/counted_rows.py"))

    def start(self) -> None:
        self.cluster.start_scheduler()
        for machine in self.cluster.workers:
            self.start_worker(machine)

    def kill(self, *killed: Machine) -> None:
        """Kill machines' processes, with the scheduler all workers too, and start them again."""
        scheduler, workers = self.cluster.scheduler, self.cluster.workers
        if scheduler in killed:
            killed = (scheduler, *workers)
        for machine in killed:
            self.counts["schedulers killed" if machine is scheduler else "workers killed"] += 1
            machine.kill()
        if scheduler in killed:
            self.start()
        else:
            for machine in killed:
                self.start_worker(machine)

    def noted(self) -> list[tuple[str, str, int]]:
        """What workers have done, in turn: what, which shard, how many rows."""
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [(what, address, int(rows)) for what, address, rows in lines]

    def build(self, source: Path, store: str, moments: list[tuple[int, list[Machine]]]) -> dict[str, object]:
        """Build to the end while machines are killed, each list of them once so many more shards are computed."""
        self.counts["builds"] += 1
        self.log.unlink(missing_ok=True)
        for _ in range(MOST_RUNS):
            command = self.cluster.command(
                *("build", source.with_suffix(".toml"), "--source", source, "--augment", COPIES, "--json"),
                *("--store", store, "--scheduler", self.cluster.address),
            )
            self.counts["runs"] += 1
            before = len(self.noted())
            while command.poll() is None and moments:
                if len(self.noted()) - before >= moments[0][0]:
                    self.kill(*moments.pop(0)[1])
                    before = len(self.noted())
                time.sleep(0.01)
            output, errors = _end(command)
            sys.stderr.write(f"{time.strftime('%X')} run ended with {command.returncode}: {errors}\n")
            if command.returncode == 0:
                return dict(json.loads(output))
            last = errors.splitlines()[-1]
            assert last.startswith("error:"), errors
            assert "run the same command again" in last, errors
            self.counts["runs that ended with how to go on"] += 1
        raise AssertionError(errors)

    def count_rows(self) -> Counter[str]:
        """Count rows that were computed more than once, and those of them that had been written; forget them."""
        found: Counter[str] = Counter()
        for what in ("computed", "written"):
            times = Counter((address, rows) for kind, address, rows in self.noted() if kind == what)
            found[f"{what} again"] = sum(rows * (count - 1) for (_, rows), count in times.items())
            found[what] = sum(rows for _, rows in times)
        self.counts.update({f"rows {what}": number for what, number in found.items()})
        sys.stderr.write(f"{json.dumps(self.counts)}\n")  # so far; seen with -s
        return found


def _end(command: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end of a command, and return what it printed; a failure that shows it if that takes too long."""
    try:
        return command.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        command.kill()
        raise AssertionError("the command does not end: " + " ".join(command.communicate())) from None


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "tiny", range(1, TONES + 1))


@pytest.fixture(scope="module")
def undisturbed(source, tmp_path_factory) -> tuple[str, dict[str, int]]:
    """Digest and files of a local build without kills."""
    place = tmp_path_factory.mktemp("undisturbed") / "store"
    words = ("build", source.with_suffix(".toml"), "--source", source, "--augment", COPIES, "--json")
    return json.loads(featurestore(*words, "--store", place).stdout)["digest"], contents(place)


@pytest.fixture(scope="module")
def chaos(tmp_path_factory) -> Iterator[Chaos]:
    """A cluster of machines, and a bucket on another of them."""
    place = tmp_path_factory.mktemp("cluster")
    log = place / "counted-rows"
    environment = {**certificates(place / "certificates"), "FEATURESTORE_COUNTED_ROWS": str(log)}
    with machines(place / "machines", NAMES, environment) as (client, scheduler, storage, *workers):
        pipe = subprocess.PIPE
        words = ("-W", "ignore", "-c", bucket_server.SERVER, storage.address)
        if BUILDS["bucket"]:
            answer = storage.start(*words, stdin=pipe, stdout=pipe).stdout
            assert answer is not None
            address = answer.readline().strip()
            for machine in (client, *workers):
                machine.environment.update(bucket_server.settings(address, machine.folder / "cache"))
        chaos = Chaos(Cluster(client, scheduler, workers), log)
        chaos.start()
        yield chaos


def contents(store: Path) -> dict[str, int]:
    """Every file of a store with its size, temporary ones too."""
    return {path.relative_to(store).as_posix(): path.stat().st_size for path in store.rglob("*") if path.is_file()}


def moments(cluster: Cluster, seed: int) -> list[tuple[int, list[Machine]]]:
    """When what is killed: one worker, or all of them, or the scheduler; in a short run one and then the scheduler."""
    if not LONG:
        return [(1, cluster.workers[:1]), (1, [cluster.scheduler])]
    drawn = random.Random(seed)
    some = [cluster.workers, [cluster.scheduler], *([one] for one in cluster.workers)]
    kinds = [drawn.choice(some) for _ in range(EVENTS)]
    return [(drawn.randrange(5), kind) for kind in kinds]


@pytest.mark.parametrize("number", range(BUILDS["folder"]))
def test_a_build_whose_workers_and_scheduler_are_killed_ends_as_an_undisturbed_one(
    chaos, source, undisturbed, tmp_path, number
):
    digest, files = undisturbed

    report = chaos.build(source, str(tmp_path / "store"), moments(chaos.cluster, number))

    assert report["digest"] == digest
    assert contents(tmp_path / "store") == files
    assert verify(open_store(tmp_path / "store")).damaged == []
    assert chaos.count_rows()["written again"] == 0


@pytest.mark.parametrize("number", range(BUILDS["bucket"]))
def test_a_build_in_a_bucket_whose_workers_and_scheduler_are_killed_has_the_same_digest(
    chaos, source, undisturbed, number
):
    place = f"s3://{bucket_server.BUCKET}/store{number}"

    report = chaos.build(source, place, moments(chaos.cluster, 100 + number)[:2])

    assert report["digest"] == undisturbed[0]
    checked = chaos.cluster.command("verify", "--store", place)
    assert "no damage" in checked.communicate(timeout=PATIENCE)[0]
    assert chaos.count_rows()["written again"] == 0
