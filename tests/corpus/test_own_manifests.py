"""A corpus that nobody foresaw, from one TOML file and real recordings."""

from pathlib import Path

import pytest

from featurestore.corpus import check_leaks, folds, load_corpus

RAVDESS = r"""
name = "ravdess"
title = "RAVDESS, speech"
[audio]
folder = "ravdess"
depth = 2
[labels]
pattern = '03-01-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<statement>\d\d)-(?P<repetition>\d\d)-(?P<speaker>\d\d)\.wav'
target = "emotion"
text = "statement"
[labels.codes.emotion]
01 = "neutral"
02 = "calm"
03 = "happy"
04 = "sad"
05 = "angry"
06 = "fearful"
07 = "disgust"
08 = "surprised"
"""
SPEECH_COMMANDS = r"""
name = "commands"
title = "Speech Commands"
[audio]
depth = 2
exclude = ["_background_noise_"]
[labels]
match = "path"
pattern = '(?P<word>[a-z]+)/(?P<speaker>[0-9a-f]{8})_nohash_(?P<take>\d+)\.wav'
target = "word"
"""


def manifest_file(folder, text):
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def ravdess_zip(emodb_zip):
    path = Path(emodb_zip).parents[1] / "ravdess" / "Audio_Speech_Actors_01_20.zip"
    if not path.exists():
        pytest.skip("the RAVDESS recordings are not beside the repository")
    return path


def test_two_actors_of_ravdess_are_read_from_a_manifest_of_twenty_lines(tmp_path, ravdess_zip):
    corpus = load_corpus(manifest_file(tmp_path, RAVDESS), ravdess_zip)

    assert corpus.speaker_counts() == {"01": 60, "20": 60}
    assert corpus.label_counts() == {
        "neutral": 8,
        **dict.fromkeys(["angry", "calm", "disgust"], 16),
        **dict.fromkeys(["fearful", "happy", "sad", "surprised"], 16),
    }
    assert corpus.utterances[0].path == "ravdess/Actor_01/03-01-01-01-01-01-01.wav"


def test_words_are_read_from_folder_names_and_speakers_never_leak(tmp_path, speech_commands_tar):
    corpus = load_corpus(manifest_file(tmp_path, SPEECH_COMMANDS), speech_commands_tar)
    counts = corpus.label_counts()

    assert (counts["bed"], counts["cat"], counts["happy"], counts["seven"]) == (350, 350, 350, 3)
    assert len(corpus.utterances) == 3 * 350 + 10 * 3
    assert not corpus.unlabelled
    first = folds(corpus.utterances, "loso")[0]
    assert check_leaks(first, corpus.utterances).shared_speakers == ()
