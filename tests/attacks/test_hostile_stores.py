"""Stores that were written to do harm: every command ends in its result or in one line, and shows no wrong value."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from hostile_records import tamper
from terminals import called, steers
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.store import open_store

STORES = 2_000 if os.environ.get("FEATURESTORE_CHAOS") == "long" else 20
COMMANDS = (
    ("ls",),
    ("ls", "--json"),
    ("info", "tiny"),
    ("info", "tiny", "--json"),
    ("why", "tiny"),
    ("why", "tiny", "--against", "small"),
    ("splits", "tiny", "speakers"),
    ("verify",),
    ("verify", "tiny", "--json"),
    ("gc", "--grace", "0"),
    ("export", "tiny", "--to", "hdf5", "--out", "{out}"),
    ("forget", "small"),
    ("repair", "--json"),
    ("gc", "--grace", "0", "--delete"),
)
"""Those that only read come first."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("hostile")
    folder = write_corpus(place / "tiny", range(6))
    store = open_store(place / "store")
    build_here(store, folder, recipe(2))
    build_here(store, folder, recipe(1, mels=6), name="small")
    return place / "store"


@pytest.mark.timeout(3600)  # it is bounded by its number of stores
def test_every_command_on_a_tampered_store_ends_in_its_result_or_a_line(sound, tmp_path):
    chance = random.Random(12)
    outside = tmp_path / "outside.json"
    failures = []

    for number in range(STORES):
        place = tmp_path / "store"
        shutil.copytree(sound, place)
        keys = [tamper(chance, place) for _ in range(chance.choice([1, 1, 2]))]
        for command in COMMANDS:
            arguments = [part.format(out=tmp_path / "out.h5") for part in command]
            code, out, err = called(*arguments, "--store", str(place))
            errors = [line for line in err.splitlines() if line.startswith("error:")]
            if code is None or len(errors) > 1 or (code == 1 and len(errors) != 1 and "--json" not in command):
                failures.append((number, command, keys, code, err[-500:]))
            elif steers(out) or steers(err):
                failures.append((number, command, keys, "steers", out[-300:], err[-300:]))
            (tmp_path / "out.h5").unlink(missing_ok=True)
        shutil.rmtree(place)

    for failure in failures:
        sys.stderr.write(f"{failure!a}\n")
    assert failures == []
    assert not outside.exists()
