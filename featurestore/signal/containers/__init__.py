"""Audio containers, looked at before a decoder sees them: what they hold, and whether all of it is there.

A decoder hands out what it finds and says nothing of what is missing. Each module here reads one family of headers,
refuses files that are cut, lie or cannot be told apart, and returns the bytes that libsndfile decodes right.
"""

from __future__ import annotations

from collections.abc import Callable

from featurestore.signal.containers.chunked import prepare_aiff, prepare_au, prepare_caf, prepare_nist, prepare_w64
from featurestore.signal.containers.flac import prepare_flac
from featurestore.signal.containers.mpeg import prepare_mpeg
from featurestore.signal.containers.ogg import prepare_ogg
from featurestore.signal.containers.prepared import Prepared
from featurestore.signal.containers.sniff import container_of
from featurestore.signal.containers.wav import prepare_wav

__all__ = ["Prepared", "container_of", "prepare"]

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
