"""Fields of recordings: missing values, fields made of others or of a path, and fields that give a segment.

Which segment of a recording a row is about is given by its fields `start`, `end`, `duration` and `channel`. Times are
seconds from the start of the file, or `0 days 00:00:01.5` and `00:00:01.5` as pandas writes them; channel 0 is the
first. What cannot be read so is refused and never passed over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from string import Formatter

from featurestore.errors import SourceError
from featurestore.segments import END_TOLERANCE, LONGEST, SECOND, WHOLE, Segment

_MISSING = frozenset({"#NA", "-NaN", "-nan", "NA", "NaN", "NaT", "nan"})
"""Written otherwise they may be names, as Nan and Na are."""
_MISSING_IN_ANY_CASE = frozenset({"#n/a", "<na>", "n/a", "none", "null"})


def is_missing(value: str) -> bool:
    """Tell whether a text in a table means that a value is missing.

    It does if pandas takes or writes it for that, or if it is `none` in any case, or dashes or question marks alone.
    `unknown` may be a class, and is one.

    Examples
    --------
    >>> is_missing("-"), is_missing("#N/A"), is_missing("none"), is_missing("unknown"), is_missing("Nan")
    (True, True, True, False, False)
    """
    return value in _MISSING or value.casefold() in _MISSING_IN_ANY_CASE or not value.strip("-–—?")


def is_number(value: str) -> bool:
    """Tell whether a value is written as a number."""
    return (
        re.fullmatch(r"[+-]?(\d{1,30}([.,]\d*)?|[.,]\d+)(e[+-]?\d{1,2})?", value, re.IGNORECASE | re.ASCII) is not None
    )


def cased(field: str, value: str, *, lower: bool) -> str:
    """Return a field's value, in lower case if wanted; the name of the recording and a missing value keep theirs.

    Examples
    --------
    >>> cased("emotion", "Joy", lower=True), cased("emotion", "NA", lower=True)
    ('joy', 'NA')
    """
    return value.lower() if lower and field != "file" and not is_missing(value) else value


def filled(template: str, fields: Mapping[str, str]) -> str | None:
    """Put fields into a template such as `{session}{sex}`; None if one of them is missing."""
    parts: list[str] = []
    for text, name, _, _ in Formatter().parse(template):
        if name is not None and name not in fields:
            return None
        parts += [text, fields[name] if name is not None else ""]
    return "".join(parts)


def template_fields(template: str) -> tuple[str, ...]:
    """Return the names in a template.

    `ValueError` if it is no plain template: unbalanced braces, conversions, formats or attributes.
    """
    names: list[str] = []
    for _, name, form, conversion in Formatter().parse(template):
        if form or conversion or (name is not None and not re.fullmatch(r"\w+", name)):
            raise ValueError(f"{template!r:.60} may hold {{field}} and nothing else in braces")
        names += [name] if name else []
    return tuple(names)


def speech_commands_side(path: str) -> str:
    """Return the side that Speech Commands gives a clip: by the sha1 of its name up to `_nohash_`.

    So all clips of one speaker and word family stay on one side when the corpus grows. About 10 % each validate and
    test (P. Warden, Speech Commands, arXiv:1804.03209, `which_set` of its published code).
    """
    name = re.sub(r"_nohash_.*$", "", path.rsplit("/", 1)[-1])
    number = int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16)
    percent = number % 2**27 * (100.0 / (2**27 - 1))
    return "validation" if percent < 10 else "test" if percent < 20 else "train"


def top_folder(path: str) -> str:
    """Return the folder that a recording lies in."""
    return path.split("/")[-2] if "/" in path else ""


def sex_of_ravdess_actor(path: str) -> str:
    """Return the sex of a RAVDESS actor, whose number ends the file name: odd is male, even is female."""
    number = re.search(r"(\d+)\.\w+$", path)
    return "" if number is None else "female" if int(number[1]) % 2 == 0 else "male"


DERIVATIONS: Mapping[str, Callable[[str], str]] = {
    "speech-commands-hash": speech_commands_side,
    "folder": top_folder,
    "odd-is-male": sex_of_ravdess_actor,
}
"""Fields computed from a recording's path, by the names that `[labels.derived]` takes."""


_FIELD = re.compile(
    r"(?P<role>start|begin|onset|end|stop|offset|duration|dur)(time|at)?(in)?"
    r"(?P<unit>s|secs?|seconds?|[mun]s|[mun]secs?|(milli|micro|nano)seconds?|samples?|frames?)?"
)
_SECONDS = re.compile(r"\+?\d{1,12}(\.\d{0,30})?([eE][+-]?\d{1,2})?")
_CLOCK = re.compile(
    r"((?P<days>\d{1,5}) days?,?)?\s*(\+?(?P<hours>\d{1,5}):(?P<minutes>\d\d):(?P<seconds>\d\d(\.\d{0,30})?))?"
)
_CHANNEL = re.compile(r"(\d{1,2})(\.0*)?")
_UNITS = ("s", "sec", "secs", "second", "seconds")


