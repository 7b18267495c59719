"""What a run records of its dataset, its rows and its libraries."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from featurestore.checksummed_json import digest
from models.batches.loader import FeatureView
from models.training_spec import TrainingSpec

LIBRARIES = ("featurestore", "torch", "numpy", "scikit-learn", "safetensors")


def describe_dataset(view: FeatureView) -> dict[str, Any]:
    """Return name, digest, table and specs of a view's dataset."""
    return {
        "name": view.name,
        "digest": view.digest,
        "table": getattr(view, "table_id", ""),
        "features": view.features.to_dict(),
        "augmentation": view.augmentation.to_dict() if view.augmentation else None,
    }


def describe_items(view: FeatureView, spec: TrainingSpec) -> str:
    """Return the sha256 of which rows a view holds, whatever their order: recording, copy and what is learnt of each.

    That is the label, with the shares of all classes where votes are learnt, or the numbers of dimensions.
    """
    numbers = [view.numbers(name).tolist() for name in spec.dimensions]
    learnt = zip(*numbers, strict=True) if numbers else view.labels.tolist()
    if spec.target == "votes":
        learnt = zip(learnt, view.vote_shares(view.classes).tolist(), strict=True)
    rows = zip(view.contents, view.copies.tolist(), learnt, strict=True)
    return digest(sorted(f"{content}/{copy}/{target}" for content, copy, target in rows))


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a result depends on."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
