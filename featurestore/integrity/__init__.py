"""Checking a store, clearing it of what nobody needs, and explaining what makes datasets differ."""

from featurestore.integrity.collect import Collection, collect
from featurestore.integrity.explain import Difference, compare_datasets, explain_build
from featurestore.integrity.recompute import Drift, recompute
from featurestore.integrity.verify import Findings, verify

__all__ = [
    "Collection",
    "Difference",
    "Drift",
    "Findings",
    "collect",
    "compare_datasets",
    "explain_build",
    "recompute",
    "verify",
]
