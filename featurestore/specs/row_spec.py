"""The identity of a family of rows: features, augmentation, and the versions of what computes them.

Versions are a whole number for each of our operations and those of the libraries they use. A change of an operation
that changes its numbers raises its version where it is declared; rows computed before then keep their own address.
Nothing heavy is imported: the versions of libraries are read from their metadata.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from featurestore.checksummed_json import FORMAT, check_format, digest
from featurestore.errors import MissingPackageError, SpecError, UnknownNameError
from featurestore.features import FEATURES
from featurestore.perturbations import PERTURBATIONS
from featurestore.registry import OPERATIONS, OPTIONAL
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec

_PREPARATIONS = {"rate": "resample", "trim_db": "trim", "seconds": "length", "decibels": "decibels"}

CPU, TORCH = "cpu", "torch"
ENGINES = {CPU: "", TORCH: "torch-1"}
"""What computes rows, and how rows name it: those of the processor's own engine name none.

The number of the torch engine is raised when its own arithmetic changes; the operations keep theirs, which say what
is computed.
"""
_REPLACED = {"scipy", "numba"}
"""Libraries that the torch engine does without."""


@dataclass(frozen=True)
class RowSpec:
    """What every row of a shard has in common; its digest is the first half of the shard's address.

    Clean rows have no augmentation, so that every experiment on the same features shares them.
    """

    features: FeatureSpec
    augmentation: AugmentationSpec | None
    versions: tuple[tuple[str, str | int], ...]

    @classmethod
    def current(cls, features: FeatureSpec, augmentation: AugmentationSpec | None, engine: str = CPU) -> RowSpec:
        """Return the spec as an engine of this installation computes it."""
        return cls(features, augmentation, tuple(sorted(row_versions(features, augmentation, engine).items())))

    @property
    def engine(self) -> str:
        """What computes the rows: `cpu`, or the first part of the engine that they name, such as `torch`."""
        return str(dict(self.versions).get("engine", CPU)).partition("-")[0]

    def renewed(self) -> RowSpec:
        """Return the spec as this installation computes it with the same engine.

        Raises
        ------
        UnknownNameError
            If this installation does not know the engine.
        MissingPackageError
            If it lacks a package that the features need.
        """
        return RowSpec.current(self.features, self.augmentation, self.engine)

    def differing_versions(self) -> dict[str, tuple[str | int | None, str | int | None]]:
        """Return the operations and libraries of which this installation has another version: (of the spec, here)."""
        wanted, here = dict(self.versions), dict(self.renewed().versions)
        names = sorted(wanted.keys() | here.keys())
        return {name: (wanted.get(name), here.get(name)) for name in names if wanted.get(name) != here.get(name)}

    def check_same_versions(self, names: Collection[str] | None = None) -> None:
        """Refuse with `SpecError` rows that other versions (of the named operations, else of any) have computed."""
        other = [
            f"{name} {wanted} (here {here})"
            for name, (wanted, here) in self.differing_versions().items()
            if wanted is not None and (names is None or name in names)
        ]
        if other:
            raise SpecError(
                f"the row was computed with {', '.join(other)}: build the dataset again to recover its signal."
            )

    @property
    def computable(self) -> bool:
        """True if this installation computes such rows: it has the engine, and all versions are the same."""
        try:
            return self.renewed() == self
        except (UnknownNameError, SpecError, MissingPackageError):
            return False

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sha256 of each noise and room response that rows take in, sorted."""
        return self.augmentation.inputs if self.augmentation else ()

    @property
    def functions(self) -> tuple[str, ...]:
        """The user's own functions that compute rows, each once, as `module:function`."""
        own = self.augmentation.own if self.augmentation else ()
        named = (self.features.function, *(one.function for one in own))
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def foreign(self) -> bool:
        """True if code of others computes rows, which may not expect several threads."""
        return FEATURES[self.features.kind].foreign or bool(self.functions)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The canonical JSON form: format, features, augmentation or null, versions."""
        return {
            "format": FORMAT,
            "features": self.features.to_dict(),
            "augmentation": self.augmentation.to_dict() if self.augmentation else None,
            "versions": dict(self.versions),
        }

    @cached_property
    def id(self) -> str:
        """The sha256 of the document, 64 hexadecimal digits."""
        return digest(self.document)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RowSpec:
        """Read the canonical form; one of a newer format is a `StoreTooNewError`."""
        check_format(document.get("format"))
        try:
            augmentation = document["augmentation"]
            return cls(
                FeatureSpec.from_dict(document["features"]),
                AugmentationSpec.from_dict(augmentation) if augmentation is not None else None,
                tuple(sorted(document["versions"].items())),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise SpecError(f"a row spec is incomplete ({error!r}).") from error


def row_versions(
    features: FeatureSpec, augmentation: AugmentationSpec | None, engine: str = CPU
) -> dict[str, str | int]:
    """Return the versions of the operations that rows of a spec go through, and `major.minor` of their libraries.

    Operations that a spec does not use are left out, so that a change of the noise leaves clean rows in place. An
    engine whose bits differ from the processor's own adds its name.

    Raises
    ------
    SpecError
        If the features cannot be warped and the augmentation does so, or the engine does not compute them.
    MissingPackageError
        If an optional package that they need is not installed.

    Examples
    --------
    >>> row_versions(FeatureSpec(), None)["mel"]
    3
    >>> row_versions(FeatureSpec(), None, "torch")["engine"]
    'torch-1'
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    check_together(features, augmentation, engine)
    used = ["decode", *FEATURES[features.kind].shared]
    used += [name for field, name in _PREPARATIONS.items() if getattr(features, field) is not None]
    if augmentation is not None:
        used.append("draw")
        used += ["own"] if augmentation.own else []
    operations = {name: OPERATIONS[name] for name in used} | dict(FEATURES[features.kind].versions)
    for name in augmentation.distributions if augmentation else ():
        operations |= PERTURBATIONS[name].versions
    versions: dict[str, str | int] = {name: number for name, (number, _) in operations.items()}
    libraries = {library for _, needed in operations.values() for library in needed}
    if engine == TORCH:
        versions["engine"] = ENGINES[TORCH]
        libraries = libraries - _REPLACED | {"torch"}
    return versions | {library: _major_minor(library) for library in sorted(libraries)}


