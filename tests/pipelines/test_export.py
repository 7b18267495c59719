"""An exported file is whole and right, or there is none and a line says why."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import StorageError
from featurestore.view import DatasetView
from pipelines import exports
from pipelines.exports import FileFormat, export
from pipelines.exports.hdf5 import CarefulFile, in_hdf5, to_hdf5


@pytest.fixture
def view(store, tmp_path) -> DatasetView:
    build_here(store, write_corpus(tmp_path / "tiny", range(1, 7)), recipe(2))
    return store.view("tiny")


class Failing(io.FileIO):
    """A file whose n-th write fails."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(path, "w+")
        self.left = number

    def write(self, data: bytes) -> int:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(data)


def test_every_failing_write_ends_an_export_with_that_error(view, tmp_path):
    failed = 0
    for number in range(1, 10_000):
        with Failing(tmp_path / "x.h5", number) as file:
            errors = []
            try:
                to_hdf5(view, file)
            except OSError as error:
                errors.append(error.errno)
        if not errors:
            break
        failed += errors == [errno.EIO]
    assert failed > 5
    assert in_hdf5(view, tmp_path / "x.h5")


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_an_export_writes_behind_no_link_and_into_no_pipe(view, tmp_path, kind):
    other, part = tmp_path / "thesis.txt", exports._unfinished(tmp_path / "x.h5")
    if kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to(other)
    if kind == "link":
        other.write_text("mine")

    with pytest.raises(StorageError, match="cannot write"):
        export(view, "hdf5", tmp_path / "x.h5")

    assert not (tmp_path / "x.h5").exists()
    assert (other.read_text() == "mine") if kind == "link" else not other.exists()


def test_an_export_that_stands_is_done_and_another_file_is_not_touched(view, tmp_path):
    out = tmp_path / "x.h5"
    assert export(view, "hdf5", out) == len(view)
    before = out.stat()

    assert export(view, "hdf5", out) == len(view)
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(StorageError, match="does not hold this dataset"):
        export(view, "hdf5", tmp_path / "tiny.toml")
    assert (tmp_path / "tiny.toml").stat().st_size > 0


def test_a_wrong_value_is_seen_when_it_is_read_back(view, tmp_path):
    import h5py

    out = tmp_path / "x.h5"
    export(view, "hdf5", out)
    for name, value in (("features", np.float16(7)), ("offsets", 1), ("copies", 9), ("labels", "wrong")):
        with h5py.File(out, "r+") as file:
            old = file[name][3]
            file[name][3] = value
        assert not in_hdf5(view, out)
        with h5py.File(out, "r+") as file:
            file[name][3] = old
    assert in_hdf5(view, out)


def test_a_file_that_does_not_read_as_it_was_written_is_not_kept(view, tmp_path):
    def write_less(_: DatasetView, out: io.FileIO) -> None:
        out.write(b"\x89HDF")

    with pytest.raises(StorageError, match="did not read back as written"):
        exports._publish(view, FileFormat("hdf5", write_less, in_hdf5), tmp_path / "x.h5")
    assert not list(tmp_path.glob("*x.h5*"))


@pytest.mark.parametrize("name", ["x.h5.part", "x.h5.tmp", "x.h5~", ".x.h5.part"])
def test_an_export_touches_no_file_of_the_user_beside_it(view, tmp_path, name):
    (tmp_path / name).write_text("mine")
    export(view, "hdf5", tmp_path / "x.h5")

    assert (tmp_path / name).read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir() if "x.h5" in path.name} == {"x.h5", name}


def test_what_a_killed_export_left_is_written_over(view, tmp_path):
    exports._unfinished(tmp_path / "x.h5").write_bytes(b"\x89HDF")
    export(view, "hdf5", tmp_path / "x.h5")

    assert [path.name for path in tmp_path.iterdir() if "x.h5" in path.name] == ["x.h5"]


def test_a_second_export_to_the_same_place_waits_for_nobody(view, tmp_path):
    with exports._alone(exports._unfinished(tmp_path / "x.h5")), pytest.raises(StorageError, match="another export"):
        export(view, "hdf5", tmp_path / "x.h5")


def test_a_full_disk_is_a_line_and_leaves_nothing(view, tmp_path):
    if not shutil.which("unshare"):
        pytest.skip("needs unshare, of Linux")
    # The small disk is mounted for this one process and what it starts, so that it cannot outlive them.
    script = f"""
        mkdir small && mount -t tmpfs -o size=8k tmpfs small || exit 77
        {sys.executable} -m featurestore export tiny --to hdf5 --out small/x.h5 --store store
        echo "exit code $?, left behind: $(ls small)"
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, errors="replace"
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("needs the right to mount a small disk")
    assert "No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.splitlines()[-1] == "exit code 1, left behind: "


def test_a_careful_file_keeps_the_first_error(tmp_path):
    with Failing(tmp_path / "x", 1) as file:
        careful = CarefulFile(file)
        assert careful.write(b"lost") == 4
        assert careful.write(b"too") == 3
        with pytest.raises(OSError, match="Input/output"):
            careful.check()
