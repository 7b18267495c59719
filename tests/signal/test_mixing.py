"""Channels that cancel in their mean are refused; all others are averaged."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import tone, wav, white

from featurestore.errors import AudioError
from featurestore.signal.audio import decode
from pipelines.audio_check import check_audio

VOICE = tone() * (1 + 0.5 * np.sin(np.arange(24_000) / 600)).astype(np.float32) / 2


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ((VOICE, -VOICE), "their mean is silent"),
        ((VOICE, -0.99 * VOICE), "their mean lies 46 dB below them"),
        ((VOICE, -VOICE, white(24_000, level=0.001)), "their mean lies"),
        ((VOICE + white(24_000, level=0.001), -VOICE), "Name one channel"),
    ],
)
def test_channels_that_cancel_are_refused_and_the_reason_says_so(channels, reason):
    data = wav(np.stack(channels, 1))

    with pytest.raises(AudioError, match=rf"^its channels cancel.*{reason}"):
        decode(data)
    found = check_audio([("turned.wav", data), ("plain.wav", wav(VOICE))], jobs=1)
    assert [(one.path, "channels cancel" in one.reason) for one in found.rejected] == [("turned.wav", True)]


@pytest.mark.parametrize(
    "channels",
    [
        (VOICE, VOICE),
        (VOICE, np.zeros_like(VOICE)),
        (VOICE, -0.5 * VOICE),
        (white(24_000), white(24_000, 1)),
        tuple(white(24_000, seed) for seed in range(8)),
        (np.zeros_like(VOICE), np.zeros_like(VOICE)),
        (np.roll(VOICE, 9), VOICE),
    ],
)
def test_channels_that_do_not_cancel_are_averaged(channels):
    np.testing.assert_allclose(decode(wav(np.stack(channels, 1))).signal, np.mean(channels, axis=0), atol=1e-7)


def test_a_long_recording_is_judged_as_a_whole():
    quiet_start = np.concatenate([np.zeros(300_000, np.float32), VOICE])
    turned = np.concatenate([0.001 * white(300_000), VOICE])

    with pytest.raises(AudioError, match="cancel"):
        decode(wav(np.stack([quiet_start, -quiet_start], 1)))
    assert len(decode(wav(np.stack([turned, np.concatenate([-0.001 * white(300_000), VOICE])], 1))).signal) == 324_000
