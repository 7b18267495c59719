"""What a build reports: what it did, or would do, and remarks on its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from featurestore.corpus.types import Corpus, Rejection
from featurestore.features import KINDS
from featurestore.shards.record import ShardRecord
from featurestore.specs.features import FeatureSpec

NAMED = 3
"""Files that a note names."""


def row_notes(corpus: Corpus, features: FeatureSpec, records: Iterable[ShardRecord]) -> Iterator[str]:
    """Yield a note on empty mel bands, silent recordings, and recordings whose rate is below that of the features.

    Parameters
    ----------
    corpus : Corpus
    features : FeatureSpec
    records : iterable of ShardRecord
        Those of its rows; none for a dry run.
    """
    rate = features.rate or corpus.manifest.rate or 16_000
    empty = empty_bands(features, rate) if "mels" in KINDS[features.kind].fields else 0
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
    """Count the mel bands between two bins of the transform; those of `featurestore.signal.mel`, without its kernels.

    Examples
    --------
    >>> empty_bands(FeatureSpec(mels=1024, fft_length=512, window_length=512), 16_000)
    536
    """
    scale, bins_a_hertz = features.mel_scale, features.fft_length / rate
    low, high = (_mel(hertz, scale) for hertz in (features.low_hz, features.high_hz or rate / 2))
    mels = [low + (high - low) * place / (features.mels + 1) for place in range(features.mels + 2)]
    corners = [_hertz(mel, scale) * bins_a_hertz for mel in mels]
    return sum(math.floor(left) + 1 >= right for left, right in zip(corners, corners[2:], strict=False))


def _mel(hertz: float, scale: str) -> float:
    if scale == "htk":
        return 2595 * math.log10(1 + hertz / 700)
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000, 6.4)


def _hertz(mel: float, scale: str) -> float:
    if scale == "htk":
        return float(700 * (10 ** (mel / 2595) - 1))
    return mel * 200 / 3 if mel < 15 else float(1000 * 6.4 ** ((mel - 15) / 27))


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
