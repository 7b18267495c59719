"""The corpora that this package makes itself, so that everything can be tried without a network.

`demo`: six voices speak five sentences in four moods. A mood shows in pitch, melody, tempo, loudness and the quality
of the voice together; each clip is also recorded at its own distance, so loudness alone does not give it away.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable, Mapping

import numpy as np

from featurestore.corpus.synthesised.formants import RATE, Manner, Signal, Voice, utter
from featurestore.errors import UnknownNameError
from featurestore.signal.elementary import exp10

VOICES = {
    "f1": Voice(pitch_hz=205, tract=1.16, tempo=1.00),
    "f2": Voice(pitch_hz=188, tract=1.12, tempo=0.96),
    "f3": Voice(pitch_hz=224, tract=1.19, tempo=1.05),
    "m1": Voice(pitch_hz=118, tract=1.00, tempo=1.02),
    "m2": Voice(pitch_hz=104, tract=0.96, tempo=0.95),
    "m3": Voice(pitch_hz=131, tract=1.03, tempo=1.05),
}
MOODS = {
    "neu": Manner(brightness=0.42),
    "hap": Manner(pitch=1.32, range_semitones=6.5, tempo=1.10, level_db=3, brightness=0.66, breath=0.05),
    "ang": Manner(pitch=1.12, range_semitones=3.0, tempo=1.18, level_db=5, brightness=1.00, breath=0.02, jitter=0.03),
    "sad": Manner(pitch=0.88, range_semitones=0.8, tempo=0.86, level_db=-4, brightness=0.12, breath=0.30, jitter=0.008),
}
SENTENCES = {"s1": "aeiouae", "s2": "oaieuo", "s3": "iaoueai", "s4": "uoeaie", "s5": "eiaoiue"}

LEVEL_DB = -26.0
"""Root mean square of a calm clip, in decibels below full scale."""
DISTANCE_DB = 6.0
"""A clip's level differs by up to this many decibels either way, as microphones are nearer or farther."""
ROOM_DB = -68.0
"""Level of the noise of the room, in decibels below full scale."""


def generate(generator: str) -> dict[str, bytes]:
    """Return the files of a synthesised corpus, the same bytes every time.

    Raises
    ------
    UnknownNameError
        If there is no such generator.
    """
    if generator not in GENERATORS:
        raise UnknownNameError("generator", generator, GENERATORS)
    return GENERATORS[generator]()


def demo_files() -> dict[str, bytes]:
    """Synthesise the 120 clips of the `demo` corpus: `{voice}_{sentence}_{mood}.wav`, 16 kHz mono PCM16."""
    return {
        f"{voice}_{sentence}_{mood}.wav": wav_bytes(_clip(voice, sentence, mood))
        for voice in VOICES
        for sentence in SENTENCES
        for mood in MOODS
    }


def wav_bytes(signal: Signal) -> bytes:
    """Write a signal in [-1, 1] as a 16-bit mono WAV file; louder samples are clipped."""
    samples = np.rint(np.clip(signal, -1, 1) * 32_767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, RATE, len(samples), "NONE", "not compressed"))
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _clip(voice: str, sentence: str, mood: str) -> Signal:
    """Synthesise one clip from a random stream that its name alone decides; array [time], full scale 1."""
    key = hashlib.sha256(f"demo/{voice}/{sentence}/{mood}".encode()).digest()
    random = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))
    spoken = utter(SENTENCES[sentence], VOICES[voice], MOODS[mood], random)
    distance_db = DISTANCE_DB * (2 * random.random() - 1)
    room = random.standard_normal(len(spoken)) * _amplitude(ROOM_DB)
    return spoken * _amplitude(LEVEL_DB + MOODS[mood].level_db + distance_db) + room


def _amplitude(level_db: float) -> float:
    return float(exp10(level_db / 20))


GENERATORS: Mapping[str, Callable[[], dict[str, bytes]]] = {"formants": demo_files}
"""The synthesisers that a manifest can name."""
