"""How fast this machine builds, measured by building, and what Emo-DB with 75 copies would take."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

EMODB_COPIES = 75


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured on the demo corpus, in the default features and policy, on all cores."""

    jobs: int
    """Worker processes."""
    rows: int
    """Rows that were computed."""
    seconds: float
    """That the builds took, from their plan to the published dataset."""
    rows_per_second: float
    """Of the demo corpus, without the start of the workers."""
    sound_per_second: float
    """Seconds of sound that became rows in a second."""
    emodb_rows: int
    """Of Emo-DB with 75 copies."""
    emodb_seconds: float
    """That they would take."""
    emodb_rows_per_second: float
    """Of Emo-DB, in one process, without the start of the workers."""

    def to_dict(self) -> dict[str, Any]:
        """Return the speed as JSON values."""
        return asdict(self)


def measure_speed(
    folder: Path | None = None,
    copies: int = EMODB_COPIES,
    jobs: int | None = None,
    tell: Callable[[str], None] = print,
) -> Speed:
    """Build the demo corpus without and with copies in a store that is removed at the end.

    The first build shows what every build takes once, such as the start of its workers; the rate is that of the rows
    by which the second is larger. It has as many copies as the forecast, because a recording is read and analysed
    once for all of them. Together they take about five seconds on two idle cores. Kernels are loaded before, or
    compiled, which takes about 20 s once.

    Parameters
    ----------
    folder : Path, optional
        Where the store is put, so that its disk is measured; the system's folder for temporary files if there is none.
    copies : int
        Augmented copies of the second build.
    jobs : int, optional
        Worker processes; as `Workers` takes them.
    tell : callable
        Receives a line on what begins.
    """
    from featurestore.corpus.catalog import find_manifest
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.specs.presets import feature_preset, policy
    from featurestore.storage import LocalStorage
    from featurestore.store import Store
    from pipelines.build.run import build
    from pipelines.build.spec import DatasetSpec
    from pipelines.build.tasks import warm_worker
    from pipelines.ingest.fetch import Fetcher, silent
    from pipelines.ingest.ingest import ingest_spec
    from pipelines.workers.pool import Workers, default_jobs

    features, augmentation = feature_preset("mathworks"), policy("mathworks")
    jobs = jobs or default_jobs()
    tell("loading the kernels, or compiling them, which takes about 20 s once")
    warm_worker(features, augmentation)
    tell("building the demo corpus, for five seconds or more")
    measured: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as place:
        for augmented in (0, copies):
            store = Store(LocalStorage(Path(place, f"{augmented}-copies")))
            corpus = ingest_spec(store, find_corpus_spec("demo"), None, Fetcher(tell, silent))
            started = time.monotonic()
            report = build(store, corpus, DatasetSpec(features, augmentation, augmented), workers=Workers(jobs))
            measured.append((report.computed, time.monotonic() - started))
        sound = sum(one.size for one in corpus.utterances) / len(corpus.utterances) / 2 / (corpus.manifest.rate or 1)
    start, rate = _start_and_rate(*measured)
    emodb = find_manifest("emodb")
    emodb_sound = (emodb.hours or 0.0) * 3600 / (emodb.expected.files or 1)
    rows = (emodb.expected.files or 0) * (1 + EMODB_COPIES)
    return Speed(
        jobs=jobs,
        rows=sum(rows for rows, _ in measured),
        seconds=round(sum(took for _, took in measured), 2),
        rows_per_second=round(rate, 1),
        sound_per_second=round(rate * sound, 1),
        emodb_rows=rows,
        emodb_seconds=round(start + rows * emodb_sound / (rate * sound), 1),
        emodb_rows_per_second=round(rate * sound / emodb_sound / jobs, 1),
    )


def _start_and_rate(small: tuple[int, float], large: tuple[int, float]) -> tuple[float, float]:
    """Return what every build takes, in seconds, and rows a second beyond that, from rows and seconds of two builds.

    Examples
    --------
    >>> _start_and_rate((100, 1.5), (9100, 10.5))
    (1.4, 1000.0)
    """
    (fewer, sooner), (rows, took) = small, large
    rate = (rows - fewer) / (took - sooner) if took > sooner else rows / took
    return max(took - rows / rate, 0.0), rate
