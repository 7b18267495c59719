"""Decoding every recording of a source in parallel, safely, to see what it sounds like."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

from featurestore.corpus.sources.types import Source
from featurestore.corpus.types import Rejection
from featurestore.errors import AudioError, TooLongError
from featurestore.quality.findings import Finding, Measured, count_of, findings_of
from featurestore.quality.measures import Measures
from featurestore.segments import WHOLE, Segment
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.guarded import GuardedDecoder
from pipelines.build.rejects import too_long
from pipelines.workers.pool import available_cores

WINDOW = 4
"""Files in memory for each worker."""
MOST_BYTES = 96 * 2**20
"""Bytes of files that wait in memory, beside the one that is read."""
ENDINGS = (
    "3gp", "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "au", "bwf", "caf", "flac", "m4a", "mka", "mp2",
    "mp3", "mp4", "nist", "oga", "ogg", "opus", "pcm", "raw", "rf64", "snd", "sph", "spx", "tta", "voc", "w64",
    "wav", "wave", "weba", "webm", "wma", "wv",
)  # fmt: skip
"""Endings of names of audio files, with those of kinds that are not read: these are then rejected by name."""

Files = Iterable[tuple[str, bytes | str]]
"""Path and bytes of each file, or path and reason."""


@dataclass(frozen=True)
class AudioCheck:
    """What decoding a source showed."""

    measured: tuple[Measured, ...]
    """The recordings that could be decoded, sorted by path."""
    rejected: tuple[Rejection, ...]
    """Those that could not, with reasons, sorted by path."""
    findings: tuple[Finding, ...]

    @property
    def files(self) -> int:
        """The number of files that were tried."""
        return len(self.measured) + len(self.rejected)

    @property
    def summary(self) -> dict[str, Any]:
        """Rates, channels, lengths and levels over all recordings, as JSON values."""
        if not self.measured:
            return {}
        seconds = [one.measures.seconds for one in self.measured]
        ratios = [one.measures.snr_db for one in self.measured if one.measures.snr_db is not None]
        rates, channels = (count_of(list(self.measured), name) for name in ("rate", "channels"))
        return {
            "rates": {str(rate): count for rate, count in sorted(rates.items())},
            "channels": {str(number): count for number, count in sorted(channels.items())},
            "seconds": {"min": min(seconds), "median": median(seconds), "max": max(seconds), "sum": sum(seconds)},
            "level_db": round(median(one.measures.level_db for one in self.measured), 1),
            "snr_db": round(median(ratios), 1) if ratios else None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values: `decoded`, `findings` and `summary`."""
        return {
            "decoded": len(self.measured),
            "findings": [finding.to_dict() for finding in self.findings],
            "summary": self.summary,
        }

    def rows(self) -> list[tuple[str, int, str, str]]:
        """Return a row for each kind of finding: kind, files, the first of them, and what was found there."""
        kinds: dict[str, list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault(finding.kind, []).append(finding)
        return [
            (kind, sum(max(1, len(one.paths)) for one in found), "".join(found[0].paths[:1]), found[0].text)
            for kind, found in kinds.items()
        ]


def check_audio(
    files: Files,
    labels: Mapping[str, str] | None = None,
    jobs: int | None = None,
    segments: Mapping[str, Sequence[Segment]] | None = None,
    max_seconds: float = MAX_SECONDS,
) -> AudioCheck:
    """Decode recordings in parallel processes, each under a watchdog, and measure them.

    Parameters
    ----------
    files : iterable of (path, bytes)
        Or of (path, reason) for a file that could not even be read.
    labels : mapping of path to class, optional
        For the balance of the classes, and one sound under several.
    jobs : int, optional
        Processes; all cores by default.
    segments : mapping of path to segments, optional
        What is measured of a recording in place of all of it.
    max_seconds : float
        Longest recording or segment that is decoded.

    Raises
    ------
    SourceError
        If the source behind `files` cannot be read; a single bad file is `rejected`.
    """
    measured: list[Measured] = []
    rejected: list[Rejection] = []
    for path, content, result in _measure_all(files, jobs or available_cores(), segments or {}, max_seconds):
        if isinstance(result, Measures):
            measured.append(Measured(path, content, result, (labels or {}).get(path)))
        else:
            rejected.append(Rejection(path, result))
    measured.sort(key=lambda one: one.path)
    rejected.sort(key=lambda one: one.path)
    return AudioCheck(tuple(measured), tuple(rejected), findings_of(tuple(measured)))


def sound_files(source: Source) -> Iterator[tuple[str, bytes | str]]:
    """Yield what looks like audio in a source without a manifest, by the endings of names.

    A file that cannot be read becomes the reason why.
    """
    yield from source.iterate(looks_like_audio)
    yield from source.unread.items()


def looks_like_audio(path: str) -> bool:
    """Tell whether a name ends as audio files do, read or not."""
    return path.rpartition(".")[2].lower() in ENDINGS


def _measure_all(
    files: Files, jobs: int, segments: Mapping[str, Sequence[Segment]], max_seconds: float
) -> Iterator[tuple[str, str, Measures | str]]:
    """Yield path, content and measures, or the reason why there are none, of each file in the given order."""
    decoder = GuardedDecoder()
    waiting: deque[tuple[str, str, Future[Measures | str]]] = deque()
    sizes: deque[int] = deque()

    def finish() -> tuple[str, str, Measures | str]:
        """Wait for the first file that was begun."""
        path, content, future = waiting.popleft()
        return path, content, future.result()

    with ThreadPoolExecutor(jobs, "decoders") as pool:
        for path, data in files:
            if isinstance(data, str):
                yield path, "", data
                continue
            recording = hashlib.sha256(data).hexdigest()
            for segment in segments.get(path, (WHOLE,)):
                found = pool.submit(_measure, decoder, data, segment, max_seconds)
                waiting.append((segment.path(path), segment.content(recording), found))
                sizes.append(len(data))
                while len(waiting) > WINDOW * jobs or (sum(sizes) > MOST_BYTES and waiting):
                    sizes.popleft()
                    yield finish()
        while waiting:
            yield finish()


def _measure(decoder: GuardedDecoder, data: bytes, segment: Segment, max_seconds: float) -> Measures | str:
    try:
        return Measures.from_dict(
            decoder.call("featurestore.quality.measures:measured", data, max_seconds, (segment,))[0]
        )
    except TooLongError as error:
        return too_long(error.seconds, max_seconds)
    except AudioError as error:
        return str(error)
