"""Utterances that are parts of recordings: a stretch of time, one channel, or both.

The content id of a whole recording is the sha256 of its bytes; that of a segment is `SHA256.tSTART-END.cCHANNEL` with
times in nanoseconds, so the segments of one recording are neighbours wherever contents are sorted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from featurestore.errors import AudioError

ReadBytes = Callable[[str], bytes]
"""Returns the bytes of a kept file by its content, the sha256 of them."""
SECOND = 1_000_000_000
"""Nanoseconds of a second."""
LONGEST = 10**9 * SECOND
"""Nanoseconds, thirty years: no recording is longer."""
END_TOLERANCE = SECOND // 50
"""Nanoseconds, 20 ms: tables round, so a segment that ends so little after its recording ends with it."""
MOST_CHANNELS = 100

_NUMBER = r"(?:0|[1-9]\d{0,18})"
_CONTENT = re.compile(
    rf"(?P<recording>[0-9a-f]{{64}})(?:\.t(?P<start>{_NUMBER})-(?P<end>{_NUMBER})?)?(?:\.c(?P<channel>\d\d?))?"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a recording; without arguments all of it."""

    start: int = 0
    """Nanoseconds from the start of the recording."""
    end: int | None = None
    """Nanoseconds from the start of the recording; None is its end."""
    channel: int | None = None
    """0 is the first; None is the mean of all."""

    def __post_init__(self) -> None:
        if not 0 <= self.start < (LONGEST if self.end is None else self.end) <= LONGEST:
            raise ValueError(f"the segment from {_seconds(self.start)} s to {_end(self.end)} ends before it starts")
        if self.channel is not None and not 0 <= self.channel < MOST_CHANNELS:
            raise ValueError(f"there is no channel {self.channel}; 0 is the first")

    @property
    def timed(self) -> bool:
        """Whether it is a stretch of its recording and not all of it."""
        return bool(self.start) or self.end is not None

    @property
    def seconds(self) -> float | None:
        """Its length; None where that of the recording decides."""
        return None if self.end is None else (self.end - self.start) / SECOND

    def content(self, recording: str) -> str:
        """Return the content id of this part of a recording, that of the recording itself where it is all of it."""
        time = f".t{self.start}-{'' if self.end is None else self.end}" if self.timed else ""
        return f"{recording}{time}{'' if self.channel is None else f'.c{self.channel}'}"

    def path(self, recording: str) -> str:
        """Return the path of this part of a recording, that of its file with a fragment (W3C Media Fragments).

        Examples
        --------
        >>> Segment(500_000_000, 1_500_000_000, 1).path("talks/a.wav")
        'talks/a.wav#t=0.5,1.5&channel=1'
        """
        end = "" if self.end is None else f",{_seconds(self.end)}"
        parts = [f"t={_seconds(self.start)}{end}"] if self.timed else []
        parts += [] if self.channel is None else [f"channel={self.channel}"]
        return f"{recording}#{'&'.join(parts)}" if parts else recording

    def file(self, path: str) -> str:
        """Return the file's path from that of this part, as `path` made it."""
        return path.removesuffix(self.path(""))

    def samples(self, length: int, rate: int) -> tuple[int, int]:
        """Return the first sample and the one after the last, in a recording of `length` samples, `rate` a second.

        Each time goes to the nearest sample, halves up. `AudioError` if the segment ends after the recording by more
        than `END_TOLERANCE`, or holds no sample.
        """
        first, stop = (
            length if time is None else (2 * time * rate + SECOND) // (2 * SECOND) for time in (self.start, self.end)
        )
        if stop - length > max(1, END_TOLERANCE * rate // SECOND):
            raise AudioError(
                f"the segment ends at {_end(self.end)}, {(stop - length) / rate:.3f} s after the end of its recording "
                f"of {length / rate:.3f} s; times are read in seconds from the start of the file."
            )
        stop = min(stop, length)
        if first >= stop:
            raise AudioError(
                f"the segment from {_seconds(self.start)} s to {_end(self.end)} has no samples in its recording of "
                f"{length / rate:.3f} s."
            )
        return first, stop


WHOLE = Segment()


def is_content(text: object) -> bool:
    """Return whether a value is the content id of a recording or, in the only way to write it, of a segment."""
    found = _CONTENT.fullmatch(text) if isinstance(text, str) else None
    if found is None or found["recording"] == text:
        return found is not None
    try:
        return segment_of(str(text)).content(found["recording"]) == text
    except ValueError:
        return False


def recording_of(content: str) -> str:
    """Return the sha256 of the recording that a content is, or is a part of."""
    return content.partition(".")[0]


def segment_of(content: str) -> Segment:
    """Return which part of its recording a content is; `ValueError` if the id is malformed."""
    if "." not in content:
        return WHOLE
    found = _CONTENT.fullmatch(content)
    if found is None:
        raise ValueError(f"{content!r:.120} is not a content id")
    start, end, channel = (None if found[name] is None else int(found[name]) for name in ("start", "end", "channel"))
    return Segment(start or 0, end, channel)


def brief(content: str) -> str:
    """Return a content id as messages show it.

    Examples
    --------
    >>> brief(Segment(0, 1_500_000_000).content("ab" * 32))
    'abababababab.t0-1500000000'
    """
    return content[:12] + content[64:]


def _seconds(time: int) -> str:
    """Write nanoseconds as seconds, without trailing zeros."""
    return f"{(Decimal(time) / SECOND).normalize():f}"


def _end(time: int | None) -> str:
    return "its end" if time is None else f"{_seconds(time)} s"
