"""Files of very many small parts are refused after a bounded number; parts behind the sound are no sound."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import soundfile

from featurestore.errors import AudioError
from featurestore.signal.audio import decode
from featurestore.signal.containers import container_of

SOUND = (0.1 * np.sin(np.arange(4_000) * 0.1)).astype(np.float32)


def written(container, subtype="PCM_16", rate=16_000):
    target = io.BytesIO()
    soundfile.write(target, SOUND, rate, format=container, subtype=subtype)
    return target.getvalue()


MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page(number, flags):
    """An empty Ogg page with its checksum."""
    head = b"OggS\0" + bytes([flags]) + bytes(8) + b"abcd" + struct.pack("<I", number) + bytes(5)
    crc = zlib.crc32(head.translate(MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return head[:22] + crc.to_bytes(4, "big").translate(MIRROR)[::-1] + head[26:]


MANY = {
    "ID3 tags": b"ID3\x04\0\0\0\0\0\0" * 20_000 + written("FLAC"),
    "ID3 tags before MP3": b"ID3\x04\0\0\0\0\0\0" * 20_000 + b"\xff\xfb\x90\x00" * 100,
    "CAF chunks": b"caff\0\1\0\0" + (b"free" + bytes(8)) * 100_000,
    "CAF chunks behind the sound": written("CAF") + (b"free" + bytes(8)) * 100_000,
    "AIFF chunks": b"FORM\0\0\0\0AIFF" + (b"junk\0\0\0\1x\0") * 100_000,
    "Wave64 chunks": written("W64")[:40] + (b"junk" + bytes(12) + struct.pack("<Q", 24)) * 50_000,
    "FLAC blocks": written("FLAC")[:4] + b"\0" + written("FLAC")[5:42] + b"\x01\0\0\0" * 100_000,
    "Ogg pages": b"".join([page(0, 2), *(page(number, 0) for number in range(1, 101_000)), page(101_000, 4)]),
    "MPEG frames": (b"\xff\xe3\x18\xc4" + bytes(68)) * 110_000,
    "WAV chunks": written("WAV")[:36] + (b"junk\1\0\0\0x\0") * 100_000,
}


@pytest.mark.parametrize("name", MANY)
def test_a_file_of_very_many_small_parts_is_refused_in_little_processor_time(name):
    begun = time.process_time()

    with pytest.raises(AudioError):
        decode(MANY[name])

    assert time.process_time() - begun < 20  # more than tenfold what the slowest takes


@pytest.mark.parametrize("container", ["WAV", "W64", "CAF", "AIFF"])
def test_chunks_behind_the_sound_are_not_taken_for_sound(container):
    behind = {
        "WAV": b"junk" + struct.pack("<I", 4_000) + b"\x7f" * 4_000,
        "AIFF": b"junk" + struct.pack(">I", 4_000) + b"\x7f" * 4_000,
        "CAF": b"free" + struct.pack(">Q", 4_000) + b"\x7f" * 4_000,
        "W64": b"junk" + bytes(12) + struct.pack("<Q", 4_024) + b"\x7f" * 4_000,
    }[container]

    np.testing.assert_array_equal(decode(written(container) + behind).signal, decode(written(container)).signal)


def test_the_samples_of_a_wave64_file_are_counted_from_its_own_chunk_whatever_its_size():
    data = written("W64")
    for count in (1, 1_001, 3_999):
        place = data.index(bytes.fromhex("64617461f3acd311")) + 16
        shorter = data[:place] + struct.pack("<Q", 24 + 2 * count) + data[place + 8 :]

        np.testing.assert_array_equal(decode(shorter).signal, decode(data).signal[:count])


def test_a_wav_file_behind_an_id3_tag_is_named_as_such():
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + bytes(256)

    with pytest.raises(AudioError, match="a WAV file behind an ID3 tag"):
        container_of(tag + written("WAV"))


def test_a_few_tags_before_the_sound_are_passed_over():
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + bytes(256)

    np.testing.assert_array_equal(decode(3 * tag + written("FLAC")).signal, decode(written("FLAC")).signal)
