"""Every way to put samples into a file that we read: right, or refused with the reason, and never silently short."""

import io
import struct

import numpy as np
import pytest
import soundfile
from odd_files import (
    ALAW,
    FLOAT,
    MULAW,
    chunk,
    flac_with_total,
    form,
    integers,
    ogg_flac,
    ogg_pages,
    wav,
    with_data_size,
    without_info_frame,
    written,
)

from featurestore.errors import AudioError
from featurestore.signal.audio import decode


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(5)
    return (0.4 * np.sin(np.arange(24_000) * 0.05) + 0.05 * rng.standard_normal(24_000)).astype(np.float32)


def assert_same(data, signal, tolerance, rate=16_000):
    recording = decode(data)
    assert recording.rate == rate
    assert len(recording.signal) == len(signal)
    np.testing.assert_allclose(recording.signal, signal, atol=tolerance)


@pytest.mark.parametrize("width", range(2, 9))
def test_integers_of_16_to_64_bits_are_read_right(sound, width):
    assert_same(wav(integers(sound, width), bits=8 * width), sound, max(2.0 ** (2 - 8 * width), 1e-7))


@pytest.mark.parametrize("bits", [5, 8])
def test_integers_of_at_most_eight_bits_are_unsigned(sound, bits):
    samples = np.round(sound * 127 + 128).astype(np.uint8).tobytes()

    assert_same(wav(samples, bits=bits), sound, 2**-6)


@pytest.mark.parametrize("bits", [12, 20, 36, 45, 53])
def test_bits_that_fill_no_byte_stand_in_the_high_bits(sound, bits):
    assert_same(wav(integers(sound, -(-bits // 8)), bits=bits), sound, 2**-14)


@pytest.mark.parametrize("width", [4, 8])
def test_floats_of_32_and_64_bits_are_read_right(sound, width):
    assert_same(wav(sound.astype(f"<f{width}").tobytes(), tag=FLOAT, bits=8 * width), sound, 0)


@pytest.mark.parametrize(("width", "tag"), [(2, 1), (3, 1), (4, 1), (4, 3)])
def test_big_endian_wav_is_read_right(sound, width, tag):
    samples = sound.astype(">f4").tobytes() if tag == FLOAT else integers(sound, width, "big")

    assert_same(wav(samples, tag=tag, bits=8 * width, magic=b"RIFX", order=">"), sound, 2**-14)


@pytest.mark.parametrize(("law", "tag"), [("ALAW", ALAW), ("ULAW", MULAW)])
def test_a_law_and_mu_law_are_read_right_in_every_container(sound, law, tag):
    expected, _ = soundfile.read(io.BytesIO(written(sound, subtype=law)), dtype="float32")

    for container in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST"):
        assert_same(written(sound, container=container, subtype=law), expected, 0)
    assert np.max(np.abs(expected - sound)) < 0.05
    assert tag in (ALAW, MULAW)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "NIST"])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_each_container_gives_the_mean_of_its_channels(sound, container, channels):
    samples = np.stack([sound * (1 - 0.1 * number) for number in range(channels)], axis=1)

    recording = decode(written(samples, container=container, subtype="PCM_16"))

    assert recording.channels == channels
    np.testing.assert_allclose(recording.signal, samples.mean(axis=1), atol=2**-14)


@pytest.mark.parametrize(("subtype", "tolerance"), [("IMA_ADPCM", 0.05), ("MS_ADPCM", 0.05), ("GSM610", 0.5)])
def test_compressed_wav_is_read_to_its_last_block(sound, subtype, tolerance):
    recording = decode(written(sound, subtype=subtype))

    assert len(recording.signal) >= len(sound)
    assert np.mean(np.abs(recording.signal[: len(sound)] - sound)) < tolerance


@pytest.mark.parametrize(("subtype", "head", "first"), [("IMA_ADPCM", 4, 1), ("MS_ADPCM", 7, 2)])
def test_an_adpcm_file_whose_last_block_is_short_keeps_its_last_samples(sound, subtype, head, first):
    whole = written(sound, subtype=subtype)
    place = whole.index(b"data") + 8
    block = struct.unpack_from("<H", whole, whole.index(b"fmt ") + 20)[0]
    kept = 5 * block + head + 50

    recording = decode(with_data_size(whole[: place + kept], kept))

    expected = decode(whole).signal[: 5 * (first + 2 * (block - head)) + first + 100]
    np.testing.assert_array_equal(recording.signal, expected)


@pytest.mark.parametrize("rate", [1_234, 8_000, 11_025, 24_414, 44_056, 96_000, 192_000])
def test_odd_rates_are_kept(sound, rate):
    assert_same(written(sound, rate=rate, subtype="PCM_16"), sound, 2**-14, rate)


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_the_size_of_a_64_bit_wav_stands_in_its_own_chunk(sound, magic):
    samples = integers(sound, 2)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), len(sound), 0))

    assert_same(with_data_size(wav(samples, before=ds64, magic=magic), 2**32 - 1), sound, 2**-14)
    with pytest.raises(AudioError, match="truncated"):
        decode(with_data_size(wav(samples[:-2], before=ds64, magic=magic), 2**32 - 1))


