"""Containers that libsndfile does not read, converted by the user's own ffmpeg, where it is asked for.

Rows of a dataset never come from here: what ffmpeg decodes depends on its version. It runs in a process of its own
under limits of time, memory and size, with the format named by us: no probing, no playlists, no other files.

References
----------
https://ffmpeg.org/ffmpeg-formats.html and https://ffmpeg.org/ffmpeg-protocols.html.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from featurestore.errors import AudioError, MissingPackageError
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.containers import foreign

SUFFIXES = (".m4a", ".mp4", ".mov", ".3gp", ".webm", ".mka", ".mkv", ".amr", ".awb", ".aac", ".wma")
"""Of files that are converted."""
PATIENCE = 120.0
"""Seconds on the clock after which it is stopped."""
PROCESSOR_SECONDS = 60
MEMORY = 1 << 30
"""Bytes of data that it may hold."""
LARGEST = 500 * 10**6
"""Bytes that it may write: `MAX_SECONDS` of 32-bit floats in stereo at 96 kHz."""
_LIMITED = 'ulimit -t "$1" && ulimit -d "$2" && ulimit -f "$3" && shift 3 && exec "$@"'
"""Limits of the process that becomes ffmpeg: seconds, KiB, and blocks of 512 bytes."""


def format_of(data: bytes) -> str:
    """Return what ffmpeg calls the format of a file that only it reads; nothing for any other."""
    known = foreign(data)
    return known.ffmpeg if known else ""


def program() -> str:
    """Return the path of the user's ffmpeg; `MissingPackageError` if there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingPackageError(
            "--ffmpeg needs the program ffmpeg, which is not on the PATH: install it, or convert files to WAV."
        )
    return found


def converted(data: bytes) -> bytes:
    """Return the first sound of a file as WAV, 32-bit floats at its own rate and number of channels.

    A sound that is longer than `MAX_SECONDS` comes a second longer than that, so that it is refused and not cut.

    Raises
    ------
    AudioError
        If ffmpeg does not read the file, or goes beyond a limit.
    MissingPackageError
        If there is no ffmpeg.
    """
    kind = format_of(data)
    if not kind:
        raise AudioError("not a file that ffmpeg is asked to read.")
    given, written = os.memfd_create("given"), os.memfd_create("written")
    try:
        _write(given, data)
        source, target = (f"file:/proc/self/fd/{number}" for number in (given, written))
        words = [
            "-nostdin",
            "-v",
            "error",
            "-protocol_whitelist",
            "file",
            "-threads",
            "1",
            "-f",
            kind,
            "-i",
            source,
        ]
        words += ["-map", "0:a:0", "-map_metadata", "-1", "-t", f"{MAX_SECONDS + 1:g}", "-c:a", "pcm_f32le"]
        words += ["-fflags", "+bitexact", "-f", "wav", "-y", target]
        _run([program(), *words], (given, written))
        found = Path(f"/proc/self/fd/{written}").read_bytes()
    finally:
        os.close(given)
        os.close(written)
    if not found:
        raise AudioError("ffmpeg found no sound in it.")
    return found


def _run(words: list[str], files: tuple[int, ...]) -> None:
    """Run ffmpeg under its limits; `AudioError` if it fails."""
    limits = [str(PROCESSOR_SECONDS), str(MEMORY // 1024), str(LARGEST // 512)]
    try:
        done = subprocess.run(  # noqa: S603  # the user asked for it, and no word comes from a file
            ["/bin/sh", "-c", _LIMITED, "ffmpeg", *limits, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=files,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C"},
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AudioError(f"ffmpeg did not end within {PATIENCE:g} s: it was stopped.") from None
    if done.returncode < 0 or done.returncode > 128:
        raise AudioError("ffmpeg crashed or went beyond its limits of time, memory or size.")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise AudioError(f"ffmpeg does not read it ({' '.join(said[-1].split())[-200:]}).")


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
