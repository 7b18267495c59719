"""Schemes of a corpus and several corpora together: one vocabulary, prefixed speakers, nothing computed again."""

import json

import pytest
from test_label_files import MANIFEST, audio_folder, manifest_file

from featurestore.corpus import check_leaks, folds, load_corpus
from featurestore.corpus.catalog import find_manifest, read_manifest
from featurestore.corpus.check import check_completeness
from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.corpus.load import read_source
from featurestore.corpus.sources.open import FolderSource, open_source
from featurestore.errors import SourceError, SpecError, UnknownNameError
from featurestore.specs.presets import feature_preset
from featurestore.store import open_store
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.fetch import Fetcher
from pipelines.ingest.ingest import corpus_of_store, ingest_spec
from pipelines.workers.pool import Workers


@pytest.fixture(scope="module")
def together(emodb_zip):
    return load_corpus("emodb+demo", f"emodb={emodb_zip}")


def test_two_corpora_get_one_vocabulary_and_keep_their_speakers_apart(together):
    assert together.label_counts() == {
        "anger": 157,
        "boredom": 81,
        "disgust": 46,
        "fear": 69,
        "happiness": 101,
        "neutral": 109,
        "sadness": 92,
    }
    assert len(together.speaker_counts()) == 16
    assert {"emodb/03", "demo/f1"} <= set(together.speaker_counts())
    assert together.utterances[0].path.startswith("demo/")
    assert together.name == "emodb+demo"


@pytest.mark.parametrize(("scheme", "classes"), [("4class", 4), ("5class", 5), ("6class", 6), ("7class", 6)])
def test_a_common_scheme_keeps_its_classes(emodb_zip, scheme, classes):
    corpus = load_corpus(f"emodb/{scheme}", emodb_zip)

    assert len(corpus.label_counts()) == classes
    assert corpus.name == f"emodb/{scheme}"
    assert find_corpus_spec(corpus.name).dataset == f"emodb-{scheme}"


