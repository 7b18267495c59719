"""Videos in place of recordings: they are never read, so the command that takes their sound out is told."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from featurestore.corpus.corpus import Rejection
from featurestore.corpus.labels.labelling import shown
from featurestore.corpus.reading.sources import Source
from featurestore.corpus.sheet.datasheet import Manifest

VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".wmv")
"""Ends of the names of videos."""


def videos_of(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """Return the videos of a source that the corpus has as recordings, by their paths inside it, sorted."""
    paths = (member.path for member in source.members() if member.path.casefold().endswith(VIDEOS))
    told = (path for path in paths if not manifest.wants(path) and manifest.audio.wants(_as_sound(path, manifest)))
    return tuple(sorted({manifest.audio.corpus_path(path) for path in told}))


def video_advice(videos: Iterable[str], place: str) -> str:
    """Return the one command that takes the sound out of all videos below a folder, and puts it beside them."""
    names = " -o ".join(f"-name {shlex.quote('*' + ending)}" for ending in sorted({_ending(path) for path in videos}))
    names = f"'(' {names} ')'" if " -o " in names else names
    return (
        f"videos are not read; take their sound out: find {shlex.quote(shown(place))} {names} "
        """-exec sh -c 'ffmpeg -nostdin -i "$1" -vn "${1%.*}.wav"' - {} ';'"""
    )


def video_rejection(path: str) -> Rejection:
    """Reject a video, with the command that takes its sound out."""
    name = path.rpartition("/")[2]
    command = f"ffmpeg -i {shlex.quote(name)} -vn {shlex.quote(_stem(name) + '.wav')}"
    return Rejection(shown(path), shown(f"a video; take its sound out: {command}"))


def _as_sound(path: str, manifest: Manifest) -> str:
    """Return the path that the sound of a video would have, under the first ending that the sheet includes."""
    ending = next((one.rpartition(".")[2] for one in manifest.audio.include if "." in one), "wav")
    return f"{_stem(path)}.{ending}"


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _ending(path: str) -> str:
    return path[path.rindex(".") :]
