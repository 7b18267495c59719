"""Copies of licensed corpora in their exact naming, large enough to train on, with sound that depends on the label."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import soundfile
from licensed_corpora import put, write_agender, write_aihub, write_fau_aibo, write_iemocap

RATE = 16_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def sound(name: str, seconds: float = 0.6, rate: int = RATE) -> np.ndarray:
    """Return a tone in noise, array [time], that is another for every name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    time = np.arange(int(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 400) * time)
    return (tone + 0.05 * rng.standard_normal(len(time))).astype(np.float32)


def voiced(folder: Path) -> Path:
    """Put sound into all recordings of a copy: WAV files, and the headerless samples of aGender."""
    for path in sorted(folder.rglob("*.wav")):
        if not path.name.startswith("._"):
            soundfile.write(path, sound(str(path.relative_to(folder))), RATE, subtype="PCM_16")
    for path in sorted(folder.rglob("*.raw")):
        samples = sound(str(path.relative_to(folder)), rate=8_000)
        path.write_bytes((samples * 32_767).astype("<i2").tobytes())
    return folder


def iemocap(folder: Path) -> Path:
    """Five sessions of two speakers; each has a turn of each of four emotions in an improvised dialogue."""
    emotions = ("neu", "ang", "hap", "sad")
    dialogues = {
        f"Ses0{session}{side}_impro0{number}": tuple(
            (f"{speaker}{turn:03}", emotion) for speaker in "FM" for turn, emotion in enumerate(emotions)
        )
        for session in range(1, 6)
        for number, side in enumerate("FM", start=1)
    }
    return voiced(write_iemocap(folder, dialogues))


def fau_aibo(folder: Path) -> Path:
    """Two schools; the first five children of Ohm validate."""
    return voiced(write_fau_aibo(folder, speakers=8))


def agender(folder: Path) -> Path:
    """Seven classes of 22 training speakers, of whom 20 validate."""
    return voiced(write_agender(folder))


def aihub_emotion(folder: Path) -> Path:
    """Three releases, each with ten recordings of each of three emotions on which all raters agree."""
    releases = {}
    for release, fourth in (("4차년도", "4번감정세기"), ("5차년도", "4번감정세기"), ("5차년도_2차", "4번 감정세기")):
        rows = [
            (f"{release[0]}{emotion[:2]}{len(release)}{number}", "응", emotion, (emotion, 1) * 5, 25, "female")
            for emotion in ("anger", "sadness", "happiness")
            for number in range(10)
        ]
        releases[release] = (fourth, rows)
    return voiced(write_aihub(folder, releases))


def speech_commands_v1(folder: Path) -> Path:
    """Ten digits of nine speakers, the two lists, a word that is no digit, and a background noise."""
    speakers = [f"{zlib.crc32(bytes([number])):08x}" for number in range(9)]
    for word in (*DIGITS, "bed"):
        for speaker in speakers:
            put(folder / word / f"{speaker}_nohash_0.wav", b"")
    put(folder / "_background_noise_" / "running_tap.wav", b"")
    for name, those in (("validation", speakers[:2]), ("testing", speakers[2:4])):
        lines = [f"{word}/{speaker}_nohash_0.wav\n" for word in (*DIGITS, "bed") for speaker in those]
        put(folder / f"{name}_list.txt", "".join(lines))
    return voiced(folder)
