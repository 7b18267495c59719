"""Where the recordings of another tool's lists are looked for, and where never."""

import json

import pytest
from data_folders import EMOTIONS, audio, kaldi, write
from tiny_corpus import tone

from featurestore.corpus import load_corpus
from featurestore.corpus.corpus_spec import folder_manifest
from featurestore.corpus.types import identified_file
from featurestore.errors import SourceError


def test_a_list_that_was_written_elsewhere_is_read_where_the_audio_lies_now(tmp_path):
    lists = kaldi(tmp_path / "lists", start="/mnt/disk3/corpus/wav/")
    for file in (lists / "wav").iterdir():
        file.unlink()
    recordings = write(tmp_path / "here", {**audio("corpus/wav/"), "other/u1.wav": tone(9)})

    corpus = load_corpus(lists, recordings)

    assert corpus.label_counts() == EMOTIONS
    assert corpus.utterances[0].content == identified_file("", tone(1)).content
    assert all("mnt" not in one.path for one in corpus.utterances)


def test_an_absolute_path_below_the_folder_is_that_file(tmp_path):
    folder = kaldi(tmp_path / "data", start=f"{tmp_path}/data/wav/")

    assert load_corpus(folder).label_counts() == EMOTIONS


def test_an_absolute_path_outside_of_the_folder_is_never_followed(tmp_path):
    write(tmp_path / "outside", audio(""))
    folder = kaldi(tmp_path / "data", start=f"{tmp_path}/outside/")
    for file in (folder / "wav").iterdir():
        file.unlink()

    with pytest.raises(SourceError, match=r"a path outside of the folder is not followed.*--source"):
        load_corpus(folder)
    assert load_corpus(folder, tmp_path / "outside").label_counts() == EMOTIONS


def test_recordings_that_lie_twice_below_a_source_are_not_guessed(tmp_path):
    folder = kaldi(tmp_path / "lists", start="corpus/wav/")
    copies = write(tmp_path / "copies", {**audio("a/wav/"), **audio("b/wav/")})

    with pytest.raises(SourceError, match=r"lie twice.*'a'.*'b'"):
        load_corpus(folder, copies)


def test_accents_may_be_written_in_either_way(tmp_path):
    composed, parts = "wav/caf\u00e9.wav", "wav/cafe\u0301.wav"
    lists = {"wav.scp": f"u1 {composed}\nu2 wav/u2.wav\n", "utt2label": "u1 a\nu2 b\n"}

    corpus = load_corpus(write(tmp_path, {**lists, parts: tone(1), "wav/u2.wav": tone(2)}))

    assert corpus.label_counts() == {"a": 1, "b": 1}


def test_two_recordings_that_would_get_one_path_are_refused(tmp_path):
    lists = {"wav.scp": "u1 /data/a.wav\nu2 a.wav\n", "utt2label": "u1 a\nu2 b\n"}

    with pytest.raises(SourceError, match="would have one path"):
        load_corpus(write(tmp_path, {**lists, "a.wav": tone(1)}))


def test_rows_travel_as_json_that_holds_no_place_of_this_machine(tmp_path):
    translation = folder_manifest(kaldi(tmp_path, start=f"{tmp_path}/wav/")).translation

    assert translation is not None
    assert str(tmp_path) not in translation.rows.decode()
    assert json.loads(translation.rows.splitlines()[0])["file"] == "u1.wav"
