"""The corpora that this package makes itself, by a small formant synthesiser.

The classical source and filter of D. H. Klatt, "Software for a cascade/parallel formant synthesizer", J. Acoust. Soc.
Am. 67 (1980), reduced to vowels with a noisy onset. It makes material for tests and demonstrations, no good speech.

`demo`: six voices speak five sentences in four moods. A mood shows in pitch, melody, tempo, loudness and the quality
of the voice together; each clip is also recorded at its own distance, so loudness alone does not give it away.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from featurestore.errors import UnknownNameError
from featurestore.signal.kernels.elementary import LN2, cosine_and_sine, exp, exp10

Signal = NDArray[np.float64]

RATE = 16_000
"""Samples a second."""
VOWELS = {
    "a": (730.0, 1090.0, 2440.0, 3400.0),
    "e": (530.0, 1840.0, 2480.0, 3500.0),
    "i": (270.0, 2290.0, 3010.0, 3700.0),
    "o": (570.0, 840.0, 2410.0, 3300.0),
    "u": (300.0, 870.0, 2240.0, 3300.0),
}
"""Formants of adult male American vowels in hertz; the first three from G. E. Peterson and H. L. Barney, J. Acoust.
Soc. Am. 24 (1952), table II."""
BANDWIDTHS = (80.0, 100.0, 140.0, 200.0)
"""Bandwidths of the formants in hertz."""
CROSSFADE = 0.03
"""Seconds over which one vowel turns into the next."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: `pitch_hz` of the calm voice, and `tract`, the factor on all formants (1 = adult male average)."""

    pitch_hz: float
    tract: float
    tempo: float = 1.0


@dataclass(frozen=True, slots=True)
class Manner:
    """A way of speaking, relative to a calm one."""

    pitch: float = 1.0
    """Factor on the mean pitch."""
    range_semitones: float = 2.0
    """Distance from the mean to the peak of the melody."""
    tempo: float = 1.0
    """Syllables a second, as a factor."""
    level_db: float = 0.0
    """Loudness."""
    brightness: float = 0.5
    """Spectral tilt of the voice: 0 damps high harmonics strongly, 1 not at all."""
    breath: float = 0.03
    """Breath noise as a part of the voice's amplitude."""
    jitter: float = 0.005
    """Irregularity of the pitch, standard deviation as a fraction."""


def utter(syllables: Sequence[str], voice: Voice, manner: Manner, random: np.random.Generator) -> Signal:
    """Speak a row of syllables, each one vowel with a short noisy onset.

    Parameters
    ----------
    syllables : sequence of str
        Keys of `VOWELS`.
    random : numpy.random.Generator
        The only source of chance: melody, breath, jitter, small changes of tempo.

    Returns
    -------
    array [time], float64, root mean square 1
    """
    seconds = 0.2 / (voice.tempo * manner.tempo) * (0.92 + 0.16 * random.random(len(syllables)))
    seconds[-1] *= 1.3
    edges = np.concatenate(([0], np.cumsum(np.rint(seconds * RATE).astype(np.int64))))
    source = _voice_source(edges, voice, manner, random)
    spoken = np.zeros(len(source))
    for vowel, start, stop in zip(syllables, edges[:-1], edges[1:], strict=True):
        spoken += _resonate(_faded(source, int(start), int(stop)), vowel, voice.tract)
    spoken = spoken * _loudness(edges) + _onsets(edges, random)
    return np.asarray(spoken / np.sqrt(np.mean(spoken**2)))


def _voice_source(edges: NDArray[np.int64], voice: Voice, manner: Manner, random: np.random.Generator) -> Signal:
    """Return glottal pulses with breath, tilted as the manner says; array [time]."""
    pitch = voice.pitch_hz * manner.pitch * exp(LN2 / 12 * _melody(edges, manner, random))
    phase = np.cumsum(pitch / RATE) % 1.0
    open_part = 0.5 + 0.2 * (1 - manner.brightness)
    flow = np.where(phase < open_part, cosine_and_sine(phase / (2 * open_part))[1] ** 2, 0.0)
    pulses = np.diff(flow, prepend=0.0)
    pulses /= np.sqrt(np.mean(pulses**2))
    breathy = pulses + manner.breath * random.standard_normal(len(pulses)) * (0.3 + flow)
    pole = 0.85 * (1 - manner.brightness)
    return np.asarray(lfilter([1 - pole], [1, -pole], breathy))


