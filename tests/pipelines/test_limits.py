"""Limits of files and recordings: raised by options, in no key, and never outlived by what they once rejected."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_folders import write
from segmented import encoded
from tiny_corpus import tone

from cli.main import run
from featurestore.integrity.verify import recompute
from featurestore.store import open_store
from pipelines.build.rejects import _remember, known_rejects

RATE = 8_000
SHORT = {
    f"{mood}/{number}.wav": tone(number) for mood, *numbers in (("calm", 1, 2), ("joy", 3, 4)) for number in numbers
}


def long_sound(seconds: int = 620) -> np.ndarray:
    return np.random.default_rng(0).integers(-900, 900, seconds * RATE).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("takes") / "takes"
    return write(place, {**SHORT, "joy/talk.wav": encoded(long_sound(), rate=RATE)})


@pytest.fixture
def build(tmp_path, capsys):
    def built(place: Path, *options: str, store: str = "store") -> tuple[int, dict]:
        command = ["build", str(place), *options, "--set", "mels=8", "--jobs", "1", "--json"]
        code = run([*command, "--store", str(tmp_path / store)])
        return code, json.loads(capsys.readouterr().out)

    return built


def test_a_raised_limit_reads_what_a_lower_one_has_rejected_and_no_row_depends_on_it(folder, build, tmp_path):
    code, limited = build(folder)
    assert (code, limited["rows"]["clean"]) == (3, 4)
    (rejected,) = limited["rejected"]
    assert rejected == {
        "path": "joy/talk.wav",
        "reason": "too long: 620.0 s; at most 600 s are read. Raise it with --max-duration 620, or cut the recording.",
    }

    code, raised = build(folder, "--max-duration", "620")
    assert (code, raised["rows"]["clean"], raised["computed"]) == (0, 5, 1)

    assert build(folder)[1]["digest"] == limited["digest"]
    assert build(folder, "--max-duration", "610")[0] == 3


def test_what_was_built_before_does_not_decide_what_a_limit_rejects(folder, build):
    _, raised = build(folder, "--max-duration", "700", "--augment", "1")
    code, limited = build(folder, "--augment", "1")
    _, fresh = build(folder, "--augment", "1", store="fresh")

    assert raised["rows"]["clean"] == 5
    assert (code, limited["digest"], limited["rejected"]) == (3, fresh["digest"], fresh["rejected"])
    assert limited["computed"] == 0


def test_long_recordings_in_codings_that_a_guarded_process_reads_are_limited_alike(build, tmp_path):
    folder = write(tmp_path / "flacs", {**SHORT, "joy/talk.flac": encoded(long_sound(), "FLAC", rate=RATE)})

    assert "--max-duration 620" in build(folder)[1]["rejected"][0]["reason"]
    assert build(folder, "--max-duration", "620")[0] == 0


def test_a_store_computes_long_recordings_again_whatever_the_limit_of_today(folder, build, tmp_path):
    build(folder, "--max-duration", "700")
    store = open_store(str(tmp_path / "store"))

    view = store.view("takes")
    row = view.paths.index("joy/talk.wav")
    assert len(view.waveform(row)) == 620 * view.features.rate
    assert recompute(store, 5).drifted == ()


def test_a_note_from_before_lengths_were_kept_does_not_outlive_a_raised_limit(folder, build, tmp_path):
    build(folder, "--max-duration", "700")
    store = open_store(str(tmp_path / "store"))
    view = store.view("takes")
    record = store.dataset(store.reference("takes").dataset)
    spec, content = record.parts[0].spec, view.contents[view.paths.index("joy/talk.wav")]
    _remember(store, spec, content, {"reason": "too long: 620.0 s; at most 600 s are read."})

    assert known_rejects(store, spec, 700) == {}


def test_a_file_over_the_limit_of_sizes_names_the_option_that_reads_it(folder, build):
    size = (folder / "joy/talk.wav").stat().st_size
    options = ("--max-duration", "700", "--max-file-size")

    code, limited = build(folder, *options, str(size - 1))
    assert code == 3
    assert "Raise it with --max-file-size" in limited["rejected"][0]["reason"]
    assert build(folder, *options, str(size))[0] == 0


def test_an_archive_that_the_store_knows_is_held_to_the_limit_of_each_build(build, tmp_path):
    archive, manifest = tmp_path / "takes.zip", tmp_path / "takes.toml"
    with zipfile.ZipFile(archive, "w") as file:
        for path, data in {**SHORT, "joy/noise.wav": encoded(long_sound(4), rate=RATE)}.items():
            file.writestr(path, data)
    manifest.write_text(
        "name = 'takes'\ntitle = 'Takes'\n[audio]\ndepth = 2\n[labels]\nmatch = 'path'\n"
        "pattern = '(?P<mood>[a-z]+)/.+'\ntarget = 'mood'\nspeaker = ''\n"
    )
    given = ("--source", str(archive))

    for options, rows in (((), 5), (("--max-file-size", "50kB"), 4), (("--max-file-size", "1MiB"), 5)):
        for source in (given, ()):
            code, report = build(manifest, *source, *options)
            assert (code, report["rows"]["clean"]) == (3 * (rows == 4), rows)


def test_more_files_than_the_limit_name_the_option(folder, build, capsys, tmp_path):
    command = ["build", str(folder), "--store", str(tmp_path / "store"), "--max-duration", "700", "--jobs", "1"]

    assert run([*command, "--max-files", "4"]) == 1
    assert "holds more than 4 files and folders. Raise it with --max-files" in capsys.readouterr().err
    assert run([*command, "--max-files", "5"]) == 0


def test_a_check_takes_the_same_limits(folder, tmp_path, capsys):
    command = ["corpora", "check", str(folder), "--store", str(tmp_path / "store"), "--json"]

    for options, reason in (
        ((), "--max-duration 620"),
        (("--max-duration", "620"), None),
        (("--max-duration", "620", "--max-file-size", "1MB"), "--max-file-size"),
    ):
        assert run([*command, *options]) == (3 if reason else 0)
        rejected = json.loads(capsys.readouterr().out)["rejected"]
        assert [reason in one["reason"] for one in rejected] == ([True] if reason else [])


@pytest.mark.parametrize("text", ["0", "-1", "12 furlongs", "1e9", "", "99999999999999MiB"])
def test_a_size_that_is_none_is_refused(folder, capsys, text):
    assert run(["build", str(folder), "--max-file-size", text]) == 2
    assert "is no size" in capsys.readouterr().err
