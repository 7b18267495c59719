"""Which files are audio, by their endings; and audio without a header, wrapped into WAV as a manifest describes it.

From then on the recording is an ordinary WAV file: its identity, the kept original, workers, repairs and exports know
nothing of the declaration.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ENDINGS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".sph", ".w64"),
    *(".caf", ".wave", ".raw", ".m4a", ".mp4", ".aac", ".wma", ".amr"),
)
"""Endings of audio files, those of kinds that are not read among them: these are rejected with the reason."""
ENCODINGS: Mapping[str, tuple[int, int]] = {
    "pcm_16": (1, 2),
    "pcm_24": (1, 3),
    "pcm_32": (1, 4),
    "float_32": (3, 4),
    "alaw": (6, 1),
    "ulaw": (7, 1),
}
"""WAV format tag and bytes of a sample of each encoding."""


def is_audio(path: str) -> bool:
    """Tell whether a path ends as audio files do."""
    return path.casefold().endswith(ENDINGS)


@dataclass(frozen=True, slots=True)
class RawFormat:
    """What the samples of headerless files are."""

    rate: int
    """Samples a second."""
    channels: int = 1
    encoding: str = "pcm_16"
    """A key of `ENCODINGS`."""
    endian: str = "little"
    """`little` or `big`."""

    def wrap(self, data: bytes) -> bytes:
        """Return the samples as a WAV file; one that has a header already is returned as it is.

        Bytes behind the last whole sample are left out, as players of such files do.
        """
        if data[:4] in (b"RIFF", b"RIFX", b"RF64"):
            return data
        tag, width = ENCODINGS[self.encoding]
        frame = width * self.channels
        samples = data[: len(data) // frame * frame]
        if self.endian == "big" and width > 1:
            samples = np.frombuffer(samples, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
        form = struct.pack(
            "<4sIHHIIHH", b"fmt ", 16, tag, self.channels, self.rate, self.rate * frame, frame, 8 * width
        )
        padding = b"\0" * (len(samples) % 2)
        body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples + padding
        return struct.pack("<4sI", b"RIFF", len(body)) + body

    def to_dict(self) -> dict[str, str | int]:
        """Return the declaration as JSON values."""
        return {"rate": self.rate, "channels": self.channels, "encoding": self.encoding, "endian": self.endian}
