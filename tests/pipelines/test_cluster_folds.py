"""Folds on a cluster: the result of a local run, though a worker dies; those that may not train are left out."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from distributed import Client, LocalCluster
from test_cluster import worker
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import BuildError, SpecError
from featurestore.store import open_store
from pipelines.experiments import crossval, tune
from pipelines.experiments.cluster_folds import train_here
from pipelines.experiments.listener import Silent

TIMES = ("seconds", "clips_per_second", "run")
PATIENCE = 120
EPOCHS = 10


SEARCH = """
title = "Two folds of tones"
[dataset]
corpus = "{}"
policy = "none"
[split]
name = "loso"
first_folds = 2
[model]
name = "keren-baseline"
[training]
epochs = 1
[tune]
learning_rate = {{ low = 0.0001, high = 0.1, log = true }}
"""


class Notices(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a store of tones by three speakers."""
    folder = tmp_path_factory.mktemp("folds")
    build_here(open_store(folder / "store"), write_corpus(folder / "tiny", range(1, 13)), recipe(0))
    return folder


def folds(place: Path, run: str, **how: Any) -> dict[str, object]:
    """Cross-validate; return what is neither a place nor a time."""
    settings: dict[str, Any] = {
        "split": "loso",
        "model": "keren-baseline",
        "epochs": EPOCHS,
        "settings": ("patience=0",),
    }
    found = crossval("tiny", store=place / "store", folder=place / run, device="cpu", **settings, **how)
    ended = [{name: value for name, value in fold.items() if name not in TIMES} for fold in found["folds"]]
    return {**found, "run": "", "folds": ended}


def kill_one_that_trains(scheduler: str, run: Path, killed: list[str]) -> None:
    """Kill a worker as soon as a fold has begun on it, and note its address."""
    with Client(scheduler) as client:
        pids = client.run(os.getpid)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not killed:
            if any(not (begun.parent / "summary.json").exists() for begun in run.glob("fold-*/config.json")):
                busy = [address for address, keys in client.processing().items() if any("train" in key for key in keys)]
                for address in busy[:1]:
                    os.kill(pids[address], signal.SIGKILL)
                    killed.append(address)
            time.sleep(0.005)


def test_folds_on_a_cluster_give_the_local_result_though_a_worker_dies_and_another_may_not_train(place, cluster):
    killed, told = list[str](), Notices()
    killer = threading.Thread(target=kill_one_that_trains, args=(cluster, place / "killed", killed))

    with worker(cluster, nthreads=2), Client(cluster) as client:
        client.wait_for_workers(3, timeout=PATIENCE)
        killer.start()
        try:
            found = folds(place, "killed", scheduler=cluster, listener=told)
        finally:
            killer.join()

    assert found == folds(place, "alone")
    assert len(killed) == 1
    (line,) = [line for line in told.lines if "left out" in line]
    assert "it has 2 threads, but a process trains one fold at a time: start it with '--nthreads 1'" in line


def test_where_no_worker_may_train_one_line_says_how_to_go_on(place, monkeypatch):
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50) as empty:
        address = empty.scheduler_address
        monkeypatch.setattr("pipelines.workers.cluster_workers.WORKER_PATIENCE", 1)
        with pytest.raises(BuildError) as raised:
            folds(place, "nobody", scheduler=address)

    assert str(raised.value).endswith(
        f"start workers, then resume with 'featurestore crossval --resume {place}/nobody --scheduler {address}'."
    )


def test_a_search_whose_folds_a_cluster_trains_finds_what_a_local_one_does(place, cluster):
    pytest.importorskip("optuna")
    (place / "search.toml").write_text(SEARCH.format(place / "tiny.toml"))
    where = {"store": place / "store", "source": place / "tiny", "trials": 1, "device": "cpu"}

    alone = tune(str(place / "search.toml"), folder=place / "search", **where)
    found = tune(str(place / "search.toml"), folder=place / "search-on-cluster", scheduler=cluster, **where)

    assert found["trials"] == alone["trials"]
    with pytest.raises(SpecError, match=r"split 'shuffled' has none.* Leave it out, or give a split with folds"):
        tune(str(place / "search.toml"), folder=place / "other", split="shuffled", scheduler=cluster, **where)


def endless(folder: Path, progress: Silent) -> None:
    """Train until that ends it."""
    (folder / "begun").touch()
    try:
        while True:
            progress.step(None)
            time.sleep(0.01)
    finally:
        (folder / "ended").touch()


def test_a_training_that_nobody_waits_for_ends(tmp_path, cluster):
    with Client(cluster) as client:
        training = client.submit(train_here, endless, tmp_path)
        await_file(tmp_path / "begun")
        assert not (tmp_path / "ended").exists()
        training.cancel()
        await_file(tmp_path / "ended")


def await_file(path: Path) -> None:
    """Wait for a file."""
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)
