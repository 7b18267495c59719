"""The inner loops that rows depend on, the same bits on every processor."""

from __future__ import annotations
