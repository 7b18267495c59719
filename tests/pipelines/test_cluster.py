"""Local workers: they start in the background, share what is imported once, and leave nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipelines.cluster import Workers


def number_of_threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


def note(folder: Path) -> None:
    (folder / str(os.getpid())).touch()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_workers_that_started_in_the_background_ran_their_preparation_and_take_tasks(tmp_path):
    with Workers(2) as workers:
        workers.start(lambda: note(tmp_path))
        client = workers.client(tasks=5)

        assert client.submit(sum, [1, 2]).result() == 3
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
        until = time.monotonic() + 30
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for left processes")
def test_no_worker_is_left_after_the_end(tmp_path):
    with Workers(2) as workers:
        pids = workers.client(tasks=2).run(os.getpid)

    until = time.monotonic() + 30
    while any(map(running, pids.values())) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(pids) == 2
    assert not any(map(running, pids.values()))


def test_few_tasks_start_few_workers():
    with Workers(8) as workers:
        assert len(workers.client(tasks=1).scheduler_info(n_workers=-1)["workers"]) == 1


def test_a_worker_uses_one_native_thread_and_the_caller_keeps_its_own_setting(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    with Workers(1) as workers:
        assert workers.client(tasks=1).submit(number_of_threads).result() == "1"
    assert "OMP_NUM_THREADS" not in os.environ


def test_workers_can_be_used_again_after_their_end():
    workers = Workers(1)
    for _ in range(2):
        with workers:
            assert workers.client(tasks=1).submit(abs, -1).result() == 1
