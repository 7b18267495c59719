"""Reading a TOML table strictly: every key is known, every value has its type, an error names the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from featurestore.corpus.manifest import OneOrMore
from featurestore.errors import ManifestError, nearest_name
from featurestore.typed_values import LONGEST_SHOWN, typed

Value = TypeVar("Value")

MOST_SHOWN = 10
"""Names in a message before they are only counted."""


class TomlTable:
    """One table of a manifest; `into` reads its keys and refuses those that no field has.

    Messages begin with `where`; `misspelt` is that for an absent key where the table itself seems to be misspelt.
    """

    def __init__(self, values: Mapping[str, Any], where: str, misspelt: str = "") -> None:
        self.where = where
        self._values = values
        self._asked: list[str] = []
        self._misspelt = misspelt

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys in their written order."""
        return tuple(self._values)

    def error(self, fault: str) -> ManifestError:
        """Return the error of a fault in this table."""
        return ManifestError(f"{self.where}: {fault}.")

    def take(self, key: str, kind: type[Value]) -> Value | None:
        """Return the value under a key, or None where it is absent; `ManifestError` if it is of another type."""
        self._asked.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        found: Value = typed(value, kind, f"{self.where}: {shown_key(key)!r}", ManifestError)
        return found

    def require(self, key: str, kind: type[Value]) -> Value:
        """Return the value under a key; `ManifestError` if it is absent, naming a near key that is unknown."""
        value = self.take(key, kind)
        if value is None:
            missing = f"{self.where}: the key {key!r} is missing."
            raise ManifestError(self._misspelling(key) or self._misspelt or missing)
        return value

    def _misspelling(self, key: str) -> str:
        """Return the message for an absent key to which an unknown one is near; empty if none is."""
        near = nearest_name(key, self._values.keys() - {*self._asked}) if key not in self._values else None
        return f"{self.where}: unknown key {shown_key(near)!r}: did you mean {key!r}?" if near is not None else ""

    def table(self, key: str) -> TomlTable:
        """Return the table under a key, empty where it is absent."""
        name = shown_key(key)
        name = name if name.isprintable() else repr(name)  # no sign that a terminal would obey
        return TomlTable(self.take(key, dict) or {}, f"{self.where}, [{name}]", self._misspelling(key))

    def each(self, key: str, read: Callable[[TomlTable, str], Value]) -> dict[str, Value]:
        """Return what is read of each table in the table under a key, by its name."""
        named = self.table(key)
        return {name: read(named.table(name), name) for name in named.keys}

    def tables(self, key: str) -> list[TomlTable]:
        """Return the array of tables under a key."""
        values = self.take(key, list) or []
        if not all(isinstance(value, dict) for value in values):
            raise self.error(f"{key!r} must be an array of tables, [[{key}]]")
        return [TomlTable(value, f"{self.where}, [[{key}]] {number}") for number, value in enumerate(values, 1)]

    def into(self, kind: type[Value], **given: Any) -> Value:  # noqa: ANN401 (fields that are read otherwise)
        """Return the dataclass whose fields are the keys of this table, except the given ones; refuse other keys."""
        read = {}
        for name, (annotation, required) in _annotations(kind).items():  # type: ignore[arg-type]
            if name in given:
                continue
            if required or name in self._values:
                read[name] = self._field(name, annotation)
            else:
                self._asked.append(name)
        for key in self._values:
            if key not in self._asked:
                near = nearest_name(key, self._asked)
                hint = f"did you mean {near!r}?" if near is not None else f"known: {', '.join(sorted(self._asked))}."
                raise ManifestError(f"{self.where}: unknown key {shown_key(key)!r}: {hint}")
        return kind(**given, **read)

    def _field(self, key: str, kind: Any) -> Any:  # noqa: ANN401 (an annotation, and a value of it)
        if kind == OneOrMore and isinstance(self._values.get(key), str):
            return (self.require(key, str),)
        if kind == OneOrMore or get_origin(kind) is tuple:
            values = self.take(key, list) or []
            if not all(isinstance(value, str) for value in values):
                raise self.error(f"{shown_key(key)!r} must be a list of strings")
            return tuple(values)
        if get_origin(kind) is Mapping:
            table = self.table(key)
            return {name: table._field(name, get_args(kind)[1]) for name in table.keys}
        return self.require(key, next(iter(get_args(kind)), kind))


@cache
def _annotations(kind: type) -> Mapping[str, tuple[Any, bool]]:
    """Return the annotation of each field of a dataclass, and whether it has no default."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        one.name: (hints[one.name], one.default is MISSING and one.default_factory is MISSING) for one in fields(kind)
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
    """Refuse a checksum other than `length` lower-case hexadecimal digits or None; `ManifestError` names `where`."""
    if checksum is not None and not re.fullmatch(f"[0-9a-f]{{{length}}}", checksum):
        raise ManifestError(f"{where}: a checksum has {length} hexadecimal digits, not {checksum!r:.80}.")


def is_relative(path: str) -> bool:
    """Tell whether a path stays below its folder: no `..`, drive, backslash or control character."""
    return all(part not in ("", ".", "..") for part in path.split("/")) and not re.search(r"[\\\x00-\x1f:]", path)
