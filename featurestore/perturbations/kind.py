"""What a perturbation must declare. One that leaves something out cannot be declared."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from featurestore.registry import Operation, check_declared

if TYPE_CHECKING:
    from featurestore.perturbations.draws import CopyDraws
    from featurestore.registry import Declared
    from featurestore.signal.copies import Copy


class PerturbationKind(ABC):
    """A kind of perturbation: its range, what its rows depend on, and what it does to a copy.

    A subclass in `featurestore/perturbations` is one entry of `featurestore.perturbations.PERTURBATIONS`; its name is
    then a field of policies, of `--set` and of what `DatasetView.perturbation` returns, and its docstring what
    `featurestore fields` prints. Arrays and kernels are imported in its methods: specs are read without them.
    """

    name: ClassVar[str]
    """Field of a policy that holds its `Distribution`."""
    place: ClassVar[int]
    """Its place in the order in which perturbations are applied, see `featurestore.perturbations`."""
    unit: ClassVar[str]
    """Unit of its value; empty for a pure number."""
    limits: ClassVar[tuple[float, float]]
    """Smallest and largest value that a policy may ask for."""
    operation: ClassVar[str]
    """What the versions of a row call it."""
    version: ClassVar[int]
    """Raised whenever its numbers change."""
    libraries: ClassVar[tuple[str, ...]]
    """Libraries that its numbers depend on."""
    settings: ClassVar[tuple[tuple[str, Any, str], ...]] = ()
    """Further fields of a policy, each with its default and its meaning; they are in an address only with `name`."""
    added: ClassVar[tuple[str, ...]] = ()
    """Settings that older addresses lack: with their default they are in no address."""
    recordings: ClassVar[str | None] = None
    """Field of a policy that names recordings which copies take in."""
    details: ClassVar[tuple[tuple[str, Any], ...]] = ()
    """Further fields of a `Perturbation`, each with its default."""
    needs_sound: ClassVar[bool] = False
    """Whether it is not defined for silence."""
    moves: ClassVar[bool] = False
    """Whether it can move speech out of a row; it is then drawn again."""
    bends: ClassVar[bool] = False
    """Whether it bends a frequency axis, which features may not have."""
    in_torch: ClassVar[bool] = False
    """Whether `pipelines.torch_rows` does it too."""
    last: ClassVar[bool] = False
    """Whether it comes after the functions of the user."""
    said: ClassVar[str] = ""
    """What was done, in words, with a place for the value; empty is name, value and unit."""

    def __init_subclass__(cls) -> None:
        """Check that nothing is left out."""
        check_declared(cls, ("name", "place", "unit", "limits", "operation", "version", "libraries", "apply"))

    @property
    def versions(self) -> Mapping[str, Operation]:
        """Version and libraries of its operation."""
        return {self.operation: (self.version, self.libraries)}

    @property
    def meaning(self) -> str:
        """What it is, for readers, with unit and range."""
        low, high = self.limits
        unit = f" {self.unit}" if self.unit else ""
        return f"{' '.join((inspect.getdoc(type(self)) or '').split())} Within {low:g} and {high:g}{unit}."

    def words(self, value: float) -> str:
        """Return what a value does to a copy, in words."""
        return self.said.format(value) if self.said else f"{self.name} {value:g} {self.unit}".strip()

    def check(self, policy: Declared) -> None:  # noqa: B027 (most have nothing to check)
        """Refuse a policy whose settings do not go together with `SpecError`."""

    def check_rows(self, policy: Declared) -> None:  # noqa: B027
        """Refuse to compute what an earlier version did and stored, which can still be read, with `SpecError`."""

    def nearest(self, value: float, low: float, high: float) -> float:
        """Return the value within `[low, high]` that can be applied and is nearest to a drawn one."""
        return value

    def draw_details(self, draws: CopyDraws) -> Mapping[str, Any]:
        """Draw the `details` of a copy."""
        return {}

    def settled(self, value: float, copy: Copy) -> Mapping[str, Any]:
        """Return the fields of its perturbation that cannot be applied to this copy as drawn, with what is applied."""
        return {}

    @abstractmethod
    def apply(self, value: float, copy: Copy) -> None:
        """Change a copy: its `signal`, its `gain` or its `warping`."""
