"""The recordings that a user asked for: one corpus, a scheme of it, or several corpora together."""

from __future__ import annotations

from collections.abc import Callable

from featurestore.corpus.choice import CorpusChoice
from featurestore.corpus.corpus import Corpus
from featurestore.corpus.reading.unpack import Limits
from featurestore.store import Store
from pipelines.fetch import Fetcher
from pipelines.ingest import Fetch, ingest, known_corpus


def chosen_corpus(
    store: Store,
    choice: CorpusChoice,
    source: str | None,
    fetcher: Fetcher,
    *,
    fetch: Fetch | None = None,
    write: bool = True,
    before_reading: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
) -> Corpus:
    """Identify, label and keep the recordings of every corpus of a choice, then select and relabel them.

    Each corpus is kept whole under its own name, so that another scheme or another company reads nothing again.

    Parameters
    ----------
    store : Store
    choice : CorpusChoice
    source : str, optional
        Archive, folder or URL; for several corpora `NAME=PLACE,NAME=PLACE`.
    fetcher : Fetcher
        Downloads what is given as a URL, and by default what is not given at all.
    fetch : callable, optional
        Stands in for the fetcher's download of a corpus.
    write, before_reading, limits
        As `ingest` takes them.

    Raises
    ------
    SourceError
        If a corpus's recordings cannot be found, or the source does not say which is where.
    SplitError
        If the scheme leaves none.
    """
    parts = [
        ingest(
            store,
            manifest,
            fetcher.local(place, manifest),
            fetch or fetcher.archive,
            write=write,
            before_reading=before_reading,
            limits=limits,
        )
        for manifest, place in zip(choice.manifests, choice.sources(source), strict=True)
    ]
    return choice.corpus(parts)


def corpus_of_store(store: Store, choice: CorpusChoice) -> Corpus | None:
    """Return a choice as the store knows it; None if it lacks one of its corpora."""
    parts = [known_corpus(store, manifest) for manifest in choice.manifests]
    known = [part for part in parts if part is not None]
    return choice.corpus(known) if len(known) == len(parts) else None
