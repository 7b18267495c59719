"""Licensed corpora, from copies made here in their exact formats: speakers, labels, votes and protocols."""

import numpy as np
import pytest
from licensed_corpora import write_agender, write_aihub, write_fau_aibo, write_iemocap

from featurestore.corpus import check_leaks, find_manifest, folds, leaks, load_corpus, split
from featurestore.corpus.labels.schemes import soft_labels
from featurestore.corpus.labels.table_formats import class_of
from featurestore.corpus.labels.votes import parse_votes, soft_label
from featurestore.corpus.load import corpus_source
from featurestore.errors import SourceError, SplitError
from featurestore.signal.audio import decode
from featurestore.store import open_store
from pipelines.ingest.ingest import ingest


def fields(corpus, path):
    return dict(next(one for one in corpus.utterances if one.path == path).fields)


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    return load_corpus("iemocap", write_iemocap(tmp_path_factory.mktemp("iemocap")))


@pytest.fixture(scope="module")
def fau_aibo(tmp_path_factory):
    return load_corpus("fau_aibo", write_fau_aibo(tmp_path_factory.mktemp("aibo")))


@pytest.fixture(scope="module")
def agender_folder(tmp_path_factory):
    return write_agender(tmp_path_factory.mktemp("agender"))


@pytest.fixture(scope="module")
def agender(agender_folder):
    return load_corpus("agender", agender_folder)


@pytest.fixture(scope="module")
def aihub(tmp_path_factory):
    return load_corpus("aihub_emotion", write_aihub(tmp_path_factory.mktemp("aihub")))


@pytest.mark.parametrize("name", ["iemocap", "fau_aibo", "agender", "aihub_emotion"])
def test_a_licensed_corpus_has_no_address_and_says_where_to_get_it(name):
    manifest = find_manifest(name)

    assert not manifest.downloadable
    with pytest.raises(SourceError, match=r"get them from https://\S+ \(.+\) and give .*--source"):
        corpus_source(manifest)


def test_a_turn_of_iemocap_is_spoken_by_the_last_letter_and_not_by_the_first(iemocap):
    by_path = {one.path: one.speaker for one in iemocap.utterances}

    assert by_path["Ses01F_impro01_M000.wav"] == "Ses01M"
    assert by_path["Ses01M_script01_1_F000.wav"] == "Ses01F"
    assert by_path["Ses01M_script01_1_FXX0.wav"] == "Ses01F"
    assert by_path["Ses02M_script03_2b_MXX1.wav"] == "Ses02M"
    assert sum(path[5] != speaker[5] for path, speaker in by_path.items()) == 7


def test_iemocap_passes_over_litter_subfolders_and_whole_dialogues(iemocap):
    assert len(iemocap.utterances) == 13
    assert (iemocap.rejected, iemocap.unlabelled) == ((), ())
    assert iemocap.notes == ("13 files found, a complete copy has 10039",)


def test_iemocap_keeps_votes_ratings_and_the_mean_of_the_dimensions(iemocap):
    found = fields(iemocap, "Ses01F_impro01_M000.wav")

    assert found["votes"] == "E2:anger;E3:anger;E3:frustration;E4:anger"
    assert found["self_votes"] == "F1:neutral"
    assert (found["valence"], found["activation"], found["dominance"]) == ("2.5000", "2.5000", "2.0000")
    assert found["ratings"] == "E3:val 3,act 2,dom 2;E4:val 2,act 3;M1:val 3,act 2,dom 2"
    assert soft_label(parse_votes(found["votes"]), ("anger", "frustration")) == pytest.approx([2.5 / 3, 0.5 / 3])


def test_the_schemes_of_iemocap_expect_the_published_numbers():
    schemes = find_manifest("iemocap").schemes

    assert schemes["impro4"].expected.files == 2280
    assert schemes["4class"].expected.files == 5531
    assert list(schemes["4class"].expected.fields["session"].values()) == [1085, 1023, 1151, 1031, 1241]
    assert find_manifest("iemocap").expected.files == 10_039
    assert schemes["impro4-exc"].expected.files + schemes["script4"].expected.files == 5531


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [
        ("4class", {"anger": 2, "happiness": 3, "neutral": 3, "sadness": 3}),
        ("4class-noexc", {"anger": 2, "happiness": 2, "neutral": 3, "sadness": 3}),
        ("impro4", {"anger": 1, "happiness": 1, "neutral": 2, "sadness": 2}),
        ("script4", {"anger": 1, "happiness": 2, "neutral": 1, "sadness": 1}),
        ("votes4", {"anger": 2, "happiness": 3, "neutral": 3, "sadness": 3}),
    ],
)
def test_a_scheme_selects_and_renames(tmp_path, scheme, labels):
    corpus = load_corpus(f"iemocap/{scheme}", write_iemocap(tmp_path))

    assert corpus.label_counts() == labels
    assert corpus.name == f"iemocap/{scheme}"


