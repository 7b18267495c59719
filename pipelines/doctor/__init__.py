"""Whether this machine and this installation are fit to build: `featurestore doctor`."""

from __future__ import annotations

from pipelines.doctor.examination import Examination, examine
from pipelines.doctor.findings import Finding
from pipelines.doctor.speed import Speed, measure_speed

__all__ = ["Examination", "Finding", "Speed", "examine", "measure_speed"]
