"""`corpora check` on folders that were made to do harm: names, links, pipes, depth, and much in memory at once."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import featurestore
from odd_audio_bytes import wav_of

SOUND = (0.2 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
NAMES = [
    b"new\nline",
    b"esc\x1b[31m",
    b"rtl\xe2\x80\xaegnp",
    b"c1\xc2\x9b31m",
    b"del\x7f",
    b"zero\xe2\x80\x8bwidth",
    b"\xff\xfe",
]


@pytest.fixture
def folder(tmp_path):
    """Sound and cut recordings under names that steer terminals, a pipe, a loop, devices, and a deep folder."""
    place = tmp_path / "takes"
    place.mkdir()
    for name in NAMES:
        (place / os.fsdecode(name + b"_good.wav")).write_bytes(wav_of(SOUND))
        (place / os.fsdecode(name + b"_cut.wav")).write_bytes(wav_of(SOUND)[:100])
    os.mkfifo(place / "pipe.wav")
    (place / "a.wav").symlink_to("b.wav")
    (place / "b.wav").symlink_to("a.wav")
    (place / "zero.wav").symlink_to("/dev/zero")
    (place / "up").symlink_to("..")
    here = os.open(place, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("deep", dir_fd=here)
        here, above = os.open("deep", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    with os.fdopen(os.open("x.wav", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as stream:
        stream.write(wav_of(SOUND))
    os.close(here)
    return place


def test_json_of_hostile_names_is_plain_text_that_parses_and_steers_no_terminal(tmp_path, folder):
    result = featurestore("corpora", "check", folder, "--quality", "--json", store=tmp_path / "store")

    report = json.loads(result.stdout)
    assert result.returncode == 3
    special = {"pipe.wav", "a.wav", "b.wav", "zero.wav", "up"}
    assert (report["files"], report["decoded"]) == (2 * len(NAMES) + 1 + len(special), len(NAMES) + 1)
    assert result.stdout.rstrip("\n").isprintable()
    assert {one["path"] for one in report["rejected"]} >= {"new\nline_cut.wav", "rtl\u202egnp_cut.wav"} | special


def test_what_is_printed_of_hostile_names_is_printable(tmp_path, folder):
    result = featurestore("corpora", "check", folder, "--quality", store=tmp_path / "store")

    assert result.returncode == 3
    assert all(line.isprintable() for line in (result.stdout + result.stderr).splitlines())
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_folder_too_deep_for_the_system_is_one_short_line(tmp_path):
    place = tmp_path / "takes"
    place.mkdir()
    here = os.open(place, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        here, above = os.open("d" * 100, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)

    result = featurestore("corpora", "check", place, store=tmp_path / "store")
    subprocess.run(["rm", "-rf", "--", str(place)], check=True)

    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert len(line) < 500


def test_many_large_files_make_the_process_grow_by_less_than_300_megabytes(tmp_path):
    for number in range(5):
        with (tmp_path / f"{number}.wav").open("wb") as stream:
            stream.truncate(75 * 2**20)
    script = (
        "import resource, sys\n"
        "from featurestore.corpus.sources.open import open_source\n"
        "from pipelines.audio_check import check_audio, sound_files\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = check_audio(sound_files(open_source(sys.argv[1])), jobs=2)\n"
        "print(found.files, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)

    files, growth = map(int, done.stdout.split())
    assert files == 5
    assert growth < 300
