"""The options of `featurestore build` that give the same features and augmentation again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featurestore.errors import FeatureStoreError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import NO_POLICY, feature_preset, override, policy, preset_names

USUAL = "mathworks"
"""The preset where none is given."""


def build_options(features: FeatureSpec, augmentation: AugmentationSpec | None) -> list[str] | None:
    """Return the options that name features and policy: the nearest presets, then `--set` for what differs.

    They are tried: None where no such options give exactly these specs, as for recordings or functions of the user's.
    """
    near, changes = _nearest("features", features.to_dict(), {})
    policies: dict[str, Any] = {NO_POLICY: {}}
    named, policy_changes = _nearest("policies", augmentation.to_dict() if augmentation else {}, policies)
    if augmentation is None:
        named, policy_changes = USUAL, []  # without copies it is not asked
    changes += policy_changes
    try:
        made = override(feature_preset(near), policy(named), changes)
    except FeatureStoreError:
        return None
    if made[0] != features or (augmentation is not None and made[1] != augmentation):
        return None
    options = [] if near == USUAL else ["--features", near]
    options += [] if named == USUAL else ["--policy", named]
    return options + [word for change in changes for word in ("--set", change)]


def _nearest(folder: str, wanted: Mapping[str, Any], known: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the preset with the fewest changes, and these."""
    best: tuple[str, list[str]] | None = None
    for name in (USUAL, *preset_names(folder)):
        try:
            spec = feature_preset(name) if folder == "features" else policy(name)
            document = spec.to_dict() if spec is not None else {}
        except FeatureStoreError:  # a policy that names recordings which have not been read
            continue
        changes = _changes(folder.removesuffix("s") if folder == "features" else "policy", document, wanted)
        if best is None or len(changes) < len(best[1]):
            best = name, changes
    return best or (USUAL, [])


def _changes(table: str, document: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what has to be set so that a preset becomes what is wanted."""
    prefix = "features" if table == "feature" else table
    found = []
    for name in {**document, **wanted}:
        before, after = document.get(name), wanted.get(name)
        if before == after:
            continue
        if isinstance(after, Mapping):
            inner = dict(after)
            values = inner.pop("uniform", None) or inner.pop("listed", None)
            rule = "" if "uniform" in after else ".listed"
            found.append(f"{prefix}.{name}{rule}={','.join(map(repr, values or ()))}")
            found += [f"{prefix}.{name}.{key}={value}" for key, value in inner.items()]
        else:
            found.append(f"{prefix}.{name}={_text(after)}")
    return found


def _text(value: object) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
