"""The command line as users run it."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from demo_corpus import ROOT

ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
IMPORTED_ONCE = ["command_line", "cli.main", "numba", "scipy.signal", "scipy.fft", "soundfile", "dask.threaded",
                 "sklearn.metrics", "torch._dynamo", "models.training"]  # fmt: skip
"""What commands import, and this module; it is most of the time of a short one."""

_warm = multiprocessing.get_context("forkserver")


def _warmed() -> None:
    """Start the process that imports, unless it runs; it looks for modules where its environment says."""
    _warm.set_forkserver_preload(IMPORTED_ONCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, [ROOT, ROOT / "tests"])))
        multiprocessing.forkserver.ensure_running()


def featurestore(
    *arguments: object, store: Path | None = None, folder: Path = ROOT, environment: Mapping[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, which is forked from one that has imported the libraries."""
    words = [str(argument) for argument in arguments]
    environment = {**environment, **({"FEATURESTORE_HOME": str(store)} if store else {})}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        paths = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (out, err)]
        _warmed()
        process = _warm.Process(target=_run, args=(words, folder, environment, paths))
        process.start()
        process.join(240)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(words, 240)
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(words, process.exitcode, out.read(), err.read())
    if "the package torch is not installed" in done.stderr:
        pytest.importorskip("torch")
    return done


def called(function: Callable[..., Any], *arguments: object, folder: Path) -> Any:
    """Return what a function returns, called in such a process, in a folder that has a store."""
    receiver, sender = _warm.Pipe(duplex=False)
    environment = {**ENVIRONMENT, "FEATURESTORE_HOME": str(folder / "store")}
    _warmed()
    process = _warm.Process(target=_call, args=(sender, function, arguments, folder, environment))
    process.start()
    sender.close()
    try:
        return receiver.recv()  # EOFError, after its traceback, if the function raises
    finally:
        process.join()


def _call(sender: Any, function: Callable[..., Any], arguments: Any, folder: Path, environment: Any) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    sender.send(function(*arguments))


def _run(words: list[str], folder: Path, environment: dict[str, str], paths: list[str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(folder / place) for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    for number, path in enumerate([os.devnull, *paths]):
        handle = os.open(path, os.O_RDWR)
        os.dup2(handle, number)
        os.close(handle)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    sys.argv = ["featurestore", *words]
    try:
        runpy.run_module("cli", run_name="__main__")
    finally:
        atexit._run_exitfuncs()


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the single line that an expected error prints."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
