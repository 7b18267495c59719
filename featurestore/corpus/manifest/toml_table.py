"""Reading a TOML table strictly: every key is known, every value has its type, an error names the place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from featurestore.errors import ManifestError, nearest_name
from featurestore.typed_values import LONGEST_SHOWN, typed

Value = TypeVar("Value")


MOST_SHOWN = 10
"""Names in a message before they are only counted."""


class Table:
    """One table of a manifest; `take` reads its keys, `done` refuses the ones that nobody asked for."""

    def __init__(self, values: Mapping[str, Any], where: str, misspelt: str = "") -> None:
        self._values = values
        self._asked: list[str] = []
        self._misspelt = misspelt
        """What to say of an absent key where the table itself seems to stand under another name."""
        self.where = where

    def take(self, key: str, kind: type[Value], default: Value) -> Value:
        """Return the value under a key, which must have exactly the type `kind`, or the default."""
        value = self.take_optional(key, kind)
        return default if value is None else value

    def take_optional(self, key: str, kind: type[Value]) -> Value | None:
        """Return the value under a key, or None where it is absent; a whole number serves as a float."""
        self._asked.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        found: Value = typed(value, kind, f"{self.where}: {shown_key(key)!r}", ManifestError)
        return found

    def require(self, key: str, kind: type[Value]) -> Value:
        """Return the value under a key that must be there; one that is near and unknown is named in its place."""
        value = self.take_optional(key, kind)
        if value is None:
            missing = f"{self.where}: the key {key!r} is missing."
            raise ManifestError(self._misspelling(key) or self._misspelt or missing)
        return value

    def _misspelling(self, key: str) -> str:
        """Say which key, that nobody asked for, is near to an absent one; empty if none is."""
        near = nearest_name(key, self._values.keys() - {*self._asked}) if key not in self._values else None
        return f"{self.where}: unknown key {shown_key(near)!r}: did you mean {key!r}?" if near is not None else ""

    def strings(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of strings as a tuple."""
        values = self.take(key, list, [*default])
        if not all(isinstance(value, str) for value in values):
            raise ManifestError(f"{self.where}: {shown_key(key)!r} must be a list of strings.")
        return tuple(values)

    def one_or_more(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a string or a list of strings as a tuple."""
        if isinstance(self._values.get(key), str):
            return (self.require(key, str),)
        return self.strings(key, default)

    def table(self, key: str) -> Table:
        """Return the table under a key, empty where it is absent."""
        return Table(self.take(key, dict, {}), f"{self.where}, [{_plain(key)}]", self._misspelling(key))

    def tables(self, key: str) -> list[Table]:
        """Return the array of tables under a key."""
        values = self.take(key, list, [])
        if not all(isinstance(value, dict) for value in values):
            raise ManifestError(f"{self.where}: {key!r} must be an array of tables, [[{key}]].")
        return [Table(value, f"{self.where}, [[{key}]] {number}") for number, value in enumerate(values, 1)]

    def all_of(self, kind: type[Value]) -> dict[str, Value]:
        """Return the whole table, in which every value must have one type."""
        return {key: self.require(key, kind) for key in self._values}

    def keys(self) -> tuple[str, ...]:
        """Return the keys in their written order."""
        return tuple(self._values)

    def done(self) -> None:
        """Refuse keys that were not read, naming the nearest known one."""
        for key in self._values:
            if key not in self._asked:
                near = nearest_name(key, self._asked)
                hint = f"did you mean {near!r}?" if near is not None else f"known: {', '.join(sorted(self._asked))}."
                raise ManifestError(f"{self.where}: unknown key {shown_key(key)!r}: {hint}")


def shown_key(key: str) -> str:
    """Return a key as a message shows it, cut where it is very long.

    Examples
    --------
    >>> shown_key("x" * 100)[-3:]
    'xx…'
    """
    return key if len(key) <= LONGEST_SHOWN else f"{key[: LONGEST_SHOWN - 1]}…"


def listed_names(names: Iterable[str]) -> str:
    """Write names for a message: the first ones, each cut where it is long, and how many more there are.

    Examples
    --------
    >>> listed_names(["a", "b"])
    "'a', 'b'"
    """
    known = [repr(shown_key(name)) for name in names]
    more = f" and {len(known) - MOST_SHOWN} more" if len(known) > MOST_SHOWN else ""
    return f"{', '.join(known[:MOST_SHOWN])}{more}"


def _plain(key: str) -> str:
    """Return a key without quotes where it can be printed, else with what steers a terminal as escapes."""
    shown = shown_key(key)
    return shown if shown.isprintable() else repr(shown)


_HEX = re.compile(r"[0-9a-f]+")


def check_hex(checksum: str | None, length: int, where: str) -> None:
    """Refuse a checksum that is not `length` lower-case hexadecimal digits; None passes.

    Raises
    ------
    ManifestError
        Naming the place.
    """
    if checksum is not None and not (len(checksum) == length and _HEX.fullmatch(checksum)):
        raise ManifestError(f"{where}: a checksum has {length} hexadecimal digits, not {checksum!r:.80}.")


def is_relative(path: str) -> bool:
    """Tell whether a path stays below its folder: no `..`, drive, backslash or control character."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(r"[\\\x00-\x1f:]", path)
