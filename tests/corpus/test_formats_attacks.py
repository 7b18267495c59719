"""Data of other tools that is made to do harm: refused in one line, in little time and memory, and nothing is run."""

import gzip
import json
import os
import random
import tracemalloc

import pytest
from data_folders import (
    AUDFORMAT_HEADER,
    audformat,
    audio,
    audio_folder,
    kaldi,
    lhotse,
    lhotse_recording,
    lhotse_supervision,
    lines,
    write,
)

from featurestore.corpus import load_corpus
from featurestore.corpus.importers import recognised_format
from featurestore.corpus.importers.audformat import plain_yaml
from featurestore.errors import FeatureStoreError, SourceError


@pytest.mark.parametrize("command", ["touch {} |", "sph2pipe -f wav x.sph |", "| tee {}"])
def test_a_command_in_place_of_a_file_is_never_run(tmp_path, command):
    made = tmp_path / "made"
    folder = kaldi(tmp_path / "k", **{"wav.scp": f"u1 {command.format(made)}\n"})

    with pytest.raises(SourceError, match=r"line 1 .* is a command, and none is executed"):
        load_corpus(folder)
    assert not made.exists()


@pytest.mark.parametrize("place", ["raw.ark:1024", "feats.1.ark:5[0:3]", "-"])
def test_what_is_no_file_of_its_own_is_refused(tmp_path, place):
    with pytest.raises(SourceError, match="no file of its own"):
        load_corpus(kaldi(tmp_path, **{"wav.scp": f"u1 {place}\n"}))


@pytest.mark.parametrize(
    "path", ["../secret.wav", "wav/../../secret.wav", "https://example.org/a.wav", "a\x1b[2J.wav", "."]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    with pytest.raises(SourceError, match=r"no plain path|is an address"):
        load_corpus(kaldi(tmp_path / "k", **{"wav.scp": f"u1 {path}\n"}))
    with pytest.raises(SourceError, match=r"no plain path|is an address"):
        load_corpus(audio_folder_of(tmp_path / "h", path))


def audio_folder_of(folder, path):
    return write(folder, {"metadata.jsonl": json.dumps({"file_name": path, "label": "x"}) + "\n"})


@pytest.mark.parametrize("kind", ["command", "url", "memory", None])
def test_a_source_that_is_no_file_is_refused(tmp_path, kind):
    recording = lhotse_recording(1, sources=[{"type": kind, "channels": [0], "source": f"touch {tmp_path / 'made'}"}])
    files = {
        "recordings.jsonl": lines([recording]),
        "supervisions.jsonl": lines([lhotse_supervision(1, "a", "f", "x")]),
    }

    with pytest.raises(SourceError, match="never executed"):
        load_corpus(write(tmp_path, files))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch made']",
        "a: !!python/object/new:os.system [touch made]",
        "a: !!python/name:os.system",
        "!<tag:yaml.org,2002:python/object/apply:os.mkdir> [made]",
        "a: !!binary aGVsbG8=",
        "? [a, b]\n: c",
        "base: &b {x: 1}\na:\n  <<: *b",
        "a: &a [*a]",
        "a: *missing",
        "a: b\n---\nc: d",
        "a: [b",
        "[" * 2000,
        "{a: " * 2000,
    ],
)
def test_yaml_that_is_more_than_plain_values_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SourceError) as error:
        plain_yaml(text, "db.yaml")

    assert "\n" not in str(error.value)
    assert not (tmp_path / "made").exists()


def test_aliases_that_multiply_take_no_memory():
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40)
    )

    tracemalloc.start()
    values = plain_yaml(text, "db.yaml")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(values) == 40
    assert peak < 20e6


def test_scalars_of_yaml_stay_the_text_that_they_are():
    assert plain_yaml("a: no\nb: 012\nc: 2026-11-21\nd: ~\ne: [1.0, 'x']", "here") == {
        "a": "no",
        "b": "012",
        "c": "2026-11-21",
        "d": "~",
        "e": ["1.0", "x"],
    }


def test_a_database_with_a_tag_is_refused_whole(tmp_path):
    folder = audformat(tmp_path, AUDFORMAT_HEADER + "meta: !!python/object/apply:os.getcwd []\n")

    with pytest.raises(SourceError, match=r"the tag .* is not read.*ever executed"):
        load_corpus(folder)


