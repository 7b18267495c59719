"""What a build did, or would do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from featurestore.corpus.corpus import Rejection
from featurestore.datasets import dataset_name
from featurestore.shards.record import ShardRecord
from featurestore.specs.versions import CPU
from pipelines.cluster import available_cores
from pipelines.dispatch import Tally
from pipelines.estimate import estimate_seconds
from pipelines.planning import BuildPlan
from pipelines.row_notes import row_notes


@dataclass(frozen=True)
class BuildReport:
    """What a build did, or would do."""

    corpus: str
    dataset: str
    digest: str | None
    utterances: int
    clean: int
    augmented: int
    computed: int
    copied: int
    reused: int
    rejected: tuple[Rejection, ...]
    bytes_written: int
    seconds: float
    to_compute: int = 0
    estimated_bytes: int = 0
    estimated_seconds: float | None = 0.0
    """None where another engine than that of the processor computes: how fast it is depends on the device."""
    notes: tuple[str, ...] = ()
    dry: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        document: dict[str, Any] = {
            "corpus": self.corpus,
            "dataset": self.dataset,
            "digest": self.digest,
            "utterances": self.utterances,
            "rows": {"clean": self.clean, "augmented": self.augmented},
            "computed": self.computed,
            "copied": self.copied,
            "reused": self.reused,
            "rejected": [{"path": one.path, "reason": one.reason} for one in self.rejected],
            "notes": list(self.notes),
            "bytes_written": self.bytes_written,
            "seconds": round(self.seconds, 3),
        }
        if self.dry:
            document |= {
                "to_compute": self.to_compute,
                "estimated_bytes": self.estimated_bytes,
                "estimated_seconds": self.estimated_seconds,
            }
        return document


def report_of(
    plan: BuildPlan,
    name: str | None,
    started: float,
    *,
    records: Iterable[ShardRecord] = (),
    tally: Tally | None = None,
    digest: str | None = None,
    former: str | None = None,
    jobs: int | None = None,
) -> BuildReport:
    """Say what a plan comes to, or came to with records and a tally of it; `former` is what the name stood for.

    A plan of what was done is that of the end as seen from the start (`plan_before`), so that its rows add up.
    """
    copied = min(plan.copied, tally.copied) if tally else plan.copied  # rows of a damaged donor were computed
    clean, augmented = plan.rows(clean=True), plan.rows(clean=False)
    return BuildReport(
        corpus=plan.corpus.name,
        dataset=name or dataset_name(plan.corpus.name),
        digest=digest,
        utterances=len(plan.corpus.utterances),
        clean=clean,
        augmented=augmented,
        computed=plan.computed + plan.copied - copied,
        copied=copied,
        reused=plan.reused,
        rejected=plan.rejections(),
        bytes_written=tally.bytes_written if tally else 0,
        seconds=time.monotonic() - started,
        to_compute=plan.computed,
        estimated_bytes=plan.bytes_to_write,
        estimated_seconds=_seconds(plan, jobs or available_cores()),
        notes=(
            *plan.corpus.notes,
            *row_notes(plan.corpus, plan.recipe.features, records),
            *_renamed(name, former, digest),
        ),
        dry=tally is None,
    )


def _renamed(name: str | None, former: str | None, digest: str | None) -> tuple[str, ...]:
    """Say what has become of the dataset that a name stood for, if it stands for another now."""
    if former is None or former == digest:
        return ()
    return (f"{name} was dataset {former[:12]} before, which is kept too: 'featurestore ls'",)


def _seconds(plan: BuildPlan, jobs: int) -> float | None:
    """Estimate how long the processor's engine takes; other engines are as fast as their device."""
    if plan.recipe.engine != CPU and plan.computed:
        return None
    return estimate_seconds(plan.computed, jobs, plan.recipe.features)
