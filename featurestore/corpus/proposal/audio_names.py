"""Which files are audio, by the ends of their names."""

from __future__ import annotations

ENDINGS = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
    ".au",
    ".snd",
    ".sph",
    ".w64",
    ".caf",
    ".wave",
    ".raw",
    ".m4a",
    ".mp4",
    ".aac",
    ".wma",
    ".amr",
)
"""Names that audio has, those of kinds that are not read among them: these are rejected with the reason."""


def is_audio(path: str) -> bool:
    """Tell whether a path ends as audio files do."""
    return path.casefold().endswith(ENDINGS)