def test_a_table_name_that_leaves_the_folder_reads_nothing(tmp_path):
    write(tmp_path, {"secret.csv": "file,emotion\nwav/u1.wav,a\nwav/u2.wav,b\n"})
    header = "name: x\ntables:\n  ../../secret: {type: filewise, columns: {emotion: {}}}\n"

    with pytest.raises(SourceError, match="no table that is read"):
        load_corpus(write(tmp_path / "db", {"db.yaml": header, "db./x": "", **audio()}))


def test_a_packed_manifest_that_swells_is_refused(tmp_path):
    bomb = gzip.compress(b" " * (65 * 2**20), compresslevel=1)
    files = {"recordings.jsonl.gz": bomb, "supervisions.jsonl.gz": gzip.compress(b"{}\n")}

    with pytest.raises(SourceError, match="holds more than"):
        load_corpus(write(tmp_path, files))


def test_a_manifest_that_is_no_gzip_is_refused(tmp_path):
    files = {"recordings.jsonl.gz": b"\x1f\x8bnot gzip at all", "supervisions.jsonl.gz": b""}

    with pytest.raises(SourceError, match="cannot be read"):
        load_corpus(write(tmp_path, files))


@pytest.mark.parametrize("columns", [1_000, 1_000_000])
def test_a_table_of_a_million_columns_is_refused(tmp_path, columns):
    table = "file_name," + ",".join(["a"] * columns) + "\nu1.wav" + ",b" * columns + "\n"

    with pytest.raises(SourceError, match=r"columns, at most 200|a line of more than"):
        load_corpus(write(tmp_path, {"metadata.csv": table, **audio("")}))


@pytest.mark.parametrize(
    "line", ["[" * 100_000, "{", "[]", "nul", '{"id": 1}', '{"id": "r", "sources": [[]]}', "9" * 5000]
)
def test_lines_that_are_no_recordings_are_refused(tmp_path, line):
    with pytest.raises(SourceError, match="line 1"):
        load_corpus(write(tmp_path, {"recordings.jsonl": line + "\n", "supervisions.jsonl": "\n"}))


def test_a_pipe_in_place_of_a_list_does_not_stop_the_reader(tmp_path):
    kaldi(tmp_path)
    (tmp_path / "utt2emotion").unlink()
    os.mkfifo(tmp_path / "utt2emotion")

    assert load_corpus(tmp_path).manifest.labels.target == "gender"


def test_a_loop_of_folders_ends(tmp_path):
    (tmp_path / "again").symlink_to(tmp_path)

    assert recognised_format(tmp_path) is None


@pytest.mark.parametrize("name", ["wav.scp", "utt2spk", "text", "utt2emotion"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"u1\n", b"\x00" * 100, b"u1 \x1b[2J\n"])
def test_spoiled_lists_end_in_our_errors_or_in_a_corpus(tmp_path, name, data):
    folder = kaldi(tmp_path, **{name: data})

    try:
        corpus = load_corpus(folder)
        told = {one.path[-5] for one in corpus.utterances}
    except FeatureStoreError as error:
        told = set(str(error)) & {"\n", "\x1b"}
    assert told <= set("12345678")


PIECES = (
    b"\n",
    b",",
    b'"',
    b"{",
    b"[",
    b":",
    b"&a ",
    b"*a",
    b"!!str ",
    b"\x00",
    b"\xff",
    b"/..",
    b"|",
    b"1e999",
    b"\\ud800",
)


@pytest.mark.parametrize("writer", [audformat, kaldi, lhotse, audio_folder])
def test_random_damage_ends_in_our_errors_or_in_a_corpus(tmp_path, writer):
    draw = random.Random(writer.__name__)
    whole = writer(tmp_path / "whole")
    files = [file.relative_to(whole) for file in sorted(whole.rglob("*")) if file.is_file() and file.suffix != ".wav"]
    outcomes = set()
    for _ in range(20):
        name = draw.choice(files)
        data = bytearray((whole / name).read_bytes())
        place = draw.randrange(len(data))
        data[place : place + draw.randrange(12)] = draw.choice(PIECES)
        (whole / name).write_bytes(data)
        try:
            outcomes.add(type(load_corpus(whole)).__name__)
        except FeatureStoreError as error:
            outcomes.add("several lines" if "\n" in str(error) else "one line")
        writer(whole)

    assert outcomes <= {"Corpus", "one line"}
