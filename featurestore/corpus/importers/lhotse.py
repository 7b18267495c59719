"""Lhotse manifests: `*recordings*.jsonl[.gz]` with `*supervisions*.jsonl[.gz]` beside them.

Each supervision is an utterance: a stretch of its recording and, where that has several channels, one of them. The
fields of its `custom` become label fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from featurestore.corpus.importers.data_folder import DataFolder, DataFormat, FoundCorpus, texts_of, written_path
from featurestore.corpus.labels.fields import is_segment_field
from featurestore.corpus.suggest.roles import side_of
from featurestore.errors import SourceError
from featurestore.typed_values import typed

MOST = 10**12
"""Seconds or samples; whole numbers of JSON have no end, and the largest are beyond all floats."""
PLAIN_FIELDS = ("speaker", "text", "gender", "language")

_RECORDINGS = re.compile(r"(?P<before>.*)recordings(?P<behind>.*\.jsonl(\.gz)?)", re.IGNORECASE)
_SUPERVISIONS = re.compile(r".*supervisions.*\.jsonl(\.gz)?", re.IGNORECASE)


class Lhotse(DataFormat):
    """Manifests of Lhotse: of recordings and of their supervisions."""

    name = "lhotse"
    title = "Lhotse manifests (recordings.jsonl and supervisions.jsonl)"
    rank = 2

    def recognises(self, folder: DataFolder) -> bool:
        """Tell whether a folder holds a recording manifest with its supervisions."""
        return any(_pairs(folder))

    def read(self, folder: DataFolder) -> FoundCorpus:
        """Read every pair of manifests of a folder; `train`, `dev` or `test` in their names is the split.

        `SourceError` for a recording that is no file (a command, an address, a transformed one), or a supervision
        without times or of channels that are neither one nor all.
        """
        rows: list[tuple[str, Mapping[str, str]]] = []
        left_out = {name for name in folder.names() if _SUPERVISIONS.fullmatch(name)}
        for recordings, supervisions in _pairs(folder):
            left_out.discard(supervisions)
            side = side_of(re.split(r"[^a-zA-Z]+", recordings))
            split = {"split": side} if side else {}
            rows += ((path, {**row, **split}) for path, row in _rows(folder, recordings, supervisions))
        notes = (
            f"{name!r:.120} is left out: no manifest of recordings of the same name lies beside it"
            for name in sorted(left_out)
        )
        return FoundCorpus("Lhotse", tuple(rows), notes=tuple(notes))


def _pairs(folder: DataFolder) -> Iterator[tuple[str, str]]:
    """Yield the names of recording manifests and of the supervisions beside them."""
    names = set(folder.names())
    for found in filter(None, map(_RECORDINGS.fullmatch, sorted(names))):
        supervisions = f"{found['before']}supervisions{found['behind']}"
        if supervisions in names:
            yield found[0], supervisions


def _rows(folder: DataFolder, name: str, supervisions: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the written path and the fields of each supervision; a recording without one has no fields."""
    recordings: dict[str, tuple[Mapping[str, Any], str]] = {}
    for place, one in folder.objects(name):
        key = typed(one.get("id"), str, f"{place}: 'id'", SourceError)
        known, before = recordings.setdefault(key, (one, place))
        if known != one:
            raise SourceError(f"{place}: the recording {key!r:.80} is another one in {before}. Correct one of them.")
    supervised = set()
    for place, one in folder.objects(supervisions):
        recording = typed(one.get("recording_id"), str, f"{place}: 'recording_id'", SourceError)
        if recording not in recordings:
            raise SourceError(
                f"{place}: the recording {recording!r:.80} is missing from {name!r:.80}. Correct one of them."
            )
        supervised.add(recording)
        yield _part(one, place, *recordings[recording])
    for key, (one, place) in recordings.items():
        if key not in supervised:
            yield from ((_audio_path(one, source, place), {}) for source in _sources(one, place))


def _part(one: Mapping[str, Any], place: str, recording: Mapping[str, Any], of: str) -> tuple[str, Mapping[str, str]]:
    """Return the written path of a supervision's file, and its fields with the part that it is of it."""
    sources = _sources(recording, of)
    channels = [channel for source in sources for channel in _channels(source, of)]
    wanted = one.get("channel", channels)
    wanted = wanted if isinstance(wanted, list) else [wanted]
    source = next((source for source in sources if {*wanted} <= {*_channels(source, of)}), None)
    if source is None or (len(wanted) != 1 and sorted(wanted) != sorted(_channels(source, of))):
        raise SourceError(
            f"{place}: the channels {str(wanted)[1:-1]:.80} of a recording with {str(channels)[1:-1]:.80} are neither "
            "one nor all of one file; others are not mixed. Correct the manifest."
        )
    custom = one.get("custom")
    own = custom if isinstance(custom, dict) else {}
    values = {f"custom_{name}" if is_segment_field(name) else name: value for name, value in own.items()}
    values |= {name: one[name] for name in PLAIN_FIELDS if one.get(name) is not None}
    fields = texts_of(values) | _times(one, recording, place)
    numbers = _channels(source, of)
    if len(wanted) < len(numbers):
        fields["channel"] = str(numbers.index(wanted[0]))
    return _audio_path(recording, source, of), fields


def _times(one: Mapping[str, Any], recording: Mapping[str, Any], place: str) -> dict[str, str]:
    """Return start and duration of a supervision; nothing where it is all of its recording, to the sample."""
    start, seconds = _number(one, "start"), _number(one, "duration")
    if start is None or seconds is None:
        raise SourceError(f"{place}: 'start' and 'duration' must be numbers of seconds. Correct the manifest.")
    rate, samples = _number(recording, "sampling_rate"), _number(recording, "num_samples")
    if start == 0 and rate is not None and round(seconds * rate) == samples:
        return {}
    return {"start": f"{start:.9f}", "duration": f"{seconds:.9f}"}


def _number(one: Mapping[str, Any], key: str) -> float | None:
    """Return a number; None where there is none, or one beyond all sense."""
    value = one.get(key)
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST
    return float(value) if known else None  # type: ignore[arg-type]


def _sources(one: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
    sources = one.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(source, dict) for source in sources):
        raise SourceError(f"{place}: the recording has no sources. Correct the manifest.")
    return sources


def _channels(source: Mapping[str, Any], place: str) -> list[int]:
    """Return the numbers of a file's channels in the order in which it has them."""
    channels = source.get("channels", [0])
    if not isinstance(channels, list) or not channels or not all(type(channel) is int for channel in channels):
        raise SourceError(f"{place}: 'channels' of a source must be a list of whole numbers. Correct the manifest.")
    return channels


def _audio_path(one: Mapping[str, Any], source: Mapping[str, Any], place: str) -> str:
    """Return the file of a source."""
    if source.get("type") != "file":
        raise SourceError(
            f"{place}: a source of type {source.get('type')!r:.40} is not read; commands are never executed. "
            "Write the audio to files first."
        )
    if not isinstance(source.get("source"), str):
        raise SourceError(f"{place}: the source names no file. Correct the manifest.")
    if one.get("transforms"):
        raise SourceError(
            f"{place}: the recording has transforms, which are not applied here. Write it to a file first."
        )
    return written_path(source["source"], place)
