"""Reading a TOML table strictly: every key is known, every value has its type, an error names the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from featurestore.errors import ManifestError
from featurestore.nearest import nearest_name

Value = TypeVar("Value")


class Table:
    """One table of a data sheet; `take` reads its keys, `done` refuses the ones that nobody asked for."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = values
        self._asked: list[str] = []
        self.where = where

    def take(self, key: str, kind: type[Value], default: Value) -> Value:
        """Return the value under a key, which must have exactly the type `kind`, or the default."""
        value = self.take_optional(key, kind)
        return default if value is None else value

    def take_optional(self, key: str, kind: type[Value]) -> Value | None:
        """Return the value under a key, or None where it is absent."""
        self._asked.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise ManifestError(f"{self.where}: {key!r} must be {_a(kind)}, not {value!r:.60}.")
        return value

    def require(self, key: str, kind: type[Value]) -> Value:
        """Return the value under a key that must be there."""
        value = self.take_optional(key, kind)
        if value is None:
            raise ManifestError(f"{self.where}: the key {key!r} is missing.")
        return value

    def strings(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of strings as a tuple."""
        values = self.take(key, list, [*default])
        if not all(isinstance(value, str) for value in values):
            raise ManifestError(f"{self.where}: {key!r} must be a list of strings.")
        return tuple(values)

    def one_or_more(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a string or a list of strings as a tuple."""
        if isinstance(self._values.get(key), str):
            return (self.require(key, str),)
        return self.strings(key, default)

    def table(self, key: str) -> Table:
        """Return the table under a key, empty where it is absent."""
        return Table(self.take(key, dict, {}), f"{self.where}, [{key}]")

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
                raise ManifestError(f"{self.where}: unknown key {key!r}: {hint}")


def _a(kind: type[Any]) -> str:
    names = {str: "a string", int: "a whole number", list: "a list", dict: "a table", bool: "true or false"}
    return names.get(kind, kind.__name__)
