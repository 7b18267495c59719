"""Who computes: worker processes of this machine, those of a cluster, and devices."""

from __future__ import annotations
