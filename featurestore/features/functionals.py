"""The kind `functionals`: openSMILE's functionals of a whole recording, one frame a row.

The package is an extra: its licence allows non-commercial use only.
"""

from __future__ import annotations

from typing import Any

from featurestore.features.egemaps import OpenSmile
from featurestore.features.kind import BASE, FeatureKind, Rules
from featurestore.registry import Declared

SETS = {"egemaps": ("eGeMAPSv02", 88), "compare": ("ComParE_2016", 6373)}
"""openSMILE's name and size of each set: Eyben et al. (2016); Schuller et al. (2016), "The INTERSPEECH 2016
computational paralinguistics challenge"."""


class Functionals(FeatureKind):
    """Functionals of low-level descriptors over the recording, by the openSMILE package."""

    name, fields = "functionals", BASE
    settings = (
        (
            "feature_set",
            str,
            "egemaps",
            "Which functionals of openSMILE: `egemaps` (eGeMAPS version 02, 88) or `compare` (ComParE 2016, 6,373).",
        ),
    )
    operations = (("functionals", 1, ("opensmile",)),)
    cost, foreign = 120.0, True

    def width(self, spec: Declared) -> int:
        """Return the size of the set."""
        return SETS[spec.feature_set][1]

    def pace(self, spec: Declared, rate: int) -> float:
        """Return 0: there is one frame, however long the recording is."""
        return 0.0

    def rules(self, spec: Declared) -> Rules:
        """Yield the rule of its sets."""
        yield spec.feature_set in SETS, f"feature_set must be {' or '.join(SETS)}, not {spec.feature_set!r:.40}"

    def transform(self, spec: Any, rate: int) -> OpenSmile:  # noqa: ANN401
        """Return what calls the package."""
        return OpenSmile(SETS[spec.feature_set][0], "Functionals", rate)
