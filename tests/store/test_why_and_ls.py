"""What `why` says of two datasets, in words, and what `ls` counts as shared."""

from __future__ import annotations

import dataclasses
import json

import pytest
from command_line import featurestore
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.corpus.types import Rejection
from featurestore.errors import SpecError
from featurestore.integrity.explain import MOST_LABELS, Difference, compare_datasets, readable
from featurestore.store import open_store


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with a dataset of nine tones, with and without copies, and twins with other tables."""
    folder = tmp_path_factory.mktemp("why")
    corpus = write_corpus(folder / "tiny", range(1, 10))
    store = open_store(folder / "store")
    build_here(store, corpus, recipe(0), "clean")
    build_here(store, corpus, recipe(2), "copies")
    reference = store.reference("copies")
    record, table = store.dataset(reference.dataset), store.table(reference.table)
    store.publish(record, table, "twin")
    first, second, third, *others = table.utterances
    other = dataclasses.replace(
        table,
        licence="CC BY 4.0",
        utterances=(
            dataclasses.replace(first, label="sideways"),
            dataclasses.replace(second, speaker=None),
            dataclasses.replace(third, path="moved.wav", fields=()),
            *(dataclasses.replace(one, text="s1") for one in others),
        ),
        rejected=(Rejection("bad.wav", "truncated"),),
    )
    store.publish(record, other, "relabelled")
    return folder / "store"


def differences(place, old, new):
    return {one.field: one for one in compare_datasets(open_store(place), old, new)}


def test_why_names_labels_speakers_paths_and_rejected_files_that_differ(place):
    store = open_store(place)
    first, second, third, *others = store.table(store.reference("copies").table).utterances

    found = {field: one.text for field, one in differences(place, "copies", "relabelled").items()}

    assert found == {
        "licence": "CC0 -> CC BY 4.0",
        f"label of {first.path}": f"{first.label} -> sideways",
        f"speaker of {second.path}": f"{second.speaker} -> none",
        "recordings with another 'text'": str(len(others)),
        f"path of {third.content[:12]}": f"{third.path} -> moved.wav",
        "rejected bad.wav": "none -> truncated",
    }


def test_why_says_in_one_line_what_a_dataset_lacks_altogether(place):
    lines = dict(readable(compare_datasets(open_store(place), "clean", "copies")))

    assert lines["copies"] == "0 -> 2"
    assert lines["augmentation"].startswith("none -> ")
    assert "snr_db.probability 1.0" in lines["augmentation"]
    assert not any(name.startswith("augmentation.") for name in lines)


def test_why_prints_every_field_that_differs_where_each_side_lacks_some():
    found = [
        Difference("augmentation.gain_db.per", None, "row"),
        Difference("augmentation.gain_db.uniform", None, [-3, 3]),
        Difference("augmentation.peak.listed", [1.0], [0.5]),
        Difference("augmentation.snr_db.per", "row", None),
        Difference("augmentation.snr_db.uniform", [0, 30], None),
        Difference("versions.gain", None, 1),
        Difference("versions.noise", 1, None),
    ]

    assert readable(found) == [
        ("augmentation.gain_db", "none -> per row, uniform (-3, 3)"),
        ("augmentation.peak.listed", "(1.0) -> (0.5)"),
        ("augmentation.snr_db", "per row, uniform (0, 30) -> none"),
        ("versions.gain", "none -> 1"),
        ("versions.noise", "1 -> none"),
    ]


def test_why_prints_no_python_and_fits_a_terminal_of_80_columns(place):
    printed = [
        featurestore("why", old, "--against", new, store=place).stdout
        for old, new in (("clean", "copies"), ("copies", "relabelled"))
    ]

    for text in printed:
        assert text
        assert "None" not in text
        assert max(map(len, text.splitlines())) <= 80


def test_labels_beyond_the_first_twenty_are_counted(place):
    store = open_store(place)
    reference = store.reference("copies")
    record, table = store.dataset(reference.dataset), store.table(reference.table)
    one = table.utterances[0]
    for name, label in (("many", "up"), ("others", "down")):
        utterances = tuple(dataclasses.replace(one, path=f"{i:02}.wav", label=label) for i in range(MOST_LABELS + 7))
        store.publish(record, dataclasses.replace(table, utterances=utterances), name)

    found = compare_datasets(store, "many", "others")

    assert [(line.field, line.text) for line in found[:2]] == [
        ("label of 00.wav", "up -> down"),
        ("label of 01.wav", "up -> down"),
    ]
    assert [(line.field, line.text) for line in found[MOST_LABELS:]] == [("other labels changed", "7")]


def test_two_names_of_one_dataset_share_all_their_bytes(place):
    rows = {row["dataset"]: row for row in json.loads(featurestore("ls", "--json", store=place).stdout)}

    assert rows["twin"]["shared_bytes"] == rows["twin"]["bytes"] == rows["copies"]["shared_bytes"] > 0
    assert rows["clean"]["shared_bytes"] == rows["clean"]["bytes"]


def test_a_dataset_with_a_name_is_forgotten_by_that_name_alone(place):
    store = open_store(place)
    dataset = store.reference("clean").dataset

    with pytest.raises(SpecError, match=f"'{dataset[:12]}' is dataset 'clean': forget it by that name"):
        store.forget(dataset[:12])

    assert store.reference("clean").dataset == dataset
    assert dataset in store.dataset_ids()
