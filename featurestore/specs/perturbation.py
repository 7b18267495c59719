"""What happens to one copy, in numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from featurestore.perturbations import KINDS
from featurestore.specs.registry import declared


@dataclass(frozen=True, slots=True)
@declared({name: (None, kind.meaning) for name, kind in KINDS.items()})
@declared({name: (default, "") for kind in KINDS.values() for name, default in kind.details})
class Perturbation:
    """What happens to one augmented copy: a value for each of `featurestore.perturbations.KINDS`, None if not applied.

    Values stand exactly as applied. Beside them: `noise_key` (of the noise stream, 64 bits), `noise` and `rir` (the
    sha256 of a recording) and `noise_position` (where in it the noise begins, in [0, 1)).
    """

    own: tuple[int | None, ...] = ()
    """Key of the random numbers of each function of the user, 64 bits; None for one that is not applied."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...  # noqa: ANN401
        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401

    @property
    def values(self) -> dict[str, float]:
        """The perturbations that are applied, by name, in their order."""
        return {name: value for name, value in zip(KINDS, _values(self), strict=True) if value is not None}

    def changes(self, other: Perturbation) -> dict[str, Any]:
        """Return the fields in which another perturbation differs, with its values."""
        fields = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(other, name) for name in fields if getattr(self, name) != getattr(other, name)}

    def changed(self, changes: Mapping[str, Any]) -> Perturbation:
        """Return the perturbation with other values of some fields."""
        return dataclasses.replace(self, **changes) if changes else self


_values = attrgetter(*KINDS)