def _melody(edges: NDArray[np.int64], manner: Manner, random: np.random.Generator) -> Signal:
    """Return the pitch over time in semitones around the mean: falling, with an accent on each syllable, and jitter."""
    accents = manner.range_semitones * (2 * random.random(len(edges)) - 1)
    fall = manner.range_semitones * np.linspace(0.5, -0.5, len(edges))
    line = np.interp(np.arange(edges[-1]), edges, 0.7 * accents + fall)
    wander = lfilter([1.0], [1, -0.98], random.standard_normal(len(line))) * np.sqrt(1 - 0.98**2)
    return np.asarray(line + 12 / LN2 * manner.jitter * wander)


def _faded(source: Signal, start: int, stop: int) -> Signal:
    """Cut one syllable out of the source, with slopes that add to one with its neighbours'."""
    slope = CROSSFADE * RATE
    time = np.arange(len(source))
    rise = np.clip((time - start) / slope + 0.5, 0, 1) if start > 0 else np.ones(len(source))
    fall = np.clip((stop - time) / slope + 0.5, 0, 1) if stop < len(source) else np.ones(len(source))
    return source * rise * fall


def _resonate(source: Signal, vowel: str, tract: float) -> Signal:
    """Filter a source by the four formants of a vowel, as one cascade of two-pole resonators."""
    poles = np.array([1.0])
    for formant, bandwidth in zip(VOWELS[vowel], BANDWIDTHS, strict=True):
        radius, cosine = exp(-np.pi * bandwidth / RATE), cosine_and_sine(np.float64(formant * tract / RATE))[0]
        one, two = np.append(poles, [0.0, 0.0]), np.append(np.append(0.0, poles), 0.0)
        poles = one - 2 * radius * cosine * two + radius**2 * np.append([0.0, 0.0], poles)
    return np.asarray(lfilter([poles.sum()], poles, source))


def _loudness(edges: NDArray[np.int64]) -> Signal:
    """Return an envelope that dips between syllables and fades at both ends; array [time]."""
    middles = (edges[:-1] + edges[1:]) / 2
    points: Signal = np.sort(np.concatenate((edges, middles))).astype(np.float64)
    levels = np.full(len(points), 0.35)
    levels[1::2] = 1.0
    levels[[0, -1]] = 0.0
    return np.asarray(np.interp(np.arange(edges[-1]), points, levels))


def _onsets(edges: NDArray[np.int64], random: np.random.Generator) -> Signal:
    """Return a burst of high noise at the start of each syllable, in place of consonants; array [time]."""
    noise = random.standard_normal(int(edges[-1]))
    hiss = np.diff(noise, n=2, prepend=[0.0, 0.0])
    time = np.arange(edges[-1])
    shape = np.zeros(len(hiss))
    for start in edges[:-1]:
        shape += exp(-(((time - start) / RATE - 0.02) ** 2) / (2 * 0.01**2))
    return 0.02 * hiss * shape


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
    """Return the files of a synthesised corpus, the same bytes every time; `UnknownNameError` if there is none."""
    if generator not in GENERATORS:
        raise UnknownNameError("generator", generator, GENERATORS)
    return GENERATORS[generator]()


def demo_files() -> dict[str, bytes]:
    """Synthesise the 120 clips of the `demo` corpus: `{voice}_{sentence}_{mood}.wav`, 16 kHz mono PCM16."""
    return {
        f"{voice}_{sentence}_{mood}.wav": _wav_bytes(_clip(voice, sentence, mood))
        for voice in VOICES
        for sentence in SENTENCES
        for mood in MOODS
    }


def _wav_bytes(signal: Signal) -> bytes:
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
