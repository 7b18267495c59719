"""Protocols: names that fix recordings, labels and sides; every speaker-independent one shares no speaker."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.corpus import check_leaks, find_manifest, folds, leaks, load_corpus, manifest_names, split
from featurestore.corpus.labels.fields import speech_commands_side
from featurestore.corpus.protocols import find_split, labelled_under
from featurestore.corpus.splits.rules import SPLITS
from featurestore.corpus.types import Utterance
from featurestore.errors import LeakError, SplitError, UnknownNameError


def clips(count, labels=2, speakers=6, sessions=3):
    return tuple(
        Utterance(
            path=f"{i:03}.wav",
            content=f"{i:064x}",
            size=1,
            fields=(("session", f"S{i % sessions}"), ("split", ("train", "validation", "test")[i % 3])),
            label=f"class{i % labels}",
            speaker=f"s{i % speakers}",
        )
        for i in range(count)
    )


INDEPENDENT = ("speakers", "loso", "loso-in-session", "group-3fold", "leave-one-speaker-out", "leave-one-session-out")


@pytest.mark.parametrize("name", INDEPENDENT)
def test_every_speaker_independent_rule_shares_no_speaker_and_loses_no_clip(name):
    utterances = clips(90)

    for fold in folds(utterances, name):
        assert leaks(fold, utterances).shared_speakers == ()
        assert sorted(path for side in fold.sides.values() for path in side) == [one.path for one in utterances]
        assert all(fold.sides.values())


@pytest.mark.parametrize("name", ["stratified-5fold", "group-5fold", "loso", "leave-one-session-out"])
def test_every_clip_is_tested_exactly_once_over_the_folds(name):
    utterances = clips(120, speakers=10)

    tested = [path for fold in folds(utterances, name) for path in fold.test]

    assert sorted(tested) == [one.path for one in utterances]


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 200), st.integers(1, 4), st.integers(0, 9))
def test_stratified_folds_hold_the_same_share_of_each_class(count, labels, seed):
    utterances = clips(count, labels)
    kinds = {one.path: one.label for one in utterances}

    for fold in folds(utterances, "stratified-3fold", seed):
        for kind in set(kinds.values()):
            size = sum(one == kind for one in kinds.values())
            assert abs(sum(kinds[path] == kind for path in fold.test) - size / 3) < 1


@pytest.mark.parametrize("name", ["stratified-5fold", "group-3fold", "random", "speakers"])
def test_the_seed_decides_what_is_drawn_and_the_order_of_the_list_does_not(name):
    utterances = clips(90)

    assert folds(utterances, name, seed=1) == folds(utterances[::-1], name, seed=1)
    assert folds(utterances, name, seed=1) != folds(utterances, name, seed=2)


def test_the_official_rule_takes_the_sides_that_the_corpus_comes_with():
    utterances = clips(30)

    found = split(utterances, "official")

    assert found.test == tuple(f"{i:03}.wav" for i in range(2, 30, 3))
    with pytest.raises(SplitError, match="goes by 'split' and a side is empty"):
        split([dataclasses.replace(one, fields=()) for one in utterances], "official")


@pytest.mark.parametrize("name", ["stratified-2fold", "group-101fold"])
def test_two_folds_are_too_few_and_a_hundred_and_one_too_many(name):
    with pytest.raises(SplitError, match="3 to 100 folds"):
        find_split(name)


def test_folds_of_a_field_that_nobody_has_are_refused_by_its_name():
    with pytest.raises(SplitError, match="needs values of 'dialog', and 90 utterances have none"):
        folds(clips(90), "leave-one-dialog-out")


def written(folder, text):
    path = folder / "sides.tsv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_users_table_of_paths_and_sides_is_a_split(tmp_path):
    name = written(tmp_path, "path\tside\n000.wav\ttrain\nx/001.wav\tdev\n002.wav\ttesting\n")

    found = split(clips(9), name)

    assert found.sides == {"train": ("000.wav",), "validation": ("001.wav",), "test": ("002.wav",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("000.wav\ttrain\nzzz.wav\ttest\n", "1 recordings that the corpus does not have, such as 'zzz.wav'"),
        ("000.wav\ttrain\n001.wav\tlearn\n", "'learn' of '001.wav' is no side"),
        ("000.wav\ttrain\n000.wav\ttest\n", "on two sides: train and test"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, text, message):
    with pytest.raises(SplitError, match=message):
        split(clips(9), written(tmp_path, text))


def test_a_table_that_is_not_there_is_an_error_of_ours():
    with pytest.raises(SplitError, match=r"cannot be read .*No such file"):
        split(clips(9), "nowhere/sides.tsv")


PROTOCOLS = [f"{name}/{one}" for name in manifest_names() for one in find_manifest(name).protocols]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_found_by_its_whole_name(name):
    chosen = find_split(name)

    assert chosen.name == name
    assert chosen.protocol.description
    assert chosen.corpora == (name.partition("/")[0],)


def test_the_protocols_of_the_source_papers_are_there():
    wanted = {
        "emodb/mathworks",
        "emodb/loso",
        "speech-commands/official",
        "iemocap/impro4-loso10@etienne2018",
        "iemocap/4class-loso5",
        "fau-aibo/is2009-5cl",
        "fau-aibo/is2009-2cl",
        "agender/is2010-gender",
        "agender/is2010-age",
    }

    assert {find_split(name).name for name in wanted} == wanted


def test_versions_of_a_corpus_share_the_names_of_their_protocols():
    assert find_split("speech-commands/official").corpora == ("speech_commands_v1", "speech_commands_v2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("emodb/lose", "unknown protocol of 'emodb' 'lose': did you mean 'loso'"),
        ("emobd/loso", "unknown corpus"),
        ("iemocap/impro4", "unknown protocol of 'iemocap'"),
        ("group-Nfold", "unknown split"),
    ],
)
def test_an_unknown_protocol_is_answered_with_the_nearest(name, message):
    with pytest.raises(UnknownNameError, match=message):
        find_split(name)


def test_emodb_by_its_protocols_is_as_by_the_rules_under_their_full_names(emodb):
    by_rule, by_name = folds(emodb.utterances, "loso"), folds(emodb.utterances, "emodb/loso")

    assert [one.sides for one in by_name] == [one.sides for one in by_rule]
    assert by_name[0].name == "emodb/loso/03"
    assert split(emodb.utterances, "emodb/mathworks").sides == split(emodb.utterances, "mathworks").sides
    assert split(emodb.utterances, "emodb/loso/03") == by_name[0]
    assert all(check_leaks(one, emodb.utterances).shared_speakers == () for one in by_name)


def test_a_protocol_that_declares_a_leak_is_refused_all_the_same(emodb):
    assert find_split("emodb/mathworks").protocol.leaks == ("speaker",)
    with pytest.raises(LeakError, match="--allow-leak speaker"):
        check_leaks(split(emodb.utterances, "emodb/mathworks"), emodb.utterances)


def test_a_protocol_of_another_corpus_is_refused(emodb):
    with pytest.raises(SplitError, match="is a protocol of iemocap, and this is 'emodb'"):
        labelled_under("iemocap/4class-loso5", emodb.utterances, "emodb")


def test_the_official_lists_of_speech_commands_follow_the_hash_of_the_name(speech_commands_tar):
    import tarfile

    with tarfile.open(speech_commands_tar) as archive:
        lists = {
            side: archive.extractfile(f"./{name}").read().decode().split()
            for side, name in (("validation", "validation_list.txt"), ("test", "testing_list.txt"))
        }

    assert {side: len(paths) for side, paths in lists.items()} == {"validation": 6798, "test": 6835}
    assert all(speech_commands_side(path) == side for side, paths in lists.items() for path in paths)


def test_real_speech_commands_are_split_by_their_lists_and_share_no_speaker(speech_commands_tar):
    corpus = load_corpus("speech_commands_v1", speech_commands_tar)
    found = split(corpus.utterances, "speech-commands/official")

    assert len(corpus.utterances) == 3 * 350 + 30
    assert (corpus.rejected, corpus.unlabelled) == ((), ())
    assert [len(side) for side in found.sides.values()] == [864, 106, 110]
    assert check_leaks(found, corpus.utterances).shared_speakers == ()
    digits = labelled_under("speech-commands/digits-official", corpus.utterances, "speech_commands_v1")
    assert len(digits) == 30


def test_speech_commands_expect_the_published_numbers():
    first, second = find_manifest("speech_commands_v1"), find_manifest("speech-commands-v2")

    assert (first.expected.files, second.expected.files) == (64_721, 105_829)
    assert first.schemes["digits"].expected.fields["split"]["test"] == 2_552


def test_every_rule_has_a_description():
    assert all(rule.description for rule in SPLITS.values())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{here}", "is a folder: give a table"),
        ("{here}/none", "there is no such file"),
        ("{here}/none/deeper", "there is no such file"),
        ("{here}/sides.txt", "ends in .tsv or .csv"),
        ("{here}/none.tsv", "cannot be read"),
        ("..", "is a folder"),
        ("./none", "there is no such file"),
        ("../none/x", "there is no such file"),
    ],
)
def test_a_path_that_is_no_table_of_sides_is_called_what_it_is(tmp_path, name, said):
    (tmp_path / "sides.txt").write_text("a.wav\ttrain\n")

    with pytest.raises(SplitError, match=said):
        find_split(name.format(here=tmp_path)).build((), 0)