def test_each_of_two_corpora_is_tested_in_turn_and_speakers_never_leak(together):
    found = folds(together.utterances, "leave-one-corpus-out")

    assert [one.name.rpartition("/")[2] for one in found] == ["demo", "emodb"]
    assert all(one.train and one.validation for one in found)
    for one in (*found, *folds(together.utterances, "loso")):
        assert check_leaks(one, together.utterances).shared_speakers == ()


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("emodb+emodb", SpecError, "names a corpus twice"),
        ("emodb+ravdes", UnknownNameError, "did you mean 'ravdess'"),
        ("emodb/5clas", UnknownNameError, "unknown scheme '5clas': did you mean '5class'"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        find_corpus_spec(text)


def test_the_source_of_several_corpora_says_which_is_where():
    choice = find_corpus_spec("emodb+demo")

    assert choice.sources("emodb=a.zip") == ("a.zip", None)
    with pytest.raises(SourceError, match="Write --source emodb=PATH,demo=PATH"):
        choice.sources("a.zip")


def test_a_manifest_of_ones_own_can_be_chosen_with_a_scheme_and_in_company(tmp_path):
    text = MANIFEST + "[schemes.happy]\nkeep = ['joy']\n"
    folder = audio_folder(tmp_path)

    corpus = load_corpus(f"{manifest_file(tmp_path, text)}/happy", folder)

    assert corpus.label_counts() == {"joy": 1}
    assert [one.name for one in find_corpus_spec(f"demo+{manifest_file(tmp_path)}").manifests] == ["demo", "takes"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The demo corpus with clean rows, and then a scheme of it and a protocol in the same store."""
    store = open_store(tmp_path_factory.mktemp("choices") / "store")
    fetcher = Fetcher(print, lambda done, total: None)
    recipe = DatasetSpec(feature_preset("mathworks"))
    whole = build(store, ingest_spec(store, find_corpus_spec("demo"), None, fetcher), recipe, workers=Workers(1))
    part = build(store, ingest_spec(store, find_corpus_spec("demo/4class"), None, fetcher), recipe, workers=Workers(1))
    return store, whole, part


def test_another_scheme_computes_no_row_and_has_the_same_digest(built):
    _, whole, part = built

    assert (whole.computed, part.computed, part.reused) == (120, 0, 120)
    assert part.digest == whole.digest
    assert part.dataset == "demo-4class"


def test_a_view_under_a_protocol_has_its_recordings_and_classes(built, tmp_path):
    store, _, _ = built
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "demo"\ntitle = "Demo"\n[labels]\ntarget = "emotion"\n'
        "pattern = '(?P<speaker>[fm]\\d)_(?P<sentence>s\\d)_(?P<emotion>[a-z]{3})\\.wav'\n"
        '[schemes.arousal]\ntarget = "emotion"\nmap = { angry = "high", happy = "high", sad = "low" }\n'
        'keep = ["high", "low"]\n[protocols."arousal-loso@me"]\nsplit = "loso"\nscheme = "arousal"\n'
    )
    view = store.view("demo")

    under = view.under(f"{path}/arousal-loso")
    train, validation, test = next(view.folds(f"{path}/arousal-loso@me"))

    assert (len(view), len(under)) == (120, 90)
    assert under.classes == train.classes == ("high", "low")
    assert {*map(str, test.labels)} == {"high", "low"}
    assert [len(side) for side in (train, validation, test)] == [60, 15, 15]
    kept = [row for row, label in enumerate(view.labels) if label != "neutral"]
    assert under.paths == tuple(view.paths[row] for row in kept)
    assert (under[0][0] == view[kept[0]][0]).all()


def test_the_store_knows_a_choice_again_without_a_source(built):
    store, _, _ = built

    assert corpus_of_store(store, find_corpus_spec("demo/4class")).label_counts() == dict.fromkeys(
        ["anger", "happiness", "neutral", "sadness"], 30
    )
    assert corpus_of_store(store, find_corpus_spec("demo+emodb")) is None


def completeness(manifest, source):
    listing, label_files = read_source(source, manifest)
    return check_completeness(manifest, listing, label_files.__getitem__)


def test_a_complete_copy_of_emodb_is_complete(emodb_zip):
    found = completeness(find_manifest("emodb"), open_source(emodb_zip))

    assert found.complete
    assert found.to_dict() | {"notes": []} == {
        "corpus": "emodb",
        "files": 535,
        "sound": 535,
        "missing": [],
        "extra": [],
        "mismatched": [],
        "rejected": [],
        "known_bad": [],
        "labels": dict(sorted(find_manifest("emodb").expected.labels.items())),
        "speakers": dict(find_manifest("emodb").expected.speakers),
        "differences": [],
        "agreement": None,
        "notes": [],
    }


def test_what_is_missing_extra_and_different_is_named(tmp_path, emodb_zip):
    import zipfile

    with zipfile.ZipFile(emodb_zip) as archive:
        for name in ("wav/03a01Fa.wav", "wav/03a01Nc.wav"):
            archive.extract(name, tmp_path)
    (tmp_path / "wav" / "03a01Wa.wav").write_bytes(b"short")
    (tmp_path / "wav" / "99a01Wa.wav").write_bytes(b"stranger")
    (tmp_path / "wav" / "notes.wav").write_bytes(b"no name of the corpus")

    found = completeness(find_manifest("emodb"), FolderSource(tmp_path))

    assert found.files == 5
    assert len(found.missing) == 532
    assert found.extra == ("wav/99a01Wa.wav", "wav/notes.wav")
    assert [one.path for one in found.mismatched] == ["wav/03a01Wa.wav"]
    assert found.rejected == ()
    difference = next(one for one in found.differences if (one.field, one.value) == ("speaker", "03"))
    assert (difference.expected, difference.found) == (49, 2)
    assert json.dumps(found.to_dict())


def test_counts_are_compared_for_every_label_session_and_scheme(tmp_path):
    text = (
        MANIFEST
        + "[expected]\nfiles = 3\n[expected.labels]\njoy = 2\ncalm = 1\n[expected.fields.room]\na = 3\n"
        + "[schemes.happy]\nkeep = ['joy']\n[schemes.happy.expected]\nfiles = 2\n"
    )
    manifest = read_manifest(manifest_file(tmp_path, text))

    found = completeness(manifest, FolderSource(audio_folder(tmp_path)))

    assert [(one.scheme, one.field, one.value, one.expected, one.found) for one in found.differences] == [
        ("", "label", "joy", 2, 1),
        ("", "room", "a", 3, 0),
        ("", "room", "(not stated)", 0, 2),
        ("happy", "files", "", 2, 1),
    ]
    assert found.missing == ("gone.wav",)
    assert found.extra == ("c.wav",)


def test_a_mistyped_path_is_no_scheme_of_the_folder_above_it(tmp_path):
    (tmp_path / "anger").mkdir()
    (tmp_path / "joy").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'something else'\n")

    with pytest.raises(UnknownNameError, match="missing"):
        find_corpus_spec(f"{tmp_path}/missing")
