"""What a build reports while it runs and at its end, and how it waits for others that use the same store."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from featurestore.corpus.types import Corpus, Rejection
from featurestore.errors import StoreBusyError
from featurestore.features import FEATURES
from featurestore.shards.record import ShardRecord
from featurestore.signal.mel import mel_corners
from featurestore.specs.features import FeatureSpec
from featurestore.store import Store
from pipelines.build.tasks import lease_name

NAMED = 3
"""Files that a note names."""
POLL = 0.1
"""Seconds between looks at what other builders do."""
FIRST_LINE, NEXT_LINE = 2.0, 10.0
"""Seconds of waiting before it is reported, and between reports after that."""


class BuildProgress(Protocol):
    """Receives the progress of a build."""

    def begin(self, rows: int, reused: int) -> None:
        """Begin: so many rows are to be written, and so many are stored already."""

    def advance(self, rows: int) -> None:
        """Report that so many more rows are written."""

    def tell(self, text: str) -> None:
        """Report in one line what the build waits for, or does without."""

    def end(self) -> None:
        """Finish, whatever happened."""


class SilentBuild:
    """Progress of a build that nobody watches."""

    def begin(self, rows: int, reused: int) -> None:
        """Do nothing."""

    def advance(self, rows: int) -> None:
        """Do nothing."""

    def tell(self, text: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@contextmanager
def held_shared(store: Store, progress: BuildProgress) -> Iterator[None]:
    """Share a store with other builders while the body runs; wait first until no collection or repair has locked it."""
    tell = now_and_then(progress)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(store.storage.hold(exclusive=False))
                break
            except StoreBusyError:
                tell(f"waiting for a gc or repair that has locked {store.uri}")
                time.sleep(POLL)
        yield


def wait_for_leases(store: Store, leased: Collection[str], progress: BuildProgress) -> None:
    """Wait until another builder finishes one of its shards, gives it up, or has lost its heartbeat."""
    if not leased:
        return
    tell = now_and_then(progress)
    while True:
        holders = [holder for address in leased if (holder := store.storage.holder(lease_name(address)))]
        if len(holders) < len(leased):
            break
        one = max(holders, key=lambda holder: holder.silence)
        mine = sum(holder[:2] == one[:2] for holder in holders)
        others = f" (others hold {len(holders) - mine:,})" if mine < len(holders) else ""
        shards = f"{mine:,} shard{'s' * (mine != 1)}"
        tell(
            f"waiting for {one.host} (process {one.pid}), which holds {shards} that this build needs{others}; "
            f"its heartbeat is {one.silence:.0f} s old"
        )
        time.sleep(POLL)
    store.storage.sweep()  # so that workers too find the leases of a dead holder free


def now_and_then(progress: BuildProgress) -> Callable[[str], None]:
    """Return a function that reports a wait, but only every few seconds, however often it is called."""
    due = time.monotonic() + FIRST_LINE

    def tell(text: str) -> None:
        """Report it, if it is due."""
        nonlocal due
        if time.monotonic() >= due:
            progress.tell(text)
            due = time.monotonic() + NEXT_LINE

    return tell


def row_notes(corpus: Corpus, features: FeatureSpec, records: Iterable[ShardRecord]) -> Iterator[str]:
    """Yield a note on empty mel bands, silent recordings, and recordings whose rate is below that of the features.

    `records` are those of the corpus's rows; none for a dry run.
    """
    rate = features.rate or corpus.manifest.rate or 16_000
    empty = empty_bands(features, rate) if "mels" in FEATURES[features.kind].fields else 0
    if empty:
        yield (
            f"{empty} of {features.mels} mel bands are narrower than the step between two bins at {rate:,} Hz and hold "
            "none, so their values never change: choose fewer mels or a larger fft_length"
        )
    remarks = {
        content: remark
        for record in records
        if record.first == 0
        for position, remark in record.remarks
        for content in [record.members[position // record.copies]]
    }
    silent = {content for content, remark in remarks.items() if "silent" in remark}
    if silent:
        yield f"{_some(corpus, silent)} whose rows hold no sound: silent, yet labelled"
    slow = {content: int(remark["rate"]) for content, remark in remarks.items() if "rate" in remark}
    high_hz = features.high_hz or rate / 2
    slow = {content: own for content, own in slow.items() if own / 2 < high_hz}
    if slow:
        own = min(slow.values())
        yield (
            f"{_some(corpus, slow)} recorded at less than the features' {rate:,} Hz (down to {own:,} Hz): above "
            f"{own / 2:,.0f} Hz their rows hold only what resampling leaves; --set rate={own} stops there"
        )


def _some(corpus: Corpus, contents: Iterable[str]) -> str:
    """Count recordings and name the first few by their paths."""
    wanted = set(contents)
    paths = sorted(one.path for one in corpus.utterances if one.content in wanted)
    more = ", ..." if len(paths) > NAMED else ""
    return f"{len(paths):,} recording{'s' if len(paths) != 1 else ''} ({', '.join(paths[:NAMED])}{more})"


def empty_bands(features: FeatureSpec, rate: int) -> int:
    """Count the mel bands between two bins of the transform; from their corners alone, without kernels.

    Examples
    --------
    >>> empty_bands(FeatureSpec(mels=1024, fft_length=512, window_length=512), 16_000)
    536
    """
    high = features.high_hz or rate / 2
    corners = mel_corners(features.mels, features.mel_scale, features.low_hz, high, np.log, np.exp)
    corners *= features.fft_length / rate  # in bins
    return int(np.sum(np.floor(corners[:-2]) + 1 >= corners[2:]))


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
    """None where a device computes: how fast it is, is unknown."""
    estimated_by: str = ""
    """Who measured the rate behind `estimated_seconds`."""
    free_bytes: int | None = None
    """Of a dry run: what is free where the store is; None for a bucket."""
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
                "estimated_by": self.estimated_by,
                "free_bytes": self.free_bytes,
            }
        return document