def check_together(features: FeatureSpec, augmentation: AugmentationSpec | None, engine: str = CPU) -> None:
    """Refuse an augmentation or engine that features cannot have, with `SpecError`."""
    if augmentation is not None:
        for name in augmentation.distributions:
            if PERTURBATIONS[name].bends and not FEATURES[features.kind].warps:
                raise SpecError(
                    f"{name} bends a frequency axis, and features of kind {features.kind!r} have none: "
                    f"choose another policy, or --set {name}=none."
                )
            PERTURBATIONS[name].check_rows(augmentation)
    if engine == TORCH and (not FEATURES[features.kind].in_torch or features.decibels or features.seconds):
        raise SpecError(
            "the torch engine computes 'logmel' as natural logarithm and in full length only: "
            "leave --device out to compute these features on the processor."
        )
    if engine == TORCH and augmentation is not None:
        wanted = [*augmentation.distributions, *(["own"] if augmentation.own else [])]
        known = [name for name, kind in PERTURBATIONS.items() if kind.in_torch]
        missing = [name for name in wanted if name not in known]
        if augmentation.semitones is not None and augmentation.formants != "moved":
            missing.append(f"formants = {augmentation.formants}")
        if missing:
            raise SpecError(
                f"the torch engine does not do {', '.join(missing)}; it does {', '.join(known)}: "
                "leave --device out to compute these copies on the processor."
            )


@cache  # files of versions are slow to read, and what is loaded stays what was found first
def _major_minor(library: str) -> str:
    try:
        return ".".join(version(library).split(".")[:2])
    except PackageNotFoundError as error:
        raise MissingPackageError(OPTIONAL.get(library, f"the package {library} is not installed.")) from error
