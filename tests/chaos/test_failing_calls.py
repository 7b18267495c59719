"""System calls of real commands that fail, one after the other: one line, and the same tree after a second run."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import featurestore
from demo_corpus import ROOT
from scale import LONG
from tiny_corpus import write_corpus

CALLS = {
    "open": (errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE),
    "create": (errno.EIO, errno.EACCES, errno.ENOSPC, errno.EMFILE),
    "read": (errno.EIO, errno.ESTALE, errno.EINTR),
    "write": (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR),
    "fsync": (errno.EIO, errno.EDQUOT),
    "sync": (errno.EIO, errno.EINVAL),
    "link": (errno.EIO, errno.EACCES, errno.EPERM, errno.ENOSPC),
    "rename": (errno.EIO, errno.EACCES, errno.ESTALE),
    "unlink": (errno.EIO, errno.EACCES),
    "mkdir": (errno.EIO, errno.ENOSPC, errno.EACCES),
    "flock": (errno.EINTR, errno.ENOLCK, errno.EIO),
}
COMMANDS = {
    "build": ("build", "{folder}.toml", "--source", "{folder}", "--set", "mels=16", "--augment", "2", "--jobs", "1"),
    "grow": ("build", "{folder}.toml", "--source", "{folder}", "--set", "mels=16", "--augment", "3", "--jobs", "1"),
    "collect": ("gc", "--delete", "--grace", "0"),
    "repair": ("repair",),
    "verify": ("verify",),
    "forget": ("forget", "tiny"),
    "train": (
        "train",
        "tiny",
        "--model",
        "etienne-cnn-blstm",
        "--set",
        "model.hidden=4",
        "--set",
        "model.convolutions=1",
        "--epochs",
        "2",
        "--batch-size",
        "4",
        "--device",
        "cpu",
        "--run",
        "{store}/../run",
    ),
    "resume": ("train", "--resume", "{store}/../run"),
    "export": ("export", "tiny", "--to", "hdf5", "--out", "{store}/../out.h5"),
}
ON_A_STORE = ("grow", "collect", "repair", "verify", "forget", "train", "export")
SAMPLE = 5
"""Runs of the short version."""
MOST = 40
"""Calls of one kind that are let fail in one command, of the long version."""
CODES = (0, 1, 3, 4)
FIGURES = (".svg", ".png")

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc to make what is preloaded")


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("shim") / "failing_calls.so"
    source = Path(__file__).with_name("failing_calls.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"], check=True)
    return made


def run(place: Path, command: str, **failing: object) -> subprocess.CompletedProcess[str]:
    """Run a command on the store in a place, perhaps with a call that fails."""
    words = {"folder": place.parent / "tiny", "store": place / "store"}
    arguments = [*(word.format(**words) for word in COMMANDS[command]), "--store", str(place / "store")]
    if not failing:
        return featurestore(*arguments)
    return subprocess.run(  # what is preloaded has to be there before the first import
        [sys.executable, "-m", "cli", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=280,
        env={**os.environ, "NO_COLOR": "1", **{name: str(value) for name, value in failing.items()}},
    )  # fmt: skip


def tree(place: Path) -> dict[str, int]:
    """Every file with its size, but for the files of a run, in which times stand."""
    files = [path.relative_to(place) for path in place.rglob("*") if path.is_file()]
    return {file.as_posix(): 0 if file.parts[0] == "run" else (place / file).stat().st_size for file in files}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with a corpus, and a place whose store holds a dataset of it."""
    place = tmp_path_factory.mktemp("failing")
    write_corpus(place / "tiny", range(1, 7))
    (place / "before").mkdir()
    assert run(place / "before", "build").returncode == 0
    return place


def attacks() -> Iterator[tuple[str, str, int, int]]:
    """All (command, call, error, number) of the long version, or some of them."""
    chances = random.Random(12)
    commands = [command for command in COMMANDS if command != "resume"]
    every = [(command, call, error) for command in commands for call, errors in CALLS.items() for error in errors]
    if LONG:
        yield from ((*one, number) for one in every for number in range(1, MOST + 1))
    else:
        yield from ((*one, chances.randint(1, 6)) for one in chances.sample(every, SAMPLE))


def attack(prepared: Path, shim: Path, command: str, call: str, error: int, number: int) -> bool:
    """Let one call of a command fail, check what it says, and run it again; tell whether there was such a call."""
    place = prepared / "place"
    shutil.rmtree(place, ignore_errors=True)
    if command in ON_A_STORE:
        shutil.copytree(prepared / "before", place)
    else:
        place.mkdir()
    report = prepared / "failed"
    report.unlink(missing_ok=True)

    first = run(place, command, LD_PRELOAD=shim, FAILING_CALL=call, FAILING_NUMBER=number, FAILING_ERRNO=error,
                FAILING_BELOW=place, FAILING_REPORT=report)  # fmt: skip

    told = f"{command}: {call} {number} fails with {errno.errorcode[error]}: {first.returncode}\n{first.stderr}"
    assert first.returncode in CODES, told
    assert "Traceback" not in first.stderr, told
    assert first.returncode in (0, 3, 4) or "error: " in first.stderr, told
    if first.returncode or command != "forget":
        begun = (place / "run" / "config.json").exists()
        second = run(place, "resume" if begun else command)
        assert second.returncode == 0 or command == "forget", f"{told}\nagain: {second.returncode}\n{second.stderr}"
    wanted = expected(prepared, command)
    if "plots could not be drawn" in first.stderr:  # told, and `report` draws them
        wanted = {
            file: size for file, size in wanted.items() if Path(file).suffix not in FIGURES or file in tree(place)
        }
    assert tree(place) == wanted, told
    return report.exists()


_expected: dict[str, dict[str, int]] = {}


def expected(prepared: Path, command: str) -> dict[str, int]:
    """The files that an undisturbed command leaves."""
    if command not in _expected:
        place = prepared / f"undisturbed {command}"
        if command in ON_A_STORE:
            shutil.copytree(prepared / "before", place)
        else:
            place.mkdir()
        assert run(place, command).returncode == 0
        _expected[command] = tree(place)
    return _expected[command]


@pytest.mark.slow
@pytest.mark.timeout(30_000 if LONG else 1_000)
def test_a_command_whose_system_call_fails_says_so_in_a_line_and_a_second_run_gives_the_same_tree(prepared, shim):
    over: set[tuple[str, str, int]] = set()
    failed = 0
    for command, call, error, number in attacks():
        if (command, call, error) not in over:
            reached = attack(prepared, shim, command, call, error, number)
            failed += reached
            if not reached:
                over.add((command, call, error))
    assert failed > 0


@pytest.mark.parametrize(("call", "error"), [("sync", errno.EINVAL), ("flock", errno.ENOLCK), ("link", errno.EPERM)])
def test_a_file_system_without_synced_folders_locks_or_links_holds_a_store(prepared, shim, call, error):
    place = prepared / f"without {call}"
    place.mkdir()

    done = run(place, "build", LD_PRELOAD=shim, FAILING_CALL=call, FAILING_NUMBER=-1, FAILING_ERRNO=error,
               FAILING_BELOW=place, FAILING_REPORT=prepared / f"{call} failed")  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (prepared / f"{call} failed").exists()
    assert tree(place) == expected(prepared, "build")
