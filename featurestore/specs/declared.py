"""Fields of a dataclass that others declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Protocol, TypeVar

Class = TypeVar("Class", bound=type[Any])


class Declared(Protocol):
    """A policy or a perturbation, whose fields the kinds of perturbations declare."""

    def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401


def declared(fields: Mapping[str, tuple[Any, str]]) -> Callable[[Class], Class]:
    """Add fields to a class that `dataclass` then takes: each name with its default and what it means.

    Raises
    ------
    TypeError
        If the class has a field of that name.
    """

    def add(found: Class) -> Class:
        for name, (default, meaning) in fields.items():
            if name in found.__annotations__:
                raise TypeError(f"{found.__name__} has two fields {name!r}")
            found.__annotations__[name] = "Any"
            setattr(found, name, field(default=default, metadata={"meaning": meaning}))
        return found

    return add