def is_segment_field(name: str) -> bool:
    """Tell whether a field of this name gives the part of a recording that a row is about."""
    return _plain(name) == "channel" or _FIELD.fullmatch(_plain(name)) is not None


def is_segment(row: Mapping[str, str]) -> bool:
    """Tell whether a row is about a part of a recording, also one that there cannot be."""
    try:
        return split_segment(row)[0] != WHOLE
    except ValueError:
        return True


def check_no_segment(left_out: Mapping[str, str], place: str) -> None:
    """Refuse a row whose part of a recording is in columns that the manifest leaves out, with `SourceError`."""
    if left_out and is_segment(left_out):
        raise SourceError(
            f"{place}: {' and '.join(map(repr, left_out))[:120]} say a part of a recording, "
            "and the manifest's 'columns' leave them out. "
            "Add them as 'start', 'end' or 'channel'; under other names if the files are cut already."
        )


def split_segment(row: Mapping[str, str]) -> tuple[Segment, dict[str, str]]:
    """Return the segment that the fields of a row give, and the other fields.

    `begin` and `onset` are other names of `start`, `stop` of `end`; `offset` is the start where there is a `duration`
    or an `end`, and the end where there is an `onset`. A duration alone describes a recording and is no part.

    `ValueError` names the field that cannot be read, or what is missing.
    """
    times: list[tuple[str, str, str]] = []
    channels: set[int] = set()
    rest: dict[str, str] = {}
    for name, value in row.items():
        found = _FIELD.fullmatch(_plain(name))
        if _plain(name) != "channel" and not found:
            rest[name] = value
        elif is_missing(value):
            continue
        elif found:
            times.append((found["role"], name, value))
        elif number := _CHANNEL.fullmatch(value):
            channels.add(int(number[1]))
        else:
            raise ValueError(
                f"the channel {value!r:.40} is no number: 0 is the first, and without one the mean of all is taken; a "
                "field that says something else needs another name"
            )
    if len(channels) > 1:
        raise ValueError(f"its fields say several channels: {', '.join(map(str, sorted(channels)))}")
    channel = next(iter(channels), None)
    if all(role in ("duration", "dur") for role, _, _ in times):
        return Segment(channel=channel), {**rest, **{name: value for _, name, value in times}}
    start, end = _span([(role, _time(name, value)) for role, name, value in times])
    return Segment(start, end, channel), rest


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.casefold())


def _span(times: list[tuple[str, int]]) -> tuple[int, int | None]:
    """Return start and end in nanoseconds; fields that give the same one have to agree."""
    roles = {role for role, _ in times}
    if roles == {"offset"}:
        raise ValueError("an 'offset' alone is no part: give a 'duration' or an 'end', or name the field otherwise")
    behind = "onset" in roles
    starts = [time for role, time in times if role in ("start", "begin", "onset", *(() if behind else ("offset",)))]
    ends = [time for role, time in times if role in ("end", "stop", *(("offset",) if behind else ()))]
    if not starts:
        raise ValueError("it says where the segment ends and not where it starts: add a field 'start'")
    ends += [starts[0] + time for role, time in times if role in ("duration", "dur")]
    for values in (starts, ends):
        if values and max(values) - min(values) > END_TOLERANCE:
            both = " and ".join(f"{value / SECOND:g}" for value in sorted(values))
            raise ValueError(f"its times contradict each other: {both} s for one place")
    return starts[0], ends[0] if ends else None


def _time(name: str, value: str) -> int:
    """Return a time in nanoseconds."""
    found = _FIELD.fullmatch(_plain(name))
    unit = found["unit"] if found else None
    if unit and unit not in _UNITS:
        raise ValueError(f"{name!r:.40} is in {unit}: times are read in seconds, so convert it to 'start' or 'end'")
    if value.startswith("-"):
        raise ValueError(f"{name} {value!r:.40} lies before the start of the recording")
    clock = _CLOCK.fullmatch(value)
    if _SECONDS.fullmatch(value):
        seconds = Decimal(value)
    elif clock and value.strip():
        days, hours, minutes = (int(clock[part] or 0) for part in ("days", "hours", "minutes"))
        seconds = 86_400 * days + 3_600 * hours + 60 * minutes + Decimal(clock["seconds"] or 0)
    else:
        raise ValueError(f"{name} {value!r:.40} is no number of seconds")
    if seconds * SECOND > LONGEST:
        raise ValueError(f"{name} {value!r:.40} is no time in seconds within a recording")
    return int((seconds * SECOND).to_integral_value())
