"""Getting recordings into a store: download, read, identify and keep."""

from __future__ import annotations
