"""Proposals for folders with strange names, broken tables and many files: always a manifest that is read back."""

import tomllib

import pytest
from data_folders import named, write

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.catalog import parse_manifest
from featurestore.corpus.suggest.look import MOST_STUDIED
from featurestore.corpus.suggest.propose import corpus_name, propose_for, propose_manifest, toml_text
from featurestore.corpus.types import ListedFile
from featurestore.errors import ManifestError, SourceError


def test_of_too_many_names_a_sample_is_studied_and_all_are_labelled():
    names = [f"s{n % 50}/{mood}_{n}.wav" for n in range(5_001) for mood in ("yes", "no", "stop", "go")]

    proposal = propose_for(Names(names), "anywhere")

    assert MOST_STUDIED < proposal.files == len(proposal.corpus.utterances) == 20_004
    assert "Of 20004 recordings, the names of 10002 were studied" in proposal.toml
    assert set(proposal.corpus.label_counts()) == {"yes", "no", "stop", "go"}


class Names:
    """A source of empty files, which nobody has to write."""

    name = "names"

    def __init__(self, paths):
        self.paths = paths
        self.unread = {}

    def members(self):
        return (ListedFile(path, "", 0) for path in self.paths)


@pytest.mark.parametrize(
    "name",
    [
        'quote"and\\slash',
        "it's",
        "new\nline",
        "\x1b[31mred",
        "\x7f",
        "''' \"\"\"",
        "#x = 1",
        "[tables]",
        "한국어",
        "(?P<x>.*)",
        "a" * 200,
        "{speaker}",
        "..",
    ],
)
def test_strange_names_make_a_manifest_that_is_read_back(tmp_path, name):
    files = {f"{name}_{mood}_{take}.wav": b"" for mood in ("ang", "hap") for take in range(3)}
    table = f"file\t{name!r}\temotion\n" + "".join(f"{file}\t1\tx\n" for file in files if file.isprintable())

    proposal = propose_manifest(write(tmp_path / "strange", {**files, "ok.wav": b"", "labels.tsv": table}))

    assert parse_manifest(proposal.toml, "here").name == "strange"
    assert all(line.isprintable() for line in proposal.toml.splitlines())


@pytest.mark.parametrize("text", ["", "a", "\\d", "'\\", '"', "\n", "\x7f\x00", "é한", "'''", "\ud7ff"])
def test_strings_of_a_manifest_are_read_back_as_they_were(text):
    assert tomllib.loads(f"x = {toml_text(text)}") == {"x": text}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("/data/My Recordings (2024).zip", "my_recordings_2024"),
        ("/data/Émotions/train", "emotions_train"),
        ("/한국어", "corpus"),
        ("/data/" + "x" * 90, "x" * 40),
        ("/data/emodb", "emodb_own"),
    ],
)
def test_names_of_corpora_keep_the_rules(place, name):
    assert corpus_name(place, ("emodb",)) == name


def test_tables_made_to_do_harm_are_passed_over(tmp_path):
    files = {f"{mood}_{take}.wav": b"" for mood in ("ang", "hap") for take in range(3)}
    harm = {
        "wide.csv": "file," + "x," * 1_000_000 + "\nang_0.wav" + ",1" * 1_000_000,
        "deep.jsonl": "[" * 100_000,
        "open.csv": 'file,"never closed\nang_0.wav,x\n',
        "zeros.csv": b"\x00" * 10_000,
        "twins.csv": "file,emotion,emotion\nang_0.wav,x,y\nhap_0.wav,x,y\n",
    }

    proposal = propose_manifest(write(tmp_path, {**files, **harm}))

    assert proposal.corpus.label_counts() == {"anger": 3, "happiness": 3}


def test_an_out_file_of_another_kind_is_refused(tmp_path, capsys):
    folder = named(tmp_path / "takes", "{speaker}_{mood}_{take}")

    assert run(["corpora", "new", str(folder), "--out", str(tmp_path / "x.yaml")]) == 1
    assert "ends in .toml" in capsys.readouterr().err
    with pytest.raises(ManifestError):
        load_corpus(tmp_path / "x.toml", folder)


def test_recordings_that_no_manifest_can_name_are_told(tmp_path):
    folder = write(tmp_path, {"a\x1b[2Jb.wav": b"", "c\nd.wav": b""})

    with pytest.raises(SourceError, match=r"names of all 2 recordings .* hold control characters"):
        propose_manifest(folder)


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        propose_manifest(tmp_path / "nowhere")


def test_a_table_that_breaks_further_down_is_left_out_with_the_reason(tmp_path):
    files = {f"{mood}_{take}.wav": b"" for mood in ("ang", "hap") for take in range(3)}
    ragged = "file,rating,speaker\n" + "".join(f"{file},1,s{file[4]}\n" for file in files) + "broken\n"

    proposal = propose_manifest(write(tmp_path, {**files, "labels.csv": ragged}))

    assert "tables beside the audio are not used: label file 'labels.csv'" in proposal.toml.splitlines()[0]
    assert proposal.corpus.label_counts() == {"anger": 3, "happiness": 3}
