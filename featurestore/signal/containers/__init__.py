"""Audio containers, looked at before a decoder sees them: what they hold, and whether all of it is there.

A decoder returns what it finds and does not report what is missing. Each module here reads one family of headers,
refuses files that are cut, wrong or ambiguous, and returns the bytes that libsndfile decodes right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from featurestore.errors import AudioError
from featurestore.signal.containers.chunked import prepare_aiff, prepare_au, prepare_caf, prepare_nist, prepare_w64
from featurestore.signal.containers.flac import prepare_flac
from featurestore.signal.containers.mpeg import frame_header, prepare_mpeg
from featurestore.signal.containers.ogg import prepare_ogg
from featurestore.signal.containers.prepared import Prepared, id3_length
from featurestore.signal.containers.wav import prepare_wav

__all__ = ["Prepared", "container_of", "foreign", "prepare"]

PREPARE: dict[str, Callable[[bytes], Prepared]] = {
    "wav": prepare_wav,
    "w64": prepare_w64,
    "aiff": prepare_aiff,
    "au": prepare_au,
    "caf": prepare_caf,
    "nist": prepare_nist,
    "flac": prepare_flac,
    "ogg": prepare_ogg,
    "mp3": prepare_mpeg,
}
"""What is done with each container before it is decoded."""


def prepare(data: bytes) -> Prepared:
    """Return what libsndfile should decode for an audio file; the same bytes where nothing is to be done.

    Raises
    ------
    AudioError
        If the file is empty, of a kind that is not read, truncated, or contradicts itself.
    """
    return PREPARE[container_of(data)](data)


_MAGICS = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b".snd", "au"),
    (b"dns.", "au"),
    (b"caff", "caf"),
    (b"NIST_1A", "nist"),
    (b"riff\x2e\x91\xcf\x11", "w64"),
)
_WAVES = (b"RIFF", b"RIFX", b"RF64", b"BW64")

CONVERT = "convert it to WAV or FLAC"
TAKE_OUT = "take its sound out with 'ffmpeg -i IN -vn OUT.wav'"


class Foreign(NamedTuple):
    """A kind of file that libsndfile does not read."""

    magic: bytes
    what: str
    """For messages; with a colon or a semicolon it says itself what to do."""
    ffmpeg: str = ""
    """What ffmpeg calls its format, of those that it is asked to read."""
    start: int = 0
    """Where the bytes are."""


FOREIGN = (
    Foreign(b"\x1aE\xdf\xa3", "a Matroska or WebM file", "matroska"),
    Foreign(b"0&\xb2u\x8ef\xcf\x11", "a WMA or ASF file", "asf"),
    Foreign(b"#!AMR", "an AMR file", "amr"),
    Foreign(b"#!SILK", "a SILK file"),
    Foreign(b"\x02#!SILK", "a SILK file"),
    Foreign(b"ADIF", "an AAC file"),
    Foreign(b"\xff\xf1", "an AAC file", "aac"),
    Foreign(b"\xff\xf9", "an AAC file", "aac"),
    Foreign(b"MAC ", "a Monkey's Audio file"),
    Foreign(b"wvpk", "a WavPack file"),
    Foreign(b"TTA1", "a True Audio file"),
    Foreign(b"MPCK", "a Musepack file"),
    Foreign(b"ajkg", "a Shorten file"),
    Foreign(b"Creative Voice File", "a VOC file"),
    Foreign(b"DSD ", "a DSD file"),
    Foreign(b"FRM8", "a DSD file"),
    Foreign(b"MThd", "a MIDI file"),
    Foreign(b".RMF", "a RealAudio file"),
    Foreign(b".ra\xfd", "a RealAudio file"),
    Foreign(b"FLV", "a Flash video"),
    Foreign(b"\x89PNG", "a PNG picture"),
    Foreign(b"\xff\xd8\xff", "a JPEG picture"),
    Foreign(b"GIF8", "a GIF picture"),
    Foreign(b"%PDF", "a PDF document"),
    Foreign(b"PK\x03\x04", "a zip archive"),
    Foreign(b"\x1f\x8b", "a gzip file"),
    Foreign(b"/annex/objects/", "a git-annex pointer, not the audio: run 'git annex get' where it came from"),
    Foreign(b"\x93NUMPY", "a NumPy array"),
    Foreign(b"\x80\x04", "a Python pickle"),
    Foreign(b"version https://git-lfs", "a Git LFS pointer, not the audio: run 'git lfs pull' where it came from"),
    Foreign(b"ftyp", f"an MP4, M4A or QuickTime file; {TAKE_OUT}", "mov", start=4),
)
"""Kinds that are named where a file is refused."""


def foreign(data: bytes) -> Foreign | None:
    """Return what kind of file it is that libsndfile does not read; None where that is not known."""
    return next((one for one in FOREIGN if data.startswith(one.magic, one.start)), None)


def container_of(data: bytes) -> str:
    """Name the container of an audio file.

    Returns
    -------
    str
        `wav`, `w64`, `aiff`, `au`, `caf`, `nist`, `flac`, `ogg` or `mp3`.

    Raises
    ------
    AudioError
        If the file is empty or of another kind, which is named where it is known.
    """
    if not data:
        raise AudioError("the file is empty.")
    if data[:4] in _WAVES and data[8:12] == b"WAVE":
        return "wav"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    for magic, name in _MAGICS:
        if data.startswith(magic):
            return name
    start = id3_length(data)
    if start and data[start : start + 4] == b"fLaC":
        return "flac"
    if start and data[start : start + 4] in _WAVES:
        raise AudioError("not an audio file that can be read: a WAV file behind an ID3 tag; remove the tag.")
    if start or frame_header(data[:4]):
        return "mp3"
    raise AudioError(f"not an audio file that can be read: {_likeness(data)}.")


def _likeness(data: bytes) -> str:
    known = foreign(data)
    if known is not None:
        return known.what if re.search("[:;]", known.what) else f"{known.what}; {CONVERT}"
    if data[:4] in (*_WAVES, b"FORM"):
        return f"a {data[:4].decode()} file of type {data[8:12]!r} and not of sound"
    if data.lstrip()[:1] == b"<":
        return "it looks like a web page; the download was probably answered by a login or error page"
    if not data.strip(b"\x00"):
        return "nothing but zeros"
    return f"it starts with the bytes {data[:4].hex(' ')}, which no known container does; raw samples need a header"
