"""Many builders on one store at once, with a reader, a collector and a victim among them: one digest, no error."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scale import LONG
from tiny_corpus import build_here, recipe, tree, write_corpus

from featurestore.errors import StoreBusyError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.store import Store, open_store

ROUNDS = 8 if LONG else 1
FILES = 64
ROWS = FILES + (FILES - 1) * 25
"""The silent recording has a clean row only."""


def in_child(work: Callable[[], object], report: Path) -> int:
    """Run work in a process of its own, which writes its result or its error to a file; return the process id."""
    child = os.fork()
    if child == 0:
        try:
            report.write_text(json.dumps(work()))
        except BaseException as error:
            report.write_text(json.dumps(f"error: {error!r}"))
        os._exit(0)
    return child


def results(children: dict[int, Path]) -> list[object]:
    for child in children:
        os.waitpid(child, 0)
    return [json.loads(report.read_text()) for report in children.values() if report.exists()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """A corpus and the files of a store that one builder made of it at once."""
    place = tmp_path_factory.mktemp("undisturbed")
    folder = write_corpus(place / "tiny", range(FILES))
    store = open_store(place / "store")
    assert build_here(store, folder, recipe(25))[1] == ROWS
    return folder, tree(store)


@pytest.mark.parametrize("builders", [2, 4, 8])
@pytest.mark.parametrize("number", range(ROUNDS))
def test_builders_of_the_same_recipe_share_the_work_and_give_one_tree(tmp_path, undisturbed, builders, number):
    folder, expected = undisturbed
    store = open_store(tmp_path / "store")

    children = {
        in_child(lambda: build_here(open_store(store.uri), folder, recipe(25)), tmp_path / f"{one}.json"): tmp_path
        / f"{one}.json"
        for one in range(builders)
    }
    reports = results(children)

    assert len(reports) == builders
    assert {str(report[0]) for report in reports} == {reports[0][0]}
    computed = sum(report[1] for report in reports)
    assert ROWS <= computed <= ROWS * 1.1
    assert tree(store) == expected


@pytest.mark.parametrize("number", range(ROUNDS))
def test_overlapping_builders_a_victim_a_collector_and_a_reader_do_each_other_no_harm(tmp_path, undisturbed, number):
    folder, expected = undisturbed
    chance = random.Random(number)
    store = open_store(tmp_path / "store")
    build_here(store, folder, recipe(5), name="before")
    rows = all_rows(store)
    halt = tmp_path / "halt"
    recipes = [recipe(25), recipe(10), recipe(25, mels=6), recipe(25)]

    works: list[Callable[[], object]] = [
        lambda wanted=wanted, name=name: build_here(open_store(store.uri), folder, wanted, name=name)
        for wanted, name in zip(recipes, ("tiny", "ten", "six", "tiny"), strict=True)
    ]
    works += [lambda: collecting(store.uri, halt), lambda: reading(store.uri, rows, halt)]
    children = {in_child(work, tmp_path / f"{one}.json"): tmp_path / f"{one}.json" for one, work in enumerate(works)}
    victim = list(children)[3]
    time.sleep(chance.uniform(0.05, 0.6))
    os.kill(victim, signal.SIGKILL)
    for child in list(children)[:4]:
        os.waitpid(child, 0)
    halt.touch()
    collector, reader = (children[child] for child in list(children)[4:])
    for child in list(children)[4:]:
        os.waitpid(child, 0)

    digests = [json.loads(children[child].read_text()) for child in list(children)[:3]]
    assert all(isinstance(report, list) for report in digests), digests
    assert json.loads(collector.read_text()) >= 0
    assert json.loads(reader.read_text()) > 0
    digest, computed = build_here(open_store(store.uri), folder, recipe(25))
    assert (digest, computed) == (digests[0][0], 0)
    assert verify(store).damaged == []
    for name in ("before", "ten", "six"):
        store.forget(name)
    for other in store.references():
        if other.name != "tiny":
            store.forget(other.dataset)
    collect(store, grace=0, delete=True)
    kept = {key for key in tree(store) if key.startswith(("sources", "listings"))}
    assert kept == {key for key in expected if key.startswith(("sources", "listings"))}
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def all_rows(store: Store) -> list[bytes]:
    view = store.view("before")
    return [view[position][0].tobytes() for position in range(len(view))]


def reading(place: str, rows: list[bytes], halt: Path) -> int:
    """Read a dataset again and again from fresh views; return how often, and fail at the first wrong byte."""
    times = 0
    while not halt.exists() or times == 0:
        if all_rows(open_store(place)) != rows:
            raise ValueError("a row was read wrong")
        times += 1
    return times


def collecting(place: str, halt: Path) -> int:
    """Collect garbage without any grace again and again; return how often it was not refused."""
    times = 0
    while not halt.exists():
        try:
            collect(open_store(place), grace=0, delete=True)
            times += 1
        except StoreBusyError:
            time.sleep(0.01)
    return times


def test_a_collection_is_refused_while_something_builds(store):
    with store.storage.hold(exclusive=False):
        with pytest.raises(StoreBusyError, match="running build"):
            collect(store, delete=True)
        assert collect(store).objects == ()
