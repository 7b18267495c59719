"""The nouns of a corpus: files, utterances, rejections, and the labelled corpus of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.corpus.manifest import Manifest
from featurestore.segments import recording_of, segment_of
from featurestore.showing import brief, counted, html_table, spelled_counts


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of a source: path inside the source, sha256 of its bytes, size in bytes."""

    path: str
    content: str
    size: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of a corpus, or a segment of one, with its fields from its path and the label files."""

    path: str
    """Path inside the corpus, `/` between the parts; the same wherever the user keeps the files. That of a segment
    has a fragment, as `a.wav#t=0.5,1.5&channel=1`."""
    content: str
    """sha256 of the file's bytes, 64 hexadecimal digits: the identity of the recording everywhere. That of a segment
    also names the part of the recording, see `featurestore.segments`."""
    size: int
    """Bytes of the file."""
    fields: tuple[tuple[str, str], ...]
    """All fields as `(field, value)`: of the label files, of the manifest's pattern, then those made of them."""
    label: str
    """The class to predict."""
    speaker: str | None
    """The speaker; None where unknown."""
    text: str | None = None
    """The spoken sentence's name; None where unknown."""

    @property
    def file(self) -> ListedFile:
        """The file that it is, or is a segment of."""
        return ListedFile(segment_of(self.content).file(self.path), recording_of(self.content), self.size)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that is no utterance of the corpus, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """A labelled corpus, sorted by path."""

    name: str
    manifest: Manifest
    utterances: tuple[Utterance, ...]
    rejected: tuple[Rejection, ...] = ()
    """Files that differ from the published ones, or have a code that the manifest does not know."""
    unlabelled: tuple[Rejection, ...] = ()
    """Recordings whose names do not fit the manifest's pattern."""
    notes: tuple[str, ...] = ()
    """What else a user should know: files missing, extra, or byte-identical."""

    def __repr__(self) -> str:
        counts = (self.utterances, "utterance"), (self.label_counts(), "class"), (self.speaker_counts(), "speaker")
        rejected = counted(len(self.rejected), "file") + " rejected" if self.rejected else ""
        return brief("Corpus", self.name, *(counted(len(of), noun) for of, noun in counts), rejected)

    def _repr_html_(self) -> str:
        card = self.manifest
        lines = [
            ("title", card.title),
            ("classes", spelled_counts(self.label_counts())),
            ("speakers", len(self.speaker_counts()) or "unknown"),
            ("rejected", counted(len(self.rejected), "file") if self.rejected else ""),
            ("licence", card.licence),
            ("citation", card.citation),
            ("notes", " ".join(self.notes)),
        ]
        return html_table(f"{self.name}: {counted(len(self.utterances), 'utterance')}", lines)

    def rejections(self, reasons: Mapping[str, str]) -> tuple[Rejection, ...]:
        """Return all files that did not become rows, sorted by path; `reasons` are those of utterances, by content."""
        of_audio = (Rejection(one.path, reasons[one.content]) for one in self.utterances if one.content in reasons)
        return tuple(sorted((*self.rejected, *self.unlabelled, *of_audio), key=lambda rejection: rejection.path))

    def label_counts(self) -> dict[str, int]:
        """Return the number of utterances of each class, sorted by class."""
        return dict(sorted(Counter(utterance.label for utterance in self.utterances).items()))

    def speaker_counts(self) -> dict[str, int]:
        """Return the number of utterances of each known speaker, sorted by speaker."""
        return dict(sorted(Counter(one.speaker for one in self.utterances if one.speaker is not None).items()))


def identified_file(path: str, data: bytes) -> ListedFile:
    """Identify one file by its bytes."""
    return ListedFile(path, hashlib.sha256(data).hexdigest(), len(data))
