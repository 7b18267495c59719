"""`featurestore splits` of data in other tools' formats, of merged corpora and on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios

import pytest
from command_line import ENVIRONMENT, error_line, featurestore
from demo_corpus import ROOT
from tiny_corpus import tone

from cli.console import json_text
from cli.splits import _json_pieces
from featurestore.corpus import Split

COLUMNS = 80


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a dataset that was read from a Kaldi folder, and one of two corpora together."""
    folder = tmp_path_factory.mktemp("splits")
    kaldi = folder / "kaldi"
    kaldi.mkdir()
    names = [f"{speaker}-{number}" for speaker in ("anna", "ben", "carl") for number in range(1, 5)]
    for number, name in enumerate(names, 1):
        (kaldi / f"{name}.wav").write_bytes(tone(number))
    files = {"wav.scp": "{0} {0}.wav", "utt2spk": "{0} {1}", "utt2emotion": "{0} {2}"}
    for file, form in files.items():
        rows = [form.format(name, name.split("-")[0], "joy" if name[-1] in "12" else "calm") for name in names]
        (kaldi / file).write_text("\n".join(rows) + "\n")
    (folder / "own.toml").write_text(
        'name = "demo"\ntitle = "Demo"\n[labels]\ntarget = "emotion"\n'
        "pattern = '(?P<speaker>[fm]\\d)_(?P<sentence>s\\d)_(?P<emotion>[a-z]{3})\\.wav'\n"
        '[protocols."three-folds@me2026"]\nsplit = "group-3fold"\n'
    )
    built = featurestore("build", kaldi, "--jobs", 1, "--set", "mels=8", store=folder / "store")
    assert built.returncode == 0, built.stderr
    return folder


def listed(*arguments, store=None):
    return [row["split"] for row in json.loads(featurestore("splits", *arguments, "--json", store=store).stdout)]


def test_the_splits_of_a_dataset_read_from_a_kaldi_folder_are_listed(place):
    found = listed("kaldi", store=place / "store")

    assert {"loso", "speakers", "shuffled"} <= set(found)
    assert "official" not in found
    assert found == listed(place / "kaldi", store=place / "store")


def test_folds_are_named_by_what_they_test(place):
    document = json.loads(featurestore("splits", "kaldi", "--split", "loso", "--json", store=place / "store").stdout)

    assert [fold["fold"] for fold in document["folds"]] == ["anna", "ben", "carl"]


def test_the_json_of_folds_is_one_line_and_written_as_any_other(place):
    text = featurestore("splits", "kaldi", "--split", "loso", "--json", store=place / "store").stdout

    assert text == json.dumps(json.loads(text), ensure_ascii=False) + "\n"


def test_paths_of_sides_are_escaped_in_json_as_elsewhere():
    paths = ["a\x1b[31m.wav", 'b"\u202e.wav', "ü.wav", "\udcff.wav"]
    split = Split("own", paths[:3], [], paths[3:])
    document = {
        "split": "own",
        "labels": {},
        "folds": [{"fold": "1", **split.members, "shared_audio": []}],
        "notes": [],
    }
    plain = {**document, "folds": [{**document["folds"][0], **{side: [*some] for side, some in split.sides.items()}}]}

    assert "".join(_json_pieces(document, {})) == json_text(plain)


def test_a_split_that_does_not_exist_for_a_corpus_is_not_listed_for_it():
    assert "official" not in listed("ravdess")
    assert {"meld/official", "official"} <= set(listed("meld"))


def test_a_protocol_of_a_manifest_of_ones_own_is_offered_with_the_path_of_the_manifest(place):
    result = featurestore("splits", place / "own.toml", "--split", "three-folds", store=place / "store")

    assert result.returncode == 1
    assert f"did you mean '{place / 'own.toml'}/three-folds@me2026'" in error_line(result)


def test_a_protocol_without_its_corpus_is_offered_whole():
    result = featurestore("splits", "emodb", "--split", "4class-loso5")

    assert result.returncode == 1
    assert "did you mean 'iemocap/4class-loso5'" in error_line(result)


def on_a_terminal(store, *arguments):
    """Run a command with its output on a terminal of 80 columns; return the lines."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**environment, "FEATURESTORE_HOME": str(store)},
    ):
        os.close(theirs)
        text = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            text += block
    os.close(ours)
    return text.decode().splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        ("splits", "iemocap"),
        ("splits", "kaldi", "--split", "shuffled"),
        ("splits", "kaldi", "--split", "loso"),
        ("ls",),
    ],
)
def test_no_line_is_wider_than_a_terminal_of_80_columns(place, arguments):
    lines = on_a_terminal(place / "store", *arguments)

    assert len(lines) > 1
    assert [line for line in lines if len(line) > COLUMNS] == []
