"""The index of a dataset's rows: it saves reading records, and can neither be wrong nor be missed."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, tree, write_corpus

from featurestore.errors import DamagedObjectError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.row_index import FRAMES, SHARD, START, index_bytes, index_key, parse_index
from featurestore.store import Store, open_store
from pipelines.repair import repair


@pytest.fixture
def grown(tmp_path: Path) -> Store:
    """A store whose dataset refers to shards of two builds, some of them with rows that it does not want."""
    store, folder = open_store(tmp_path / "store"), tmp_path / "tiny"
    build_here(store, write_corpus(folder, range(6)), recipe(30), name="first")
    (folder / "a_down_3.wav").unlink()
    build_here(store, write_corpus(folder, range(7, 9)), recipe(27))
    return store


def key_of(store: Store, name: str = "tiny") -> str:
    return index_key(store.reference(name).dataset)


def rows_of(store: Store) -> list[tuple[str, int, bytes]]:
    view = open_store(store.uri).view("tiny")
    return [(view.paths[row], int(view.copies[row]), view[row][0].tobytes()) for row in range(len(view))]


def put(store: Store, data: bytes) -> None:
    Path(store.uri, key_of(store)).write_bytes(data)


def forged(store: Store, change) -> bytes:
    """The bytes of an index with a sound checksum in which `change` has moved something."""
    record = store.dataset(store.reference("tiny").dataset)
    places = store.index(record).copy()
    change(places)
    return index_bytes(places)


def test_an_index_says_where_the_records_of_shards_have_each_row(grown):
    record = grown.dataset(grown.reference("tiny").dataset)
    stored = Path(grown.uri, key_of(grown)).read_bytes()
    shards = [grown.record(address) for address in record.addresses]

    places = iter(np.load(io.BytesIO(stored)).T.tolist())

    for part in record.parts:
        for content in part.contents:
            for copy in range(part.first, part.stop):
                shard, start, frames = next(places)
                row = shards[shard].row_index(content, copy)
                assert shards[shard].spec.id == part.spec.id
                assert (start, frames) == (sum(shards[shard].frames[:row]), shards[shard].frames[row])
    assert next(places, None) is None


def test_a_view_opens_without_the_shards_and_says_which_is_missing_when_it_is_read(grown):
    expected = open_store(grown.uri).view("tiny")
    shutil.move(Path(grown.uri, "shards"), Path(grown.uri).parent / "elsewhere")

    view = open_store(grown.uri).view("tiny")

    assert (view.frames == expected.frames).all()
    assert view.paths == expected.paths
    with pytest.raises(DamagedObjectError, match="shards/"):
        view[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: None,
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    ],
    ids=["lost", "empty", "short", "long", "a flipped bit", "a flipped bit of the header"],
)
def test_without_a_sound_index_rows_are_read_all_the_same_and_repair_writes_it(grown, damage):
    before, rows = tree(grown), rows_of(grown)
    path = Path(grown.uri, key_of(grown))
    data = damage(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)

    assert rows_of(grown) == rows
    found = verify(grown).damaged
    assert [key for key, _ in found] == ([] if data is None else [key_of(grown)])
    repair(grown)
    assert tree(grown) == before


def test_a_build_that_finds_all_rows_writes_the_index_that_an_earlier_version_did_not(grown):
    before = tree(grown)
    shutil.rmtree(Path(grown.uri, "indexes"))
    folder = Path(grown.uri).parent / "tiny"

    _, computed = build_here(grown, folder, recipe(27))

    assert computed == 0
    assert Path(grown.uri, key_of(grown)).read_bytes() == before[key_of(grown)]


def swap_rows(places):
    """Exchange two rows of one shard that have equal numbers of frames."""
    same = np.flatnonzero((places[SHARD] == places[SHARD, -1]) & (places[FRAMES] == places[FRAMES, -1]))
    places[START, same[:2]] = places[START, same[1::-1]]


def move_to_another_shard(places):
    places[SHARD, 0] = places[SHARD, -1]


def shift(places):
    places[START, -1] -= 1


@pytest.mark.parametrize("change", [swap_rows, move_to_another_shard, shift])
def test_an_index_that_somebody_has_written_gives_no_other_row(grown, change):
    rows = rows_of(grown)
    put(grown, forged(grown, change))

    view, refused = open_store(grown.uri).view("tiny"), 0
    for row, (_, _, data) in enumerate(rows):
        try:
            assert view[row][0].tobytes() == data
        except DamagedObjectError as error:
            assert error.key == key_of(grown)  # noqa: PT017
            refused += 1

    assert refused
    assert [key for key, _ in verify(grown).damaged] == [key_of(grown)]
    repair(grown)
    assert rows_of(grown) == rows


def test_the_index_of_another_number_of_rows_is_refused(grown):
    data = Path(grown.uri, key_of(grown, "first")).read_bytes()

    with pytest.raises(DamagedObjectError, match="no index of 3 rows"):
        parse_index("indexes/x.npy", data, 3)


def test_an_index_goes_with_its_dataset(grown):
    grown.forget("first")
    key = index_key(grown.reference("tiny").dataset)

    collect(grown, grace=0, delete=True)

    assert [name for name, _ in grown.storage.walk("indexes")] == [key]
