"""Who writes in a store is told by signs of life, in other containers and on other hosts too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo_corpus import ROOT

from featurestore.errors import StoreBusyError
from featurestore.storage import LocalStorage, writers

NAME = "0123456789abcdef" * 2
"""What a lease is called."""
AT_WORK = """
import sys
from pathlib import Path
from featurestore.storage import LocalStorage, writers
writers.BEAT = 0.05
storage = LocalStorage(Path(sys.argv[1]))
with storage.hold(exclusive=False), storage._temporary(b"half", durable=False):
    assert storage.claim(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.read()
"""
CONTAINER = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
NEEDS_NAMESPACES = pytest.mark.skipif(
    subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode != 0
    if Path("/usr/bin/unshare").exists()
    else True,
    reason="needs unshare, and the right to make namespaces",
)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


@contextmanager
def at_work(storage: LocalStorage, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the storage, a lease in it and an unfinished file, perhaps in a container."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", AT_WORK, str(storage.root), NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def waited_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 200
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def left(storage: LocalStorage) -> list[str]:
    """The endings of all names, `half` in place of the number of an unfinished file."""
    endings = (path.name.rpartition(".")[2] for path in (storage.root / "tmp").iterdir())
    return sorted("half" if ending.isdecimal() and ending != NAME else ending for ending in endings)


@pytest.mark.parametrize("before", [(), pytest.param(CONTAINER, marks=NEEDS_NAMESPACES)], ids=["process", "container"])
def test_what_a_living_writer_holds_is_spared_and_free_at_once_when_it_is_killed(storage, before):
    with at_work(storage, *before) as process:
        assert storage.sweep() == 0
        with storage.hold(exclusive=False):
            assert not storage.claim(NAME)
        assert storage.holder(NAME) is not None
        process.kill()
        process.wait()

        assert waited_for(lambda: storage.holder(NAME) is None)
        with storage.hold(exclusive=False):
            assert storage.claim(NAME)
            storage.release(NAME)
        assert storage.sweep() == 2
        assert left(storage) == []


@NEEDS_NAMESPACES
def test_two_containers_with_one_host_name_and_one_process_id_spare_each_other(storage):
    container = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    code = "import sys; from pathlib import Path; from featurestore.storage import LocalStorage as S\n" \
           "print(S(Path(sys.argv[1])).sweep())"  # fmt: skip
    with at_work(storage, *container):
        swept = subprocess.run(
            [*container, sys.executable, "-c", code, str(storage.root)],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip

        assert swept.stdout == "0\n"
        assert left(storage) == [NAME, "alive", "half"]


def test_a_stopped_holder_is_free_after_a_silence_and_goes_on_afterwards(storage, monkeypatch):
    monkeypatch.setattr(writers, "SILENCE", 1.0)
    with at_work(storage) as process:
        assert storage.holder(NAME) is not None
        process.send_signal(signal.SIGSTOP)

        assert waited_for(lambda: storage.holder(NAME) is None)
        storage.sweep()
        process.send_signal(signal.SIGCONT)
        assert waited_for(lambda: left(storage) == ["alive"])


def test_a_writer_of_another_host_is_alive_while_its_sign_changes_and_gone_after_a_silence(storage, monkeypatch):
    monkeypatch.setattr(writers, "SILENCE", 0.5)
    with storage.hold(exclusive=False):
        storage.put_if_absent("tables/" + "0" * 64 + ".json", b"1")
    sign = storage.root / "tmp" / "node7-12-0123456789ab.alive"
    sign.write_bytes(b"of another kernel")
    lease = storage.root / "tmp" / f"lease.{NAME}"
    lease.write_text("node7-12-0123456789ab")
    year = 365 * 86_400

    for ahead in range(10):  # a clock of another host tells nothing
        os.utime(sign, (0, time.time() + year + ahead))
        holder = storage.holder(NAME)
        assert holder is not None
        assert (holder.host, holder.pid) == ("node7", 12)
        time.sleep(0.1)

    assert waited_for(lambda: storage.holder(NAME) is None)
    assert storage.sweep() == 2


@pytest.mark.parametrize("holder", ["othercontainer-7-1", "node7-12-0123456789ab", "", "\xff\0"])
@pytest.mark.parametrize("stamp", [0, 4_000_000_000], ids=["old", "from the future"])
def test_a_lease_whose_holder_has_no_sign_of_life_is_free(storage, holder, stamp):
    (storage.root / "tmp").mkdir(parents=True)
    lease = storage.root / "tmp" / f"lease.{NAME}"
    lease.write_text(holder, encoding="latin-1")
    os.utime(lease, (stamp, stamp))

    assert storage.holder(NAME) is None
    with storage.hold(exclusive=False):
        assert storage.claim(NAME)
        assert not storage.claim(NAME)


def test_a_lease_that_is_held_too_long_is_free_even_if_its_holder_lives(storage, monkeypatch):
    with at_work(storage):
        assert storage.holder(NAME) is not None
        monkeypatch.setattr(writers, "LONGEST_LEASE", 0.05)
        time.sleep(0.1)

        assert storage.holder(NAME) is None


def test_only_files_with_names_of_ours_are_swept(storage):
    (storage.root / "tmp").mkdir(parents=True)
    foreign = ["notes.txt", "my-1-2.0", "lease.mine", "a-b.alive"]
    for name in foreign:
        (storage.root / "tmp" / name).write_text("of the user")

    assert storage.sweep() == 0
    assert sorted(path.name for path in (storage.root / "tmp").iterdir()) == sorted(foreign)


def test_a_fork_has_no_part_in_the_sign_of_its_parent(storage):
    with storage.hold(exclusive=False):
        assert storage.claim(NAME)
        mine = [path.name for path in (storage.root / "tmp").iterdir() if path.suffix == ".alive"]
        child = os.fork()
        if child == 0:
            with LocalStorage(storage.root).hold(exclusive=False):
                signs = [path.name for path in (storage.root / "tmp").iterdir() if path.suffix == ".alive"]
            os._exit(len(signs))
        _, status = os.waitpid(child, 0)

        assert os.WEXITSTATUS(status) == 2
        assert [path.name for path in (storage.root / "tmp").iterdir() if path.suffix == ".alive"] == mine
        assert storage.holder(NAME) is not None


def test_a_folder_that_is_held_alone_is_busy_for_builders_and_none_of_them_waits_in_silence(storage):
    with storage.hold(exclusive=True), pytest.raises(StoreBusyError, match="running gc or repair"):
        storage.hold(exclusive=False).__enter__()
    with storage.hold(exclusive=False), storage.hold(exclusive=False):
        pass