EXTRA = {
    "a list of texts": chunk(b"LIST", b"INFOISFT\x03\0\0\0abc\0"),
    "an odd length": chunk(b"junk", b"odd"),
    "an ID3 tag": chunk(b"id3 ", b"ID3\x04" + bytes(30)),
    "a broadcast extension": chunk(b"bext", bytes(602)),
    "an empty chunk": chunk(b"PAD ", b""),
    "a name of zeros": chunk(bytes(4), bytes(8)),
    "a list that lies about its length": chunk(b"LIST", b"INFOISFT\xff\xff\xff\x7f"),
    "a cue list of a billion points": chunk(b"cue ", struct.pack("<I", 10**9)),
    "a sampler chunk of a billion loops": chunk(b"smpl", bytes(28) + struct.pack("<II", 10**9, 0)),
}


@pytest.mark.parametrize("kind", EXTRA)
@pytest.mark.parametrize("place", ["before", "after"])
def test_other_chunks_change_no_sample_of_plain_wav(sound, kind, place):
    assert_same(wav(integers(sound, 2), **{place: EXTRA[kind]}), sound, 2**-14)


def test_bytes_behind_the_last_chunk_and_behind_the_last_whole_sample_are_no_sound(sound):
    assert_same(wav(integers(sound, 3) + b"\x01", bits=24, after=b"\x00trailing rubbish"), sound, 2**-20)


@pytest.mark.parametrize("size", [2**32 - 1, 2**32 - 37, 2**31, 2**31 - 1, 0x7FFFF000, 0x7FFF0000])
def test_a_wav_that_was_written_into_a_pipe_reaches_to_its_end(sound, size):
    assert_same(with_data_size(wav(integers(sound, 2)), size), sound, 2**-14)


def test_24_bits_in_four_bytes_are_read_where_they_fill_the_high_bits_and_refused_elsewhere(sound):
    high = integers(sound, 3)
    aligned = b"".join(b"\0" + high[at : at + 3] for at in range(0, len(high), 3))
    low = b"".join(high[at : at + 3] + b"\0" for at in range(0, len(high), 3))
    extension = struct.pack("<HHIHH", 22, 24, 4, 1, 0) + bytes.fromhex("000000001000800000aa00389b71")[2:]

    assert_same(wav(aligned, bits=24, block=4), sound, 2**-20)
    with pytest.raises(AudioError, match="high bits"):
        decode(wav(low, bits=24, block=4))
    with pytest.raises(AudioError, match="high bits"):
        decode(wav(low, tag=0xFFFE, bits=32, extra=extension))


