"""Small sounds that the tests of perturbations share."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import soundfile

from featurestore.perturbations.policy_tables import Recordings
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec

RATE = 16_000
FEATURES = FeatureSpec(rate=RATE, mels=16, dtype="float32")


def wav(signal, rate=RATE, subtype="FLOAT"):
    file = io.BytesIO()
    soundfile.write(file, np.asarray(signal, np.float32), rate, format="WAV", subtype=subtype)
    return file.getvalue()


def content(data):
    return hashlib.sha256(data).hexdigest()


def held(*sounds):
    """Return sounds by content, as a store's sources, and the `Recordings` that name them."""
    data = {content(sound): sound for sound in sounds}
    return data, Recordings(tuple(data))


def white(samples, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def tone(hertz=440.0, seconds=1.5):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def response(samples=1200, delay=40, seed=3):
    """Return a room impulse response: nothing, the direct path, then a tail that dies away."""
    tail = np.random.default_rng(seed).standard_normal(samples) * np.exp(-np.arange(samples) / 200) * 0.3
    tail[:delay] = 0
    tail[delay] = 1
    return tail.astype(np.float32)


def engine(data=None, features=FEATURES, **fields):
    """Return an engine for a policy, with recordings to take in."""
    return RowEngine(features, AugmentationSpec(**fields), (data or {}).__getitem__)


def perturbed(own, signal, perturbation):
    """Return the waveform of a copy of a signal in float64."""
    return own.waveform(own.prepare_recording(Recording(signal, RATE)), perturbation).astype(np.float64)


def decibels(signal, noise):
    return 10 * np.log10(np.sum(np.square(signal)) / np.sum(np.square(noise)))
