"""What people or old files wrote: TOML, read without a long wait or a crash, and values held against their types."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Callable, Collection, Hashable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from featurestore.errors import FeatureStoreError, SpecError

LARGEST_NUMBER = 2**63 - 1
"""What TOML promises for whole numbers; beyond it a reader may fail as it writes the number into a message."""
LONGEST_SHOWN = 60
"""Characters of a key or a value in a message."""
LARGEST_TEXT = 4 * 2**20
"""Characters; the longest file that comes with the package has about 10,000."""
DEEPEST_KEY = 64
"""Dots in a key such as `a.b.c`: the parser takes time that grows with their square."""

_TEXTS = re.compile(r""""(?:\\.|[^"\\])*"|'[^']*'|#.*""")


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML; `ValueError` says in one line why it is none, is nested too deep, or would keep the parser busy."""
    if len(text) > LARGEST_TEXT:
        raise ValueError(f"more than {LARGEST_TEXT:,} characters")
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") <= DEEPEST_KEY:
            continue
        if '"""' not in line and "'''" not in line:  # else it begins or ends a text of several lines
            line = _TEXTS.sub("", line)
        if line.count(".") > DEEPEST_KEY:
            raise ValueError(f"line {number}: a key of more than {DEEPEST_KEY} parts, or as many dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("values that are nested too deep") from error
    except ValueError as error:  # also a number of more digits than Python reads
        raise ValueError(f"{error!s:.300}") from error


def check_fields(record: Any, where: str, skip: Collection[str] = ()) -> None:  # noqa: ANN401 (any dataclass)
    """Hold the fields of a dataclass, except those in `skip`, against their annotations, as `typed` does.

    It is called where a record is made, so whole numbers become floats and lists become tuples in the record itself.
    `where` begins the message of the `SpecError`: what the record describes.
    """
    kinds = get_type_hints(type(record))
    for field in dataclasses.fields(record):
        if field.name not in skip:
            value = getattr(record, field.name)
            object.__setattr__(record, field.name, typed(value, kinds[field.name], f"{where}: {field.name}"))


def typed(value: Any, kind: Any, place: str, error: type[FeatureStoreError] = SpecError) -> Any:  # noqa: ANN401
    """Return a value that has a type; a whole number serves as a float, a list as a tuple.

    Numbers are finite and of at most 64 bits, since nothing here can compute with others; true and false are no
    numbers. A value of another type is an `error` whose message begins with `place`.

    Parameters
    ----------
    kind : type
        A class, `tuple[X, ...]`, a mapping from strings to one type, a union of plain classes, or Any.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(typed(one, inner[0], f"{place}: each value", error) for one in value)
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {key: typed(one, inner[1], f"{place}.{key!s:.{LONGEST_SHOWN}}", error) for key, one in value.items()}
    if isinstance(kind, UnionType):
        fitting = [one for one in inner if type(value) is one]
        if not fitting and type(value) is int and float in inner:
            fitting = [float]
        if not fitting:
            raise error(f"{place} must be {' or '.join(map(in_words, inner))}, not {shown_value(value)}.")
        return _plain(value, fitting[0], place, error)
    return _plain(value, origin or kind, place, error)


def check_listed(name: str, values: object, example: str) -> None:
    """Refuse one text where several are wanted with `SpecError`: each of its letters would be taken for a value."""
    if isinstance(values, str | bytes):
        raise SpecError(f"{name} is a list, as in {name}={example}, not the text {shown_value(values)}.")


def _plain(value: Any, kind: type[Any], place: str, error: type[FeatureStoreError]) -> Any:  # noqa: ANN401
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise error(f"{place} is a number of more than 64 bits.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise error(f"{place} must be {in_words(kind)}, not {shown_value(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise error(f"{place} must be a number, not {value}.")
    return value


def shown_value(value: object) -> str:
    """Write a wrong value; a table or a list by its kind alone, since it can be deeper than Python writes.

    Examples
    --------
    >>> shown_value("x"), shown_value([1])
    ("'x'", 'a list')
    """
    return in_words(type(value)) if isinstance(value, dict | list) else f"{value!r:.{LONGEST_SHOWN}}"


def in_words(kind: type[Any]) -> str:
    """Return what a type is called in a message.

    Examples
    --------
    >>> in_words(int), in_words(dict)
    ('a whole number', 'a table')
    """
    names: Mapping[type[Any], str] = {
        str: "a string",
        int: "a whole number",
        float: "a number",
        list: "a list",
        tuple: "a list",
        dict: "a table",
        Mapping: "a table",
        bool: "true or false",
        type(None): "nothing",
    }
    return names.get(kind, kind.__name__)


def check_types(record: object) -> None:
    """Compare the values of a record with its annotations, inside tuples too; `TypeError` where they differ."""
    for name, fits in _checks(type(record)):  # type: ignore[arg-type]  # a class is hashable
        if not fits(getattr(record, name)):
            raise TypeError(f"{name} has the wrong type")


@lru_cache
def _checks(record: Hashable) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    return tuple((name, _check(kind)) for name, kind in get_type_hints(record).items())


def _check(kind: Any) -> Callable[[Any], bool]:  # noqa: ANN401 (an annotation)
    """Return a test of whether a value fits an annotation; a table of a corpus has a million values to ask."""
    inner = [_check(one) for one in get_args(kind) if one is not Ellipsis]
    if isinstance(kind, UnionType):
        return lambda value: any(fits(value) for fits in inner)
    if get_origin(kind) is tuple and Ellipsis in get_args(kind):
        return lambda value: isinstance(value, tuple) and all(map(inner[0], value))
    if get_origin(kind) is tuple:
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(inner)
            and all(fits(one) for fits, one in zip(inner, value, strict=True))
        )
    plain = get_origin(kind) or kind
    return lambda value: type(value) is plain or (isinstance(value, plain) and not isinstance(value, bool))
