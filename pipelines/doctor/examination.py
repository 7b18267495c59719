"""All checks of the machine and the installation, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import featurestore
from featurestore.errors import FeatureStoreError
from featurestore.storage import BASE, LocalStorage, default_place, layered_place, open_storage
from pipelines.build.rate import remember_rate
from pipelines.doctor import installation, machine
from pipelines.doctor.findings import NOTE, OK, PROBLEM, Finding
from pipelines.doctor.speed import Speed, measure_speed


@dataclass(frozen=True)
class Examination:
    """What the checks have found."""

    findings: tuple[Finding, ...]
    speed: Speed | None
    """None where nothing was measured."""

    @property
    def sound(self) -> bool:
        """Whether no check has found a problem."""
        return all(one.state != PROBLEM for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as JSON values."""
        return {
            "version": featurestore.__version__,
            "sound": self.sound,
            "findings": [one.to_dict() for one in self.findings],
            "benchmark": self.speed.to_dict() if self.speed else None,
        }


def examine(
    place: str | None = None,
    *,
    benchmark: bool = True,
    jobs: int | None = None,
    found: Callable[[Finding], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Check whether this machine and this installation are fit to build, and how fast they do.

    Nothing is left in the places that are tried. The rate that is measured is kept for `build --dry-run`, unless other
    processes keep the machine busy.

    Parameters
    ----------
    place : str, optional
        Address of the store, which need not exist yet; the default store's if there is none.
    benchmark : bool
        Whether to measure the rate too; it is left out anyway where a check has found a problem.
    jobs : int, optional
        Worker processes of the benchmark; as `Workers` takes them.
    found, tell : callable
        Receive each finding as it is made, and a line on what begins.
    """
    place = place or layered_place(default_place(), None)
    findings: list[Finding] = []
    for one in _checks(place):
        findings.append(one)
        found(one)
    if not benchmark or any(one.state == PROBLEM for one in findings):
        return Examination(tuple(findings), None)
    busy = machine.busy()
    speed = measure_speed(_folder_beside(place), jobs=jobs, tell=tell)
    if not busy:
        remember_rate(speed.emodb_rows_per_second)
    text = (
        f"{speed.rows_per_second:,.0f} rows/s of the demo corpus with {speed.jobs} jobs; Emo-DB with 75 copies would "
        f"take about {speed.emodb_seconds:.0f} s"
    )
    advice = f"{busy}: measure again when it is idle" if busy else ""
    findings.append(Finding("speed", NOTE if busy else OK, text, advice))
    found(findings[-1])
    return Examination(tuple(findings), speed)


def _checks(place: str) -> Iterator[Finding]:
    yield installation.check_python()
    yield from installation.check_packages()
    yield machine.check_processor()
    yield machine.check_cores()
    yield machine.check_store(place)
    yield machine.check_cache()
    yield machine.check_gpu()
    yield installation.check_codecs()
    yield installation.check_kernels()


def _folder_beside(place: str) -> Path | None:
    """Return a folder on the disk of a store that can hold another one for a moment; None for a bucket."""
    with suppress(FeatureStoreError):
        storage = open_storage(place.partition(BASE)[0])
        return machine.folder_to_write(storage) if isinstance(storage, LocalStorage) else None
    return None
