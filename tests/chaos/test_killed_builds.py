"""A build that is killed at any moment is finished by the same command, with the same digest and nothing left over."""

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

KILLS, COPIES = (6, 60) if LONG else (3, 25)


def start(store: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "cli", "build", "demo", "--augment", str(COPIES), "--jobs", "2", "--json"]
    return subprocess.Popen(
        [*arguments, "--store", str(store)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=answer_ctrl_c,
    )


def answer_ctrl_c() -> None:
    """Undo what a shell does to jobs in the background: they ignore Ctrl-C, and so would their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return dict(json.loads(output))


def descendants_alive(session: int) -> list[int]:
    """Return the processes of a session that still live."""
    alive = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                alive.append(int(entry.name))
    return alive


def killed(store: Path, after: float, *, whole_tree: bool) -> None:
    """Start a build and kill it after so many seconds; then all its processes must end by themselves."""
    process = start(store)
    time.sleep(after)
    if whole_tree:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate(timeout=200)
    patience = time.monotonic() + 120
    while descendants_alive(process.pid) and time.monotonic() < patience:
        time.sleep(0.1)
    assert descendants_alive(process.pid) == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for left processes")
def test_a_build_killed_at_random_moments_ends_with_the_digest_of_an_undisturbed_one(tmp_path):
    undisturbed = finish(start(tmp_path / "whole"))
    moments = random.Random(20_05)

    for number in range(KILLS):
        killed(tmp_path / "killed", moments.uniform(0.3, 5.0), whole_tree=number % 2 == 0)
    report = finish(start(tmp_path / "killed"))

    store = open_store(tmp_path / "killed")
    assert report["digest"] == undisturbed["digest"]
    assert verify(store).damaged == []
    assert list((tmp_path / "killed" / "tmp").iterdir()) == []
    kept = {key: size for key, size in store.storage.walk() if not key.startswith("refs/")}
    whole = {key: size for key, size in open_store(tmp_path / "whole").storage.walk() if not key.startswith("refs/")}
    assert kept == whole


def test_ctrl_c_ends_a_build_with_exit_code_130_and_it_can_go_on(tmp_path):
    process = start(tmp_path / "store")
    patience = time.monotonic() + 120
    while not (tmp_path / "store" / "shards").exists() and time.monotonic() < patience:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=200)

    assert process.returncode == 130
    assert list((tmp_path / "store" / "tmp").iterdir()) == []
    assert finish(start(tmp_path / "store"))["digest"]
