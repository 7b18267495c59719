"""Corpora of two speakers or two corpora, whose folds leave nobody to validate on, and folds of merged corpora."""

from __future__ import annotations

import pytest

from featurestore.corpus import find_manifest, folds, leaks, split
from featurestore.corpus.protocols import find_split
from featurestore.corpus.types import Utterance
from featurestore.errors import SplitError


def clip(path, speaker, **fields):
    number = sum(path.encode())
    return Utterance(path, f"{path}{number}", 1, tuple(fields.items()), "ab"[number % 2], speaker)


def two_speakers():
    return tuple(clip(f"{speaker}/{i:02}.wav", speaker) for speaker in ("OAF", "YAF") for i in range(10))


def two_corpora(speakers=5):
    return tuple(
        clip(f"{corpus}/{s:02}_{i}.wav", f"{corpus}/{s:02}", corpus=corpus)
        for corpus in ("emodb", "savee")
        for s in range(1, speakers + 1)
        for i in range(4)
    )


def test_two_speakers_are_tested_in_turn_and_nobody_validates():
    utterances = two_speakers()

    found = folds(utterances, "loso")

    assert [one.name for one in found] == ["loso/OAF", "loso/YAF"]
    assert [{path[:3] for path in one.test} for one in found] == [{"OAF"}, {"YAF"}]
    assert [{path[:3] for path in one.train} for one in found] == [{"YAF"}, {"OAF"}]
    assert all(one.validation == () for one in found)
    assert all(leaks(one, utterances).shared_speakers == () for one in found)


def test_a_single_speaker_cannot_be_left_out():
    with pytest.raises(SplitError, match=r"needs two speakers or more, this corpus has 1\. Use 'shuffled'"):
        folds(two_speakers()[:10], "loso")


def test_tess_lists_the_folds_of_its_two_speakers():
    assert "loso" in find_manifest("tess").splits


def test_with_two_corpora_whole_speakers_of_the_one_that_trains_validate():
    utterances = two_corpora()

    found = folds(utterances, "leave-one-corpus-out")

    assert [one.name for one in found] == ["leave-one-corpus-out/emodb", "leave-one-corpus-out/savee"]
    for one, tested in zip(found, ("emodb", "savee"), strict=True):
        assert {path.split("/")[0] for path in one.test} == {tested}
        assert tested not in {path.split("/")[0] for path in (*one.train, *one.validation)}
        assert [len(one.train), len(one.validation), len(one.test)] == [16, 4, 20]
        assert leaks(one, utterances).shared_speakers == ()


def test_with_two_corpora_of_unknown_speakers_nobody_validates():
    utterances = [clip(one.path, None, **dict(one.fields)) for one in two_corpora()]

    assert [len(one.validation) for one in folds(utterances, "leave-one-corpus-out")] == [0, 0]


def test_folds_of_merged_corpora_are_named_by_corpus_and_speaker_and_found_by_it():
    utterances = two_corpora(2)

    found = folds(utterances, "loso")

    assert [one.name for one in found] == [f"loso/{c}/{s}" for c in ("emodb", "savee") for s in ("01", "02")]
    assert split(utterances, "loso/savee/02") == found[3]


def test_a_protocol_keeps_the_whole_name_of_a_fold():
    utterances = [clip(f"{i:02}.wav", f"group/{i % 3}") for i in range(12)]

    assert [one.name for one in find_split("emodb/loso").build(utterances, 0)] == [
        f"emodb/loso/group/{i}" for i in range(3)
    ]


def test_partners_of_a_session_cannot_be_told_where_a_speaker_has_several():
    utterances = [clip(f"{i:02}.wav", f"s{i % 3}", session=f"{i % 4}") for i in range(12)]

    with pytest.raises(SplitError, match=r"speaker 's0' speaks in several sessions\. Use 'loso'"):
        folds(utterances, "loso-in-session")
