"""The parts of paths that vary: folders, pieces of file names, and positions in names of one length.

Neighbouring places belong to one field if their characters depend on each other: two digits of a speaker's number do,
a digit of the number and one of the take do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod

FEWEST_NAMES, LONGEST_NAME = 20, 32
"""Names, and characters of each, whose fields are found by position."""
ROOM = 20
"""Times that there may be more combinations of all fields than names; names drawn by chance leave far more."""
DEPENDENT_DIGITS, DEPENDENT_LETTERS = 0.9, 0.75
"""Share of the combinations of two fields below which they are one."""
NAMES_OF_ONE_FORM = 0.9
"""Share of the names that must be put together in the same way."""

_COARSE = re.compile(r"[_\-. ]+|[^_\-. ]+")
_FINE = re.compile(r"[_\-. ]+|\d+|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^_\-. \dA-Za-z]+")
_CODES = re.compile(r"[_\-. ]+|\d+|[A-Z]|[a-z]+|[^_\-. \dA-Za-z]+")
"""Ways to split names."""


@dataclass(frozen=True)
class PathField:
    """One piece of every path: a folder, or a part of the file name."""

    values: tuple[str, ...]
    """Its value in each path."""
    folder: bool
    """Whether it is a folder's name."""
    widest: bool = False
    """Whether only a sample of paths is known, so that others may be longer or shorter."""

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value occurs, the most frequent first."""
        return Counter(dict(Counter(self.values).most_common()))

    @property
    def varies(self) -> bool:
        """Whether it has more than one value."""
        return len(self.counts) > 1

    @property
    def expression(self) -> str:
        """A regular expression, without choices of its own, that fits every value."""
        if not self.varies and not self.widest:
            return re.sub(r"\\([ -])", r"\1", re.escape(self.values[0]))
        if self.folder and self.widest:
            return "[^/]+"
        lengths = [len(value) for value in self.counts]
        least, most = (1, max(lengths) + 8) if self.widest else (min(lengths), max(lengths))
        width = str(least) if least == most else f"{least},{most}"
        return self._characters if width == "1" else f"{self._characters}{{{width}}}"

    @property
    def _characters(self) -> str:
        """Return a set of characters that all values are made of."""
        for kind in (r"\d", "[a-z]", "[A-Z]", "[A-Za-z]", "[A-Za-z0-9]", r"\w", r"[\w.-]", r"[\w .-]"):
            if all(re.fullmatch(f"{kind}+", value, re.ASCII) for value in self.counts):
                return kind
        return "[^/]"


@dataclass(frozen=True)
class Form:
    """How most file names of a corpus are put together."""

    pieces: tuple[PathField, ...]
    """The pieces of a name without its ending, separators among them."""
    paths: tuple[str, ...]
    """The paths whose names have this form, in the order of the values."""
    others: int
    """Paths whose names have another form."""

    @property
    def varying(self) -> list[PathField]:
        """The pieces with more than one value."""
        return [piece for piece in self.pieces if piece.varies]


def forms_of(paths: Sequence[str], *, sampled: bool) -> Iterator[Form]:
    """Yield the form of the file names for each way to split them that fits most names, the plainest first."""
    yield from _form_by_splitting(paths, _COARSE, sampled=sampled)
    yield from _form_by_splitting(paths, _FINE, sampled=sampled)
    if not sampled:
        yield from _form_by_position(paths)
    yield from _form_by_splitting(paths, _CODES, sampled=sampled)


def _form_by_splitting(paths: Sequence[str], splitter: re.Pattern[str], *, sampled: bool) -> Iterator[Form]:
    """Yield the form of names whose pieces are of different kinds, or have separators between them."""
    split = {path: tuple(splitter.findall(_stem(path))) for path in paths}
    kinds = Counter(map(_kind, split.values()))
    kind, count = kinds.most_common(1)[0]
    if kind and count >= NAMES_OF_ONE_FORM * len(paths):
        fitting = [path for path in paths if _kind(split[path]) == kind]
        columns = zip(*(split[path] for path in fitting), strict=True)
        pieces = tuple(PathField(column, folder=False, widest=sampled and _is_text(column[0])) for column in columns)
        if splitter is not _FINE or not any(map(_is_pair_of_codes, pieces)):
            yield Form(pieces, tuple(fitting), len(paths) - count)


def _form_by_position(paths: Sequence[str]) -> Iterator[Form]:
    """Yield the form of names of one length whose fields are found by their position."""
    usual = Counter(len(_stem(path)) for path in paths).most_common(1)[0][0]
    fitting = tuple(path for path in paths if len(_stem(path)) == usual)
    cuts = cuts_by_position([_stem(path) for path in fitting])
    if cuts is not None and len(fitting) >= NAMES_OF_ONE_FORM * len(paths):
        columns = (tuple(_stem(path)[slice(*pair)] for path in fitting) for pair in pairwise(cuts))
        yield Form(tuple(PathField(column, folder=False) for column in columns), fitting, len(paths) - len(fitting))


def folders_of(paths: Sequence[str], most: int, *, sampled: bool) -> list[PathField]:
    """Return the folders above every recording, at most so many, the outermost first."""
    depth = min(most, *(path.count("/") for path in paths))
    parts = [path.split("/")[-depth - 1 : -1] for path in paths]
    return [PathField(column, folder=True, widest=sampled) for column in zip(*parts, strict=True)]


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _kind(pieces: Sequence[str]) -> tuple[str, ...]:
    """Return what distinguishes forms: the number of pieces, and which separators are where."""
    return tuple("" if _is_text(piece) else piece for piece in pieces)


def _is_pair_of_codes(piece: PathField) -> bool:
    """Tell whether all values are a capital and a small letter that vary on their own, as the end of `03a01Wb`."""
    pairs = all(re.fullmatch("[A-Z][a-z]", value) for value in piece.counts)
    return pairs and all(len({value[place] for value in piece.counts}) > 1 for place in (0, 1))


def _is_text(piece: str) -> bool:
    return not re.fullmatch(r"[_\-. ]+", piece)


def are_alike(one: PathField, other: PathField) -> bool:
    """Tell whether two pieces tell the recordings apart in the same way, whatever they call them."""
    return len({*zip(one.values, other.values, strict=True)}) == len(one.counts) == len(other.counts)


def alike_left_out(pieces: Iterable[PathField]) -> list[PathField]:
    """Leave out pieces that are like an earlier one."""
    found: list[PathField] = []
    for piece in pieces:
        if not any(are_alike(piece, other) for other in found):
            found.append(piece)
    return found


def cuts_by_position(names: Sequence[str]) -> tuple[int, ...] | None:
    """Return where the fields of names begin, and the end; None if they are no names with fields by position.

    They have no endings. The values of each field must return, and most combinations of them occur, as in a corpus
    that was planned.

    Examples
    --------
    >>> cuts_by_position([f"{speaker:02}{mood}{take}" for speaker in range(8, 12) for mood in "nsh" for take in "123"])
    (0, 2, 3, 4)
    """
    length = len(names[0]) if names else 0
    alike = len(names) >= FEWEST_NAMES and 2 <= length <= LONGEST_NAME and {len(name) for name in names} == {length}
    if not alike or not all(name.isascii() and name.isalnum() for name in names) or _is_numbered(names):
        return None
    begins = [0]
    for place in range(1, length):
        if not _one_field(names, begins[-1], place):
            begins.append(place)
    cuts = (*begins, length)
    sizes = [len(_values(names, *pair)) for pair in pairwise(cuts)]
    return cuts if 2 * max(sizes) <= len(names) and prod(sizes) <= ROOM * len(names) else None


def _values(names: Sequence[str], start: int, stop: int) -> set[str]:
    return {name[start:stop] for name in names}


def _one_field(names: Sequence[str], start: int, place: int) -> bool:
    """Tell whether a place belongs to the field before it: both are fixed, or their characters depend on each other."""
    before, here = _values(names, start, place), _values(names, place, place + 1)
    if len(before) == 1 or len(here) == 1:
        return len(before) == len(here) == 1
    both_sides = _values(names, place - 1, place), here
    for is_kind in (str.isdigit, str.isupper, str.islower):
        if all(is_kind(character) for characters in both_sides for character in characters):
            share = DEPENDENT_DIGITS if is_kind is str.isdigit else DEPENDENT_LETTERS
            return len(_values(names, start, place + 1)) < share * len(before) * len(here)
    return False


def _is_numbered(names: Sequence[str]) -> bool:
    """Tell whether what varies in the names is one number that counts them."""
    same = [len(set(column)) == 1 for column in zip(*names, strict=True)]
    tails = [name[same.index(False) if False in same else 0 :] for name in names]
    numbers = [int(tail) for tail in tails if tail.isdecimal()]
    return len(numbers) == len(tails) and max(numbers) - min(numbers) < 2 * len(numbers)
