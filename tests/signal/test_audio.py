import io
import struct

import numpy as np
import pytest
import soundfile

from featurestore.errors import AudioError
from featurestore.signal.audio import Recording, decode, resample
from featurestore.signal.containers.wav import data_chunk


def file_of(signal, rate=16_000, container="WAV", subtype="PCM_16"):
    target = io.BytesIO()
    soundfile.write(target, signal, rate, format=container, subtype=subtype)
    return target.getvalue()


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("WAV", "FLOAT")])
def test_a_file_is_decoded_to_its_samples(tone, container, subtype):
    recording = decode(file_of(tone, container=container, subtype=subtype))

    assert recording.rate == 16_000
    assert recording.signal.dtype == np.float32
    np.testing.assert_allclose(recording.signal, tone, atol=2**-15)


def test_channels_are_averaged(tone):
    recording = decode(file_of(np.stack([tone, 0.5 * tone], axis=1), subtype="FLOAT"))

    np.testing.assert_allclose(recording.signal, 0.75 * tone, atol=1e-7)


def test_a_tone_keeps_its_frequency_at_a_new_rate(tone):
    resampled = resample(Recording(tone, 16_000), 8_000)

    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 8_000)
    np.testing.assert_allclose(resampled.signal[500:-500], expected[500:-500], atol=1e-4)
    assert resampled.rate == 8_000


def test_an_equal_rate_changes_nothing(tone):
    recording = Recording(tone, 16_000)

    assert resample(recording, 16_000) is recording


def broken_files(tone):
    whole = file_of(tone)
    infinite = tone.copy()
    infinite[100] = np.nan
    return {
        "empty": b"",
        "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "not an audio file": b"<html>404</html>" * 100,
        "truncated": whole[: len(whole) // 2],
        "no samples": file_of(tone[:0]),
        "not numbers": file_of(infinite, subtype="FLOAT"),
        "full scale is 1": file_of(tone * 1e9, subtype="FLOAT"),
        "channels": file_of(np.zeros((100, 9), np.float32)),
        "Hz": file_of(tone, rate=500),
    }


@pytest.mark.parametrize(
    "reason",
    [
        "empty",
        "Git LFS pointer",
        "not an audio file",
        "truncated",
        "no samples",
        "not numbers",
        "full scale is 1",
        "channels",
        "Hz",
    ],
)
def test_a_bad_file_is_refused_with_its_reason(tone, reason):
    data = broken_files(tone)[reason]

    with pytest.raises(AudioError, match=reason):
        decode(data)


def test_a_recording_beyond_the_cap_is_refused(tone):
    with pytest.raises(AudioError, match=r"too long: 3\.0 s; at most 2 s"):
        decode(file_of(tone), max_seconds=2)


def test_a_header_that_promises_hours_is_refused_before_memory_is_asked_for():
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 2**31, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", 2**30
    )

    with pytest.raises(AudioError, match="truncated: the header announces 1073741824 bytes"):
        decode(header + bytes(64))


def test_a_flac_cut_short_is_refused(tone):
    rng = np.random.default_rng(0)
    whole = file_of(0.1 * rng.standard_normal(48_000), container="FLAC")

    with pytest.raises(AudioError):
        decode(whole[: len(whole) // 2])


def test_a_streamed_wav_of_unknown_size_reaches_to_its_end(tone):
    data = bytearray(file_of(tone))
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"

    chunk = data_chunk(bytes(data))

    assert chunk is not None
    assert chunk.promised == chunk.held == 2 * len(tone)


def test_the_data_chunk_is_found_behind_others_of_odd_length():
    data = b"RIFF\x00\x00\x00\x00WAVE" + b"LIST\x03\x00\x00\x00abc\x00" + b"data\x08\x00\x00\x00" + bytes(6)

    chunk = data_chunk(data)

    assert chunk is not None
    assert (chunk.promised, chunk.held) == (8, 6)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"fLaC" + bytes(40), b"RIFF\x00\x00\x00\x00WAVEdat"])
def test_other_bytes_have_no_data_chunk(data):
    assert data_chunk(data) is None
