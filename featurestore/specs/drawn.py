"""The rule for the value of a perturbation: how often it is applied, and how much of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from featurestore.errors import SpecError, UnknownNameError

PER = ("row", "copy")
"""What a value can be drawn for."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How often a perturbation is applied, and the rule for its value.

    The value is uniform in `[low, high]`, drawn anew for each row (`per="row"`) or once for each copy index and
    shared by all files (`per="copy"`), or taken from `identified_file` in turn: copy k takes entry (k - 1) mod length.
    """

    probability: float = 1.0
    """Share of the copies it is applied to, in [0, 1]."""
    uniform: tuple[float, float] | None = None
    """Lower and upper bound of the value."""
    per: str = "row"
    """`row` or `copy`: what a uniform value is drawn for."""
    listed: tuple[float, ...] = ()
    """The values, where they are listed and not drawn."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "probability", checked_probability(self.probability))
        if self.per not in PER:
            raise UnknownNameError("value rule", str(self.per), PER)
        if (self.uniform is None) == (not self.listed):
            raise SpecError("a perturbation needs either 'uniform = [low, high]' or 'listed = [...]'.")
        object.__setattr__(self, "listed", _numbers("listed", self.listed))
        if self.uniform is not None:
            object.__setattr__(self, "uniform", _range(self.uniform))

    @property
    def values(self) -> tuple[float, ...]:
        """The bounds or the listed values."""
        return self.uniform or self.listed

    @property
    def shared(self) -> bool:
        """True if all files share the value of a copy index, and whether it is applied."""
        return self.uniform is not None and self.per == "copy"

    def check(self, name: str, low: float, high: float) -> None:
        """Refuse values outside `[low, high]` with a `SpecError` that calls the perturbation by its name."""
        for value in self.values:
            if not (math.isfinite(value) and low <= value <= high):
                raise SpecError(f"{name} must lie within {low:g} and {high:g}, not {value:g}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that matter as JSON values."""
        rule: dict[str, Any] = {"listed": list(self.listed)}
        if self.uniform is not None:
            rule = {"uniform": list(self.uniform), "per": self.per}
        return {"probability": self.probability, **rule}


def checked_probability(value: float) -> float:
    """Return a probability as float; `SpecError` unless it lies within 0 and 1."""
    probability = checked_number("probability", value)
    if not 0 <= probability <= 1:
        raise SpecError(f"a probability must lie within 0 and 1, not {value}.")
    return probability


def checked_number(name: str, value: Any) -> float:  # noqa: ANN401 (it comes from a file)
    """Return a number as float, and 0.0 for -0.0, whose address would be another; `SpecError` if it is none."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            return float(value) + 0.0  # -0.0 + 0.0 is 0.0
        except OverflowError as error:
            raise SpecError(f"{name} must be a number, not {value!r}.") from error
    raise SpecError(f"{name} must be a number, not {value!r}.")


def checked_whole(name: str, value: Any) -> int:  # noqa: ANN401
    """Return a whole number as int, also where it was written as 3.0; `SpecError` if it is none."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return int(float(value))
    raise SpecError(f"{name} must be a whole number, not {value!r}.")


def checked_truth(name: str, value: Any) -> bool:  # noqa: ANN401
    """Return True or False; `SpecError` for all else, since both 1 and the text "no" would count as true."""
    if not isinstance(value, bool):
        raise SpecError(f"{name} must be true or false, not {value!r}.")
    return value


def _numbers(name: str, values: Any) -> tuple[float, ...]:  # noqa: ANN401
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise SpecError(f"{name} must be a list of numbers, not {values!r}.")
    return tuple(checked_number(name, value) for value in values)


def _range(bounds: Any) -> tuple[float, float]:  # noqa: ANN401
    numbers = _numbers("uniform", bounds)
    if len(numbers) != 2:
        raise SpecError(f"uniform must be [low, high], not {bounds!r}.")
    low, high = numbers
    if not low <= high:
        raise SpecError(f"a range must rise: {low:g} is above {high:g}.")
    return low, high


def read_table(kind: type[Any], name: str, table: Any, needed: str) -> Any:  # noqa: ANN401 (checked here)
    """Read a table of a policy into a frozen dataclass; one that was read before, and None, are returned as they are.

    Parameters
    ----------
    kind : type
        The dataclass.
    name : str
        What messages call it.
    table : mapping
    needed : str
        What the table has to hold, for the message.

    Raises
    ------
    UnknownNameError
        If the table has a key that the class does not have.
    SpecError
        If it is no table, or a value does not fit.
    """
    if table is None or isinstance(table, kind):
        return table
    known = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(table, Mapping):
        raise SpecError(f"{name} must be a table with {needed}, not {table!r}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"field of {name}", key, known)
    try:
        return kind(**table)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name}: {error}") from error
