"""Values that people or old files wrote, held against the types that the fields they stand for are declared with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from featurestore.errors import FeatureStoreError, SpecError

LARGEST_NUMBER = 2**63 - 1
"""What TOML promises for whole numbers; beyond it a reader may fail as it writes the number into a message."""
LONGEST_SHOWN = 60
"""Characters of a key or a value in a message."""


def check_fields(record: Any, where: str, skip: Collection[str] = ()) -> None:  # noqa: ANN401 (any dataclass)
    """Refuse a dataclass with a value that its field's annotation does not allow; see `typed`.

    It is called where a record is made, so whole numbers become floats and lists become tuples in the record itself.

    Parameters
    ----------
    record : dataclass
    where : str
        Begins the message: what the record stands for.
    skip : collection of str
        Fields that have a check of their own.

    Raises
    ------
    SpecError
        Naming the first field that does not fit.
    """
    kinds = get_type_hints(type(record))
    for field in dataclasses.fields(record):
        if field.name not in skip:
            value = getattr(record, field.name)
            object.__setattr__(record, field.name, typed(value, kinds[field.name], f"{where}: {field.name}"))


def typed(value: Any, kind: Any, place: str, error: type[FeatureStoreError] = SpecError) -> Any:  # noqa: ANN401
    """Return a value that has a type; a whole number serves as a float, a list as a tuple.

    Numbers are finite and of at most 64 bits, since nothing here can reckon with others; true and false are no numbers.

    Parameters
    ----------
    kind : type
        A class, `tuple[X, ...]`, a mapping from texts to one type, a union of plain classes, or Any.
    place : str
        Begins the message.
    error : type
        What is raised if it has another type.
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
