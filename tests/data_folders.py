"""Folders as other tools write them, in their exact formats, with short tones as recordings."""

import gzip
import json

from tiny_corpus import tone

# Eight recordings of three speakers: number, speaker, sex, emotion, side.
RECORDINGS = (
    (1, "ann", "female", "anger", "train"),
    (2, "ann", "female", "sadness", "train"),
    (3, "ben", "male", "anger", "train"),
    (4, "ben", "male", "sadness", "train"),
    (5, "cleo", "female", "anger", "test"),
    (6, "cleo", "female", "sadness", "test"),
    (7, "ann", "female", "anger", "train"),
    (8, "cleo", "female", "anger", "test"),
)
SPEAKERS = {"ann": 3, "ben": 2, "cleo": 3}
EMOTIONS = {"anger": 5, "sadness": 3}


def write(folder, files):
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def audio(prefix="wav/"):
    return {f"{prefix}u{number}.wav": tone(number) for number, *_ in RECORDINGS}


def kaldi(folder, start="wav/", **files):
    """A data folder; `start` is what stands before the file names in wav.scp."""
    lists = {
        "wav.scp": "".join(f"u{number} {start}u{number}.wav\n" for number, *_ in RECORDINGS),
        "utt2spk": "".join(f"u{number} {speaker}\n" for number, speaker, *_ in RECORDINGS),
        "text": "".join(f"u{number} a sentence of words\n" for number, *_ in RECORDINGS),
        "spk2gender": "ann f\nben m\ncleo f\n",
        "utt2emotion": "".join(f"u{number} {emotion}\n" for number, _, _, emotion, _ in RECORDINGS),
        "utt2dur": "".join(f"u{number} 0.15\n" for number, *_ in RECORDINGS),
    }
    return write(folder, {**lists, **audio(), **files})


def lines(objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


def lhotse_recording(number, **changes):
    return {
        "id": f"rec-{number}",
        "sources": [{"type": "file", "channels": [0], "source": f"wav/u{number}.wav"}],
        "sampling_rate": 16000,
        "num_samples": 2560,
        "duration": 0.16,
        "channel_ids": [0],
        **changes,
    }


def lhotse_supervision(number, speaker, sex, emotion, **changes):
    return {
        "id": f"sup-{number}",
        "recording_id": f"rec-{number}",
        "start": 0.0,
        "duration": 0.16,
        "channel": 0,
        "text": "a sentence of words",
        "language": "English",
        "speaker": speaker,
        "gender": sex,
        "custom": {"emotion": emotion, "arousal": 0.5, "raters": ["x", "y"]},
        **changes,
    }


def lhotse(folder, *, packed=True):
    """A pair of manifests for each side, as recipes of Lhotse name them."""
    files = {}
    for side in ("train", "test"):
        ones = [one for one in RECORDINGS if one[4] == side]
        texts = {
            "recordings": lines(lhotse_recording(number) for number, *_ in ones),
            "supervisions": lines(lhotse_supervision(*one[:4]) for one in ones),
        }
        for kind, text in texts.items():
            name = f"corpus_{kind}_{side}.jsonl"
            files |= {f"{name}.gz": gzip.compress(text.encode())} if packed else {name: text}
    return write(folder, {**files, **audio()})


AUDFORMAT_HEADER = """\
name: moods
source: https://example.org/moods
usage: research
languages: [eng]
description: Three people in two
  moods.
license: CC-BY-4.0
license_url: https://creativecommons.org/licenses/by/4.0/
media:
  microphone: {type: audio, format: wav, channels: 1, sampling_rate: 16000}
raters:
  gold: {type: human}
schemes:
  confidence: {dtype: float, minimum: 0, maximum: 1}
  emotion:
    dtype: str
    labels: &id001 [anger, sadness]
  wanted:
    dtype: str
    labels: *id001
  speaker: {dtype: str, labels: speaker}
splits:
  train: {type: train}
  test: {type: test}
tables:
  files:
    type: filewise
    columns:
      speaker: {scheme_id: speaker}
  emotion.train:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {scheme_id: confidence, rater_id: gold}
  emotion.test:
    type: filewise
    split_id: test
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
misc_tables:
  speaker:
    levels: {speaker: str}
    columns:
      age: {}
      gender: {}
"""


def audformat(folder, header=AUDFORMAT_HEADER, **files):
    train = [one for one in RECORDINGS if one[4] == "train"]
    test = [one for one in RECORDINGS if one[4] == "test"]
    tables = {
        "db.yaml": header,
        "db.files.csv": "file,speaker\n" + "".join(f"wav/u{one[0]}.wav,{one[1]}\n" for one in RECORDINGS),
        "db.emotion.train.csv": "file,emotion,emotion.confidence\n"
        + "".join(f"wav/u{one[0]}.wav,{one[3]},0.9\n" for one in train),
        "db.emotion.test.csv": "file,emotion\n" + "".join(f"wav/u{one[0]}.wav,{one[3]}\n" for one in test),
        "db.speaker.csv": "speaker,age,gender\nann,31,female\nben,32,male\ncleo,,female\n",
    }
    return write(folder, {**tables, **audio(), **files})


def audio_folder(folder):
    """A Hugging Face audio folder with metadata in each side."""
    files = {}
    for side in ("train", "test"):
        ones = [one for one in RECORDINGS if one[4] == side]
        files[f"data/{side}/metadata.csv"] = "file_name,speaker_id,transcription,emotion\n" + "".join(
            f'clips/u{one[0]}.wav,{one[1]},"words, with a comma",{one[3]}\n' for one in ones
        )
        files |= {f"data/{side}/clips/u{one[0]}.wav": tone(one[0]) for one in ones}
    return write(folder, files)


def class_folder(folder):
    return write(folder, {f"{one[4]}/{one[3]}/u{one[0]}.wav": tone(one[0]) for one in RECORDINGS})


TAKERS = ("anna", "ben", "cleo")
CODES = {"ang": "anger", "hap": "happiness", "neu": "neutral", "sad": "sadness"}


def named(folder, form, ending="wav"):
    """Three speakers say four moods three times each."""
    files = {
        f"{form.format(speaker=speaker, mood=mood, take=f'{take:02}')}.{ending}": tone(take)
        for speaker in TAKERS
        for mood in CODES
        for take in (1, 2, 3)
    }
    return write(folder, files)
