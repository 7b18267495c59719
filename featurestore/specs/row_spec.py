"""The identity of a family of rows: features, augmentation, and the versions of what computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from featurestore.checksummed_json import FORMAT, check_format, digest
from featurestore.errors import MissingPackageError, SpecError, UnknownNameError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.versions import CPU, row_versions


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
