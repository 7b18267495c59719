"""Whether a copy of a corpus is complete: recordings that are missing, extra, different or placeholders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from featurestore.corpus.labels.assign import count_notes, difference, label, orphan_notes, recordings_of
from featurestore.corpus.labels.label_files import read_label_files
from featurestore.corpus.labels.schemes import under_scheme
from featurestore.corpus.labels.votes import krippendorff_alpha, parse_votes
from featurestore.corpus.manifest.model import Expected, Manifest, is_label_file
from featurestore.corpus.sources.types import Member, Source, Wanted, everything
from featurestore.corpus.types import Corpus, ListedFile, ReadBytes, Rejection, Utterance, shown
from featurestore.errors import AudioError, SplitError
from featurestore.signal.containers import container_of

LARGEST_STAND_IN = 4096
"""Bytes; pointers and error pages in place of a recording are smaller, and few recordings are."""


def fault_of(data: bytes) -> str | None:
    """Say why a file's first bytes are no audio that is read; None if they may be."""
    try:
        container_of(data)
    except AudioError as error:
        return str(error)
    return None


class FirstLook:
    """A source that looks at the first bytes of each recording on the way, so that no file is read twice."""

    def __init__(self, source: Source, manifest: Manifest) -> None:
        self._source = source
        self._manifest = manifest
        self.faults: dict[str, str] = {}
        """Why a recording is none, by its path in the source."""

    @property
    def name(self) -> str:
        """How messages call the source."""
        return self._source.name

    @property
    def unread(self) -> Mapping[str, str]:
        """Why files of the source cannot be read."""
        return self._source.unread

    def members(self) -> Iterator[Member]:
        """Yield every regular file."""
        return self._source.members()

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file, and note the faults of recordings."""
        for path, data in self._source.iterate(wanted):
            if _is_audio(self._manifest, path):
                fault = fault_of(self._manifest.recording(path, data))
                if fault is not None:
                    self.faults[path] = fault
            yield path, data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file."""
        return self._source.read(path)


def stand_ins(manifest: Manifest, listing: Iterable[ListedFile], read: Callable[[str], bytes]) -> dict[str, str]:
    """Return why small recordings of a listing are none, by path; larger ones are taken for recordings unread."""
    small = (file for file in listing if file.size <= LARGEST_STAND_IN and _is_audio(manifest, file.path))
    faults = ((file.path, fault_of(read(file.content))) for file in small)
    return {path: fault for path, fault in faults if fault is not None}


def _is_audio(manifest: Manifest, path: str) -> bool:
    return manifest.audio.wants(path) and not is_label_file(manifest.label_files, path)


STATED = "stated_"
"""Begins the field that holds what a list says of a field, where that differs from what its other columns give."""

NOT_STATED = "(not stated)"
"""The value of a field in the counts where a recording has none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that differs from the expected one."""

    scheme: str
    """The scheme that it was counted under; empty for the corpus as a whole."""
    field: str
    """`files`, `speakers`, `label`, `speaker`, or a label field such as `session`."""
    value: str
    """The class, speaker or value; empty for `files` and `speakers`."""
    expected: int
    found: int

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {name: getattr(self, name) for name in ("scheme", "field", "value", "expected", "found")}


@dataclass(frozen=True, slots=True)
class Completeness:
    """A copy of a corpus beside what a complete one holds."""

    corpus: Corpus
    files: int
    """Recordings found, good and bad ones."""
    missing: tuple[str, ...]
    """Published recordings, or such that label files name, which are not there; sorted paths."""
    extra: tuple[str, ...]
    """Recordings that are not published, or have no label; sorted paths."""
    mismatched: tuple[Rejection, ...]
    """Recordings whose bytes differ from the published ones, or whose label files contradict themselves."""
    rejected: tuple[Rejection, ...]
    """Recordings that cannot be used for another reason."""
    differences: tuple[Difference, ...]
    """Counts that differ from the expected ones."""
    known_bad: tuple[Rejection, ...] = ()
    """Recordings that are bad in the published corpus too; a complete copy holds them."""
    notes: tuple[str, ...] = ()
    """What else a user should know, without what `missing`, `extra` and `differences` say."""
    looks_like: str | None = None
    """The corpus that the source seems to be instead, where it is another one."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, extra or different."""
        return not (self.missing or self.extra or self.mismatched or self.rejected or self.differences)

    @property
    def sound(self) -> int:
        """The number of labelled recordings of which nothing bad is known."""
        bad = {one.path for one in (*self.mismatched, *self.rejected, *self.known_bad)}
        return sum(not bad & {shown(one.path), shown(one.file.path)} for one in self.corpus.utterances)

    @property
    def agreement(self) -> float | None:
        """Krippendorff's alpha of the raters; None where the corpus keeps no votes."""
        votes = [parse_votes(dict(one.labels).get("votes", "")) for one in self.corpus.utterances]
        return krippendorff_alpha(votes)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "corpus": self.corpus.name,
            "files": self.files,
            "sound": self.sound,
            "missing": list(self.missing),
            "extra": list(self.extra),
            "mismatched": _listed(self.mismatched),
            "rejected": _listed(self.rejected),
            "known_bad": _listed(self.known_bad),
            "labels": self.corpus.label_counts(),
            "speakers": self.corpus.speaker_counts(),
            "differences": [one.to_dict() for one in self.differences],
            "agreement": self.agreement,
            "notes": list(self.notes),
        }


