"""Audio files in memory."""

import io

import numpy as np
import soundfile


def wav_of(signal, rate=16_000):
    return _written(signal, rate, "WAV")


def flac_of(signal, rate=16_000):
    return _written(signal, rate, "FLAC")


def _written(signal, rate, container):
    target = io.BytesIO()
    soundfile.write(target, np.round(signal * 32_767).astype(np.int16), rate, format=container, subtype="PCM_16")
    return target.getvalue()
