"""A copy keeps half of the energy of its clean row, and what the store says of it is what was done."""

from __future__ import annotations

from perturbations.sounds import RATE

from featurestore.specs.features import FeatureSpec

FEATURES = FeatureSpec(kind="waveform", rate=RATE, dtype="float32")
