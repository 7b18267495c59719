"""Whole files that look cut, and cut or mislabelled ones that look whole: streams, blocks and their headers."""

import io
import struct

import numpy as np
import pytest
import soundfile

from featurestore.errors import AudioError
from featurestore.signal.audio import decode
from featurestore.signal.containers import flac, ogg

GENERATOR = np.random.default_rng(0)
TONE = 0.3 * np.sin(np.arange(8000) / 7)


def encoded(signal, rate=16_000, **how):
    file = io.BytesIO()
    soundfile.write(file, signal, rate, **how)
    return file.getvalue()


@pytest.mark.parametrize("mark", [0x7F000000, 0x7F000008, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFF9B, 0xFFFFFFD3])
def test_a_wav_file_whose_size_only_a_stream_has_is_whole(mark):
    data = encoded(TONE, format="WAV", subtype="PCM_16")
    streamed = data[:40] + struct.pack("<I", mark) + data[44:]

    assert np.array_equal(decode(streamed).signal, decode(data).signal)


@pytest.mark.parametrize("mark", [0x7F000008, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_aiff_file_that_was_written_into_a_pipe_is_whole(mark):
    data = encoded(TONE, format="AIFF", subtype="PCM_16")
    common, sound = data.index(b"COMM"), data.index(b"SSND")
    assert len(data) == sound + 16 + 16_000
    streamed = bytearray(data)
    streamed[4:8] = struct.pack(">I", min(mark + 46, 0xFFFFFFFF))
    streamed[common + 10 : common + 14] = struct.pack(">I", (mark - 8) // 2)
    streamed[sound + 4 : sound + 8] = struct.pack(">I", mark)

    assert np.array_equal(decode(bytes(streamed)).signal, decode(data).signal)


@pytest.mark.parametrize("mark", [2**63 - 1, 2**64 - 1, 2**63 - 25])
def test_a_wave64_file_that_was_written_into_a_pipe_is_whole(mark):
    data = encoded(TONE, format="W64", subtype="PCM_16")
    place = data.index(b"data\xf3\xac\xd3\x11") + 16
    streamed = data[:place] + struct.pack("<Q", mark) + data[place + 8 :]

    assert np.array_equal(decode(streamed).signal, decode(data).signal)


@pytest.mark.parametrize("cut", [0.25, 0.9])
@pytest.mark.parametrize("container", ["WAV", "AIFF", "W64"])
def test_a_file_with_a_size_of_its_own_is_still_truncated_where_it_is_cut(container, cut):
    data = encoded(TONE, format=container, subtype="PCM_16")

    with pytest.raises(AudioError, match="truncated"):
        decode(data[: int(len(data) * cut)])


@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_gsm_has_whole_blocks_alone_and_the_byte_that_makes_its_size_even_is_no_sound(blocks):
    data = encoded(TONE[: 320 * blocks], 8000, format="WAV", subtype="GSM610")
    place = data.index(b"data")
    samples = data[place + 8 : place + 8 + 65 * blocks]
    padded = data[:place] + b"data" + struct.pack("<I", 65 * blocks + 1) + samples + b"\x00"
    even = data[:place] + b"data" + struct.pack("<I", 65 * blocks) + samples

    assert len(decode(padded).signal) == 320 * blocks
    assert np.array_equal(decode(padded).signal, decode(even).signal)
    with pytest.raises(AudioError, match="truncated: the last block of GSM has 40 of 65 bytes"):
        decode(data[:place] + b"data" + struct.pack("<I", 65 * blocks + 40) + samples + bytes(40))


def test_mp3_in_a_wav_file_is_what_it_is_without():
    stream = encoded(TONE, format="MP3", subtype="MPEG_LAYER_III")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16_000, 0, 576, 0, 12, 1, 2, 1152, 1, 1393)
    fact = b"fact" + struct.pack("<II", 4, 9770)  # ffmpeg counts what the encoder put before and behind
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + fact + b"data" + struct.pack("<I", len(stream)) + stream

    wrapped = decode(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert np.array_equal(wrapped.signal, decode(stream).signal)


def flac_of_verbatim_frames(samples, rates):
    """Write 16-bit samples as FLAC (RFC 9639) without prediction: a frame of 4,096 for each rate code."""
    frames = b""
    for number, (block, rate) in enumerate(zip(samples.reshape(-1, 4096), rates, strict=True)):
        head = bytes([0xFF, 0xF8, 0xC0 | rate, 0x08, number])
        frame = head + bytes([flac._crc(head, 8, flac._CRC8), 0x02]) + block.astype(">i2").tobytes()
        frames += frame + flac._crc(frame, 16, flac._CRC16).to_bytes(2, "big")
    numbers = 16_000 << 44 | 15 << 36 | len(samples)  # rate, one channel, bits - 1, samples
    return b"fLaC\x80\x00\x00\x22\x10\x00\x10\x00" + bytes(6) + numbers.to_bytes(8, "big") + bytes(16) + frames


def test_flac_frames_of_samples_that_stand_as_they_are_are_found():
    """Samples such as 0xFFF8 look like the start of a frame."""
    samples = GENERATOR.choice(np.array([-8, -7, 300], np.int16), 3 * 4096)

    decoded = decode(flac_of_verbatim_frames(samples, (5, 5, 5))).signal
    assert np.array_equal(decoded, (samples / 2**15).astype(np.float32))


def test_a_flac_stream_that_changes_its_rate_is_refused():
    samples = GENERATOR.integers(-(2**15), 2**15, 3 * 4096).astype(np.int16)

    assert len(decode(flac_of_verbatim_frames(samples, (5, 0, 5))).signal) == len(samples)  # 0: the stream's
    with pytest.raises(AudioError, match="changes its rate from 16000 to 8000 Hz after 4096 samples"):
        decode(flac_of_verbatim_frames(samples, (5, 4, 4)))


@pytest.mark.parametrize(("bits", "width"), [(12, 2), (10, 2), (20, 3), (9, 2)])
def test_samples_in_the_low_bits_of_their_containers_are_refused_and_in_the_high_bits_read(bits, width):
    samples = np.round(TONE * 2 ** (bits - 1)).astype("<i4")

    def wav(integers):
        raw = integers.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
        form = struct.pack("<HHIIHH", 1, 1, 16_000, 16_000 * width, width, bits)
        body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(raw)) + raw
        return b"RIFF" + struct.pack("<I", len(body)) + body

    high = decode(wav(samples << (8 * width - bits))).signal
    assert np.allclose(high, TONE, atol=2.0**-bits)
    with pytest.raises(AudioError, match=f"{bits}-bit samples in containers of {8 * width} bits"):
        decode(wav(samples))


def test_speex_is_named_and_not_claimed():
    body = b"Speex   1.2".ljust(80, b"\x00")
    page = bytearray(b"OggS" + bytes([0, 2 | 4]) + bytes(8) + b"abcd" + bytes(4) + bytes(4) + bytes([1, 80]) + body)
    page[22:26] = ogg._checksum(bytes(page)).to_bytes(4, "little")

    with pytest.raises(AudioError, match="an Ogg stream of Speex: only Vorbis, Opus and FLAC are read"):
        decode(bytes(page))


def test_an_mp3_that_is_shorter_than_its_encoder_s_delay_is_not_endless():
    data = bytearray(encoded(TONE, 48_000, format="MP3", subtype="MPEG_LAYER_III"))
    info = max(data.find(b"Xing"), data.find(b"Info"))
    size = first_two_frames(data)
    data[info + 8 : info + 12] = (1).to_bytes(4, "big")

    with pytest.raises(AudioError, match="its number of samples is unknown"):
        decode(bytes(data[:size]))


def first_two_frames(data):
    """Return the bytes of the info frame and of the first frame of sound."""
    from featurestore.signal.containers.mpeg import frame_header

    first = frame_header(bytes(data[:4])).size
    return first + frame_header(bytes(data[first : first + 4])).size
