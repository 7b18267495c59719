"""Every kind of features: one class in one file of this folder, which registers it."""

from __future__ import annotations

from featurestore.features.kind import FeatureKind
from featurestore.registry import kinds_in, registered

FEATURES: dict[str, FeatureKind] = registered(kinds_in(__name__, FeatureKind))
"""Every kind by the name that `FeatureSpec.kind` gives it."""
