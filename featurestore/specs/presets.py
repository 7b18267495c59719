"""Named feature presets and augmentation policies, read from TOML."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations import RECORDINGS
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.recordings import beside
from featurestore.typed_values import parse_toml

NO_POLICY = "none"
"""The policy name that stands for no augmentation."""


def feature_preset(name: str) -> FeatureSpec:
    """Return the feature spec of a preset such as `mathworks` or `logmel`, or of a path that ends in `.toml`.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    SpecError
        If the file cannot be read or describes something impossible.
    """
    if name.endswith(".toml"):
        return FeatureSpec.from_dict(read_toml(Path(name)))
    return FeatureSpec.from_dict(read_toml(_known("features", name)))


def policy(name: str) -> AugmentationSpec | None:
    """Return the augmentation of a policy: a preset name, a path that ends in `.toml`, or `none`.

    Raises
    ------
    UnknownNameError
        If there is no such policy.
    SpecError
        If the file cannot be read or describes something impossible.
    """
    if name == NO_POLICY:
        return None
    if name.endswith(".toml"):
        document = read_toml(Path(name))
        return AugmentationSpec.from_dict(beside(document, RECORDINGS.values(), Path(name).parent))
    return AugmentationSpec.from_dict(read_toml(_known("policies", name)))


def preset_names(folder: str) -> tuple[str, ...]:
    """Return the names of all presets in `features` or `policies`, sorted."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder(folder).iterdir()))


def preset_text(folder: str, name: str) -> str:
    """Return the TOML text of a preset in `features` or `policies`, or of a path that ends in `.toml`."""
    return "" if name == NO_POLICY else read_text(Path(name) if name.endswith(".toml") else _known(folder, name))


def read_text(path: Path | Traversable) -> str:
    """Read a text file; one that cannot be read is a `SpecError` that names it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is no text in UTF-8.") from error


def read_toml(path: Path | Traversable) -> dict[str, Any]:
    """Read a TOML file; a missing or malformed one is a `SpecError` that names it."""
    try:
        return parse_toml(read_text(path))
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is not valid TOML: {error}.") from error


def _folder(folder: str) -> Traversable:
    return resources.files("featurestore.presets") / folder


def _known(folder: str, name: str) -> Traversable:
    known = preset_names(folder)
    if name not in known:
        kind, extra = {"features": ("feature preset", ()), "policies": ("policy", (NO_POLICY,))}[folder]
        raise UnknownNameError(kind, name, known + extra)
    return _folder(folder) / f"{name}.toml"
