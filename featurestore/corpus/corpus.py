"""From files to utterances: what each recording is, by its content, and what its path says about it.

Reading a source and labelling are two steps. `read_listing` is slow and depends on the files alone, so a store can
keep its result; `label` is a pure function of the manifest and that listing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.corpus.reading.sources import MemorySource, Source, Wanted, everything, open_source
from featurestore.corpus.reading.unpack import Limits
from featurestore.corpus.sheet.datasheet import Manifest
from featurestore.corpus.sheet.label_rules import is_label_file
from featurestore.errors import SourceError
from featurestore.segments import recording_of, segment_of

Read = Callable[[str], bytes]
"""Returns the bytes of a kept file by its content."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a source: path inside the source, sha256 of its bytes, size in bytes."""

    path: str
    content: str
    size: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of a corpus, or a segment of one, with what its name and the label files say about it."""

    path: str
    """Path inside the corpus, `/` between the parts; the same wherever the user keeps the files. That of a segment
    has a fragment, as `a.wav#t=0.5,1.5&channel=1`."""
    content: str
    """sha256 of the file's bytes, 64 hexadecimal digits: the identity of the recording everywhere. That of a segment
    goes on with what it is of the recording, see `featurestore.segments`."""
    size: int
    """Bytes of the file."""
    labels: tuple[tuple[str, str], ...]
    """All label fields as `(field, value)`: of the label files, of the manifest's pattern, then those made of them."""
    label: str
    """The class to predict."""
    speaker: str | None
    """The speaker; None where unknown."""
    text: str | None = None
    """The spoken sentence's name; None where unknown."""

    @property
    def file(self) -> Listed:
        """The file that it is, or is a segment of."""
        return Listed(segment_of(self.content).file(self.path), recording_of(self.content), self.size)


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

    def label_counts(self) -> dict[str, int]:
        """Return the number of utterances of each class, sorted by class."""
        return dict(sorted(Counter(utterance.label for utterance in self.utterances).items()))

    def speaker_counts(self) -> dict[str, int]:
        """Return the number of utterances of each known speaker, sorted by speaker."""
        return dict(sorted(Counter(one.speaker for one in self.utterances if one.speaker is not None).items()))


def load_corpus(name: str | Path, source: str | Path | None = None) -> Corpus:
    """Read a corpus: find its manifest, identify every recording, parse the labels.

    Parameters
    ----------
    name : str or path
        A known corpus (see `manifest_names`), the path of a manifest ending in `.toml`, or a folder with one manifest
        or with data in a format of another tool (see `featurestore.corpus.formats`); with `/SCHEME` behind it a
        selection of it, and several known ones or manifests joined by `+`.
    source : str or path, optional
        The archive or folder that holds the recordings; not needed for a synthesised corpus such as `demo`. For
        several corpora `NAME=PATH,NAME=PATH`.

    Raises
    ------
    UnknownNameError
        If no corpus has that name; the nearest is offered.
    SourceError
        If the source is missing, damaged, unsafe, or holds no recording of this corpus.

    Examples
    --------
    >>> corpus = load_corpus("demo")
    >>> len(corpus.utterances), corpus.utterances[0].path, corpus.utterances[0].label
    (120, 'f1_s1_ang.wav', 'angry')
    """
    from featurestore.corpus.choice import find_choice

    choice = find_choice(str(name))
    sources = choice.sources(None if source is None else str(source))
    parts = zip(choice.manifests, sources, strict=True)
    return choice.corpus([_whole_corpus(manifest, place) for manifest, place in parts])


def _whole_corpus(manifest: Manifest, source: str | Path | None) -> Corpus:
    opened = corpus_source(manifest, source)
    listing, label_files = read_source(opened, manifest)
    corpus = with_unread(label(manifest, listing, label_files.__getitem__), opened)
    if not corpus.utterances:
        from featurestore.corpus.nothing_found import nothing_found

        raise SourceError(nothing_found(corpus, opened))
    return corpus


def corpus_source(manifest: Manifest, source: str | Path | None = None, limits: Limits | None = None) -> Source:
    """Open the place that holds a corpus: the one given, else that of its sheet, else the corpus's own synthesiser."""
    place = source if source is not None else manifest.place
    if place is not None:
        return _located(open_source(place, limits), manifest)
    if manifest.generator is None:
        advice = f"get them from {manifest.homepage} ({manifest.licence}) and " if manifest.homepage else ""
        raise SourceError(
            f"corpus {manifest.name!r} needs its recordings: {advice}give the archive or folder with --source."
        )
    from featurestore.corpus.synthesised.synthesis import generate  # scipy's filters take 0.2 s to import

    return MemorySource(f"the synthesised corpus {manifest.name!r}", generate(manifest.generator))


def _located(source: Source, manifest: Manifest) -> Source:
    """Give the files of a source the paths under which another tool's data names them, if the sheet is made of such."""
    if manifest.translation is None:
        return source
    from featurestore.corpus.formats.located import located

    return located(source, manifest.translation)


def read_listing(source: Source, wanted: Wanted = everything) -> tuple[Listed, ...]:
    """Read every wanted file of a source once and identify it by its bytes, sorted by path."""
    return tuple(sorted((listed(path, data) for path, data in source.iterate(wanted)), key=lambda file: file.path))


def read_source(source: Source, manifest: Manifest) -> tuple[tuple[Listed, ...], dict[str, bytes]]:
    """Read the recordings and label files of a corpus once; return the listing and the label files by content."""
    found: list[Listed] = []
    label_files: dict[str, bytes] = {}
    for path, data in source.iterate(manifest.wants):
        file = listed(path, manifest.recording(path, data))
        found.append(file)
        if is_label_file(manifest.label_files, path):
            label_files[file.content] = data
    check_label_files_read(source, manifest)
    for path, data in manifest.beside.items():
        found.append(listed(path, data))
        label_files[found[-1].content] = data
    return tuple(sorted(found, key=lambda file: file.path)), label_files


def check_label_files_read(source: Source, manifest: Manifest) -> None:
    """Refuse a source of which a label file could not be read: `SourceError` with the reason."""
    for path, reason in source.unread.items():
        if is_label_file(manifest.label_files, path):
            raise SourceError(reason)


def with_unread(corpus: Corpus, source: Source) -> Corpus:
    """Return a corpus with the files that its source could not read among the rejected ones."""
    from featurestore.corpus.labels.labelling import shown

    unread = (Rejection(shown(path), reason) for path, reason in sorted(source.unread.items()))
    return replace(corpus, rejected=(*corpus.rejected, *unread))


def listed(path: str, data: bytes) -> Listed:
    """Identify one file by its bytes."""
    return Listed(path, hashlib.sha256(data).hexdigest(), len(data))


def label(manifest: Manifest, listing: tuple[Listed, ...], read: Read | None = None) -> Corpus:
    """Turn a listing into a corpus; labels come from paths and label files, no byte of audio is read.

    A recording that does not fit is set aside with its reason and never stops the others.

    Parameters
    ----------
    manifest : Manifest
    listing : tuple of Listed
    read : callable, optional
        Returns the bytes of a file by its content; needed where the manifest has label files.
    """
    from featurestore.corpus.labels.labelling import assign_labels

    return assign_labels(manifest, listing, read)
