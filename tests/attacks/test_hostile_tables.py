"""A table is read by column exactly as JSON says it, whatever its bytes are, and objects are made of no utterance."""

import dataclasses
import hashlib
import json
import random
import tracemalloc

import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from featurestore import tables
from featurestore.corpus.types import Rejection, Utterance
from featurestore.errors import DamagedObjectError
from featurestore.tables import Table, Utterances

TEXT = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", '\\"', '},{"content":"', "\ud800", "\u2028", "é", "null", "]}", ""]
)
SEGMENTS = st.sampled_from(["", ".t0-1500000000", ".t5-", ".c1", ".t5-7.c0"])
UTTERANCES = st.builds(
    Utterance,
    path=TEXT,
    content=st.builds(lambda number, segment: f"{number:064x}{segment}", st.integers(0, 9), SEGMENTS),
    size=st.integers(0, 10**17),
    fields=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    label=TEXT,
    speaker=st.none() | TEXT,
    text=st.none() | TEXT,
)
TABLES = st.builds(
    Table,
    corpus=TEXT,
    utterances=st.lists(UTTERANCES, max_size=5),
    rejected=st.lists(st.builds(Rejection, TEXT, TEXT), max_size=2).map(tuple),
    licence=TEXT,
    citation=TEXT | st.just(',"utterances":['),
)


def read(data):
    return Table.from_bytes(f"tables/{hashlib.sha256(data).hexdigest()}.json", data)


def read_as_json(data):
    """Read a table without columns; None if it is damaged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_read_columns", lambda data: None)
        try:
            return read(data)
        except DamagedObjectError:
            return None


@fuzzed(150)
@given(table=TABLES, block=st.integers(1, 400), written=st.integers(1, 5))
def test_a_table_is_read_as_it_was_written_and_written_as_json(table, block, written):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "BLOCK", block)
        patch.setattr(tables, "WRITTEN", written)
        again = read(table.to_bytes())

    assert again == table == read_as_json(table.to_bytes())
    assert tuple(again.utterances) == tuple(table.utterances)
    body = dataclasses.asdict(dataclasses.replace(table, utterances=Utterances.of(()))) | {
        "format": 1,
        "utterances": [
            {"labels" if name == "fields" else name: value for name, value in dataclasses.asdict(one).items()}
            for one in table.utterances
        ],
    }
    assert table.to_bytes() == json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")


@fuzzed(300)
@given(table=TABLES, seed=st.integers(0))
def test_a_table_with_any_bytes_changed_is_what_json_says_or_damaged(table, seed):
    chance, data = random.Random(seed), bytearray(table.to_bytes())
    pieces = [
        b'"',
        b"\\",
        b",",
        b"{",
        b"}",
        b"]",
        b"[",
        b":",
        b"0",
        b"null",
        b"-",
        b"\n",
        b" ",
        b"\xff",
        b'{"content":"',
        b"",
    ]
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        data[place : place + chance.randint(0, 2)] = chance.choice(pieces)
    data = bytes(data)

    expected = read_as_json(data)

    if expected is None:
        with pytest.raises(DamagedObjectError, match=r"^[^\n]*$"):
            read(data)
    else:
        assert read(data) == expected


def many(count):
    labels = (("emotion", "joy"),)
    return Table("demo", [Utterance(f"{n:06}.wav", f"{n:064x}", n, labels, "joy", f"s{n % 7}") for n in range(count)])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda body: body | {"utterances": body["utterances"] * 2 + [None]},
        lambda body: body | {"utterances": {}} | {"utterances": 7},
        lambda body: body | {"format": True},
        lambda body: body | {"corpus": None},
        lambda body: body | {"rejected": [{"path": "a"}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"size": 1.5}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"size": "1"}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"label": None}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"labels": [["a"]]}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"labels": [["a", None]]}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"content": f"{1:064x}.t9-1"}]},
        lambda body: body | {"utterances": [body["utterances"][0] | {"more": 1}]},
    ],
)
def test_a_table_of_other_values_is_damaged_in_one_line(wrong):
    data = json.dumps(wrong(json.loads(many(3).to_bytes())), sort_keys=True, separators=(",", ":")).encode()

    with pytest.raises(DamagedObjectError, match=r"^[^\n]*not a table[^\n]*$"):
        read(data)


def test_a_table_of_another_order_is_read_and_keeps_its_name():
    data = json.dumps(dict(reversed(json.loads(many(3).to_bytes()).items()))).encode()

    assert read(data) == many(3)
    assert read(data).id == hashlib.sha256(data).hexdigest()


def test_no_utterance_is_made_until_one_is_asked_for(monkeypatch):
    data, made = many(1000).to_bytes(), []
    monkeypatch.setattr(tables, "Utterance", lambda *values: made.append(values) or Utterance(*values))

    table = read(data)
    table.utterances.paths, table.utterances.labels, len(table.utterances)
    assert made == []
    assert table.utterances[-1].path == "000999.wav"
    assert len(made) == 1


def test_memory_grows_by_what_differs_between_utterances():
    sizes = []
    for count in (2_000, 4_000):
        data = many(count).to_bytes()
        tracemalloc.start()
        table = read(data)
        sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(table.utterances) == count

    assert (sizes[1] - sizes[0]) / 2_000 < 400  # a path, a content id, a size, and seven references