def test_etienne_tests_one_speaker_of_a_session_and_validates_on_the_other(iemocap):
    found = folds(iemocap.utterances, "iemocap/impro4-loso10@etienne2018")
    speakers = {one.path: one.speaker for one in iemocap.utterances}

    assert [one.name for one in found] == [
        f"iemocap/impro4-loso10@etienne2018/{name}" for name in sorted(set(speakers.values()))
    ]
    for fold in found:
        tested, validated, trained = (
            {speakers[path] for path in side} for side in (fold.test, fold.validation, fold.train)
        )
        assert {name[:5] for name in tested} == {name[:5] for name in validated}
        assert not {name[:5] for name in trained} & {name[:5] for name in tested}
        assert not tested & validated
        assert check_leaks(fold, iemocap.utterances).shared_speakers == ()


def test_a_protocol_is_found_without_its_citation_and_one_fold_by_its_name(iemocap):
    whole = folds(iemocap.utterances, "iemocap/impro4-loso10")

    assert split(iemocap.utterances, "iemocap/impro4-loso10/Ses01F") == whole[0]
    assert whole[0].name == "iemocap/impro4-loso10@etienne2018/Ses01F"


def test_leaving_one_session_out_shares_no_speaker(iemocap):
    found = folds(iemocap.utterances, "iemocap/4class-loso5")

    assert [one.name.rpartition("/")[2] for one in found] == ["Ses01", "Ses02", "Ses03"]
    assert all(check_leaks(one, iemocap.utterances).shared_speakers == () for one in found)


def test_the_speaker_of_fau_aibo_is_the_school_and_the_number(fau_aibo):
    assert len(fau_aibo.speaker_counts()) == 14
    assert "Ohm_01" in fau_aibo.speaker_counts()
    assert "Mont_01" in fau_aibo.speaker_counts()
    assert fields(fau_aibo, "Ohm_01_000_00.wav")["five_confidence"] == "0.64"


@pytest.mark.parametrize(
    ("protocol", "classes"),
    [
        ("fau-aibo/is2009-5cl", {"anger", "emphatic", "neutral", "positive", "rest"}),
        ("fau-aibo/is2009-2cl", {"negative", "idle"}),
    ],
)
def test_fau_aibo_trains_on_ohm_validates_on_its_first_five_children_and_tests_on_mont(fau_aibo, protocol, classes):
    from featurestore.corpus.protocols import labelled_under

    found = split(fau_aibo.utterances, protocol)
    utterances = labelled_under(protocol, fau_aibo.utterances, "fau_aibo")
    speakers = {one.path: one.speaker for one in utterances}

    assert {speakers[path] for path in found.validation} == {f"Ohm_{number:02}" for number in range(1, 6)}
    assert {speakers[path] for path in found.train} == {"Ohm_06", "Ohm_07"}
    assert {speakers[path][:4] for path in found.test} == {"Mont"}
    assert {one.label for one in utterances} == classes
    assert check_leaks(found, utterances).shared_speakers == ()


def test_fau_aibo_expects_the_published_number_of_each_class():
    expected = find_manifest("fau_aibo").expected

    assert expected.files == 9_959 + 8_257 == sum(expected.labels.values())
    assert find_manifest("fau_aibo").schemes["2cl"].expected.labels == {"negative": 5_823, "idle": 12_393}


def test_headerless_agender_decodes_to_its_samples(tmp_path, agender_folder):
    store = open_store(tmp_path / "store")
    corpus = ingest(store, find_manifest("agender"), agender_folder, None)
    found = corpus.utterances[0]

    recording = decode(store.original(found.content))

    assert recording.rate == 8000
    assert (recording.signal * 32768 == int(found.speaker)).all()
    assert len(recording.signal) == 40


