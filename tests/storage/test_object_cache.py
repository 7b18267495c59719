"""Copies of objects on this machine: sound or not there, bounded, and none the worse for a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featurestore.storage.object_cache import ObjectCache, copy_name

NAMES = [copy_name("place", f"key {number}", "tag") for number in range(8)]


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path / "copies", 1000)


def test_a_copy_comes_back_as_it_was_put(cache):
    assert cache.put(NAMES[0], b"bytes")
    assert cache.get(NAMES[0], 5) == b"bytes"
    assert cache.get(NAMES[1], 5) is None
    assert cache.put(NAMES[1], b"")
    assert cache.get(NAMES[1], 0) == b""


@pytest.mark.parametrize("injury", [b"", b"byteX", b"bytes", b"bytesXXXX", b"bytes" + bytes(5)])
def test_a_damaged_copy_is_removed_and_never_read(cache, injury):
    cache.put(NAMES[0], b"bytes")
    (cache.folder / NAMES[0]).write_bytes(injury)

    assert cache.get(NAMES[0], 5) is None
    assert not (cache.folder / NAMES[0]).exists()


def test_every_flipped_bit_is_seen(cache):
    cache.put(NAMES[0], b"bytes")
    whole = (cache.folder / NAMES[0]).read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        (cache.folder / NAMES[0]).write_bytes(flipped)
        assert cache.get(NAMES[0], 5) is None


def test_copies_that_were_used_least_recently_make_room(cache):
    for age, name in enumerate(NAMES[:4]):
        cache.put(name, bytes(200))
        os.utime(cache.folder / name, (age, age))
    cache.get(NAMES[0], 200)

    cache.put(NAMES[4], bytes(300))

    assert [cache.get(name, 200) is not None for name in NAMES[:4]] == [True, False, False, True] or [
        cache.get(name, 200) is not None for name in NAMES[:4]
    ] == [True, False, True, True]
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 1000


def test_what_is_larger_than_the_bound_is_not_kept(cache):
    assert not cache.put(NAMES[0], bytes(1000))
    assert not ObjectCache(cache.folder, 0).put(NAMES[0], b"")


def test_files_of_others_in_the_folder_are_left_alone_and_not_counted(cache):
    cache.folder.mkdir()
    (cache.folder / "thesis.pdf").write_bytes(bytes(5000))

    assert cache.put(NAMES[0], bytes(900))
    assert cache.put(NAMES[1], bytes(900))
    assert (cache.folder / "thesis.pdf").stat().st_size == 5000


def test_a_copy_that_is_removed_while_it_is_read_is_read_to_its_end(cache):
    cache.put(NAMES[0], b"bytes")
    handle = cache.open(NAMES[0], 5)
    cache.remove(NAMES[0])

    assert os.pread(handle, 5, 0) == b"bytes"
    os.close(handle)


def test_a_folder_that_cannot_be_written_keeps_nothing_and_breaks_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ObjectCache(tmp_path / "file" / "copies", 1000)

    assert not cache.put(NAMES[0], b"1")
    assert cache.get(NAMES[0], 1) is None


def test_threads_that_keep_copies_at_the_same_time_stay_within_the_bound(cache):
    def keep() -> None:
        for name in NAMES * 5:
            cache.put(name, bytes(240))
            assert cache.get(name, 240) in (None, bytes(240))

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    cache.put(NAMES[0], bytes(1))
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 1000


def test_a_copy_that_is_being_made_is_never_taken_for_abandoned(tmp_path):
    cache = ObjectCache(tmp_path / "copies", 10**9)

    def keep(writer: int) -> list[bool]:
        return [cache.put(copy_name("place", f"{writer}-{number}", "tag"), b"data") for number in range(200)]

    with ThreadPoolExecutor(6) as pool:
        kept = [each for copies in pool.map(keep, range(6)) for each in copies]

    assert all(kept)


def test_what_a_killed_process_left_is_removed_and_what_stands_is_sound(cache):
    script = (
        "import sys, os, pathlib; from featurestore.storage.object_cache import ObjectCache\n"
        "cache = ObjectCache(pathlib.Path(sys.argv[1]), 10**9)\n"
        "print('ready', flush=True)\n"
        "while True: cache.put(sys.argv[2], os.urandom(100) * 300_000)\n"
    )
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(cache.folder), NAMES[0]], stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        threading.Event().wait(0.3)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    left = cache.get(NAMES[0], 30_000_000)

    assert left is None or left == left[:100] * 300_000
    ObjectCache(cache.folder, 10**9).put(NAMES[1], b"1")
    assert {path.name for path in cache.folder.iterdir()} <= {NAMES[0], NAMES[1]}
