"""Headers of a few bytes that claim hours or gigabytes are refused before memory is asked for."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from featurestore.errors import AudioError
from featurestore.signal.audio import decode
from featurestore.signal.guarded import GuardedDecoder

SOUND = (0.1 * np.sin(np.arange(4_000) * 0.1)).astype(np.float32)


def written(container, subtype="PCM_16", rate=16_000):
    target = io.BytesIO()
    soundfile.write(target, SOUND, rate, format=container, subtype=subtype)
    return target.getvalue()


def patched(data, place, value):
    return data[:place] + value + data[place + len(value) :]


def wav(size, channels=1, bits=16, rate=16_000, body=bytes(64), tag=1):
    block = channels * bits // 8
    return (
        struct.pack("<4sI4s4sIHHII", b"RIFF", 2**32 - 1, b"WAVE", b"fmt ", 16, tag, channels, rate, 0)
        + struct.pack("<HH4sI", block & 0xFFFF, bits, b"data", size)
        + body
    )


def flac(samples):
    data = written("FLAC")
    return patched(data, 21, (int.from_bytes(data[21:26], "big") >> 36 << 36 | samples).to_bytes(5, "big"))


def found(data, name, ahead):
    return data.index(name) + ahead


HOSTILE = {
    "a WAV of four gigabytes": wav(2**32 - 2),
    "a WAV of four gigabytes in 60 bytes": wav(2**32 - 1, body=bytes(16)),
    "a WAV of two gigabytes": wav(2**31 - 64),
    "a WAV of 65,535 channels": wav(64, channels=65_535, bits=8),
    "a WAV at 4 GHz": wav(64, rate=2**32 - 1),
    "a WAV of 65,535 bits": wav(64, bits=65_528),
    "a WAV whose format claims gigabytes": patched(wav(64), 16, struct.pack("<I", 2**32 - 16)),
    "an RF64 of an exabyte": b"RF64\xff\xff\xff\xffWAVEds64"
    + struct.pack("<IQQQI", 28, 2**60, 2**60, 2**58, 0)
    + wav(2**32 - 1)[12:],
    "a FLAC of 1,193 hours": flac(2**36 - 1),
    "a FLAC whose picture claims 16 MB": b"fLaC\x06\xff\xff\xff" + bytes(100),
    "an AIFF of three gigabytes": patched(written("AIFF"), found(written("AIFF"), b"SSND", 4), b"\xc0\x00\x00\x00"),
    "a cut AIFF of no size": patched(written("AIFF"), found(written("AIFF"), b"SSND", 4), b"\xff\xff\xff\xff")[:-9],
    "an AIFF of four billion frames": patched(
        written("AIFF"), found(written("AIFF"), b"COMM", 10), b"\xff\xff\xff\xff"
    ),
    "an AU of four gigabytes": patched(written("AU"), 8, b"\xff\xff\xff\xfe"),
    "an AU whose header claims gigabytes": patched(written("AU"), 4, b"\xf0\xff\xff\xfe"),
    "a CAF of an exabyte": patched(written("CAF"), found(written("CAF"), b"data", 4), b"\x10" + bytes(7)),
    "a Wave64 of an exabyte": patched(
        written("W64"), found(written("W64"), bytes.fromhex("64617461f3acd311"), 16), bytes(7) + b"\x10"
    ),
    "a NIST file of a billion samples": written("NIST").replace(b"sample_count -i 4000", b"sample_count -i 9999999999"),
    "an ID3 tag of 256 MB": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(100),
    "an Ogg page that is not there": b"OggS\x00\x02" + bytes(20) + b"\xff" + b"\xff" * 255,
    "an IMA ADPCM of giant blocks": wav(60, bits=4, tag=17),
    "an MS ADPCM of giant blocks": wav(60, bits=4, tag=2),
    "a GSM of odd blocks": wav(60, bits=0, tag=49),
    "an MP3 that ends in its info tag": b"\xff\xf3\x10\xc4" + bytes(9) + b"Info" + bytes(7),
    "ten thousand empty chunks": b"RIFF\0\0\0\0WAVE" + (b"junk" + bytes(4)) * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_claims_more_than_the_file_holds_is_refused(name):
    with pytest.raises(AudioError):
        decode(HOSTILE[name])


def test_no_hostile_header_makes_the_process_grow_by_200_megabytes(tmp_path):
    for number, data in enumerate(HOSTILE.values()):
        (tmp_path / f"{number:02}").write_bytes(data)
    script = (
        "import pathlib, resource, sys\n"
        "from featurestore.errors import AudioError\n"
        "from featurestore.signal.audio import decode\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try: decode(file.read_bytes())\n"
        "    except AudioError: pass\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 200


def test_ten_minutes_of_silence_in_a_tiny_flac_stay_within_the_limits_and_eleven_are_refused():
    target = io.BytesIO()
    with soundfile.SoundFile(target, "w", 8_000, 8, "PCM_16", format="FLAC") as file:
        for _ in range(11):
            file.write(np.zeros((480_000, 8), np.int16))
    eleven = target.getvalue()
    assert len(eleven) < 100_000

    with pytest.raises(AudioError, match="too long: 660"):
        GuardedDecoder().decode(eleven)
    assert len(GuardedDecoder().decode(eleven, max_seconds=700).signal) == 11 * 480_000
