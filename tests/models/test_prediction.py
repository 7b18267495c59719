"""Labels for audio files."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurestore.corpus.reading.unpack import Limits
from featurestore.errors import AudioError
from models.prediction import predict_files


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


def test_what_is_no_regular_file_or_too_large_is_refused_and_not_read(finished, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(Limits().member_bytes + 1)

    for place in (Path("/dev/zero"), tmp_path / "pipe.wav"):
        with pytest.raises(AudioError, match=f"{place}: no regular file"):
            predict_files(finished[2], [place], "cpu")
    with pytest.raises(AudioError, match=r"large\.wav: larger than"):
        predict_files(finished[2], [tmp_path / "large.wav"], "cpu")
