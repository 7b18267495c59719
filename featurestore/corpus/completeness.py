"""Whether a copy of a corpus is complete: which recordings are missing, extra or different from its data sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from featurestore.corpus.corpus import Corpus, Listed, Read, Rejection, Utterance
from featurestore.corpus.labels.agreement import krippendorff_alpha
from featurestore.corpus.labels.label_files import read_label_files
from featurestore.corpus.labels.labelling import assign_labels, difference, recordings_of, shown
from featurestore.corpus.labels.schemes import under_scheme
from featurestore.corpus.labels.votes import parse_votes
from featurestore.corpus.sheet.datasheet import Expected, Manifest
from featurestore.errors import SplitError


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
    """Recordings whose bytes differ from the published ones."""
    rejected: tuple[Rejection, ...]
    """Recordings that cannot be used for another reason."""
    differences: tuple[Difference, ...]
    """Counts that differ from the expected ones."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, extra or different."""
        return not (self.missing or self.extra or self.mismatched or self.rejected or self.differences)

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
            "missing": list(self.missing),
            "extra": list(self.extra),
            "mismatched": _listed(self.mismatched),
            "rejected": _listed(self.rejected),
            "labels": self.corpus.label_counts(),
            "speakers": self.corpus.speaker_counts(),
            "differences": [one.to_dict() for one in self.differences],
            "agreement": self.agreement,
            "notes": list(self.corpus.notes),
        }


def check_completeness(manifest: Manifest, listing: tuple[Listed, ...], read: Read | None = None) -> Completeness:
    """Compare a listing with a data sheet: files with its index, counts with all its expectations.

    Parameters
    ----------
    manifest, listing, read
        As `featurestore.corpus.corpus.label` takes them.

    Raises
    ------
    SourceError
        If a label file is missing or cannot be read.
    """
    corpus = assign_labels(_as_published(manifest), listing, read)
    files = recordings_of(manifest, listing)
    wrong = {shown(path) for path, file in files.items() if difference(manifest.index.get(path), file)}
    unpublished = set(files) - set(manifest.index) if manifest.index else set()
    return Completeness(
        corpus=corpus,
        files=len(files),
        missing=tuple(sorted(_missing(manifest, listing, read, files))),
        extra=tuple(sorted({shown(path) for path in unpublished} | {one.path for one in corpus.unlabelled})),
        mismatched=tuple(one for one in corpus.rejected if one.path in wrong),
        rejected=tuple(one for one in corpus.rejected if one.path not in wrong),
        differences=tuple(_differences(corpus, len(files))),
    )


def _as_published(manifest: Manifest) -> Manifest:
    """Return the sheet without its known-bad files: a complete copy holds them, and expected counts include them."""
    return replace(manifest, audio=replace(manifest.audio, known_bad={}))


def _missing(
    manifest: Manifest, listing: tuple[Listed, ...], read: Read | None, files: Mapping[str, Listed]
) -> Iterator[str]:
    """Yield published recordings that are not there; without an index, those that only label files name."""
    if manifest.index:
        yield from set(manifest.index) - set(files)
    elif manifest.label_files:
        yield from read_label_files(manifest, listing, read).orphans(files)


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
    value = {"label": one.label, "speaker": one.speaker}.get(field, dict(one.labels).get(field))
    return "unknown" if value is None else value


def _listed(rejections: tuple[Rejection, ...]) -> list[dict[str, str]]:
    return [{"path": one.path, "reason": one.reason} for one in rejections]
