"""Speech corpora to cached, augmented, verified features in Zarr shards.

The public names are imported at their first use, so that `import featurestore` is fast. `build`, `train` and the other
functions of the commands are those of `pipelines.experiments`, the one package above this one that it names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featurestore.corpus.load import load_corpus
    from featurestore.corpus.types import Corpus, Utterance
    from featurestore.errors import FeatureStoreError
    from featurestore.perturbations.policy_tables import Distribution
    from featurestore.specs.augmentation import AugmentationSpec, Perturbation
    from featurestore.specs.features import FeatureSpec
    from featurestore.specs.presets import feature_preset, policy
    from featurestore.store import Store, open_store
    from featurestore.view import DatasetView
    from pipelines.experiments import (
        baseline,
        build,
        compare,
        crossval,
        curve,
        ensemble,
        evaluate,
        matrix,
        predict,
        report,
        reproduce,
        train,
        tune,
    )

__version__ = "0.1.0"

_HOMES = {
    "AugmentationSpec": "featurestore.specs.augmentation",
    "Corpus": "featurestore.corpus.types",
    "DatasetView": "featurestore.view",
    "Distribution": "featurestore.perturbations.policy_tables",
    "FeatureSpec": "featurestore.specs.features",
    "FeatureStoreError": "featurestore.errors",
    "Perturbation": "featurestore.specs.augmentation",
    "Store": "featurestore.store",
    "Utterance": "featurestore.corpus.types",
    "feature_preset": "featurestore.specs.presets",
    "load_corpus": "featurestore.corpus.load",
    "open_store": "featurestore.store",
    "policy": "featurestore.specs.presets",
    **dict.fromkeys(
        (
            "baseline",
            "build",
            "compare",
            "crossval",
            "curve",
            "ensemble",
            "evaluate",
            "matrix",
            "predict",
            "report",
            "reproduce",
            "train",
            "tune",
        ),
        "pipelines.experiments",
    ),
}

__all__ = [
    "AugmentationSpec",
    "Corpus",
    "DatasetView",
    "Distribution",
    "FeatureSpec",
    "FeatureStoreError",
    "Perturbation",
    "Store",
    "Utterance",
    "__version__",
    "baseline",
    "build",
    "compare",
    "crossval",
    "curve",
    "ensemble",
    "evaluate",
    "feature_preset",
    "load_corpus",
    "matrix",
    "open_store",
    "policy",
    "predict",
    "report",
    "reproduce",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module 'featurestore' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
