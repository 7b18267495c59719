"""How kinds of features and of perturbations are found, and how specs take their fields from them.

A kind is a class in a file of its own; being in its folder registers it. What several kinds share is versioned here.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import cache
from importlib import import_module
from numbers import Integral, Real
from types import UnionType
from typing import Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

from featurestore.typed_values import typed

Class = TypeVar("Class", bound=type[Any])
Operation = tuple[int, tuple[str, ...]]
"""Version, raised whenever the operation's numbers change, and the libraries that these depend on."""

OPERATIONS: dict[str, Operation] = {
    "decode": (2, ("soundfile", "numpy")),
    "resample": (1, ("soxr",)),
    "trim": (2, ("numpy",)),
    "stft": (3, ("scipy", "numba")),
    "mel": (3, ("numba", "numpy")),
    "log": (2, ("numba",)),
    "decibels": (2, ("numpy",)),
    "length": (1, ()),
    "draw": (2, ()),
    "own": (1, ("numpy",)),
}
"""The operations that no kind has to itself; a kind declares its own."""

OPTIONAL = {
    "opensmile": "these features need the package opensmile, whose licence allows non-commercial use only: "
    "if yours is, pip install 'featurestore[egemaps]'."
}
"""The message where a package that only some features need is missing."""


class Kind(Protocol):
    """A kind of features or perturbations, as far as it is registered."""

    @property
    def name(self) -> str:
        """What specs call it."""

    @property
    def versions(self) -> Mapping[str, Operation]:
        """The operations that are its own."""


Registered = TypeVar("Registered", bound=Kind)


def kinds_in(package: str, base: type[Any]) -> list[Any]:
    """Return an instance of each final subclass of `base` that a module of a package defines, by module name."""
    found = []
    for module in sorted(one.name for one in pkgutil.iter_modules(sys.modules[package].__path__, f"{package}.")):
        for defined in vars(import_module(module)).values():
            if isinstance(defined, type) and issubclass(defined, base) and defined.__module__ == module:
                found += [defined()] if "name" in vars(defined) else []
    return found


def formats_in(package: str) -> dict[str, Any]:
    """Return the `FORMAT` of each module of a package that has one, by its name."""
    names = sorted(one.name for one in pkgutil.iter_modules(sys.modules[package].__path__, f"{package}."))
    found = [vars(import_module(name)).get("FORMAT") for name in names]
    return {one.name: one for one in found if one is not None}


def registered(kinds: Iterable[Registered]) -> dict[str, Registered]:
    """Return kinds by name; `TypeError` if two share a name or an operation, whose versions would mix."""
    found: dict[str, Registered] = {}
    operations = set(OPERATIONS)
    for kind in kinds:
        twice = [kind.name] if kind.name in found else sorted(operations & kind.versions.keys())
        if twice:
            raise TypeError(f"two kinds or operations are called {twice[0]!r}")
        found[kind.name] = kind
        operations |= kind.versions.keys()
    return found


def check_declared(kind: type[Any], needed: Iterable[str]) -> None:
    """Raise a `TypeError` that names the parts which a class of a kind leaves out."""
    missing = [part for part in needed if part not in vars(kind)]
    if missing:
        raise TypeError(f"{kind.__name__} does not declare {', '.join(missing)}")


class Declared(Protocol):
    """A spec or a perturbation, whose fields kinds declare."""

    def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401


def declared(fields: Mapping[str, tuple[Any, Any, str]]) -> Callable[[Class], Class]:
    """Add fields to a class that `dataclass` then takes: each name with its type, its default and what it means.

    A default of None is allowed in place of a value of the type. `TypeError` if the class has a field of that name.
    """

    def add(found: Class) -> Class:
        """Return the class with the fields declared."""
        for name, (kind, default, meaning) in fields.items():
            if name in found.__annotations__:
                raise TypeError(f"{found.__name__} has two fields {name!r}")
            found.__annotations__[name] = kind if default is not None or kind is Any else kind | None
            setattr(found, name, field(default=default, metadata={"meaning": meaning}))
        return found

    return add


_types = cache(get_type_hints)  # evaluates annotations anew at each call, and a record of a shard makes two specs


def settle_fields(spec: object, where: str = "") -> None:
    """Hold each field of a frozen spec against its annotation, and give equal specs equal fields.

    An address distinguishes 16000 from 16000.0 and 0.0 from -0.0, though they mean the same.

    Raises
    ------
    SpecError
        Naming the first field that does not fit, after `where`.
    """
    for name, kind in _types(type(spec)).items():  # type: ignore[arg-type]  # a class is hashable
        value = getattr(spec, name)
        if isinstance(kind, UnionType) and value is not None:
            kind = get_args(kind)[0]  # of `X | None`, so that messages ask for an X
        if get_origin(kind) is tuple and isinstance(value, Sequence) and not isinstance(value, str):
            value = tuple(_plain_number(one, get_args(kind)[0]) for one in value)
        else:
            value = _plain_number(value, kind)
        if type(value) is not kind:
            value = typed(value, kind, f"{where}{name}")
        object.__setattr__(spec, name, value)


def _plain_number(value: Any, kind: Any) -> Any:  # noqa: ANN401 (anything, checked by `typed`)
    """Return numbers of numpy as those of Python, never -0.0, and 128.0 as 128 where a whole number is wanted."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    number = float(value) + 0.0  # -0.0 + 0.0 is 0.0
    return int(number) if kind is int and number.is_integer() else number
