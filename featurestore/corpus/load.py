"""From files to utterances: what each recording is, by its content, and its labels, by its path.

Reading a source and labelling are two steps. `read_source` is slow and depends on the files alone, so a store can keep
its listing; `label` is a pure function of the manifest and that listing.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from featurestore.corpus.check import fault_of, nothing_found
from featurestore.corpus.labels.assign import label
from featurestore.corpus.manifest import Manifest, is_label_file
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import MemorySource, Source, Wanted, everything
from featurestore.corpus.types import Corpus, ListedFile, Rejection, identified_file
from featurestore.errors import SourceError
from featurestore.showing import shown


def load_corpus(name: str | Path, source: str | Path | None = None) -> Corpus:
    """Read a corpus: find its manifest, identify every recording, parse the labels.

    Parameters
    ----------
    name : str or path
        A known corpus (see `manifest_names`), the path of a manifest ending in `.toml`, or a folder with one manifest
        or with data in a format of another tool (see `featurestore.corpus.importers`); with `/SCHEME` behind it a
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
    from featurestore.corpus.corpus_spec import find_corpus_spec

    choice = find_corpus_spec(str(name))
    parts = []
    for manifest, place in zip(choice.manifests, choice.sources(None if source is None else str(source)), strict=True):
        opened = corpus_source(manifest, place)
        listing, label_files = read_source(opened, manifest)
        part = with_unread(label(manifest, listing, label_files.__getitem__), opened)
        if not part.utterances:
            raise SourceError(nothing_found(part, opened))
        parts.append(part)
    return choice.corpus(parts)


def corpus_source(manifest: Manifest, source: str | Path | None = None, limits: Limits | None = None) -> Source:
    """Open the place of a corpus: the one given, else that of its manifest, else the corpus's own synthesiser."""
    place = source if source is not None else manifest.place
    if place is not None:
        opened = open_source(place, limits)
        if manifest.translation is None:
            return opened
        from featurestore.corpus.importers.translation import located

        return located(opened, manifest.translation)
    if manifest.generator is None:
        advice = f"get them from {manifest.homepage} ({manifest.licence}) and " if manifest.homepage else ""
        raise SourceError(
            f"corpus {manifest.name!r} needs its recordings: {advice}give the archive or folder with --source."
        )
    from featurestore.corpus.synthetic import generate  # scipy's filters take 0.2 s to import

    return MemorySource(f"the synthesised corpus {manifest.name!r}", generate(manifest.generator))


def read_listing(source: Source, wanted: Wanted = everything) -> tuple[ListedFile, ...]:
    """Read every wanted file of a source once and identify it by its bytes, sorted by path."""
    files = (identified_file(path, data) for path, data in source.iterate(wanted))
    return tuple(sorted(files, key=lambda file: file.path))


def read_source(
    source: Source, manifest: Manifest, faults: dict[str, str] | None = None
) -> tuple[tuple[ListedFile, ...], dict[str, bytes]]:
    """Read the recordings and label files of a corpus once; return the listing and the label files by content.

    Where `faults` is given, it gets the reason for each recording whose first bytes show that it is none, by its path
    in the source, so that no file has to be read twice.
    """
    found: list[ListedFile] = []
    label_files: dict[str, bytes] = {}
    for path, data in source.iterate(manifest.wants):
        kept = manifest.recording(path, data)
        file = identified_file(path, kept)
        found.append(file)
        if is_label_file(manifest.label_files, path):
            label_files[file.content] = data
        elif faults is not None and (fault := fault_of(kept)) is not None:
            faults[path] = fault
    check_label_files_read(source, manifest)
    for path, data in manifest.beside.items():
        found.append(identified_file(path, data))
        label_files[found[-1].content] = data
    return tuple(sorted(found, key=lambda file: file.path)), label_files


def check_label_files_read(source: Source, manifest: Manifest) -> None:
    """Refuse a source of which a label file could not be read: `SourceError` with the reason."""
    for path, reason in source.unread.items():
        if is_label_file(manifest.label_files, path):
            raise SourceError(reason)


def with_unread(corpus: Corpus, source: Source) -> Corpus:
    """Return a corpus with the files that its source could not read among the rejected ones."""
    unread = (Rejection(shown(path), reason) for path, reason in sorted(source.unread.items()))
    return replace(corpus, rejected=(*corpus.rejected, *unread))
