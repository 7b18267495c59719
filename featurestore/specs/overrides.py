"""Changes of single spec fields, as `--set key=value` gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations import KINDS, RECORDINGS
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.drawn import Drawn
from featurestore.specs.features import FeatureSpec
from featurestore.specs.recordings import Recordings

FEATURE_FIELDS = tuple(field.name for field in dataclasses.fields(FeatureSpec))
AUGMENTATION_FIELDS = tuple(field.name for field in dataclasses.fields(AugmentationSpec))
DRAWN_FIELDS = tuple(field.name for field in dataclasses.fields(Drawn))
RECORDING_FIELDS = ("source", "corpus", "files", "per")


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
    if field in KINDS:
        document[field] = _drawn(field, document[field].to_dict() if document[field] else {}, inner, text)
    elif field in RECORDINGS.values():
        document[field] = _recordings(field, document[field], inner, text)
    elif field == "own":
        raise SpecError("own perturbations are set in a policy file, as tables [[own]].")
    elif inner:
        raise UnknownNameError("field", f"{field}.{inner}", AUGMENTATION_FIELDS)
    else:
        document[field] = parse_value(text)
    return AugmentationSpec.from_dict(document)


def _drawn(field: str, table: dict[str, Any], inner: str, text: str) -> dict[str, Any] | None:
    if inner and inner not in DRAWN_FIELDS:
        raise UnknownNameError("field", f"{field}.{inner}", [f"{field}.{name}" for name in DRAWN_FIELDS])
    if inner in ("probability", "per"):
        return {**table, inner: parse_value(text)}
    if not inner and text.strip().lower() == "none":
        return None
    numbers = _numbers(field, text)
    kept = {key: value for key, value in table.items() if key == "probability"}
    if inner == "listed" or len(numbers) == 1:
        return {**kept, "listed": numbers}
    if len(numbers) != 2:
        raise SpecError(f"{field} takes one number or low,high, not {text!r}.")
    return {**kept, "uniform": numbers, **({"per": table["per"]} if "per" in table else {})}


def _recordings(field: str, before: Recordings | None, inner: str, text: str) -> Recordings | None:
    """Return recordings with another place (`noises=FOLDER`, `noises.corpus=NAME`) or another rule."""
    known = [f"{field}.{name}" for name in RECORDING_FIELDS]
    if inner and inner not in RECORDING_FIELDS:
        raise UnknownNameError("field", f"{field}.{inner}", known)
    if not inner and text.strip().lower() == "none":
        return None
    changed: dict[str, Any] = {inner or "source": text.strip()}
    if inner in ("", "source", "corpus"):
        changed = {"contents": (), "source": "", "corpus": "", **changed}
    return dataclasses.replace(before or Recordings(), **changed)


def _numbers(field: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SpecError(f"{field} takes numbers such as -5,20, not {text!r}.") from error