WRONG = {
    "0 channels": {"channels": 0, "block": 2},
    "rate of 0 Hz": {"rate": 0},
    "65535 channels": {"channels": 65_535, "block": 2},
    "2147483648 Hz": {"rate": 2**31},
    "of 0 bits": {"bits": 0, "block": 2},
    "of 65535 bits": {"bits": 65_535, "block": 2},
    "float samples of 16 bits": {"tag": FLOAT, "bits": 16},
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_wav_header_that_makes_no_sense_is_refused_with_its_figure(sound, reason):
    with pytest.raises(AudioError, match=reason):
        decode(wav(integers(sound, 2), **WRONG[reason]))


def test_a_wav_without_format_or_samples_is_refused(sound):
    data = chunk(b"data", integers(sound, 2))

    for body, message in ((data, "without a format"), (chunk(b"fmt ", form()), "without samples"), (b"", "samples")):
        with pytest.raises(AudioError, match=message):
            decode(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)


def test_a_recorder_that_was_stopped_before_it_wrote_the_size_is_told_from_an_empty_file(sound):
    with pytest.raises(AudioError, match="announces 0 bytes, 48000 follow"):
        decode(with_data_size(wav(integers(sound, 2)), 0))
    with pytest.raises(AudioError, match="no samples"):
        decode(wav(b""))


CONTAINERS = [
    *((container, "PCM_16") for container in ("WAV", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "NIST")),
    ("WAV", "MS_ADPCM"),
    ("CAF", "ALAC_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_a_file_cut_anywhere_is_refused_and_never_silently_short(sound, container, subtype):
    whole = written(sound, container=container, subtype=subtype)
    assert len(decode(whole).signal) >= len(sound)

    for kept in (1, 4, 12, 30, 60, len(whole) // 3, len(whole) * 6 // 10, len(whole) - 100, len(whole) - 2):
        with pytest.raises(AudioError):
            decode(whole[:kept])


@pytest.mark.parametrize(("name", "reason"), [("COMM", "10 frames"), ("SSND", "24000 frames, 2 bytes")])
def test_an_aiff_whose_two_announcements_differ_is_refused(sound, name, reason):
    data = written(sound, container="AIFF", subtype="PCM_16")
    place = data.index(name.encode()) + {"COMM": 10, "SSND": 4}[name]

    with pytest.raises(AudioError, match=reason):
        decode(data[:place] + struct.pack(">I", 10) + data[place + 4 :])


@pytest.mark.parametrize(("container", "place"), [("AU", 8), ("CAF", None)])
def test_a_stream_of_unknown_length_reaches_to_its_end(sound, container, place):
    data = written(sound, container=container, subtype="PCM_16")
    place = data.index(b"data") + 4 if place is None else place

    width = 4 if container == "AU" else 8

    assert_same(data[:place] + b"\xff" * width + data[place + width :], sound, 2**-14)


def test_a_flac_that_tells_no_length_is_read_to_its_last_frame(sound):
    data = written(sound, container="FLAC", subtype="PCM_16")

    assert_same(flac_with_total(data, 0), sound, 2**-14)
    with pytest.raises(AudioError, match="truncated or damaged"):
        decode(flac_with_total(data, 0)[:-1000])


@pytest.mark.parametrize("total", [1, 1000, 4096, 23_999, 24_001, 2**36 - 1])
def test_a_flac_that_lies_about_its_length_is_refused(sound, total):
    with pytest.raises(AudioError, match=f"announces {total} samples"):
        decode(flac_with_total(written(sound, container="FLAC", subtype="PCM_16"), total))


def test_a_flac_with_an_id3_tag_is_read(sound):
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, 20]) + bytes(20)

    assert_same(tag + written(sound, container="FLAC", subtype="PCM_16"), sound, 2**-14)


@pytest.mark.parametrize("total", [0, 24_000])
def test_flac_in_ogg_is_read(sound, total):
    assert_same(ogg_flac(flac_with_total(written(sound, container="FLAC", subtype="PCM_16"), total)), sound, 2**-14)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_with_a_missing_damaged_or_unmarked_page_is_refused(sound, subtype):
    pages = ogg_pages(written(np.tile(sound, 4), container="OGG", subtype=subtype))
    damaged = bytearray(pages[-2])
    damaged[100] ^= 1

    for broken, reason in (
        ([*pages[:-2], pages[-1]], "is missing"),
        ([*pages[:-2], bytes(damaged), pages[-1]], "checksum"),
        (pages[:-1], "not marked as the end"),
        ([*pages, *pages], "several Ogg streams"),
    ):
        with pytest.raises(AudioError, match=reason):
            decode(b"".join(broken))


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "ULAW"), ("RF64", "FLOAT"), ("FLAC", "PCM_16")]
)
def test_files_put_one_behind_the_other_are_refused(sound, container, subtype):
    data = written(sound, container=container, subtype=subtype)

    with pytest.raises(AudioError, match=f"several {'FLAC' if container == 'FLAC' else 'WAV'} "):
        decode(data + data)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_without_an_info_frame_is_read_to_its_last_frame(sound, mode):
    loud_then_silent = np.concatenate([sound, np.zeros(96_000, np.float32)])
    data = written(loud_then_silent, 44_100, "MP3", "MPEG_LAYER_III", bitrate_mode=mode, compression_level=0.3)
    bare = without_info_frame(data)
    assert b"Xing" not in bare[:200]

    recording = decode(bare)

    assert len(recording.signal) % 1152 == 0
    assert 0 <= len(recording.signal) - len(loud_then_silent) < 4 * 1152
    assert np.max(np.abs(recording.signal[40_000:])) < 0.01


