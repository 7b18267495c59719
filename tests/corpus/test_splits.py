"""Splits: exact sizes, whole, repeatable, and honest about what they share."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.corpus import Leaks, Split, check_leaks, folds, leaks, split
from featurestore.corpus.splits.leakage import LeakSearch, check_folds, lacking_notes
from featurestore.errors import LeakError, SplitError, UnknownNameError


@dataclass(frozen=True)
class Clip:
    path: str
    content: str
    label: str
    speaker: str | None


def clips(count, labels=2, speakers=4):
    return [Clip(f"{i:03}.wav", f"{i:064x}", f"class{i % labels}", f"s{i % speakers}") for i in range(count)]


@pytest.mark.parametrize("name", ["mathworks", "shuffled"])
def test_emodb_splits_into_371_training_80_validation_and_84_test_files(emodb, name):
    found = split(emodb.utterances, name)

    assert [len(side) for side in found.sides.values()] == [371, 80, 84]
    assert {*found.train, *found.validation, *found.test} == {one.path for one in emodb.utterances}


def test_all_of_emodb_trains_for_a_model_that_is_given_away(emodb):
    found = split(emodb.utterances, "all")

    assert found.train == tuple(sorted(one.path for one in emodb.utterances))
    assert (found.validation, found.test) == ((), ())
    assert check_leaks(found, emodb.utterances).by_kind["speaker"] == ()


def test_the_mathworks_split_takes_the_first_seventy_percent_of_each_class_in_name_order(emodb):
    found = split(emodb.utterances, "mathworks")
    anger = [one.path for one in emodb.utterances if one.label == "anger"]

    assert [path for path in found.train if path in anger] == anger[:88]
    assert [path for path in found.test if path in anger] == anger[107:]


def test_the_mathworks_split_shares_four_speakers_and_test_hears_only_the_last_two(emodb):
    found = split(emodb.utterances, "mathworks")
    tested = {one.speaker for one in emodb.utterances if one.path in set(found.test)}

    assert leaks(found, emodb.utterances).shared_speakers == ("13", "14", "15", "16")
    assert tested == {"15", "16"}


def test_a_shuffled_split_shares_all_ten_speakers_and_is_refused_by_name(emodb):
    found = split(emodb.utterances, "shuffled")

    with pytest.raises(LeakError, match=r"speaker \(03, 08, 09, 10, 11, 12, 13, 14, 15, 16\).*--allow-leak speaker"):
        check_leaks(found, emodb.utterances)
    assert len(check_leaks(found, emodb.utterances, allowed=["speaker"]).shared_speakers) == 10


def test_leaving_one_speaker_out_of_emodb_gives_ten_folds_without_a_shared_speaker(emodb):
    found = folds(emodb.utterances, "loso")

    assert [fold.name for fold in found] == [f"loso/{speaker}" for speaker in emodb.speaker_counts()]
    assert [len(fold.test) for fold in found] == list(emodb.speaker_counts().values())
    assert [len(fold.validation) for fold in found] == [*list(emodb.speaker_counts().values())[1:], 49]
    assert all(check_leaks(fold, emodb.utterances).shared_speakers == () for fold in found)
    assert all(sum(map(len, fold.sides.values())) == 535 for fold in found)


def test_the_seed_changes_a_shuffled_split_and_nothing_else_does():
    utterances = clips(200)

    assert split(utterances, "shuffled", seed=1) == split(utterances[::-1], "shuffled", seed=1)
    assert split(utterances, "shuffled", seed=1) != split(utterances, "shuffled", seed=2)
    assert split(utterances, "mathworks", seed=1) == split(utterances, "mathworks", seed=2)


def test_renaming_files_moves_none_of_them_to_another_side_of_a_shuffled_split():
    before = clips(100)
    after = [Clip(f"new/{one.path[::-1]}", one.content, one.label, one.speaker) for one in before]
    names = {new.path: old.path for old, new in zip(before, after, strict=True)}

    assert sorted(names[path] for path in split(after, "shuffled").test) == list(split(before, "shuffled").test)


def test_augmented_copies_in_the_list_do_not_change_a_split():
    utterances = clips(40)

    assert split([*utterances, *utterances], "mathworks") == split(utterances, "mathworks")


@settings(max_examples=60, deadline=None)
@given(st.integers(14, 300), st.integers(1, 2), st.sampled_from(["mathworks", "shuffled"]), st.integers(0, 99))
def test_every_class_is_cut_at_seventy_and_eightyfive_percent_and_no_clip_is_lost(count, labels, name, seed):
    utterances = clips(count, labels)
    sizes = Counter(one.label for one in utterances)

    found = split(utterances, name, seed)

    assert sorted([*found.train, *found.validation, *found.test]) == [one.path for one in utterances]
    assert len(found.train) == sum(int(size * 70) // 100 for size in sizes.values())
    assert len(found.test) == sum(size - size * 85 // 100 for size in sizes.values())


def test_a_split_of_a_corpus_without_speakers_says_so():
    utterances = [Clip(f"{i}.wav", str(i), "a", None) for i in range(20)]

    with pytest.raises(SplitError, match="needs speakers, and 20 utterances have none"):
        folds(utterances, "loso")
    assert "the speakers of 20 utterances are unknown" in leaks(split(utterances, "shuffled"), utterances).verdict


def test_two_speakers_are_too_few_to_train_validate_and_test_on_speakers_of_their_own():
    with pytest.raises(SplitError, match=r"three speakers or more, this corpus has 2\. Use 'loso'"):
        split(clips(20, speakers=2), "speakers")


def test_a_corpus_too_small_to_fill_all_sides_is_refused():
    with pytest.raises(SplitError, match="empty"):
        split(clips(3), "mathworks")


@pytest.mark.parametrize("name", ["loso", "speakers", "emodb/loso"])
def test_without_validation_that_side_trains_and_the_rest_stays(emodb, name):
    utterances = emodb.utterances
    for plain, found in zip(folds(utterances, name), folds(utterances, f"{name}-no-validation"), strict=True):
        assert found.name == plain.name.replace(name, f"{name}-no-validation")
        assert set(found.train) == {*plain.train, *plain.validation}
        assert (found.validation, found.test) == ((), plain.test)
    assert folds(utterances, found.name) == (found,)


def test_an_unknown_split_is_answered_with_the_nearest_and_folds_are_no_split():
    with pytest.raises(UnknownNameError, match="did you mean 'shuffled'"):
        split(clips(20), "shufled")
    with pytest.raises(SplitError, match="4 folds"):
        split(clips(20), "loso")


def test_identical_audio_under_two_names_is_a_leak_of_its_own_kind():
    utterances = [Clip("a.wav", "same", "x", "s1"), Clip("b.wav", "same", "x", "s2"), Clip("c.wav", "c", "x", "s3")]
    found = Split("own", train=("a.wav",), validation=("c.wav",), test=("b.wav",))

    assert leaks(found, utterances).shared_audio == ("same",)
    with pytest.raises(LeakError, match=r"audio \(a\.wav = b\.wav\).*--allow-leak audio"):
        check_leaks(found, utterances, allowed=["speaker"])


def test_a_noise_in_training_copies_that_is_a_test_recording_is_a_leak_of_audio():
    utterances = clips(4)
    found = Split("own", train=("000.wav", "001.wav"), validation=("002.wav",), test=("003.wav",))
    noises = {one.path: one.content for one in utterances}

    with pytest.raises(LeakError, match=r"noises of the policy are recordings of the test side.*--allow-leak audio"):
        check_leaks(found, utterances, ["speaker"], mixed_in=[noises["003.wav"]])
    with pytest.raises(LeakError, match="recordings of the validation and test side"):
        check_leaks(found, utterances, ["speaker"], mixed_in=noises.values())
    allowed = check_leaks(found, utterances, ["speaker", "audio"], mixed_in=[noises["003.wav"]])
    assert allowed.named("audio") == ("003.wav = a noise of the policy",)
    assert "003.wav = a noise of the policy" in allowed.verdict


def test_a_noise_that_sounds_as_a_test_recording_does_is_a_leak_and_one_of_the_training_side_is_none():
    utterances = clips(3, speakers=3)
    found = Split("own", train=("000.wav",), validation=("001.wav",), test=("002.wav",))
    contents = [one.content for one in utterances]

    assert check_leaks(found, utterances, mixed_in=[contents[0], "e" * 64]).by_kind["audio"] == ()
    sounds = {contents[2]: "hiss", "e" * 64: "hiss"}
    assert leaks(found, utterances, sounds, ["e" * 64]).noises == (("test", "002.wav"),)


def test_an_utterance_on_two_sides_is_a_leak_of_its_source():
    utterances = clips(3, speakers=3)
    found = Split("own", train=("000.wav", "001.wav"), validation=("002.wav",), test=("001.wav",))

    with pytest.raises(LeakError, match=r"source \(001\.wav\)"):
        check_leaks(found, utterances, allowed=["speaker", "audio"])


def test_shared_sentences_are_reported_and_refused_only_on_demand(demo):
    fold = folds(demo.utterances, "loso")[0]

    assert check_leaks(fold, demo.utterances).shared_sentences == ("s1", "s2", "s3", "s4", "s5")
    with pytest.raises(LeakError, match="--allow-leak sentence"):
        check_leaks(fold, demo.utterances, refused=["sentence"])


def test_an_unknown_kind_of_leak_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'speaker'"):
        check_leaks(split(clips(20), "mathworks"), clips(20), allowed=["speakers"])


def test_one_fold_of_a_protocol_can_be_chosen_by_name():
    utterances = clips(40)

    chosen = split(utterances, "loso/s1")

    assert chosen in folds(utterances, "loso")
    assert {one.speaker for one in utterances if one.path in chosen.test} == {"s1"}
    with pytest.raises(UnknownNameError, match="loso/s"):
        split(utterances, "loso/s99")


def test_the_speakers_split_puts_whole_speakers_on_one_side():
    utterances = clips(40)

    found = split(utterances, "speakers")

    sides = [{one.speaker for one in utterances if one.path in paths} for paths in found.sides.values()]
    assert all(sides)
    assert sum(len(side) for side in sides) == len(set.union(*sides)) == 4
    assert sum(len(paths) for paths in found.sides.values()) == 40


def uneven(**speakers):
    """Clips of speakers with so many recordings of each class: `a={"joy": 3}`."""
    return [
        Clip(f"{who}_{label}_{number}.wav", f"{who}{label}{number}", label, who)
        for who, counts in speakers.items()
        for label, count in counts.items()
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_speakers_split_balances_recordings_and_classes_and_not_numbers_of_speakers(seed):
    sizes = (40, 30, 20, 10, 9, 8, 7, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1)
    utterances = uneven(**{f"s{n:02}": {"joy": size, "calm": 2 * size} for n, size in enumerate(sizes)})

    found = split(utterances, "speakers", seed)

    labels = {one.path: one.label for one in utterances}
    for side, share in (("train", 0.70), ("validation", 0.15), ("test", 0.15)):
        paths = found.sides[side]
        assert abs(len(paths) / len(utterances) - share) < 0.05
        assert abs(sum(labels[path] == "joy" for path in paths) / sum(sizes) - share) < 0.05
    assert lacking_notes([found], {one.path: one.label for one in utterances}) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_few_speakers_is_trained_and_the_sides_without_it_are_told(seed):
    utterances = uneven(
        a={"ang": 20, "hap": 20}, b={"neu": 3}, c={"sad": 2}, d={"sad": 2}, e={"ang": 2}, f={"neu": 2}, g={"hap": 2}
    )

    found = split(utterances, "speakers", seed)

    assert {one.label for one in utterances if one.path in found.train} == {"ang", "hap", "neu", "sad"}
    assert {side: len(paths) for side, paths in found.sides.items()} == {"train": 45, "validation": 4, "test": 4}
    assert [note.split("side")[0] for note in lacking_notes([found], {one.path: one.label for one in utterances})] == [
        "the validation ",
        "the test ",
    ]


def test_speakers_of_one_size_stay_where_the_seed_has_drawn_them():
    utterances = uneven(**{f"s{n:02}": {"joy": 4, "calm": 4} for n in range(20)})

    sides = {seed: split(utterances, "speakers", seed).test for seed in range(10)}

    assert all(len(test) == 3 * 8 for test in sides.values())
    assert len(set(sides.values())) == 10


@pytest.mark.parametrize(
    "name", ["loso", "loso-in-session", "stratified-40fold", "group-40fold", "leave-one-session-out"]
)
def test_folds_look_at_each_utterance_a_few_times_however_many_folds_there_are(name):
    reads = Counter()

    class Clip:
        def __init__(self, number):
            self.path, self.content, self.label = f"{number:03}.wav", f"{number:064x}", f"class{number % 2}"
            self._speaker = f"s{number % 40:02}"

        @property
        def speaker(self):
            reads["speaker"] += 1
            return self._speaker

        @property
        def fields(self):
            reads["fields"] += 1
            return (("session", f"S{int(self._speaker[1:]) // 2}"),)

    utterances = [Clip(number) for number in range(400)]

    found = folds(utterances, name)

    assert len(found) in (20, 40)
    assert reads.total() <= 6 * len(utterances)
    assert sorted(path for fold in found for path in fold.test) == [one.path for one in utterances]


def test_a_search_of_several_splits_finds_what_each_search_alone_finds():
    utterances = clips(60)
    search = LeakSearch(utterances, mixed_in=[utterances[7].content])

    for one in (*folds(utterances, "loso"), split(utterances, "shuffled"), Split("own", ("x", "000.wav"), ("x",), ())):
        assert search.leaks(one) == leaks(one, utterances, mixed_in=[utterances[7].content])
    assert search.leaks(Split("own", ("x", "000.wav"), ("x",), ())).shared_sources == ("x",)


class Path(str):
    """A path that counts how often somebody looks it up."""

    __slots__ = ()
    lookups: ClassVar[Counter] = Counter()

    def __hash__(self):
        self.lookups["all"] += 1
        return super().__hash__()


@pytest.mark.parametrize("name", ["loso", "stratified-40fold", "group-40fold"])
def test_leaks_lacking_classes_and_sizes_of_folds_look_paths_up_a_few_times_however_many_folds_there_are(name):
    utterances = [Clip(Path(one.path), one.content, one.label, one.speaker) for one in clips(400, speakers=40)]
    labels = {one.path: one.label for one in utterances}
    Path.lookups.clear()

    found = folds(utterances, name)
    shared = check_folds(found, utterances, ["speaker"])
    notes = lacking_notes(found, labels)
    sizes = [len(members) for fold in found for members in fold.members.values()]

    assert (len(found), len(shared), sum(sizes)) == (40, 40, 40 * 400)
    assert len(notes) == {"loso": 80, "stratified-40fold": 0, "group-40fold": 80}[name]
    assert Path.lookups.total() <= 12 * len(utterances)


def plain_leaks(split, utterances, mixed_in):
    """The leaks of a split, found value by value with sets, as their definitions say."""
    sides = {side: set(paths) for side, paths in split.sides.items()}

    def shared(value):
        held = [{value(one) for one in utterances if one.path in paths} - {None} for paths in sides.values()]
        return sorted(name for name, count in Counter(name for values in held for name in values).items() if count > 1)

    def having(value, names):
        anywhere = set.union(*sides.values())
        return [[one for one in utterances if value(one) == name and one.path in anywhere] for name in names]

    paths = Counter(path for side in sides.values() for path in side)
    parts = having(lambda one: one.content.partition(".")[0], shared(lambda one: one.content.partition(".")[0]))
    recordings = [{one.content: one.path for one in ones} for ones in parts]
    equal = having(lambda one: one.content, shared(lambda one: one.content))
    return Leaks(
        shared_speakers=tuple(shared(lambda one: one.speaker)),
        shared_sources=tuple(sorted(path for path, count in paths.items() if count > 1)),
        shared_recordings=tuple(sorted(min(ones.values()) for ones in recordings if len(ones) > 1)),
        shared_audio=tuple(sorted(ones[0].content for ones in equal)),
        audio_paths=tuple(sorted(" = ".join(sorted({one.path for one in ones})) for ones in equal)),
        noises=tuple(
            sorted(
                (side, one.path)
                for side in ("validation", "test")
                for one in utterances
                if one.path in sides[side] and {one.content, one.content.partition(".")[0]} & {*mixed_in}
            )
        ),
        unknown_speakers=len(
            {one.path for one in utterances if one.speaker is None and any(one.path in side for side in sides.values())}
        ),
    )


PATHS = st.sampled_from([f"{number}.wav" for number in range(8)])
CONTENTS = st.sampled_from(
    [f"{one[0] * 64}{one[1:]}" for one in ("a", "b", "a.t0-1000", "a.c1", "c.t0-1000", "c.t500-2000")]
)
SIDE = st.lists(PATHS, max_size=6)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(Clip, PATHS, CONTENTS, st.sampled_from("xy"), st.sampled_from(["s1", "s2", None])), max_size=10),
    st.lists(st.tuples(SIDE, SIDE, SIDE), min_size=1, max_size=3),
    st.lists(CONTENTS, max_size=1),
)
def test_leaks_of_any_splits_are_those_that_sets_of_values_give(utterances, splits, mixed_in):
    search = LeakSearch(utterances, mixed_in=mixed_in)

    for sides in splits:
        one = Split("own", *sides)
        assert search.leaks(one) == plain_leaks(one, utterances, mixed_in)


@settings(max_examples=40, deadline=None)
@given(SIDE, SIDE, SIDE)
def test_a_split_gives_back_the_paths_of_its_sides_in_name_order_and_tells_where_each_stands(train, validation, test):
    one = Split("own", train=train, validation=validation, test=test)
    sides = {"train": train, "validation": validation, "test": test}

    assert one.sides == {side: tuple(sorted(set(paths))) for side, paths in sides.items()}
    assert {side: tuple(members) for side, members in one.members.items()} == one.sides
    assert [len(members) for members in one.members.values()] == [len(paths) for paths in one.sides.values()]
    others = ("9.wav", *one.paths[::-1])
    assert one.bits_of(others).tolist() == [0, *one.side_bits.tolist()[::-1]]
    assert one.bits_of(tuple(one.paths)) is one.side_bits
    assert one == Split("own", train[::-1], validation, test)
    assert hash(one) == hash(Split("own", train[::-1], validation, test))
    assert one != one.named("other")
    assert one.named("other").sides == one.sides


def test_a_class_without_a_recording_on_a_side_is_said_of_each_split_by_its_own_paths():
    labels = {"a.wav": "joy", "b.wav": "calm", "c.wav": "joy", "d.wav": "rage"}
    splits = [Split("one", ["a.wav", "b.wav"], ["c.wav"], []), Split("two", ["a.wav", "d.wav"], [], ["d.wav"])]

    assert lacking_notes(splits, labels) == [
        "the validation side of 'one' has no recording of: calm",
        "the test side of 'two' has no recording of: joy",
    ]
    with pytest.raises(KeyError, match=r"e\.wav"):
        lacking_notes([Split("three", ["e.wav"], [], [])], labels)