def check_completeness(
    manifest: Manifest,
    listing: tuple[ListedFile, ...],
    read: ReadBytes | None = None,
    faults: Mapping[str, str] | None = None,
) -> Completeness:
    """Compare a listing with a manifest: files with its index, counts with all its expectations.

    Parameters
    ----------
    manifest, listing, read
        As `featurestore.corpus.load.label` takes them.
    faults : mapping of str to str, optional
        Why files are no recordings, by their paths in the source; see `featurestore.corpus.check`.

    Raises
    ------
    SourceError
        If a label file is missing or cannot be read.
    """
    corpus = label(_as_published(manifest), listing, read)
    files = recordings_of(manifest, listing)
    faulty = {shown(path): faults[file.path] for path, file in files.items() if faults and file.path in faults}
    wrong = {shown(path) for path, file in files.items() if difference(manifest.index.get(path), file)} - set(faulty)
    unpublished = set(files) - set(manifest.index) if manifest.index else set()
    beside = read_label_files(manifest, listing, read)
    told = {*count_notes(manifest, files), *orphan_notes(beside, files)}
    other = [one for one in corpus.rejected if one.path not in wrong and one.path not in faulty]
    other += [Rejection(path, reason) for path, reason in faulty.items()]
    return Completeness(
        corpus=corpus,
        files=len(files),
        missing=tuple(sorted(set(manifest.index) - set(files) if manifest.index else beside.orphans(files))),
        extra=tuple(sorted({shown(path) for path in unpublished} | {one.path for one in corpus.unlabelled})),
        mismatched=(*(one for one in corpus.rejected if one.path in wrong), *_contradictions(corpus)),
        rejected=tuple(sorted(other, key=lambda one: one.path)),
        differences=tuple(_differences(corpus, len(files))),
        known_bad=tuple(_known_bad(manifest, files)),
        notes=tuple(note for note in corpus.notes if note not in told),
    )


def _contradictions(corpus: Corpus) -> Iterator[Rejection]:
    """Yield the recordings for which a list states a field (as `stated_FIELD`) that its other columns do not give."""
    for one in corpus.utterances:
        fields = dict(one.labels)
        for name, value in one.labels:
            stated = name.removeprefix(STATED)
            if stated != name and fields.get(stated, value) != value:
                reason = f"the list states the {stated} {value!r}, and its other columns give {fields[stated]!r}"
                yield Rejection(shown(one.path), reason)


def _known_bad(manifest: Manifest, files: Iterable[str]) -> Iterator[Rejection]:
    for path in sorted(files):
        fault = manifest.audio.fault(path)
        if fault is not None:
            yield Rejection(shown(path), fault)


def _as_published(manifest: Manifest) -> Manifest:
    """Return the manifest without its known-bad files: a complete copy holds them, and expected counts include them."""
    return replace(manifest, audio=replace(manifest.audio, known_bad={}))


def _differences(corpus: Corpus, files: int) -> Iterator[Difference]:
    expected = corpus.manifest.expected
    if expected.files is not None and expected.files != files:
        yield Difference("", "files", "", expected.files, files)
    yield from _counts("", expected, corpus.utterances)
    known, speakers = corpus.manifest.speaker_count, len(corpus.speaker_counts())
    if not expected.speakers and known is not None and known != speakers:
        yield Difference("", "speakers", "", known, speakers)
    for scheme in corpus.manifest.schemes.values():
        try:
            chosen = under_scheme(corpus.utterances, scheme)
        except SplitError:  # none is left
            chosen = ()
        if scheme.expected.files is not None and scheme.expected.files != len(chosen):
            yield Difference(scheme.name, "files", "", scheme.expected.files, len(chosen))
        yield from _counts(scheme.name, scheme.expected, chosen)


def _counts(scheme: str, expected: Expected, utterances: tuple[Utterance, ...]) -> Iterator[Difference]:
    """Compare the utterances of each class, speaker and value with what is expected, strangers among them too."""
    fields = {"label": expected.labels, "speaker": expected.speakers, **expected.fields}
    for field, counts in fields.items():
        if counts:
            found = Counter(_value(one, field) for one in utterances)
            for value in dict.fromkeys([*counts, *sorted(set(found) - set(counts))]):
                if found[value] != counts.get(value, 0):
                    yield Difference(scheme, field, value, counts.get(value, 0), found[value])


def _value(one: Utterance, field: str) -> str:
    if field == "speaker":
        return one.speaker or "unknown"
    return one.label if field == "label" else dict(one.labels).get(field, NOT_STATED)


def _listed(rejections: tuple[Rejection, ...]) -> list[dict[str, str]]:
    return [{"path": one.path, "reason": one.reason} for one in rejections]
