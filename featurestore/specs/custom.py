"""A perturbation that the user wrote: a function, named with its version and its settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.checksummed_json import canonical_json
from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.drawn import PER, checked_probability, checked_whole
from featurestore.trusted_code import check_reference


@dataclass(frozen=True, slots=True)
class CustomPerturbation:
    """A function `function(signal, rate, rng, **settings)` that returns the perturbed signal.

    It gets array [time] in float32, samples a second, and a `numpy.random.Generator` that is keyed by seed, content
    and copy, and must depend on nothing else: then its rows are the same in every process and order. Name, version
    and settings are part of the address of its rows; the code is not, so a change of what it computes needs another
    version.
    """

    function: str
    """`module:function`; imported only if the user trusts the module by name."""
    version: int
    """Raised by its author when the function's numbers change; 1 or more."""
    probability: float = 1.0
    """Share of the copies it is applied to, in [0, 1]."""
    per: str = "row"
    """`row` or `copy`: whether all files share the random numbers of a copy index."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Keyword arguments, JSON values."""

    def __post_init__(self) -> None:
        check_reference(self.function)
        object.__setattr__(self, "version", checked_whole(f"the version of {self.function!r}", self.version))
        if self.version < 1:
            raise SpecError(f"the version of {self.function!r} must be a whole number from 1 on, not {self.version!r}.")
        object.__setattr__(self, "probability", checked_probability(self.probability))
        if self.per not in PER:
            raise UnknownNameError("value rule", str(self.per), PER)
        if not isinstance(self.settings, Mapping):
            raise SpecError(f"the settings of {self.function!r} must be a table, not {self.settings!r}.")
        object.__setattr__(self, "settings", json.loads(canonical_json(dict(self.settings))))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, settings only where there are any."""
        rule = {"function": self.function, "version": self.version, "probability": self.probability, "per": self.per}
        return {**rule, **({"settings": dict(self.settings)} if self.settings else {})}
