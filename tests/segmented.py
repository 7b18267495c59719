"""Two stereo recordings with segments, written down in every way that is read, and the same cut by hand into files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from data_folders import lines, write

RATE = 16_000
SECONDS = 3.0
RECORDINGS = ("calls/a.wav", "calls/b.wav")


class Part(NamedTuple):
    """A segment: recording, start and end in seconds, channel (None is the mean of both), speaker, class."""

    file: str
    start: float
    end: float
    channel: int | None
    speaker: str
    emotion: str


PARTS = (
    Part("calls/a.wav", 0.25, 1.0, None, "ann", "anger"),
    Part("calls/a.wav", 0.5, 1.5, 1, "ben", "sadness"),
    Part("calls/a.wav", 1.0, 2.125, 0, "ann", "sadness"),
    Part("calls/b.wav", 0.0, 0.875, 0, "cleo", "anger"),
    Part("calls/b.wav", 2.0, 3.0, None, "ben", "anger"),
)


def samples(number: int, seconds: float = SECONDS) -> np.ndarray:
    """Noise of two unlike channels, array [time, 2], int16."""
    return np.random.default_rng(number).integers(-9_000, 9_000, (int(seconds * RATE), 2)).astype(np.int16)


def encoded(sound: np.ndarray, kind: str = "WAV", rate: int = RATE, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=kind, subtype=subtype)
    return file.getvalue()


def audio() -> dict[str, bytes]:
    return {path: encoded(samples(number)) for number, path in enumerate(RECORDINGS)}


def cut(part: Part) -> np.ndarray:
    """The samples of a part, array [time, channels]: both where their mean is wanted."""
    sound = samples(RECORDINGS.index(part.file))[round(part.start * RATE) : round(part.end * RATE)]
    return sound if part.channel is None else sound[:, part.channel : part.channel + 1]


def path_of(part: Part) -> str:
    channel = "" if part.channel is None else f"&channel={part.channel}"
    return f"{part.file}#t={part.start:g},{part.end:g}{channel}"


def channel_of(part: Part) -> str:
    return "" if part.channel is None else str(part.channel)


def metadata_csv(folder: Path, parts: tuple[Part, ...] = PARTS) -> Path:
    rows = [f"{p.file},{p.start},{p.end},{channel_of(p)},{p.speaker},{p.emotion}" for p in parts]
    text = "file_name,start,end,channel,speaker,emotion\n" + "\n".join(rows) + "\n"
    return write(folder, {"metadata.csv": text, **audio()})


def metadata_jsonl(folder: Path) -> Path:
    """With offset and duration, as NeMo has them."""
    rows = [
        {
            "file_name": p.file,
            "offset": p.start,
            "duration": p.end - p.start,
            "speaker": p.speaker,
            "emotion": p.emotion,
        }
        | ({} if p.channel is None else {"channel": p.channel})
        for p in PARTS
    ]
    return write(folder, {"metadata.jsonl": lines(rows), **audio()})


def kaldi(folder: Path) -> Path:
    ends = [f"{p.end:.3f}" for p in PARTS]
    files = {
        "wav.scp": "a calls/a.wav\nb calls/b.wav\n",
        "segments": "".join(
            f"u{n} {p.file[6]} {p.start:.2f} {end}{'' if p.channel is None else f' {p.channel}'}\n"
            for n, (p, end) in enumerate(zip(PARTS, ends, strict=True))
        ),
        "utt2spk": "".join(f"u{n} {p.speaker}\n" for n, p in enumerate(PARTS)),
        "utt2emotion": "".join(f"u{n} {p.emotion}\n" for n, p in enumerate(PARTS)),
    }
    return write(folder, {**files, **audio()})


def lhotse(folder: Path) -> Path:
    recordings = [
        {
            "id": name,
            "sources": [{"type": "file", "channels": [0, 1], "source": f"calls/{name}.wav"}],
            "sampling_rate": RATE,
            "num_samples": int(SECONDS * RATE),
            "duration": SECONDS,
            "channel_ids": [0, 1],
        }
        for name in "ab"
    ]
    supervisions = [
        {
            "id": f"s{n}",
            "recording_id": p.file[6],
            "start": p.start,
            "duration": p.end - p.start,
            "channel": [0, 1] if p.channel is None else p.channel,
            "speaker": p.speaker,
            "custom": {"emotion": p.emotion},
        }
        for n, p in enumerate(PARTS)
    ]
    return write(folder, {"recordings.jsonl": lines(recordings), "supervisions.jsonl": lines(supervisions), **audio()})


def manifest(folder: Path) -> Path:
    """A manifest of the user's own, with columns of other names."""
    rows = [f"{p.file};{p.emotion};{p.speaker};{p.start};{p.end};{channel_of(p)}" for p in PARTS]
    text = "Wave;Mood;Who;From;To;Track\n" + "\n".join(rows) + "\n"
    toml = """
name = "calls"
title = "Calls"
[audio]
depth = 2
[labels]
pattern = ""
target = "emotion"
[[tables]]
files = ["turns.csv"]
match = "path"
columns = { file = "Wave", emotion = "Mood", speaker = "Who", start = "From", end = "To", channel = "Track" }
"""
    return write(folder, {"calls.toml": toml, "turns.csv": text, **audio()})


AUDFORMAT = """\
name: calls
license: CC0-1.0
schemes: {emotion: {dtype: str}, speaker: {dtype: str}, channel: {dtype: int}}
tables:
  turns:
    type: segmented
    columns:
      speaker: {scheme_id: speaker}
      emotion: {scheme_id: emotion}
      channel: {scheme_id: channel}
"""


def audformat(folder: Path) -> Path:
    def timedelta(seconds: float) -> str:
        return f"0 days 00:00:{seconds:09.6f}"

    rows = [
        ",".join((p.file, timedelta(p.start), timedelta(p.end), p.speaker, p.emotion, channel_of(p))) for p in PARTS
    ]
    table = "file,start,end,speaker,emotion,channel\n" + "\n".join(rows) + "\n"
    return write(folder, {"db.yaml": AUDFORMAT, "db.turns.csv": table, **audio()})


WAYS = {
    "metadata.csv": metadata_csv,
    "metadata.jsonl": metadata_jsonl,
    "kaldi": kaldi,
    "lhotse": lhotse,
    "audformat": audformat,
    "manifest": manifest,
}
"""Every way in which segments are written down."""
