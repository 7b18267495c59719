"""Mending a store, and moving rows between its shards."""

from __future__ import annotations
