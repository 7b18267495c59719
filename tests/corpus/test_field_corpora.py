"""The corpora of the field: every manifest reads the names that copies really have, and says only what adds up."""

import pytest
from field_copies import read, recording, said
from field_names import NAMES, TABLES, expectations

from featurestore.corpus import MemorySource, find_manifest, label, load_corpus, manifest_names, read_manifest
from featurestore.corpus.load import read_source

WITH_PATHS = sorted(NAMES)
ALL = sorted([*NAMES, *TABLES])


@pytest.mark.parametrize("name", WITH_PATHS)
def test_the_names_of_real_copies_give_the_labels_speakers_and_sentences_written_by_hand(name):
    expected = expectations(NAMES[name])

    corpus, contents = read(name, expected)

    assert said(corpus, contents) == expected
    assert (corpus.rejected, corpus.unlabelled) == ((), ())


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_beside_the_audio_give_the_labels_and_speakers_written_by_hand(name):
    tables, lines = TABLES[name]
    expected = expectations(lines)

    corpus, contents = read(name, expected, tables)

    assert said(corpus, contents) == expected
    assert (corpus.rejected, corpus.unlabelled) == ((), ())


@pytest.mark.parametrize("name", WITH_PATHS)
def test_upper_case_extensions_are_read_and_strange_names_are_set_aside_with_a_reason(name):
    first = next(iter(expectations(NAMES[name])))

    corpus, _ = read(name, [first.rpartition(".")[0] + ".WAV", "notes/read me.wav", "x.wav"])

    aside = [*corpus.rejected, *corpus.unlabelled]
    assert len(corpus.utterances) + len(aside) == 3
    assert len(corpus.utterances) == 1
    assert all(one.reason for one in aside)


@pytest.mark.parametrize("name", WITH_PATHS)
def test_a_copy_that_holds_everything_twice_in_a_nested_folder_is_read_once(name):
    expected = expectations(NAMES[name])
    files = {path: recording(number) for number, path in enumerate(expected)}
    twice = files | {f"copy/of/it/{path}": data for path, data in files.items() if path.count("/") >= depth(name) - 1}
    manifest = find_manifest(name)

    listing, _ = read_source(MemorySource(name, twice), manifest)
    corpus = label(manifest, listing)

    assert len(corpus.utterances) == len(expected)
    assert any("second copies" in note for note in corpus.notes)


def depth(name):
    return find_manifest(name).audio.depth


@pytest.mark.parametrize("name", ALL)
def test_expected_counts_agree_with_each_other_and_with_the_listed_speakers(name):
    manifest = find_manifest(name)
    expected = manifest.expected

    for counts in (expected.labels, expected.speakers):
        assert not counts or expected.files in (None, sum(counts.values()))
    assert set(expected.labels) <= set(manifest.labels.codes[manifest.labels.target].values())
    assert not expected.speakers or set(expected.speakers) == {one.id for one in manifest.speakers}
    assert manifest.speaker_count in (None, expected.speaker_count or len(manifest.speakers))


@pytest.mark.parametrize("name", ALL)
def test_a_manifest_says_licence_citation_language_and_where_the_corpus_is_from(name):
    manifest = find_manifest(name)

    assert all((manifest.title, manifest.description, manifest.licence, manifest.citation, manifest.language))
    assert manifest.homepage.startswith(("https://", "http://"))
    assert all(archive.url.startswith("https://") for archive in manifest.archives)
    assert all(len(manifest.labels.codes[name]) for name in manifest.labels.codes)


def test_counts_are_the_published_ones():
    files = {name: find_manifest(name).expected.files for name in manifest_names()}

    assert (files["ravdess"], files["ravdess_song"], files["cremad"], files["tess"]) == (1440, 1012, 7442, 2800)
    assert (files["savee"], files["emovo"], files["subesco"], files["urdu"]) == (480, 588, 7000, 400)
    assert (files["nemo"], files["shemo"], files["esd"], files["cafe"]) == (4481, 2838, 35000, 936)
    assert (files["emodb2"], files["baved"], files["ased"], files["turev"]) == (816, 1935, 2474, 1735)
    assert find_manifest("baved").speaker_count == 60
    assert (files["emozionalmente"], files["mesd"], files["oreau"], files["jl_corpus"]) == (6902, 862, 434, 2400)


def test_twenty_five_corpora_or_more_are_known_by_name():
    assert len(manifest_names()) >= 25
    assert set(ALL) < set(manifest_names())


def test_sex_and_age_of_the_actors_of_cremad_are_those_of_its_list():
    speakers = find_manifest("cremad").speakers

    assert len(speakers) == 91
    assert sum(one.sex == "male" for one in speakers) == 48
    assert {one.id: one.age for one in speakers}["1034"] == 74
    assert min(one.age for one in speakers) == 20


