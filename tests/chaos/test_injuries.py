"""Every injury of a store is found by verify, is never read as data, and is mended or named."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from injuries import INJURIES, foreign, remove
from scale import LONG
from tiny_corpus import tree

from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.integrity.verify import verify
from featurestore.shards.reader import ShardReader
from featurestore.store import Store, open_store
from pipelines.repair import repair

INJURED = 2_000 if LONG else 60
REPAIRED = 300 if LONG else 15


def injured_copy(varied: Store, place: Path) -> tuple[Store, list[Path]]:
    """A copy of a store with files of its own, and the list of them."""
    shutil.copytree(varied.uri, place)
    return open_store(place), sorted(path for path in place.rglob("*") if path.is_file())


def read_everything(store: Store) -> dict[tuple[str, str, int], bytes]:
    """Return the bytes of every row of every dataset that can be read; a row that cannot is left out."""
    rows = {}
    for name in ("tiny", "small"):
        try:
            view = store.view(name)
        except FeatureStoreError:
            continue
        for position in range(len(view)):
            try:
                row, label = view[position]
            except FeatureStoreError:
                continue
            rows[name, f"{view.paths[position]} {label}", int(view.copies[position])] = row.tobytes()
    return rows


def restored(files: dict[str, bytes], root: Path) -> None:
    """Give every file of a store the bytes it had, and remove all others."""
    for path in [path for path in root.rglob("*") if path.is_file()]:
        if path.relative_to(root).as_posix() not in files:
            path.unlink()
    for key, data in files.items():
        path = root / key
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(data)


def test_every_random_injury_is_found_and_none_is_read_as_data(varied, tmp_path):
    store, files = injured_copy(varied[0], tmp_path / "store")
    sound, rows = tree(store), read_everything(store)
    assert verify(store).damaged == []
    chance = random.Random(44)
    missed, wrong, kinds = [], [], Counter()

    for number in range(INJURED):
        injury = chance.choice(INJURIES)
        keys = injury(chance, tmp_path / "store", files).split(" ")
        kinds[injury.__name__] += 1
        found = [key for key, _ in verify(store).damaged]
        harmless = injury is remove and keys[0].startswith("indexes/")  # an index that is lost follows from the records
        if not harmless and not any(key.startswith(tuple(found)) for key in keys):
            missed.append((number, injury.__name__, keys, found))
        for key, row in read_everything(open_store(store.uri)).items():
            if rows[key] != row:
                wrong.append((number, injury.__name__, key))
        restored(sound, tmp_path / "store")

    assert [str(one) for one in missed] == []
    assert wrong == []
    assert sum(kinds.values()) == INJURED
    assert tree(store) == sound


def test_repair_gives_back_the_same_bytes_or_says_what_it_needs(varied, tmp_path):
    store, files = injured_copy(varied[0], tmp_path / "store")
    sound = tree(store)
    chance = random.Random(45)
    unmended = []

    for number in range(REPAIRED):
        injury = chance.choice([injury for injury in INJURIES if injury is not foreign])
        keys = injury(chance, tmp_path / "store", files)
        report = repair(open_store(store.uri), source=varied[1])
        assert bool(report.left) == bool(verify(store).damaged)
        different = {key for key, data in tree(store).items() if sound.get(key) != data} | (
            sound.keys() - tree(store).keys()
        )
        different -= {key for key in different if key.startswith(("rejects/", "refs/corpora/"))}
        if report.left or different:
            unmended.append((number, injury.__name__, keys, report.left, sorted(different)))
            assert all(len(reason) > 20 for _, reason in report.left)
        restored(sound, tmp_path / "store")

    allowed = [one for one in unmended if one[2].startswith(("datasets/", "refs/datasets/", "tables/", "listings/"))]
    assert [one for one in unmended if one not in allowed] == []
    assert len(allowed) <= REPAIRED // 5  # as often as the draw hits one of these few


def test_a_foreign_file_is_named_and_never_removed(varied, tmp_path):
    store, files = injured_copy(varied[0], tmp_path / "store")

    key = foreign(random.Random(1), tmp_path / "store", files)
    report = repair(store)

    assert [(object_, "by hand" in reason) for object_, reason in report.left] == [(key, True)]
    assert (tmp_path / "store" / key).exists()


def test_two_shards_whose_data_were_swapped_give_an_error_and_no_row(varied, tmp_path):
    store, _ = injured_copy(varied[0], tmp_path / "store")
    sound = read_everything(store)
    by_size: dict[int, list[Path]] = {}
    for file in sorted((tmp_path / "store" / "shards").rglob("c/0/0")):
        by_size.setdefault(file.stat().st_size, []).append(file)
    first, second, *_ = next(files for files in by_size.values() if len(files) > 1)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)

    readable = read_everything(open_store(store.uri))

    assert readable.items() < sound.items()
    for file in (first, second):
        address = "/".join(file.relative_to(tmp_path / "store").parts[:3])
        with pytest.raises(DamagedObjectError, match="chunk 0 does not match"):
            ShardReader(store.storage, store.record(address)).row(0)