def test_an_mp3_whose_info_frame_announces_another_number_of_frames_is_refused(sound):
    data = written(sound, 44_100, "MP3", "MPEG_LAYER_III")
    place = next(data.index(tag) for tag in (b"Info", b"Xing") if tag in data[:200]) + 8

    for announced in (1, 10_000):
        with pytest.raises(AudioError, match=f"announces {announced} MPEG frames"):
            decode(data[:place] + struct.pack(">I", announced) + data[place + 4 :])


def test_tags_around_an_mp3_are_no_sound(sound):
    data = written(sound, 44_100, "MP3", "MPEG_LAYER_III")
    tagged = b"ID3\x03\0\0" + bytes([0, 0, 1, 0]) + bytes(128) + data + b"TAG" + bytes(125)

    np.testing.assert_allclose(decode(tagged).signal, decode(data).signal, atol=1e-6)


STRANGERS = {
    "MP4": b"\0\0\0\x20ftypM4A " + bytes(50),
    "Matroska": b"\x1aE\xdf\xa3" + bytes(50),
    "WMA": b"0&\xb2u\x8ef\xcf\x11" + bytes(50),
    "AMR": b"#!AMR\n" + bytes(50),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "web page": b"<!doctype html>",
    "zip": b"PK\x03\x04" + bytes(50),
    "pickle": b"\x80\x04\x95" + bytes(50),
    "zeros": bytes(1000),
    "raw samples need a header": bytes(range(1, 100)),
    "AAC": b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(50),
    "type b'AVI '": b"RIFF\x10\0\0\0AVI " + bytes(50),
    "VOC": b"Creative Voice File\x1a" + bytes(50),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_audio_that_is_read_is_named(name):
    with pytest.raises(AudioError, match=name):
        decode(STRANGERS[name])


def test_a_reason_holds_no_address_of_memory(sound):
    damaged = bytearray(written(sound, container="FLAC", subtype="PCM_16"))
    damaged[len(damaged) // 2] ^= 0x10

    with pytest.raises(AudioError) as error:
        decode(bytes(damaged))

    assert "0x" not in str(error.value)


def test_long_files_are_decoded_in_blocks_to_the_same_bits(sound):
    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal((600_000, 3))).astype(np.float32)
    data = written(samples, container="FLAC", subtype="PCM_24")

    whole, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)

    np.testing.assert_array_equal(decode(data).signal, np.mean(whole, axis=1, dtype=np.float32))
