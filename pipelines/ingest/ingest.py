"""From a source to a labelled corpus whose original recordings the store keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from featurestore.corpus.corpus_spec import CorpusSpec
from featurestore.corpus.labels.assign import label
from featurestore.corpus.load import check_label_files_read, corpus_source, read_source, with_unread
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.audio_files import RawFormat
from featurestore.corpus.sources.open import FolderSource
from featurestore.corpus.sources.types import Source
from featurestore.corpus.types import Corpus, ListedFile, Rejection, identified_file
from featurestore.datasets import CorpusReference, Listing, listing_key, listing_object
from featurestore.errors import FeatureStoreError, SourceError, StoreBusyError
from featurestore.storage.protocol import put
from featurestore.store import Store
from pipelines.ingest.fetch import Fetcher, silent
from pipelines.ingest.folder_index import FolderIndex
from pipelines.ingest.http_transfer import DownloadProgress

Fetch = Callable[[Manifest], Path]
"""Downloads a corpus and returns its archive."""


HASHED_AT_ONCE = 2**20
"""Bytes of an archive between two looks at progress."""


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class ReadOptions:
    """How the recordings of a corpus are read."""

    limits: Limits | None = None
    """How many files are looked at, and how large one may be. One that the store holds already is rejected as well if
    it is larger, so that a dataset does not depend on what was built before."""
    rehash: bool = False
    """Whether all files of a folder are read again, whatever their times say."""
    write: bool = True
    """Whether originals are kept in the store, and it remembers the corpus."""
    before_reading: Callable[[], None] = _nothing
    """Called if recordings have to be read, so that what comes next can be prepared meanwhile."""
    progress: DownloadProgress = silent
    """Is told the files that have been read so far and, where that is known, of how many."""
    hashing: DownloadProgress = silent
    """Is told how many bytes of an archive have been hashed, and of how many."""


AS_USUAL = ReadOptions()


def ingest(
    store: Store,
    manifest: Manifest,
    source: str | Path | None,
    fetch: Fetch,
    options: ReadOptions = AS_USUAL,
) -> Corpus:
    """Identify and label the recordings of a corpus, and keep the originals in the store's `sources/`.

    A corpus that the store has seen needs no source; an archive that it has seen is recognised by its checksum and
    not read again, a file of a folder by its size and times (`FolderIndex`).

    Parameters
    ----------
    source : str, path or None
        Archive or folder; None takes what the store has, else synthesises or downloads.
    fetch : callable
        Downloads the corpus where nothing else helps.
    options : ReadOptions, optional

    Raises
    ------
    SourceError
        If no recording of the corpus can be found.
    """
    known = _Known(store, manifest)
    listing = known.listing() if source is None else None
    place = source
    if listing is None:
        place = source if source is not None or manifest.generator else fetch(manifest)
        origin = _archive_checksum(place, options.hashing)
        listing = known.listing(origin) if origin else None
        if listing is None:
            opened = corpus_source(manifest, place, options.limits)
            if options.write and isinstance(opened, FolderSource):
                files = _read_folder(store, opened, manifest, options)
                known.remember(files, "")
                return _with_utterances(with_unread(label(manifest, files, store.original), opened), opened)
            options.before_reading()
            if options.write:
                files = _read(store, opened, manifest, options.progress)
                known.remember(files, "" if opened.unread else origin)  # unread files are reported the next time too
                corpus = label(manifest, files, store.original)
            else:
                files, label_files = read_source(opened, manifest)  # the label files are held in memory
                corpus = label(manifest, files, label_files.__getitem__)
            return _with_utterances(with_unread(corpus, opened), opened)
    limits = options.limits or Limits()
    small = tuple(file for file in listing if file.size <= limits.member_bytes)
    large = [Rejection(file.path, f"it is {limits.too_large}") for file in listing if file.size > limits.member_bytes]
    corpus = label(manifest, small, store.original)
    corpus = replace(corpus, rejected=(*corpus.rejected, *large))
    return corpus if corpus.utterances else _with_utterances(corpus, corpus_source(manifest, place, limits))


def _with_utterances(corpus: Corpus, source: Source) -> Corpus:
    if not corpus.utterances:
        from featurestore.corpus.check import nothing_found

        raise SourceError(nothing_found(corpus, source))
    return corpus


def known_listing(store: Store, manifest: Manifest) -> Listing | None:
    """Return the files of a corpus that the store knows and holds; None if it does not."""
    return _Known(store, manifest).listing()


def known_corpus(store: Store, manifest: Manifest) -> Corpus | None:
    """Return a corpus as the store knows it; None if it does not."""
    listing = known_listing(store, manifest)
    return None if listing is None else label(manifest, listing, store.original)


def _read(store: Store, source: Source, manifest: Manifest, progress: DownloadProgress) -> Listing:
    """Identify every recording and label file of a source and keep it."""
    files: list[ListedFile] = []
    expected = manifest.expected.files or 0
    for path, data in _held(store, source.iterate(manifest.wants)):
        kept = manifest.recording(path, data)
        files.append(identified_file(path, kept))
        _keep(store, files[-1], kept)
        progress(len(files), max(len(files), expected) if expected else None)
    return _whole_listing(store, source, manifest, files)


def _read_folder(store: Store, source: FolderSource, manifest: Manifest, options: ReadOptions) -> Listing:
    """Identify the recordings and label files of a folder and keep them; those known from an earlier look stay unread.

    The file itself becomes the original that is kept, by a link, unless that has to be other bytes: headerless audio
    gets a header.
    """
    index = FolderIndex(source, manifest.reading, rehash=options.rehash)
    changed, same = index.members(manifest.wants, set(store.storage.children("sources")))
    if changed:
        options.before_reading()
    read: list[ListedFile] = []
    for path, data in _held(store, source.read_each(changed)):
        kept = manifest.recording(path, data)
        file = identified_file(path, kept)
        read.append(file)
        if kept is not data:
            _keep(store, file, kept)
        elif store.storage.adopt(f"sources/{file.content}", source.folder / path):
            index.link(path)
        options.progress(len(same) + len(read), len(same) + len(changed))
    index.remember(changed, read)
    return _whole_listing(store, source, manifest, [*same, *read])


def _whole_listing(store: Store, source: Source, manifest: Manifest, files: list[ListedFile]) -> Listing:
    """Return what was read of a source with the label files that lie beside the manifest, which are kept."""
    check_label_files_read(source, manifest)
    for path, data in manifest.beside.items():
        files.append(identified_file(path, data))
        _keep(store, files[-1], data)
    return tuple(sorted(files, key=lambda file: file.path))


def _held(store: Store, files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield files that were read, and hold the store from the first one on, so that all share a heartbeat."""
    with ExitStack() as held:
        for number, file in enumerate(files):
            if not number:
                with suppress(StoreBusyError):  # gc spares what is new; then each original has a heartbeat of its own
                    held.enter_context(store.storage.hold(exclusive=False))
            yield file


