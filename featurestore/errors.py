"""Every error that a user can cause or meet, under one root class, and the nearest known name to an unknown one.

A message states what is wrong, where, and what to do next, in one line. The command line prints it and exits with
the class's `exit_code`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command exits with."""

    DONE = 0
    FAILED = 1
    """An expected error."""
    USAGE = 2
    """Wrong usage, or a question that only the user can answer."""
    REJECTED = 3
    """Done, but some files were rejected."""
    DAMAGE = 4
    """Stored data is damaged."""
    INTERRUPTED = 130


LETTERS_AN_EDIT = 3.5
"""Letters of a name for each edit that a misspelling of it may have."""

SHORTEST_START = 3
"""Letters that the beginning of a name needs to be taken for it."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is likeliest to be meant; None if none is near.

    Near is a name that differs in case or separators only, then one within two edits for every seven letters,
    then one that begins with the given one.

    Examples
    --------
    >>> nearest_name("emdob", ["emodb", "cafe"]), nearest_name("Crema-D", ["cremad"]), nearest_name("tpu", ["cpu"])
    ('emodb', 'cremad', None)
    """
    choices = sorted(known)
    wanted = _plain(name)
    near: list[tuple[int, str]] = []
    for choice in choices:
        plain = _plain(choice)
        most = int(max(len(wanted), len(plain)) / LETTERS_AN_EDIT)
        if wanted[:1] != plain[:1]:  # most people get the first letter right
            most = min(most, 1)
        if abs(len(wanted) - len(plain)) <= most and edits(wanted, plain) <= most:
            near.append((edits(wanted, plain), choice))
    if near:
        return min(near)[1]
    begun = (choice for choice in choices if _plain(choice).startswith(wanted))
    return next(begun, None) if len(wanted) >= SHORTEST_START else None


def edits(one: str, other: str) -> int:
    """Count the letters to put in, take out, change, or swap with their neighbour, to get from one text to another.

    The optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one):
        after = [place + 1]
        for column, wanted in enumerate(other):
            cost = min(row[column + 1] + 1, after[column] + 1, row[column] + (letter != wanted))
            swapped = place > 0 and column > 0 and letter == other[column - 1] and one[place - 1] == wanted
            after.append(min(cost, before[column - 1] + 1) if swapped else cost)
        before, row = row, after
    return row[-1]


def _plain(name: str) -> str:
    """Return a name without what people change first: case, and the signs between words."""
    return re.sub(r"[\s_./-]+", "", name.casefold())


class FeatureStoreError(Exception):
    """The root of all errors that this project raises on purpose."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str = "") -> None:
        super().__init__(own_line(message))


def own_line(text: str) -> str:
    """Return the message in what torch makes of a loader process's error; any other text stays as it is.

    torch calls the error's class with one text: `Caught NAME in DataLoader worker process 0.`, the traceback, and
    `module.NAME: message`.
    """
    if not text.startswith("Caught ") or "\nOriginal Traceback" not in text:
        return text
    return text.rstrip().rpartition("\n")[2].partition(": ")[2]


MOST_NAMES = 16
"""Names that an error spells out before it only counts."""


class UnknownNameError(FeatureStoreError):
    """A corpus, preset, split, field or dataset that does not exist; a name that is near is offered, else all.

    `meant` is offered instead where the caller knows better.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "", meant: str | None = None) -> None:
        choices = sorted(known)
        self._arguments = (kind, name, choices, advice, meant)
        near = nearest_name(name, choices) if meant is None else meant
        more = f" and {len(choices) - MOST_NAMES} more" if len(choices) > MOST_NAMES else ""
        known_names = f"known: {', '.join(choices[:MOST_NAMES]) or 'none yet'}{more}."
        hint = f"did you mean {near!r}?" if near is not None else known_names
        super().__init__(f"unknown {kind} {name!r}: {hint}{' ' + advice if advice else ''}")

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str, str, list[str], str, str | None]]:
        return type(self), self._arguments


class SpecError(FeatureStoreError):
    """A feature or augmentation spec with a value that makes no sense."""


class MissingPackageError(FeatureStoreError):
    """An optional package that is not installed; the message explains how to install it and names its licence."""


class ManifestError(FeatureStoreError):
    """A manifest that cannot be read or contradicts itself."""


class AmbiguousError(ManifestError):
    """A folder that can be understood in several ways; the message asks which is meant."""

    exit_code = ExitCode.USAGE


class SourceError(FeatureStoreError):
    """A corpus source (archive, folder, URL) that is missing, damaged or not what the manifest describes."""


class UnsafeArchiveError(SourceError):
    """An archive with a member that must not be unpacked."""


class ChecksumMismatchError(SourceError):
    """Bytes whose checksum differs from the one that is pinned."""


class DownloadError(SourceError):
    """A download that failed; the message names `--source` as the way without a network."""


class AudioError(FeatureStoreError):
    """An audio file that is rejected; the message is the reason, without the file's name."""


class TooLongError(AudioError):
    """A recording or segment of more `seconds` than are read, a limit that can be raised."""

    def __init__(self, seconds: float, most: float) -> None:
        super().__init__(f"too long: {seconds:.1f} s; at most {most:g} s are read.")
        self.seconds = seconds


class SplitError(FeatureStoreError):
    """A split that does not fit the corpus."""


class LeakError(SplitError):
    """A split with a speaker, source utterance or identical audio on two sides."""


class StorageError(FeatureStoreError):
    """A store that cannot be read or written: permission, space, a file where a folder should be."""


class StoreTooNewError(StorageError):
    """A store written by a newer format than this version reads."""


class StoreBusyError(StorageError):
    """A store that another process works on, where the caller needs it alone."""


class LeftOutError(StorageError):
    """An original that was left out when its dataset was copied: no damage, but what needs its audio cannot go on."""

    def __init__(self, place: str, key: str = "") -> None:
        self._arguments = (place, key)
        super().__init__(
            f"{place} holds a dataset that was copied without its recordings{key and f', {key} among them'}: give the "
            "corpus with --source, or push or pull the dataset again with its recordings."
        )

    def __reduce__(self) -> tuple[type[LeftOutError], tuple[str, str]]:
        return type(self), self._arguments


class DamagedOriginError(FeatureStoreError):
    """An object of another store that is not what its name or record says, so that nothing of it is published here."""

    exit_code = ExitCode.DAMAGE


class BuildError(FeatureStoreError):
    """A build that could not finish; running it again continues."""


REPAIR = " Run 'featurestore repair' to mend it."


class DamagedObjectError(FeatureStoreError):
    """A stored object whose bytes do not match its record or checksum."""

    exit_code = ExitCode.DAMAGE

    def __init__(self, key: str, reason: str = "damaged") -> None:
        if "\n" in key:  # what torch makes of such an error in a loader process
            key, _, rest = own_line(key).partition(" is damaged (")
            reason = rest.removesuffix(f").{REPAIR}")
        self.key = key
        self.reason = reason
        super().__init__(f"{key} is damaged ({reason}).{REPAIR}")

    def __reduce__(self) -> tuple[type[DamagedObjectError], tuple[str, ...]]:
        return type(self), (self.key, self.reason)


class MissingObjectError(DamagedObjectError):
    """An object that a record refers to and the store does not hold."""

    def __init__(self, key: str, reason: str = "missing") -> None:
        super().__init__(key, reason)
