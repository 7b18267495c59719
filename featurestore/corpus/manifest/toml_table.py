"""Reading a TOML table strictly: every key is known, every value has its type, an error names the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from featurestore.corpus.manifest.model import OneOrMore
from featurestore.errors import ManifestError, nearest_name
from featurestore.typed_values import LONGEST_SHOWN, typed

Value = TypeVar("Value")


MOST_SHOWN = 10
"""Names in a message before they are only counted."""


class TomlTable:
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

    def table(self, key: str) -> TomlTable:
        """Return the table under a key, empty where it is absent."""
        name = shown_key(key)
        name = name if name.isprintable() else repr(name)  # no sign that a terminal would obey
        return TomlTable(self.take(key, dict, {}), f"{self.where}, [{name}]", self._misspelling(key))

    def each(self, key: str, read: Callable[[TomlTable, str], Value]) -> dict[str, Value]:
        """Return what is read of each table in the table under a key, by its name."""
        named = self.table(key)
        return {name: read(named.table(name), name) for name in named.keys()}  # noqa: SIM118

    def tables(self, key: str) -> list[TomlTable]:
        """Return the array of tables under a key."""
        values = self.take(key, list, [])
        if not all(isinstance(value, dict) for value in values):
            raise ManifestError(f"{self.where}: {key!r} must be an array of tables, [[{key}]].")
        return [TomlTable(value, f"{self.where}, [[{key}]] {number}") for number, value in enumerate(values, 1)]

    def into(self, kind: type[Value], **given: Any) -> Value:  # noqa: ANN401 (fields that are read otherwise)
        """Return the dataclass whose fields are the keys of this table, except the given ones; refuse other keys."""
        kinds = _field_kinds(kind)  # type: ignore[arg-type]
        read = {name: self._field(name, *kinds[name]) for name in kinds if name not in given}
        self.done()
        return kind(**given, **{name: value for name, value in read.items() if value is not None})

    def _field(self, key: str, kind: Any, required: bool = True) -> Any:  # noqa: ANN401
        """Return the value of a field by its annotation; None where it is absent and has a default."""
        if key not in self._values and not required:
            self._asked.append(key)
            return None
        if kind == OneOrMore and isinstance(self._values.get(key), str):
            return (self.require(key, str),)
        if kind == OneOrMore or get_origin(kind) is tuple:
            values = self.take(key, list, [])
            if not all(isinstance(value, str) for value in values):
                raise ManifestError(f"{self.where}: {shown_key(key)!r} must be a list of strings.")
            return tuple(values)
        if get_origin(kind) is Mapping:
            table = self.table(key)
            return {name: table._field(name, get_args(kind)[1]) for name in table.keys()}  # noqa: SIM118
        return self.require(key, next(iter(get_args(kind)), kind))

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


@cache
def _field_kinds(kind: type) -> Mapping[str, tuple[Any, bool]]:
    """Return the annotation of each field of a dataclass, and whether it has to be given."""
    kinds = get_type_hints(kind, include_extras=True)
    return {
        one.name: (kinds[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
    }


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


def check_hex(checksum: str | None, length: int, where: str) -> None:
    """Refuse a checksum that is not `length` lower-case hexadecimal digits; None passes.

    Raises
    ------
    ManifestError
        Naming the place.
    """
    if checksum is not None and not (len(checksum) == length and re.fullmatch("[0-9a-f]+", checksum)):
        raise ManifestError(f"{where}: a checksum has {length} hexadecimal digits, not {checksum!r:.80}.")


def is_relative(path: str) -> bool:
    """Tell whether a path stays below its folder: no `..`, drive, backslash or control character."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") for part in parts) and not re.search(r"[\\\x00-\x1f:]", path)
