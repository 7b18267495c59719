"""The card that a copy brings along, files that repeat its build, and what `ls` says of a copy that was broken off."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from tiny_corpus import build_here, tree
from two_datasets import corpus_folder, two_datasets

from featurestore.card import card_files
from featurestore.features import FEATURES
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.moving.copying import pull, push
from featurestore.specs.presets import feature_preset, policy, preset_names
from featurestore.store import Store, open_store
from pipelines.build.spec import DatasetSpec
from pipelines.repair import repair

COMPUTED = [name for name in preset_names("features") if not FEATURES[feature_preset(name).kind].foreign]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return corpus_folder(tmp_path_factory.mktemp("moving"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, folder) -> Store:
    return two_datasets(tmp_path_factory.mktemp("whole") / "store", folder)


@pytest.fixture
def copied(whole, tmp_path) -> Store:
    store = open_store(tmp_path / "copied")
    for name in ("tiny", "small"):
        push(whole, name, store)
    return store


def test_a_build_from_the_files_of_a_card_has_its_digest(copied, folder, tmp_path):
    card = Path(copied.uri) / "cards" / "tiny"
    wanted = DatasetSpec(feature_preset(str(card / "features.toml")), policy(str(card / "policy.toml")), 3)

    digest, _ = build_here(open_store(tmp_path / "again"), folder, wanted)

    assert digest == copied.view("tiny").digest
    page = (card / "README.md").read_text()
    assert f"digest: `{digest}`" in page
    assert "licence: CC0" in page
    assert "build tiny --name tiny --features features.toml --augment 3 --policy policy.toml" in page


@pytest.mark.parametrize("name", COMPUTED)
def test_every_preset_is_read_from_a_card_as_it_was(name, copied, tmp_path):
    record, table = copied.dataset(copied.reference("tiny").dataset), copied.table(copied.reference("tiny").table)
    features, part = feature_preset(name), record.parts[0]
    other = dataclasses.replace(
        record, parts=(dataclasses.replace(part, spec=dataclasses.replace(part.spec, features=features)),)
    )
    (tmp_path / "features.toml").write_bytes(card_files("x", other, table, ())["cards/x/features.toml"])

    assert feature_preset(str(tmp_path / "features.toml")) == features


def test_a_text_of_a_strangers_table_does_not_steer_who_reads_the_card(copied):
    record, table = copied.dataset(copied.reference("tiny").dataset), copied.table(copied.reference("tiny").table)
    hostile = dataclasses.replace(table, licence="\x1b[31mfree\r\n# forged", citation="\u202ex\ud800")

    page = card_files("x", record, hostile, ())["cards/x/README.md"].decode()

    assert all(one.isprintable() for line in page.split("\n") for one in line)
    assert "\n# forged" not in page


def test_a_pull_writes_its_own_card_and_not_that_of_the_other_store(copied, tmp_path):
    theirs = Path(copied.uri) / "cards" / "tiny" / "README.md"
    theirs.write_text("\x1b[31mforged")
    mine = open_store(tmp_path / "mine")

    pull(mine, "tiny", open_store(copied.uri))

    assert "digest" in (tmp_path / "mine" / "cards" / "tiny" / "README.md").read_text()
    assert verify(mine).damaged == []


def test_a_changed_card_is_found_and_removed_and_that_of_a_forgotten_name_is_garbage(copied, whole):
    key = "cards/tiny/policy.toml"
    data = copied.storage.get(key)
    copied.storage.replace(key, data.replace(b"probability", b"Probability", 1))

    assert [found for found, _ in verify(copied).damaged] == [key]
    assert repair(open_store(copied.uri)).left == ()
    push(whole, "tiny", open_store(copied.uri))
    assert copied.storage.get(key) == data

    copied.forget("tiny")
    collect(copied, grace=0, delete=True)
    assert {key.split("/")[1] for key in tree(copied) if key.startswith("cards")} == {"small"}


def test_ls_tells_a_copy_that_was_broken_off_and_lists_the_others(copied, whole, tmp_path):
    sound = {row["dataset"]: row for row in copied.describe_datasets()}
    own = copied.dataset(copied.reference("tiny").dataset).addresses
    Path(copied.uri, own[0], "c/0/0").write_bytes(b"short")
    shutil.rmtree(Path(copied.uri, own[1]))

    rows = {row["dataset"]: row for row in open_store(copied.uri).describe_datasets()}
    assert {name: row["missing"] for name, row in sound.items()} == {"tiny": 0, "small": 0}
    assert (rows["tiny"]["missing"], rows["small"]) == (2, sound["small"])

    Path(copied.uri, f"datasets/{copied.reference('tiny').dataset}.json").write_bytes(b"")
    rows = {row["dataset"]: row for row in open_store(copied.uri).describe_datasets()}
    assert (rows["tiny"]["digest"], rows["tiny"]["missing"], rows["small"]) == ("", 1, sound["small"])

    push(whole, "tiny", open_store(copied.uri))
    assert {row["dataset"]: row for row in open_store(copied.uri).describe_datasets()} == sound
