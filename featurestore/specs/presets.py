"""Named feature presets and augmentation policies, read from TOML, and changes of single fields of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations import PERTURBATIONS, RECORDINGS
from featurestore.perturbations.policy_tables import Distribution, Recordings, beside
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.typed_values import parse_toml

NO_POLICY = "none"
"""The policy name for no augmentation."""
FEATURE_FIELDS = tuple(field.name for field in dataclasses.fields(FeatureSpec))
AUGMENTATION_FIELDS = tuple(field.name for field in dataclasses.fields(AugmentationSpec))
DISTRIBUTION_FIELDS = tuple(field.name for field in dataclasses.fields(Distribution))
RECORDING_FIELDS = ("source", "corpus", "files", "per")


def feature_preset(name: str) -> FeatureSpec:
    """Return the feature spec of a preset such as `mathworks` or `logmel`, or of a path that ends in `.toml`.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    SpecError
        If the file cannot be read or describes something impossible.
    """
    return FeatureSpec.from_dict(read_toml(_place("features", name)))


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
    document = read_toml(_place("policies", name))
    if name.endswith(".toml"):
        document = beside(document, RECORDINGS.values(), Path(name).parent)
    return AugmentationSpec.from_dict(document)


def preset_names(folder: str) -> tuple[str, ...]:
    """Return the names of all presets in `features` or `policies`, sorted."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder(folder).iterdir()))


def preset_text(folder: str, name: str) -> str:
    """Return the TOML text of a preset in `features` or `policies`, or of a path that ends in `.toml`."""
    return "" if name == NO_POLICY else read_text(_place(folder, name))


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


def _place(folder: str, name: str) -> Path | Traversable:
    """Return the file of a preset in `features` or `policies`, or a path that ends in `.toml`."""
    if name.endswith(".toml"):
        return Path(name)
    known = preset_names(folder)
    if name not in known:
        kind, extra = {"features": ("feature preset", ()), "policies": ("policy", (NO_POLICY,))}[folder]
        raise UnknownNameError(kind, name, known + extra)
    return _folder(folder) / f"{name}.toml"


def override(
    features: FeatureSpec, augmentation: AugmentationSpec | None, settings: Iterable[str]
) -> tuple[FeatureSpec, AugmentationSpec | None]:
    """Apply settings such as `dtype=float32`, `features.mels=64`, `snr_db=-5,20` or `policy.semitones.probability=0.3`.

    Those of features are applied together, so that their order does not matter; `settings.NAME=VALUE` is an argument
    of the user's own function. A perturbation takes two numbers as the bounds of a uniform draw and one number as a
    fixed value; `noises` and `rirs` take a folder or an archive.

    Raises
    ------
    UnknownNameError
        If a field does not exist; the nearest one is named.
    SpecError
        If a value does not fit its field.
    """
    changed = features.to_dict()
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise SpecError(f"--set needs key=value, not {setting!r}.")
        key = key.strip()
        table = next((name for name in ("features", "policy") if key.startswith(f"{name}.")), "")
        field, _, inner = key.removeprefix(f"{table}.").partition(".")
        if field == "settings" and inner and table != "policy":
            changed[field] = {**changed.get(field, {}), inner: parse_value(text)}
        elif field in FEATURE_FIELDS and not inner and table != "policy":
            changed[field] = parse_value(text)
        elif field in AUGMENTATION_FIELDS and table != "features":
            augmentation = _with_augmentation(augmentation or AugmentationSpec(), field, inner, text)
        else:
            raise UnknownNameError("field", key, FEATURE_FIELDS + AUGMENTATION_FIELDS)
    return FeatureSpec.from_dict(changed), augmentation


def parse_value(text: str) -> Any:  # noqa: ANN401 (any TOML-like scalar)
    """Read a whole number, a number, true, false, none or a text."""
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered in ("none", "own"):
        return None
    for number in (int, float):
        try:
            return number(lowered)
        except ValueError:
            continue
    return text.strip()


def _with_augmentation(spec: AugmentationSpec, field: str, inner: str, text: str) -> AugmentationSpec:
    document = {name: getattr(spec, name) for name in AUGMENTATION_FIELDS}
    known = (
        DISTRIBUTION_FIELDS if field in PERTURBATIONS else RECORDING_FIELDS if field in RECORDINGS.values() else None
    )
    if field == "own":
        raise SpecError("own perturbations are set in a policy file, as tables [[own]].")
    if inner and inner not in (known or ()):
        names = [f"{field}.{name}" for name in known] if known else AUGMENTATION_FIELDS
        raise UnknownNameError("field", f"{field}.{inner}", names)
    if known is None:
        document[field] = parse_value(text)
    elif not inner and text.strip().lower() == "none":
        document[field] = None
    elif known is DISTRIBUTION_FIELDS:
        document[field] = _drawn(field, document[field].to_dict() if document[field] else {}, inner, text)
    else:
        changed: dict[str, Any] = {inner or "source": text.strip()}
        if inner in ("", "source", "corpus"):  # another place: what was read from the one before no longer counts
            changed = {"contents": (), "source": "", "corpus": "", **changed}
        document[field] = dataclasses.replace(document[field] or Recordings(), **changed)
    return AugmentationSpec.from_dict(document)


def _drawn(field: str, table: dict[str, Any], inner: str, text: str) -> dict[str, Any]:
    """Return the table of a perturbation with another probability, rule or value."""
    if inner in ("probability", "per"):
        return {**table, inner: parse_value(text)}
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SpecError(f"{field} takes numbers such as -5,20, not {text!r}.") from error
    kept = {key: value for key, value in table.items() if key == "probability"}
    if inner == "listed" or len(numbers) == 1:
        return {**kept, "listed": numbers}
    if len(numbers) != 2:
        raise SpecError(f"{field} takes one number or low,high, not {text!r}.")
    return {**kept, "uniform": numbers, **({"per": table["per"]} if "per" in table else {})}
