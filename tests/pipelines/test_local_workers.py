"""Local workers: forked from one warm process, replaced when they die, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from demo_corpus import ROOT

from featurestore.errors import BuildError, UnknownNameError
from featurestore.specs.presets import feature_preset
from pipelines.workers import local_workers
from pipelines.workers.local_workers import LocalWorkers, WorkerDiedError
from pipelines.workers.pool import Workers

NEEDS_PROC = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to look for left processes")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalWorkers]:
    """Workers that several tests share, since each start takes a second."""
    with Workers(2) as workers:
        yield workers.local()


def status(pid: int) -> list[str]:
    """Return the state of a process and its parent; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return []


def has_ended(pid: int) -> bool:
    until = time.monotonic() + 120
    while status(pid)[:1] not in ([], ["Z"]) and time.monotonic() < until:
        time.sleep(0.02)
    return status(pid)[:1] in ([], ["Z"])


def test_what_was_prepared_once_is_found_by_every_worker(tmp_path):
    with Workers(2) as workers:
        workers.prepare(partial(os.mkdir, tmp_path / "made"))
        workers.prepare(partial(os.mkdir, tmp_path / "too late"))
        local = workers.local()

        assert local.ask(os.path.isdir, tmp_path / "made")
        assert not local.ask(os.path.isdir, tmp_path / "too late")


def test_two_threads_get_two_workers_and_the_next_task_finds_one_of_them(local, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(local.ask, Path.write_text, gate, "open")  # until somebody reads
        first = local.ask(os.getpid)
        again = local.ask(os.getpid)
        assert gate.read_text() == "open"
        assert waiting.result() == 4

        assert first == again != os.getpid()


def test_an_error_of_a_task_is_raised_where_it_was_asked_and_the_worker_lives_on(local):
    pid = local.ask(os.getpid)

    with pytest.raises(UnknownNameError, match="unknown feature preset 'none such'"):
        local.ask(feature_preset, "none such")
    assert local.ask(os.getpid) == pid


def test_a_worker_that_dies_is_told_and_replaced(local):
    pid = local.ask(os.getpid)

    with pytest.raises(WorkerDiedError):
        local.ask(os._exit, 0)
    assert local.ask(os.getpid) not in (pid, os.getpid())


@NEEDS_PROC
def test_no_process_is_left_after_the_end_even_of_a_worker_at_work_and_none_starts_any_more():
    with Workers(2) as workers, ThreadPoolExecutor(1) as pool:
        local = workers.local()
        pid = local.ask(os.getpid)
        forker = int(status(pid)[1])
        busy = pool.submit(local.ask, time.sleep, 3600)
        while local._idle:  # until it has its worker
            time.sleep(0.01)
        local.end()  # which does not wait for an hour

        assert isinstance(busy.exception(), WorkerDiedError)
        with pytest.raises(BuildError, match="ended"):
            local.ask(os.getpid)
    assert has_ended(pid)
    assert has_ended(forker)


@NEEDS_PROC
def test_a_worker_that_was_stopped_is_ended_and_replaced(monkeypatch):
    monkeypatch.setattr(local_workers, "LOOK", 0.1)
    with Workers(1) as workers:
        local = workers.local()
        pid = local.ask(os.getpid)

        with pytest.raises(WorkerDiedError):
            local.ask(os.kill, pid, signal.SIGSTOP)
        assert local.ask(os.getpid) != pid


@NEEDS_PROC
def test_workers_end_with_a_caller_that_is_killed(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from pipelines.workers.local_workers import LocalWorkers\n"
        "local = LocalWorkers(); Path(sys.argv[1]).write_text(str(local.ask(os.getpid))); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "pid")], cwd=ROOT, check=False)

    assert has_ended(int((tmp_path / "pid").read_text()))


def test_a_worker_uses_one_native_thread_and_the_caller_keeps_its_own_setting(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    with Workers(1) as workers:
        assert workers.local().ask(os.getenv, "OMP_NUM_THREADS") == "1"
    assert "OMP_NUM_THREADS" not in os.environ


def test_workers_find_the_modules_that_the_caller_finds(tmp_path, monkeypatch):
    (tmp_path / "of_the_user.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    from of_the_user import answer

    workers = Workers(1)
    for _ in range(2):  # after their end they start again
        with workers:
            workers.prepare(partial(os.listdir, tmp_path))
            assert workers.local().ask(answer) == 42
