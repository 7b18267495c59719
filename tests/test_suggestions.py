"""Which name an unknown one may have been meant as: a near one, or none."""

import pickle

import pytest

from featurestore.corpus.catalog import find_manifest, manifest_names, parse_manifest
from featurestore.errors import ManifestError, UnknownNameError, edits, nearest_name
from pipelines.workers.engines import DEVICES, device_of_rows


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("abc", "abc", 0), ("abc", "acb", 1), ("abc", "", 3), ("kitten", "sitting", 3), ("ravdes", "ravdess", 1)],
)
def test_edits_count_letters_put_in_taken_out_changed_or_swapped(one, other, count):
    assert edits(one, other) == edits(other, one) == count


@pytest.mark.parametrize("name", ["nosuch", "tpu", "nowhere", "mycorpus", "xyz", "a", "", "timit", "voxceleb"])
def test_a_name_that_is_like_no_corpus_gets_none(name):
    assert nearest_name(name, manifest_names()) is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("emdob", "emodb"),
        ("emo-db", "emodb"),
        ("EmoDB", "emodb"),
        ("crema-d", "cremad"),
        ("ravdes", "ravdess"),
        ("iemocp", "iemocap"),
        ("meldd", "meld"),
        ("speech_commands", "speech_commands_v1"),
        ("speechcommandsv2", "speech_commands_v2"),
        ("fau", "fau_aibo"),
        ("ravdes_song", "ravdess_song"),
    ],
)
def test_a_misspelt_corpus_is_recognised(name, meant):
    assert nearest_name(name, manifest_names()) == meant


@pytest.mark.parametrize(
    ("name", "meant"), [("tpu", None), ("mps", None), ("CPU", "cpu"), ("torch", "torch-cpu"), ("cdua", "cuda")]
)
def test_a_device_of_another_kind_is_no_misspelt_one(name, meant):
    assert nearest_name(name, DEVICES) == meant


def test_the_error_lists_what_there_is_where_nothing_is_near():
    with pytest.raises(UnknownNameError, match=r"unknown device 'tpu': known: auto, cpu, cuda, torch-cpu\."):
        device_of_rows("tpu")
    with pytest.raises(UnknownNameError) as caught:
        find_manifest("nosuch")
    assert "did you mean" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # our own bytes


def test_a_key_of_a_manifest_is_held_to_the_same_rule():
    manifest = "name = 'x'\ntitle = 'X'\n{} = 'y'\n[labels]\npattern = '(?P<speaker>.)'\ntarget = 'speaker'"

    with pytest.raises(ManifestError, match="did you mean 'licence'"):
        parse_manifest(manifest.format("license"), "x")
    with pytest.raises(ManifestError, match="unknown key 'colour': known:"):
        parse_manifest(manifest.format("colour"), "x")


def test_a_very_long_name_costs_no_time():
    assert nearest_name("x" * 100_000, manifest_names()) is None