def test_odd_actors_of_ravdess_are_men_and_nobody_of_number_eighteen_sings():
    speech, song = find_manifest("ravdess"), find_manifest("ravdess_song")

    assert {one.id for one in speech.speakers if one.sex == "male"} == {f"{n:02}" for n in range(1, 24, 2)}
    assert {one.id for one in speech.speakers} - {one.id for one in song.speakers} == {"18"}


def test_songs_beside_speech_belong_to_the_song_corpus_and_videos_to_none():
    paths = ["Actor_01/03-01-05-01-01-01-01.wav", "Actor_01/03-02-05-01-01-01-01.wav", "01-01-05-01-01-01-01.wav"]

    speech, _ = read("ravdess", paths)
    song, _ = read("ravdess_song", paths)

    assert [one.path for one in speech.utterances] == ["03-01-05-01-01-01-01.wav"]
    assert [one.path for one in song.utterances] == ["03-02-05-01-01-01-01.wav"]
    assert (speech.rejected, speech.unlabelled, song.rejected, song.unlabelled) == ((), (), (), ())


def test_laryngograms_of_emodb_2_are_no_recordings():
    corpus, _ = read("emodb2", ["emodb_2.0/wav/03a01Fa.wav", "emodb_2.0/laryngo/03a01Fa.wav"])

    assert len(corpus.utterances) == 1
    assert corpus.rejected == ()


def test_women_and_men_of_subesco_with_the_same_number_are_two_speakers():
    corpus, _ = read("subesco", ["F_02_MONIKA_S_2_SAD_3.wav", "M_02_NIPUN_S_2_SAD_3.wav"])

    assert {one.speaker for one in corpus.utterances} == {"F_02", "M_02"}


def test_equal_names_of_two_subjects_of_enterface_are_two_recordings():
    corpus, _ = read(
        "enterface", ["subject 11/anger/sentence 1/s12_an_1.wav", "subject 12/anger/sentence 1/s12_an_1.wav"]
    )

    assert [one.speaker for one in corpus.utterances] == ["11", "12"]


def test_an_unknown_code_is_rejected_and_the_known_ones_are_named():
    corpus, _ = read("cremad", ["1001_DFA_JOY_XX.wav"])

    assert corpus.rejected[0].reason.startswith("unknown code 'JOY' for emotion; known: ANG, DIS, ")


def test_the_real_part_of_ravdess_has_the_sixty_clips_of_its_two_actors(shared):
    corpus = load_corpus("ravdess", shared / "data" / "ravdess" / "Audio_Speech_Actors_01_20.zip")

    assert corpus.speaker_counts() == {"01": 60, "20": 60}
    assert corpus.label_counts() == {
        "anger": 16,
        "calm": 16,
        "disgust": 16,
        "fear": 16,
        "happiness": 16,
        "neutral": 8,
        "sadness": 16,
        "surprise": 16,
    }
    assert (corpus.rejected, corpus.unlabelled) == ((), ())
    assert "120 files found, a complete copy has 1440" in corpus.notes


@pytest.mark.parametrize(
    ("name", "relative"),
    [("emodb", "data/emodb/download.zip"), ("fsdd", "data/fsdd/free-spoken-digit-dataset.zip")],
)
def test_the_real_corpora_hold_exactly_what_their_manifests_expect(shared, name, relative):
    corpus = load_corpus(name, shared / relative)
    expected = corpus.manifest.expected

    assert len(corpus.utterances) == expected.files
    assert corpus.label_counts() == dict(sorted(expected.labels.items()))
    assert corpus.speaker_counts() == dict(sorted(expected.speakers.items()))


CASES = """
name = "takes"
title = "Takes"
[labels]
pattern = '(?P<speaker>[a-z])_(?P<mood>[a-z]+)\\.wav'
target = "mood"
any_case = {}
[labels.codes.mood]
joy = "joy"
"""


@pytest.mark.parametrize(("any_case", "found"), [("false", ["b"]), ("true", ["A", "b"])])
def test_upper_case_is_read_like_lower_case_where_a_manifest_asks_for_it(tmp_path, any_case, found):
    (tmp_path / "takes.toml").write_text(CASES.format(any_case), encoding="utf-8")
    manifest = read_manifest(tmp_path / "takes.toml")
    listing, _ = read_source(MemorySource("takes", {"A_JOY.WAV": b"1", "b_joy.wav": b"2"}), manifest)

    corpus = label(manifest, listing)

    assert [(one.speaker, one.label) for one in corpus.utterances] == [(speaker, "joy") for speaker in found]