@pytest.mark.parametrize(
    ("protocol", "classes"),
    [
        ("agender/is2010-gender", {"female", "male", "child"}),
        ("agender/is2010-age", {"child", "young", "adult", "senior"}),
        (
            "agender/is2010-7cl",
            {"child", "young female", "young male", "adult female", "adult male", "senior female", "senior male"},
        ),
    ],
)
def test_twenty_drawn_speakers_of_each_agender_class_validate(agender, protocol, classes):
    from featurestore.corpus.protocols import labelled_under

    utterances = labelled_under(protocol, agender.utterances, "agender")
    found, other = split(agender.utterances, protocol), split(agender.utterances, protocol, seed=1)

    assert {one.label for one in utterances} == classes
    assert [len(side) for side in found.sides.values()] == [7 * 2, 7 * 20, 7 * 2]
    assert found.validation != other.validation
    assert found.test == other.test
    assert split(agender.utterances, protocol) == found
    assert check_leaks(found, utterances).shared_speakers == ()


def test_too_few_agender_speakers_are_told_and_not_moved(tmp_path):
    corpus = load_corpus("agender", write_agender(tmp_path, a_class=20))

    with pytest.raises(SplitError, match=r"holds out 20 speakers with class '1', and training has 20"):
        split(corpus.utterances, "agender/is2010-age")


@pytest.mark.parametrize(
    ("age", "sex", "number"),
    [(14, "x", 1), (15, "f", 2), (24, "m", 3), (25, "f", 4), (54, "m", 5), (55, "f", 6), (90, "m", 7)],
)
def test_the_agender_class_follows_from_age_and_sex(age, sex, number):
    assert class_of(age, sex) == str(number)


def test_aihub_reads_three_releases_in_both_spellings_and_names_the_row_without_audio(aihub):
    assert [one.path for one in aihub.utterances] == [
        "4차년도/a1.wav",
        "4차년도/a2.wav",
        "5차년도/b1.wav",
        "5차년도_2차/c1.wav",
    ]
    assert aihub.label_counts() == {"anger": 2, "happiness": 1, "sadness": 1}
    assert "1 rows of the label files have no recording: 5차년도_2차/gone.wav" in aihub.notes
    assert fields(aihub, "4차년도/a1.wav")["votes"] == "1:angry*2;2:angry;3:sadness;4:neutral*0;5:angry*2"
    assert fields(aihub, "4차년도/a1.wav")["sentence"] == "뭐, 그래?"
    assert [fields(aihub, one.path)["release"] for one in aihub.utterances] == [
        "4차년도",
        "4차년도",
        "5차년도",
        "5차년도_2차",
    ]


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [
        ("majority", {"a1.wav": "anger", "b1.wav": "neutral"}),
        ("majority3", {"a1.wav": "anger", "b1.wav": "neutral"}),
        ("weighted", {"a1.wav": "anger", "b1.wav": "neutral"}),
        ("first", {"a1.wav": "anger", "a2.wav": "happiness", "b1.wav": "neutral", "c1.wav": "anger"}),
    ],
)
def test_the_rules_for_five_raters_decide_as_they_say(tmp_path, scheme, labels):
    corpus = load_corpus(f"aihub_emotion/{scheme}", write_aihub(tmp_path))

    assert {one.path.rpartition("/")[2]: one.label for one in corpus.utterances} == labels


def test_soft_labels_of_a_scheme_share_the_voices_among_its_classes(aihub):
    scheme = find_manifest("aihub_emotion").schemes["soft"]

    shares = soft_labels(aihub.utterances, scheme, ("anger", "fear", "neutral", "sadness"))

    assert shares == pytest.approx(
        np.array([[3 / 5, 0, 1 / 5, 1 / 5], [0, 0, 2 / 3, 1 / 3], [0, 0, 1, 0], [1 / 2, 1 / 2, 0, 0]])
    )


def test_speakers_of_aihub_are_unknown_and_every_split_says_so(aihub):
    assert all(one.speaker is None for one in aihub.utterances)
    with pytest.raises(SplitError, match="needs speakers, and 4 utterances have none"):
        folds(aihub.utterances, "loso")
    by_hand = folds(aihub.utterances, "group-3fold-by-cohort")[0]
    assert "the speakers of 4 utterances are unknown" in leaks(by_hand, aihub.utterances).verdict
