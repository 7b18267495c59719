"""From a corpus to a dataset: what is wanted, what is missing, what is computed and published."""

from __future__ import annotations
