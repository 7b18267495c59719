"""Whole builds as a user starts them, from the start of the process to its end, in scratch stores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")


def command(*arguments: str) -> tuple[float, str]:
    """Run featurestore; return seconds and standard output."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "cli", *arguments], capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, done.stdout


def build(
    archive: Path, store: Path, *, copies: int = 75, jobs: int = 2, side: bool = True
) -> tuple[float, dict[str, Any]]:
    """Build Emo-DB, or the training side alone; return seconds and the report."""
    split = ["--split", "mathworks", "--side", "train"] if side else []
    options = ["--augment", str(copies), *split, "--source", str(archive), "--jobs", str(jobs), "--store", str(store)]
    seconds, output = command("build", "emodb", *options, "--json")
    return seconds, json.loads(output)


def fresh(archive: Path, folder: Path, **options: Any) -> float:
    """Return the seconds of a build into an empty store."""
    shutil.rmtree(folder, ignore_errors=True)
    return build(archive, folder, **options)[0]


def small_commands(archive: Path, store: Path) -> dict[str, float]:
    """Return seconds of what must be quick, in a store that has the training side already."""
    build(archive, store)
    return {"no-op build": build(archive, store)[0], "--help": command("--help")[0]}


def growth(archive: Path, folder: Path) -> float:
    """Return how long 75 -> 100 takes, as a multiple of a build of 25 copies that finds the clean rows standing."""
    shutil.rmtree(folder, ignore_errors=True)
    build(archive, folder, copies=75)
    grown = build(archive, folder, copies=100)[0]
    shutil.rmtree(folder)
    build(archive, folder, copies=0)
    return grown / build(archive, folder, copies=25)[0]


def peak_memory(archive: Path, folder: Path) -> float:
    """Return the largest resident memory of any worker, in megabytes, looked at ten times a second."""
    seen, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            seen.extend(resident(pid) for pid in descendants(os.getpid()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    fresh(archive, folder)
    done.set()
    watcher.join()
    return max(seen) / 1e6


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _text(task).split()):
            found += [child, *descendants(child)]
    return found


def resident(pid: int) -> int:
    return int((_text(Path(f"/proc/{pid}/statm")) or "0 0").split()[1]) * PAGE


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process ended meanwhile
        return ""