def _keep(store: Store, file: ListedFile, data: bytes) -> None:
    """Keep an original; it is checked against its name at every read, so it needs no sync of its own."""
    store.storage.put_if_absent(f"sources/{file.content}", data, durable=False)


def reread(store: Store, source: Source, contents: set[str]) -> set[str]:
    """Put originals in place of damaged or missing ones, from a source that holds them; return which were found."""
    formats: set[RawFormat] = set()  # as corpora declare headerless audio, of which recordings are kept with a header
    for name in store.storage.children("refs/corpora"):
        with suppress(FeatureStoreError, TypeError):
            raw = store.corpus(name.removesuffix(".json")).reading.get("raw")
            formats |= {RawFormat(**raw)} if raw else set()
    found: set[str] = set()
    for path, data in source.iterate():
        for kept in (data, *(raw.wrap(data) for raw in formats)):
            content = identified_file(path, kept).content
            if content in contents:
                store.storage.replace(f"sources/{content}", kept)
                found.add(content)
    return found


def _archive_checksum(place: str | Path | None, progress: DownloadProgress) -> str:
    """Return the sha256 of an archive file; empty for folders and synthesised corpora, which are always read."""
    if place is None or not Path(place).is_file():
        return ""
    found, total = hashlib.sha256(), Path(place).stat().st_size
    with Path(place).open("rb", buffering=0) as file:
        while block := file.read(HASHED_AT_ONCE):
            found.update(block)
            progress(file.tell(), total)
    return found.hexdigest()


class _Known:
    """What the store remembers of a corpus: the listing of its recordings and the archive that it came from."""

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self._store = store
        self._corpus = manifest.name
        self._reading = manifest.reading
        self._key = f"refs/corpora/{manifest.name}.json"

    def listing(self, origin: str | None = None) -> Listing | None:
        """Return the listing, if the store has one (from this archive) and holds all its recordings."""
        try:
            reference = self._store.corpus(self._corpus)
            if (origin is not None and reference.origin != origin) or reference.reading != self._reading:
                return None
            listing = self._store.listing(reference.listing)
        except FeatureStoreError:  # nothing known: the source is read
            return None
        kept = set(self._store.storage.children("sources"))
        return listing if all(file.content in kept for file in listing) else None

    def remember(self, listing: Listing, origin: str) -> None:
        """Keep a listing under its checksum, and point the corpus at it."""
        storage = self._store.storage
        checksum, body = listing_object(listing)
        put(storage, listing_key(checksum), body)
        reference = CorpusReference(self._corpus, checksum, origin, self._reading).to_bytes()
        if not storage.exists(self._key) or storage.get(self._key) != reference:
            storage.replace(self._key, reference)


def ingest_spec(
    store: Store,
    spec: CorpusSpec,
    source: str | None,
    fetcher: Fetcher,
    options: ReadOptions = AS_USUAL,
) -> Corpus:
    """Identify, label and keep the recordings of every corpus of a spec, then select and relabel them.

    Each corpus is kept whole under its own name, so that another scheme or another combination reads nothing again.

    Parameters
    ----------
    source : str, optional
        Archive, folder or URL; for several corpora `NAME=PLACE,NAME=PLACE`.
    fetcher : Fetcher
        Downloads what is given as a URL, and by default what is not given at all.
    options : ReadOptions, optional

    Raises
    ------
    SourceError
        If a corpus's recordings cannot be found, or the source does not say which is where.
    SplitError
        If the scheme leaves none.
    """
    parts = []
    for manifest, place in zip(spec.manifests, spec.sources(source), strict=True):
        name = manifest.name
        watched = replace(options, progress=fetcher.reading(name), hashing=fetcher.hashing(name))
        parts.append(ingest(store, manifest, fetcher.local(place, manifest), fetcher.archive, watched))
    return spec.corpus(parts)


def corpus_of_store(store: Store, spec: CorpusSpec) -> Corpus | None:
    """Return the corpus of a spec as the store knows it; None if it lacks one of its parts."""
    parts = [known_corpus(store, manifest) for manifest in spec.manifests]
    known = [part for part in parts if part is not None]
    return spec.corpus(known) if len(known) == len(parts) else None
