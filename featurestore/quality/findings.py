"""Findings in the measurements of a corpus that are worth checking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.quality.measures import Measures, groups_alike

MOST_NAMED = 20
"""Files that one finding of a whole corpus names."""
IMBALANCE = 10.0
"""Times that the largest class is larger than the smallest."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One decoded recording of a source."""

    path: str
    content: str
    """sha256 of the file's bytes."""
    measures: Measures
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that deserves a look, in one file or in several together."""

    kind: str
    """A key of `RULES`, or one of files together: `duplicate bytes`, `two classes` (of equal samples),
    `duplicate sound` (equal samples), `duplicate recording` (equal but for level and silence), `class balance`,
    `rates` or `channels`."""
    paths: tuple[str, ...]
    """The files; at most `MOST_NAMED`."""
    value: float
    """What was found: seconds, a share, dB or a number, as in the text."""
    text: str
    """What was found, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {"kind": self.kind, "paths": list(self.paths), "value": round(self.value, 6), "text": self.text}


@dataclass(frozen=True, slots=True)
class Rule:
    """A figure of one recording and when it deserves a look."""

    value: Callable[[Measures], float | None]
    limit: float
    above: bool
    """True if values above the limit are found, False if those below are."""
    text: str
    """With a place for the value."""

    def finding(self, kind: str, path: str, measures: Measures) -> Finding | None:
        """Return the finding, or None if there is none."""
        value = self.value(measures)
        if value is None:
            return None
        if value > self.limit if self.above else value < self.limit:
            return Finding(kind, (path,), value, self.text.format(value))
        return None


RULES = {
    "very short": Rule(lambda one: one.seconds, 0.1, above=False, text="{:.3f} s long"),
    "silence": Rule(lambda one: one.level_db, -70.0, above=False, text="silent: a level of {:.0f} dB of full scale"),
    "low level": Rule(lambda one: one.level_db, -45.0, above=False, text="a level of {:.0f} dB of full scale"),
    "clipping": Rule(lambda one: one.clipped, 1e-4, above=True, text="{:.2%} of the samples are clipped"),
    "beyond full scale": Rule(lambda one: one.peak, 1.0, above=True, text="samples up to {:.3g}; full scale is 1"),
    "offset": Rule(lambda one: abs(one.offset), 0.01, above=True, text="an offset (mean) of {:.3f}"),
    "leading silence": Rule(lambda one: one.leading, 1.0, above=True, text="{:.2f} s of silence at the start"),
    "trailing silence": Rule(lambda one: one.trailing, 1.0, above=True, text="{:.2f} s of silence at the end"),
    "very long": Rule(lambda one: one.seconds, 60.0, above=True, text="{:.0f} s long"),
    "low signal-to-noise ratio": Rule(lambda one: one.snr_db, 5.0, above=False, text="about {:.0f} dB"),
}
"""What is looked at in each recording, in this order."""
ALONE = ("very short", "silence")
"""Findings beside which others add nothing."""


def findings_of(measured: tuple[Measured, ...]) -> tuple[Finding, ...]:
    """Return all findings of a corpus: those of single files in path order, then those of files together."""
    ordered = sorted(measured, key=lambda one: one.path)
    found: list[Finding] = []
    for one in ordered:
        for kind, rule in RULES.items():
            finding = rule.finding(kind, one.path, one.measures)
            found += [finding] if finding else []
            if finding and kind in ALONE:
                break
    return (
        *found,
        *_duplicates(ordered),
        *_balance(ordered),
        *_odd(ordered, "rates", "rate"),
        *_odd(ordered, "channels", "channels"),
    )


def _duplicates(measured: list[Measured]) -> Iterator[Finding]:
    """Find equal files, equal sound in files that differ or under several classes, and one recording at two levels."""
    contents: dict[str, list[Measured]] = defaultdict(list)
    sounds: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        contents[one.content].append(one)
        sounds[one.measures.digest].append(one)
    for ones in contents.values():
        if len(ones) > 1:
            yield _together("duplicate bytes", [one.path for one in ones], f"{len(ones)} files with equal bytes")
    for ones in sounds.values():
        classes = sorted({one.label for one in ones if one.label is not None})
        if len(classes) > 1:
            yield _together("two classes", [one.path for one in ones], f"one recording as {' and as '.join(classes)}")
    for ones in sounds.values():
        first = {one.content: one.path for one in reversed(ones)}
        if len(first) > 1:
            paths = sorted(first.values())
            yield _together("duplicate sound", paths, f"{len(first)} different files with equal samples")
    of_rate: dict[int, list[Measured]] = defaultdict(list)
    for ones in sounds.values():  # in path order, as its first file is
        of_rate[ones[0].measures.rate].append(ones[0])
    for ones in of_rate.values():
        for group in groups_alike([one.measures.shape for one in ones]):
            text = f"{len(group)} files hold one recording, at another level or between other silence"
            yield _together("duplicate recording", [ones[place].path for place in group], text)


def _balance(measured: list[Measured]) -> Iterator[Finding]:
    """Compare the largest class with the smallest."""
    counts = Counter(one.label for one in measured if one.label is not None)
    if len(counts) < 2:
        return
    (large, most), (small, least) = counts.most_common()[0], counts.most_common()[-1]
    if most > IMBALANCE * least:
        text = f"{most} recordings of {large!r}, {least} of {small!r}"
        yield Finding("class balance", (), most / least, text)


def _odd(measured: list[Measured], kind: str, name: str) -> Iterator[Finding]:
    """Name the files whose sampling rate or number of channels is not the usual one."""
    counts = count_of(measured, name)
    if len(counts) < 2:
        return
    usual = max(counts, key=lambda value: (counts[value], value))
    odd = [one.path for one in measured if getattr(one.measures, name) != usual]
    listed = ", ".join(f"{value}: {count}" for value, count in sorted(counts.items()))
    yield _together(kind, odd, f"not all files have the same ({listed} files)")


def count_of(measured: list[Measured], name: str) -> Mapping[int, int]:
    """Count the values of one whole-number measure."""
    return Counter(getattr(one.measures, name) for one in measured)


def _together(kind: str, paths: list[str], text: str) -> Finding:
    more = f", of which {MOST_NAMED} are named" if len(paths) > MOST_NAMED else ""
    return Finding(kind, tuple(paths[:MOST_NAMED]), len(paths), text + more)
