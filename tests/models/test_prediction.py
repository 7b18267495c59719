"""Labels for audio files."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurestore.corpus.sources.archive_safety import Limits
from featurestore.errors import AudioError
from featurestore.row_engine import RowEngine
from featurestore.specs.features import FeatureSpec
from models.prediction import audio_files, file_pieces, predict_files, write_answers


@pytest.fixture
def tones(tmp_path):
    """The same second of tones at 16 kHz mono and at 48 kHz stereo."""
    places = []
    for rate, channels in ((16_000, 1), (48_000, 2)):
        time = np.arange(2 * rate) / rate
        signal = sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (220, 900, 2500))
        places.append(tmp_path / f"{rate}.wav")
        soundfile.write(places[-1], np.repeat(signal[:, None], channels, axis=1), rate, subtype="FLOAT")
    return places


def test_files_of_any_rate_and_channels_are_labelled_alike(finished, tones):
    mono, stereo = predict_files(finished[2], tones, "cpu")

    assert mono["file"] == str(tones[0])
    assert sum(stereo["probabilities"].values()) == pytest.approx(1)
    assert stereo["label"] == mono["label"]
    assert list(mono["probabilities"].values()) == pytest.approx(list(stereo["probabilities"].values()), abs=0.2)


def test_a_file_that_is_no_audio_or_missing_is_named(finished, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")

    with pytest.raises(AudioError, match=r"text\.wav: "):
        predict_files(finished[2], [tmp_path / "text.wav"], "cpu")
    with pytest.raises(AudioError, match=r"none\.wav: cannot be read"):
        predict_files(finished[2], [tmp_path / "none.wav"], "cpu")


def test_files_that_cannot_be_read_leave_the_others_their_labels(finished, tones, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    mono, bad, stereo = predict_files(finished[2], [tones[0], tmp_path / "text.wav", tones[1]], "cpu")

    assert [mono, stereo] == predict_files(finished[2], tones, "cpu")
    assert bad["label"] is None
    assert "text.wav: " in bad["reason"]


def test_a_folder_gives_every_file_that_ends_as_audio_does(tmp_path):
    names = ["a.wav", "b.OPUS", "c.w64", "d.sph", "e.m4a", "f.caf"]
    for name in [*names, "notes.txt"]:
        (tmp_path / name).touch()

    assert [path.name for path in audio_files([tmp_path])] == names


def test_what_is_no_regular_file_or_too_large_is_refused_and_not_read(finished, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(Limits().member_bytes + 1)

    for place in (Path("/dev/zero"), tmp_path / "pipe.wav"):
        with pytest.raises(AudioError, match=f"{place}: not a regular file"):
            predict_files(finished[2], [place], "cpu")
    with pytest.raises(AudioError, match=r"large\.wav: larger than"):
        predict_files(finished[2], [tmp_path / "large.wav"], "cpu")


def written(path, signal, rate=16_000):
    soundfile.write(path, signal, rate, subtype="FLOAT")
    return path


def test_silence_is_not_labelled(finished, tones, tmp_path):
    zeros = written(tmp_path / "zeros.wav", np.zeros(16_000))
    level = written(tmp_path / "level.wav", np.full(16_000, 0.25))
    opposite = written(tmp_path / "opposite.wav", np.outer(np.sin(np.arange(16_000) / 9), [0.5, -0.5]))

    answers = predict_files(finished[2], [zeros, tones[0], level, opposite], "cpu")

    assert [answer["label"] is None for answer in answers] == [True, False, True, True]
    assert "nothing to label" in answers[0]["reason"]


def test_windows_are_labelled_as_the_same_pieces_in_files_of_their_own(finished, tmp_path):
    generator = np.random.default_rng(0)
    signal = 0.1 * generator.standard_normal(16_000 * 5 + 300)
    signal[32_000:48_000] = 0
    whole = written(tmp_path / "whole.wav", signal)
    (answer,) = predict_files(finished[2], [whole], "cpu", window=1.0)
    starts = [0, 16_000, 32_000, 48_000, 64_000, len(signal) - 16_000]
    cut = [written(tmp_path / f"{start}.wav", signal[start : start + 16_000]) for start in starts if start != 32_000]
    pieces = predict_files(finished[2], cut, "cpu")

    assert [one["start"] for one in answer["timeline"]] == [start / 16_000 for start in starts]
    assert all(one["end"] - one["start"] == pytest.approx(1) for one in answer["timeline"])
    assert answer["timeline"][2]["label"] is None  # silent
    sounding = [one for one in answer["timeline"] if one["label"]]
    assert [one["probabilities"] for one in sounding] == [one["probabilities"] for one in pieces]
    for name, share in answer["probabilities"].items():
        assert share == pytest.approx(np.mean([one["probabilities"][name] for one in pieces]))


def test_times_of_windows_count_from_the_start_of_a_recording_whose_ends_are_cut_away(tmp_path):
    signal = np.zeros(16_000 * 6)
    signal[32_000:64_000] = 0.1 * np.random.default_rng(3).standard_normal(32_000)
    engine = RowEngine(FeatureSpec(trim_db=30))

    pieces = [piece for piece, _ in file_pieces(engine, written(tmp_path / "late.wav", signal), window=1.0)]

    assert pieces[0].start == pytest.approx(2, abs=0.1)
    assert pieces[-1].end == pytest.approx(4, abs=0.1)


def test_windows_may_overlap_and_a_short_recording_is_one_window(finished, tones, tmp_path):
    long = written(tmp_path / "long.wav", 0.1 * np.random.default_rng(1).standard_normal(48_000))
    overlapping, short = predict_files(finished[2], [long, tones[0]], "cpu", window=2.0, hop=0.5)

    assert [one["start"] for one in overlapping["timeline"]] == [0, 0.5, 1.0]
    assert [(one["start"], one["end"]) for one in short["timeline"]] == [(0, 2)]


def test_a_recording_longer_than_those_of_the_training_is_told(finished, tmp_path):
    run = finished[2]
    shortest, longest = run.config.trained_on["frames"]
    noise = 0.1 * np.random.default_rng(2).standard_normal(60 * 16_000)
    (whole,) = predict_files(run, [written(tmp_path / "minute.wav", noise)], "cpu")

    assert 0 < shortest <= longest
    assert whole["outside"] == [
        f"{(60 * 16_000 - 2048) // 512 + 1:,} frames, where the clips of the training have {shortest:,} to {longest:,}"
    ]


def test_answers_are_written_as_a_table_and_as_json(finished, tones, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    answers = predict_files(finished[2], [tones[0], tmp_path / "text.wav"], "cpu", window=1.0)
    write_answers(tmp_path / "out.json", answers)
    write_answers(tmp_path / "out.csv", answers)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert json.loads((tmp_path / "out.json").read_text()) == answers
    assert [(row["start"], row["end"]) for row in rows] == [("0.0", "1.0"), ("1.0", "2.0"), ("", "")]
    assert rows[0]["label"] == answers[0]["timeline"][0]["label"]
    assert "text.wav" in rows[2]["reason"]
    named = {name: float(rows[1][f"p({name})"]) for name in finished[2].config.classes}
    assert named == answers[0]["timeline"][1]["probabilities"]
