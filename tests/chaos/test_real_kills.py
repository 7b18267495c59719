"""The real command on real Emo-DB, killed with all its processes at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demo_corpus import ROOT
from scale import LONG

from featurestore.integrity.verify import verify
from featurestore.store import open_store

FRESH, COPIES = (34, 4) if LONG else (1, 1)
GROWN = 50
CALM = {**os.environ, "NO_COLOR": "1"}

LONG_ONLY = pytest.mark.skipif(not LONG, reason="takes minutes: make chaos")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3_000),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for left processes"),
]


def start(store: Path, source: Path, copies: int) -> subprocess.Popen[str]:
    arguments = ["build", "emodb", "--augment", str(copies), "--source", str(source), "--jobs", "2", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments, "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=CALM,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> dict[str, object]:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return dict(json.loads(output))


def alive_in(session: int) -> list[int]:
    alive = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[3]) == session and fields[0] != "Z":
            alive.append(int(entry.name))
    return alive


def kill_at(store: Path, source: Path, copies: int, seconds: float) -> bool:
    """Start a build and kill every process of it at once after some seconds; tell if it had not ended before."""
    process = start(store, source, copies)
    killed = False
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        killed = True
    process.communicate(timeout=200)
    patience = time.monotonic() + 120
    while alive_in(process.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert alive_in(process.pid) == []
    return killed


def contents(store: Path) -> dict[str, int]:
    """Every file of a store with its size, temporary ones too."""
    return {path.relative_to(store).as_posix(): path.stat().st_size for path in store.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, emodb_zip) -> tuple[dict[str, object], float, Path]:
    """What an undisturbed build reports, how long it takes, and its store."""
    place = tmp_path_factory.mktemp("emodb") / "store"
    begun = time.monotonic()
    report = finished(start(place, emodb_zip, COPIES))
    return report, time.monotonic() - begun, place


def test_a_build_killed_again_and_again_ends_with_the_undisturbed_digest(tmp_path, emodb_zip, undisturbed):
    whole, seconds, place = undisturbed
    moments = random.Random(43)

    for number in range(FRESH):
        store = tmp_path / f"store{number}"
        for _ in range(1 + number % 2):
            while not kill_at(store, emodb_zip, COPIES, moments.uniform(0.2, seconds)):
                subprocess.run(["rm", "-rf", str(store)], check=True)  # it was faster than the one before
                seconds *= 0.9
        report = finished(start(store, emodb_zip, COPIES))

        assert report["digest"] == whole["digest"]
        assert contents(store) == contents(place)
        assert verify(open_store(store)).damaged == []
        subprocess.run(["rm", "-rf", str(store)], check=True)


@LONG_ONLY
def test_a_growing_build_killed_again_and_again_ends_with_the_undisturbed_digest(tmp_path, emodb_zip, undisturbed):
    _, seconds, _ = undisturbed
    moments = random.Random(44)
    finished(start(tmp_path / "whole", emodb_zip, 2))
    subprocess.run(["cp", "-a", str(tmp_path / "whole"), str(tmp_path / "small")], check=True)
    whole = finished(start(tmp_path / "whole", emodb_zip, 6))

    for number in range(GROWN):
        store = tmp_path / f"store{number}"
        subprocess.run(["cp", "-a", str(tmp_path / "small"), str(store)], check=True)
        while not kill_at(store, emodb_zip, 6, moments.uniform(0.2, seconds)):
            subprocess.run(["rm", "-rf", str(store)], check=True)
            subprocess.run(["cp", "-a", str(tmp_path / "small"), str(store)], check=True)
            seconds *= 0.9
        report = finished(start(store, emodb_zip, 6))

        assert report["digest"] == whole["digest"]
        assert contents(store) == contents(tmp_path / "whole")
        assert verify(open_store(store)).damaged == []
        subprocess.run(["rm", "-rf", str(store)], check=True)


@LONG_ONLY
def test_builders_of_emodb_at_once_share_the_work(tmp_path, emodb_zip, undisturbed):
    whole, _, place = undisturbed

    builders = [start(tmp_path / "store", emodb_zip, 4) for _ in range(4)]
    reports = [finished(builder) for builder in builders]

    assert {report["digest"] for report in reports} == {whole["digest"]}
    computed = sum(report["computed"] for report in reports)
    assert 535 * 5 <= computed <= 535 * 5 * 1.1
    assert contents(tmp_path / "store") == contents(place)
