"""A file of a folder is read again if anything of it changed, and only then; what is known of it is never the truth."""

import os
import time

import pytest
from demo_corpus import no_download
from tiny_corpus import write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.sources.open import FolderSource
from featurestore.store import open_store
from pipelines.ingest.folder_index import SETTLED
from pipelines.ingest.ingest import ReadOptions, ingest

NOW = time.time_ns
LONG_AGO = time.time_ns() - 10**15


@pytest.fixture
def reads(monkeypatch, tmp_path):
    """The paths that are read, in order; the user's cache is a folder of the test's, and its clock runs ahead.

    With the clock ahead, files that the test has just written are old enough to be remembered.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("pipelines.ingest.folder_index.time.time_ns", lambda: NOW() + 2 * SETTLED)
    paths, read = [], FolderSource.read
    monkeypatch.setattr(FolderSource, "read", lambda source, path: paths.append(path) or read(source, path))
    return paths


@pytest.fixture
def corpus(tmp_path):
    folder = write_corpus(tmp_path / "corpus", range(1, 6))
    for file in folder.rglob("*.wav"):
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
    return folder


def take(store, folder, **options):
    """Ingest a folder; return what its recordings hold, by path."""
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download, ReadOptions(**options))
    return {one.path: one.content for one in corpus.utterances}


def test_an_unchanged_folder_is_read_once(store, corpus, reads):
    prepared = []
    first = take(store, corpus)
    assert len(reads) == 5

    again = take(store, corpus, before_reading=lambda: prepared.append(1))

    assert len(reads) == 5
    assert (again, prepared) == (first, [])
    assert take(store, corpus, rehash=True) == first
    assert len(reads) == 10


def test_one_more_file_is_the_only_one_that_is_read(store, corpus, reads):
    first = take(store, corpus)
    one = min(corpus.rglob("*.wav"))
    reads.clear()
    more = one.with_name("a_up_9.wav")
    more.write_bytes(one.read_bytes()[:-2] + b"\1\0")

    assert len(take(store, corpus)) == len(first) + 1
    assert reads == [more.relative_to(corpus).as_posix()]


def test_whatever_happens_to_a_file_is_seen(store, corpus, reads, tmp_path):
    first = take(store, corpus)
    a, b, c, d, e = sorted(corpus.rglob("*.wav"))
    new = a.read_bytes()[:-2] + b"\1\0"

    a.with_name("new").write_bytes(new)  # replaced by another of its size and time
    os.utime(a.with_name("new"), ns=(LONG_AGO, LONG_AGO))
    a.with_name("new").replace(a)
    b.touch()  # its time alone is new
    c_bytes = c.read_bytes()
    c.unlink()  # written in place with its old size and time: not through the store's link
    c.write_bytes(c_bytes[:-2] + b"\2\0")
    os.utime(c, ns=(LONG_AGO, LONG_AGO))
    e_name = e.with_name("a_up_8.wav")
    d.unlink()
    e.rename(e_name)
    reads.clear()
    found = take(store, corpus)

    fresh = take(open_store(tmp_path / "fresh"), corpus, rehash=True)
    assert found == fresh
    assert len(found) == 4
    assert not set(found.values()) & {first[path] for path in first if path.endswith((a.name, c.name, d.name))}


def test_a_file_that_had_just_changed_is_read_again(store, corpus, reads, monkeypatch):
    monkeypatch.setattr("pipelines.ingest.folder_index.time.time_ns", NOW)
    first = take(store, corpus)
    one = min(corpus.rglob("*.wav"))
    data, status = one.read_bytes(), one.stat()
    one.unlink()
    one.write_bytes(data[:-2] + b"\1\0")
    os.utime(one, ns=(status.st_mtime_ns, status.st_mtime_ns))

    assert take(store, corpus) != first
    assert len(reads) == 10


@pytest.mark.parametrize("damage", [b"", b"{", b"0" * 64 + b"\n{}", bytes(range(256)) * 10])
def test_a_damaged_index_is_made_anew(store, corpus, reads, tmp_path, damage):
    first = take(store, corpus)
    (index,) = (tmp_path / "cache" / "featurestore" / "folders").iterdir()
    sound = index.read_bytes()
    index.write_bytes(damage)
    reads.clear()

    assert take(store, corpus) == first
    assert len(reads) == 5
    assert take(store, corpus) == first
    assert len(reads) == 5
    assert len(index.read_bytes()) == len(sound)


def test_the_index_of_another_folder_is_ignored(store, corpus, reads, tmp_path):
    other = write_corpus(tmp_path / "other", range(6, 9))
    theirs = take(store, other)
    (index,) = (tmp_path / "cache" / "featurestore" / "folders").iterdir()
    foreign = index.read_bytes()
    first = take(store, corpus)
    (own,) = set(index.parent.iterdir()) - {index}
    own.write_bytes(foreign)
    reads.clear()

    assert take(store, corpus) == first != theirs
    assert len(reads) == 5


def test_what_another_store_lacks_is_read_again(store, corpus, reads, tmp_path):
    first, other = take(store, corpus), open_store(tmp_path / "another")
    reads.clear()

    assert take(other, corpus) == first
    assert len(reads) == 5
    assert set(other.storage.children("sources")) == set(first.values())


def test_no_cache_folder_costs_reading_and_nothing_else(store, corpus, reads, tmp_path):
    (tmp_path / "cache").write_bytes(b"")

    assert take(store, corpus) == take(store, corpus)
    assert len(reads) == 10


def test_links_are_read_each_time(store, corpus, reads):
    one, two, *_ = sorted(corpus.rglob("*.wav"))
    bytes_of_two = two.read_bytes()
    one.unlink()
    one.symlink_to(two)
    first = take(store, corpus)
    reads.clear()
    two.unlink()
    two.write_bytes(bytes_of_two[:-2] + b"\3\0")

    assert take(store, corpus) != first
    assert set(reads) == {one.relative_to(corpus).as_posix(), two.relative_to(corpus).as_posix()}
