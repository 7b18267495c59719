"""Named feature presets and augmentation policies, read from TOML."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.augmentation import RECORDINGS, AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.recordings import beside
from featurestore.toml_text import parse_toml

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
    return FeatureSpec.from_dict(_read("features", "feature preset", name))


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
    return AugmentationSpec.from_dict(_read("policies", "policy", name, extra=(NO_POLICY,)))


def preset_names(folder: str) -> tuple[str, ...]:
    """Return the names of all presets in `features` or `policies`, sorted."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder(folder).iterdir()))


def read_toml(path: Path | Traversable) -> dict[str, Any]:
    """Read a TOML file; a missing or malformed one is a `SpecError` that names it."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except ValueError as error:
        raise SpecError(f"{str(path)!r} is not valid TOML: {error}.") from error


def _folder(folder: str) -> Traversable:
    return resources.files("featurestore.presets") / folder


def _read(folder: str, kind: str, name: str, extra: tuple[str, ...] = ()) -> dict[str, Any]:
    known = preset_names(folder)
    if name not in known:
        raise UnknownNameError(kind, name, known + extra)
    return read_toml(_folder(folder) / f"{name}.toml")
