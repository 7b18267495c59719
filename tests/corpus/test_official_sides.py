"""Official sides under every usual name, which splits a corpus has, and names of splits that lack their corpus."""

from __future__ import annotations

import pytest
from field_copies import read
from field_names import TABLES

from featurestore.corpus import find_manifest, leaks, split
from featurestore.corpus.protocols import find_split
from featurestore.corpus.splits.applicable import fields_of_manifests, fields_of_utterances, fitting_rules
from featurestore.corpus.types import Utterance
from featurestore.errors import SplitError, UnknownNameError

MELD_PATHS = [line.split(" -> ")[0].strip() for line in TABLES["meld"][1].strip().splitlines()]


@pytest.mark.parametrize("name", ["official", "meld/official"])
def test_the_development_part_of_meld_validates(name):
    corpus, _ = read("meld", MELD_PATHS, TABLES["meld"][0])

    found = split(corpus.utterances, name)

    assert found.validation == ("dev_splits_complete/dia0_utt0.wav",)
    assert [len(side) for side in found.sides.values()] == [2, 1, 1]


def test_the_official_parts_of_meld_are_a_protocol_with_its_source_and_its_leak():
    protocol = find_split("meld/official").protocol

    assert protocol.leaks == ("speaker",)
    assert "Poria" in protocol.citation
    assert "speakers appear on all" in protocol.description


@pytest.mark.parametrize("value", ["dev", "devel", "val", "valid", "validation"])
def test_the_official_rule_knows_the_usual_names_of_the_side_that_validates(value):
    sides = {"a.wav": "training", "b.wav": value, "c.wav": "testing"}
    utterances = [Utterance(path, path, 1, (("split", side),), "x", path) for path, side in sides.items()]

    assert split(utterances, "official").sides == {"train": ("a.wav",), "validation": ("b.wav",), "test": ("c.wav",)}


def rules_of(name):
    return fitting_rules(fields_of_manifests([find_manifest(name)]))


@pytest.mark.parametrize(
    ("corpus", "there", "absent"),
    [
        ("ravdess", {"loso", "speakers", "group-Nfold"}, {"official", "loso-in-session"}),
        ("tess", {"loso", "shuffled"}, {"speakers", "group-Nfold", "official"}),
        ("iemocap", {"loso-in-session", "leave-one-FIELD-out"}, {"official"}),
        ("agender", {"loso", "leave-one-FIELD-out"}, {"loso-in-session", "official"}),
        ("jl_corpus", {"loso"}, {"loso-in-session"}),
        ("meld", {"official", "shuffled"}, {"loso-in-session"}),
        ("speech_commands_v1", {"official"}, {"loso-in-session"}),
        ("aihub_emotion", {"shuffled", "leave-one-FIELD-out"}, {"loso", "speakers", "official"}),
        ("thorsten_emotional", {"shuffled", "mathworks"}, {"loso", "speakers"}),
    ],
)
def test_only_rules_that_fit_a_corpus_are_listed_for_it(corpus, there, absent):
    listed = set(rules_of(corpus))

    assert there <= listed
    assert not absent & listed


def test_every_rule_that_is_listed_for_utterances_splits_them(demo):
    listed = fitting_rules(fields_of_utterances(demo.utterances))

    assert "official" not in listed
    for name in listed:
        found = find_split(name.replace("Nfold", "3fold").replace("FIELD", "speaker"))
        assert all(one.train and (one.test or name == "all") for one in found.build(demo.utterances, 0))


@pytest.mark.parametrize(
    ("speakers", "sessions", "listed"),
    [
        ("abcd", "1122", True),
        ("abcdabcd", "11221122", True),
        ("abcdabcd", "11221222", False),  # b comes to two sessions
        ("abcd", "1123", False),  # c and d are alone, so nobody could validate
    ],
)
def test_partners_in_a_session_validate_only_where_each_speaker_has_one_session_with_others(speakers, sessions, listed):
    utterances = [
        Utterance(f"{number}.wav", str(number), 1, (("session", session),), "xy"[number % 2], speaker)
        for number, (speaker, session) in enumerate(zip(speakers, sessions, strict=True))
    ]

    assert ("loso-in-session" in fitting_rules(fields_of_utterances(utterances))) is listed
    if listed:
        assert all(one.test for one in find_split("loso-in-session").build(utterances, 0))
    else:
        with pytest.raises(SplitError, match="Use 'loso'"):
            find_split("loso-in-session").build(utterances, 0)


def test_a_field_that_some_utterances_lack_is_no_ground_for_a_rule():
    utterances = [
        Utterance(f"{i}.wav", str(i), 1, (("split", "train"),) * (i % 2), "x", "abc"[i % 3]) for i in range(6)
    ]

    assert fields_of_utterances(utterances) == {"speaker": ("a", "b", "c")}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("4class-loso5", "iemocap/4class-loso5"),
        ("4clas-loso5", "iemocap/4class-loso5"),
        ("impro4-loso10", "iemocap/impro4-loso10@etienne2018"),
        ("is2010-gender", "agender/is2010-gender"),
        ("lsoo", "loso"),
    ],
)
def test_a_protocol_without_its_corpus_is_answered_with_its_whole_name(name, meant):
    with pytest.raises(UnknownNameError, match=f"unknown split '{name}': did you mean '{meant}'"):
        find_split(name)


def test_a_leak_that_the_published_sides_of_meld_carry_is_found():
    rows = TABLES["meld"][0]
    tables = {path: text.replace("Phoebe", "Chandler") for path, text in rows.items()}
    corpus, _ = read("meld", MELD_PATHS, tables)

    assert leaks(split(corpus.utterances, "meld/official"), corpus.utterances).shared_speakers == ("Chandler",)
