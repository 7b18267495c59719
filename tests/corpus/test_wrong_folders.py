"""What `corpora check` says of a folder that holds another corpus, and that results fit a terminal of 80 columns."""

import json
import os
import pty
import subprocess
import sys
import threading

import pytest
from command_line import ENVIRONMENT, error_line, featurestore
from demo_corpus import ROOT
from field_copies import recording
from field_names import NAMES, TABLES

from cli.console import shorten_middle
from featurestore.corpus.check import resembled_corpus

SPEAKERS, EMOTIONS = range(1, 25), range(1, 9)


def put(folder, paths):
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(recording(number))
    return folder


@pytest.fixture
def ravdess(tmp_path):
    """Two recordings of each actor, under the names of RAVDESS."""
    return put(
        tmp_path / "a folder whose name is long, and which lies somewhere",
        [f"Actor_{one:02}/03-01-{mood:02}-01-01-01-{one:02}.wav" for one in SPEAKERS for mood in (1, 3)],
    )


def test_a_wrong_folder_is_told_in_few_lines_with_the_corpus_that_it_seems_to_be(tmp_path, ravdess):
    result = featurestore("corpora", "check", "emodb", "--source", ravdess, store=tmp_path / "store")

    lines = result.stdout.splitlines()
    assert result.returncode == 3
    assert len((result.stdout + result.stderr).splitlines()) <= 16
    assert "this looks like ravdess, which is known by name:" in lines
    assert lines[3] == "missing: wav/03a01Wa.wav"
    assert "missing: and 532 more; --json lists all" in lines
    assert "extra: and 45 more; --json lists all" in lines
    assert "18 counts differ from a complete copy; --json lists all" in lines


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("corpora", "check", "ravdess", "--source"), 3),
        (("corpora", "check"), 1),
        (("corpora", "new"), 1),
        (("build", "ravdess", "--dry-run", "--source"), 1),
    ],
)
def test_a_folder_that_holds_the_archive_alone_is_answered_with_the_archive(tmp_path, words, code):
    folder = put(tmp_path / "download", ["Audio_Speech_Actors_01-24.zip"])

    result = featurestore(*words, folder, store=tmp_path / "store")

    said = "".join(result.stderr.split())  # a long path is wrapped
    assert result.returncode == code
    assert f"archive,whichisreadasitis:name'{folder}/Audio_Speech_Actors_01-24.zip'." in said


def test_the_whole_list_stands_in_the_json(tmp_path, ravdess):
    result = featurestore("corpora", "check", "emodb", "--source", ravdess, "--json", store=tmp_path / "store")

    report = json.loads(result.stdout)
    assert (len(report["missing"]), len(report["extra"]), len(report["differences"])) == (535, 48, 18)
    assert report["looks_like"] == "ravdess"


def test_the_right_folder_looks_like_nothing_else(tmp_path, ravdess):
    result = featurestore("corpora", "check", "ravdess", "--source", ravdess, "--json", store=tmp_path / "store")

    assert json.loads(result.stdout)["looks_like"] is None


def test_a_folder_without_a_manifest_is_told_its_corpus_too(tmp_path, ravdess):
    result = featurestore("corpora", "check", ravdess, "--json", store=tmp_path / "store")

    assert json.loads(result.stdout)["looks_like"] == "ravdess"


def test_a_build_from_a_wrong_folder_names_the_corpus(tmp_path, ravdess):
    result = featurestore("build", "emodb", "--source", ravdess, store=tmp_path / "store")

    assert "It looks like ravdess" in error_line(result)


@pytest.mark.parametrize("name", [name for name in NAMES if len(NAMES[name].strip().splitlines()) >= 3])
def test_the_names_of_each_corpus_are_recognised_as_its_own(name):
    paths = [line.split(" -> ")[0].strip() for line in NAMES[name].strip().splitlines()]

    assert resembled_corpus([*paths, *(TABLES[name][0] if name in TABLES else ())]) == name


@pytest.mark.parametrize("form", ["{s}_{e}_{i}.wav", "{e}/{s}_{i}.wav", "{i:03}.wav", "{i}_{s}_1.wav", "{s}-{e}.wav"])
def test_other_names_are_those_of_no_known_corpus(form):
    moods = ("joy", "anger", "sad")
    paths = {form.format(s=s, e=e, i=i) for s in ("anna", "ben") for e in moods for i in range(20)}

    assert resembled_corpus(sorted(paths)) is None


def test_a_long_path_is_cut_in_its_middle():
    assert shorten_middle("abc", 3) == "abc"
    assert shorten_middle("a/folder/with/a/recording.wav", 17) == "a/folder…ding.wav"


def on_a_terminal(*arguments, store):
    """Run the command line on a terminal of 80 columns and return what appears there."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", "80", "rows", "24"], stdin=theirs, check=True)
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("COLUMNS", "LINES")}
    parts = []

    def drain():
        try:
            while part := os.read(ours, 65_536):
                parts.append(part)
        except OSError:  # the terminal has no other end any more
            return

    reader = threading.Thread(target=drain)
    reader.start()
    subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**environment, "FEATURESTORE_HOME": str(store)},
        check=False,
        timeout=240,
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    return b"".join(parts).decode().splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        ("corpora",),
        ("corpora", "show", "speech_commands_v2"),
        ("corpora", "check", "{}", "--quality"),
        ("corpora", "check", "emodb", "--source", "{}", "--quality"),
        ("corpora", "new", "{}"),
    ],
    ids=["the list", "a card", "a bare folder", "a wrong folder", "a proposal"],
)
def test_results_fit_a_terminal_of_eighty_columns(tmp_path, ravdess, arguments):
    put(ravdess, ["Actor_01/" + "a_very_long_name_" * 5 + ".wav"])
    (ravdess / "Actor_01" / ("another_long_name_" * 5 + ".wav")).write_bytes(b"no sound at all")

    lines = on_a_terminal(*(one.format(ravdess) for one in arguments), store=tmp_path / "store")

    assert len(lines) > 5
    assert [line for line in lines if len(line) > 80 and not line.startswith("pattern = ") and words(line) > 1] == []


def words(line: str) -> int:
    """Return how many words a line has, to tell those that could not be broken; a shell goes on after a backslash."""
    return len(line.removesuffix("\\").split())
