"""Unusual and damaged audio files, made from nothing."""

import io
import struct

import numpy as np
import soundfile

PCM, FLOAT, ALAW, MULAW = 1, 3, 6, 7


def written(signal, rate=16_000, container="WAV", subtype=None, **options):
    """Return a file as libsndfile writes it."""
    target = io.BytesIO()
    soundfile.write(target, signal, rate, format=container, subtype=subtype, **options)
    return target.getvalue()


def chunk(name, body, order="<"):
    return name + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)


def form(tag=PCM, channels=1, rate=16_000, bits=16, block=None, extra=b"", order="<"):
    block = channels * -(-bits // 8) if block is None else block
    return struct.pack(f"{order}HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits) + extra


def wav(samples, *, before=b"", after=b"", magic=b"RIFF", order="<", **fields):
    """Return a WAV file with any format in front of any bytes."""
    body = (
        b"WAVE" + before + chunk(b"fmt ", form(order=order, **fields), order) + chunk(b"data", samples, order) + after
    )
    return magic + struct.pack(f"{order}I", len(body)) + body


def integers(signal, width, order="little"):
    """Return samples of full scale 1 as integers of `width` bytes."""
    scaled = np.round(signal.astype(np.float64) * 2.0 ** (8 * width - 1) * (1 - 2.0**-30)).astype(object)
    return b"".join(int(value).to_bytes(width, order, signed=True) for value in scaled)


def with_data_size(data, size):
    """Write another size into the data chunk."""
    place = data.index(b"data") + 4
    return data[:place] + struct.pack("<I", size) + data[place + 4 :]


def flac_with_total(data, samples):
    """Write another number of samples into the header of a FLAC file."""
    field = int.from_bytes(data[21:26], "big") >> 36 << 36 | samples
    return data[:21] + field.to_bytes(5, "big") + data[26:]


def without_info_frame(data):
    """Take away the first frame of an MP3 file, which tells its length."""
    second = data.index(data[:2], 4)
    while data[second : second + 2] != data[:2] or second < 100:
        second = data.index(data[:2], second + 1)
    return data[second:]


def ogg_pages(data):
    """Return the pages of an Ogg file."""
    pages, position = [], 0
    while position < len(data):
        count = data[position + 26]
        size = 27 + count + sum(data[position + 27 : position + 27 + count])
        pages.append(data[position : position + size])
        position += size
    return pages


def ogg_flac(flac, serial=b"abcd"):
    """Put a FLAC file into an Ogg stream, one packet to a page, with the checksums of RFC 3533."""
    first, rest = flac[:42], flac[42:]
    blocks = []
    while not first[4] & 0x80 and rest:
        length = 4 + int.from_bytes(rest[1:4], "big")
        blocks.append(rest[:length])
        last = rest[0] & 0x80
        rest = rest[length:]
        if last:
            break
    head = b"\x7fFLAC\x01\x00" + len(blocks).to_bytes(2, "big") + first
    packets = [head, *blocks, *(rest[at : at + 40_000] for at in range(0, len(rest), 40_000))]
    return b"".join(
        _page(packet, number, serial, flags=2 * (number == 0) | 4 * (number == len(packets) - 1))
        for number, packet in enumerate(packets)
    )


def _page(packet, number, serial, flags):
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial + number.to_bytes(4, "little")
    page = head + bytes(4) + bytes([len(lacing)]) + lacing + packet
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return head + crc.to_bytes(4, "little") + page[26:]
