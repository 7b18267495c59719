"""Data in the formats of other tools is read as it is."""

import json

import pytest
from data_folders import (
    AUDFORMAT_HEADER,
    EMOTIONS,
    RECORDINGS,
    SPEAKERS,
    audformat,
    audio,
    audio_folder,
    class_folder,
    kaldi,
    lhotse,
    write,
)
from tiny_corpus import tone

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.corpus_spec import find_corpus_spec, folder_manifest
from featurestore.corpus.importers import FORMATS, recognised_format
from featurestore.corpus.protocols import split
from featurestore.corpus.types import identified_file
from featurestore.errors import ManifestError, SourceError
from pipelines.ingest.fetch import Fetcher
from pipelines.ingest.ingest import ingest_spec, known_corpus

WRITERS = {
    "audformat": audformat,
    "lhotse": lhotse,
    "kaldi": kaldi,
    "huggingface": audio_folder,
    "class-folders": class_folder,
}


def sides_by_number(corpus):
    found = split(corpus.utterances, "official")
    return {side: {path[-5] for path in paths} for side, paths in found.sides.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_from_the_others(tmp_path, name):
    WRITERS[name](tmp_path)

    assert recognised_format(tmp_path) == name


@pytest.mark.parametrize("name", FORMATS)
def test_each_recording_gets_its_own_class_and_bytes(tmp_path, name):
    WRITERS[name](tmp_path)

    corpus = load_corpus(tmp_path)

    assert corpus.rejected == corpus.unlabelled == ()
    assert {(one.path[-5], one.label, one.content) for one in corpus.utterances} == {
        (str(number), emotion, identified_file("", tone(number)).content) for number, _, _, emotion, _ in RECORDINGS
    }


@pytest.mark.parametrize("name", ["audformat", "lhotse", "kaldi", "huggingface"])
def test_speakers_are_those_that_the_data_names(tmp_path, name):
    WRITERS[name](tmp_path)

    corpus = load_corpus(str(tmp_path))

    assert corpus.speaker_counts() == SPEAKERS
    assert corpus.label_counts() == EMOTIONS


@pytest.mark.parametrize("name", ["audformat", "lhotse", "huggingface", "class-folders"])
def test_the_sides_of_the_data_are_the_official_split(tmp_path, name):
    WRITERS[name](tmp_path)

    assert sides_by_number(load_corpus(tmp_path)) == {"train": set("12347"), "validation": set(), "test": set("568")}


def test_traits_of_a_speaker_become_fields_of_the_recordings(tmp_path):
    kaldi_fields = dict(load_corpus(kaldi(tmp_path / "k")).utterances[2].fields)
    lhotse_fields = dict(load_corpus(lhotse(tmp_path / "l", packed=False)).utterances[2].fields)
    database_fields = [dict(one.fields) for one in load_corpus(audformat(tmp_path / "a")).utterances]

    assert kaldi_fields["gender"] == "m"
    assert "dur" not in kaldi_fields
    assert (lhotse_fields["gender"], lhotse_fields["arousal"], lhotse_fields["language"]) == ("male", "0.5", "English")
    assert (database_fields[2]["age"], database_fields[2]["gender"]) == ("32", "male")
    assert "age" not in database_fields[4]


def test_another_field_is_the_class_where_the_user_names_it(tmp_path):
    corpus = load_corpus(f"{kaldi(tmp_path / 'takes')}/gender")

    assert corpus.name == "takes/gender"
    assert corpus.label_counts() == {"f": 6, "m": 2}


def test_a_database_tells_its_licence_and_where_it_comes_from(tmp_path):
    manifest = folder_manifest(audformat(tmp_path / "moods"))

    assert (manifest.title, manifest.licence, manifest.homepage) == ("moods", "CC-BY-4.0", "https://example.org/moods")
    assert manifest.description == "Three people in two moods."


def test_kaldi_folders_side_by_side_are_one_corpus_with_a_split(tmp_path):
    for side, count in (("train", 6), ("test", 2)):
        ones = RECORDINGS[:count] if side == "train" else RECORDINGS[6:]
        files = {
            "wav.scp": "".join(f"u{one[0]} {side}/wav/u{one[0]}.wav\n" for one in ones),
            "utt2label": "".join(f"u{one[0]} {one[3]}\n" for one in ones),
            **{f"wav/u{one[0]}.wav": tone(one[0]) for one in ones},
        }
        write(tmp_path / side, files)

    corpus = load_corpus(tmp_path)

    assert sides_by_number(corpus) == {"train": set("123456"), "validation": set(), "test": set("78")}
    assert corpus.speaker_counts() == {}
    assert any("speakers are unknown" in note for note in corpus.notes)


def test_utterances_that_are_their_own_speakers_have_unknown_speakers(tmp_path):
    folder = kaldi(tmp_path, utt2spk="".join(f"u{number} u{number}\n" for number, *_ in RECORDINGS))

    assert load_corpus(folder).speaker_counts() == {}


def test_a_recording_that_is_named_and_missing_is_told(tmp_path, capsys):
    folder = audio_folder(tmp_path)
    (folder / "data" / "test" / "clips" / "u8.wav").unlink()

    code = run(["corpora", "check", str(folder), "--store", str(tmp_path / "store"), "--json"])
    report = json.loads(capsys.readouterr().out)

    assert code == 3
    assert report["missing"] == ["data/test/clips/u8.wav"]
    assert report["labels"] == {"anger": 4, "sadness": 3}


def test_a_segment_that_is_a_whole_recording_is_that_recording(tmp_path):
    lengths = {"reco2dur": "".join(f"u{number} 0.16\n" for number, *_ in RECORDINGS)}
    whole = "".join(f"u{number} u{number} 0.00 0.16\n" for number, *_ in RECORDINGS)

    corpus = load_corpus(kaldi(tmp_path, segments=whole, **lengths))

    assert corpus.label_counts() == EMOTIONS
    assert {one.content for one in corpus.utterances} == {
        identified_file("", tone(one[0])).content for one in RECORDINGS
    }


def test_a_segmented_table_of_a_database_may_hold_whole_files(tmp_path):
    header = AUDFORMAT_HEADER.replace(
        "misc_tables:", "  turns:\n    type: segmented\n    columns: {mood: {}}\nmisc_tables:"
    )
    whole = "file,start,end,mood\n" + "".join(f"wav/u{one[0]}.wav,0 days,NaT,m{one[0] % 2}\n" for one in RECORDINGS)

    read = load_corpus(audformat(tmp_path, header, **{"db.turns.csv": whole}))

    assert [one.path for one in read.utterances] == [f"wav/u{one[0]}.wav" for one in RECORDINGS]
    assert dict(read.utterances[0].fields)["mood"] == "m1"


def test_a_table_that_is_stored_in_another_way_is_named_with_the_way_out(tmp_path):
    folder = audformat(tmp_path)
    for table in ("files", "emotion.train", "emotion.test"):
        (folder / f"db.{table}.csv").rename(folder / f"db.{table}.parquet")

    with pytest.raises(SourceError, match=r"stored as parquet.*storage_format='csv'"):
        load_corpus(folder)


def test_names_that_differ_in_case_alone_are_told_and_unicode_forms_are_one(tmp_path):
    lines = "file_name,emotion,speaker\nwav/u1.wav,f\u00e2ch\u00e9,ann\nwav/u2.wav,Sad,Ann\n"
    lines += "wav/u3.wav,fa\u0302che\u0301,ben\nwav/u4.wav,sad,ben\nwav/u5.wav,sad,ann\n"

    corpus = load_corpus(write(tmp_path, {**audio(), "metadata.csv": lines}))

    assert corpus.label_counts() == {"f\u00e2ch\u00e9": 2, "Sad": 1, "sad": 2}
    classes, speakers = [note for note in corpus.notes if "under several names" in note]
    assert classes.startswith("one class under several names? 1 'Sad', 2 'sad'")
    assert speakers.startswith("one speaker under several names? 1 'Ann', 2 'ann'")


def test_metadata_of_a_side_counts_beside_that_of_the_whole_folder(tmp_path):
    tables = {
        "metadata.csv": "file_name,emotion,speaker\nwav/u1.wav,anger,ann\nwav/u2.wav,sadness,ann\n",
        "train/metadata.csv": "file_name,emotion,speaker\nu3.wav,anger,ben\nu4.wav,sadness,ben\n",
    }
    folder = write(tmp_path, {**audio(), **audio("train/"), **tables})

    found = {one.path: one.label for one in load_corpus(folder).utterances}

    assert found == {
        "train/u3.wav": "anger", "train/u4.wav": "sadness", "wav/u1.wav": "anger", "wav/u2.wav": "sadness"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"metadata.csv": "file_name,emotion\n", "metadata.jsonl": '{"file_name": "a"}\n'}, r"csv and metadata\.jsonl"),
        ({"metadata.csv": "file_name;emotion\nwav/u1.wav;anger\n"}, "line 2: no 'file_name' among .*commas stand"),
    ],
)
def test_metadata_that_cannot_be_meant_is_refused(tmp_path, tables, message):
    with pytest.raises(SourceError, match=message):
        load_corpus(write(tmp_path, {**audio(), **tables}))


def test_supervisions_without_recordings_of_their_name_are_told(tmp_path):
    folder = lhotse(tmp_path, packed=False)
    (folder / "corpus_recordings_test.jsonl").rename(folder / "corpus_recordings_eval.jsonl")

    assert any("'corpus_supervisions_test.jsonl' is left out" in note for note in load_corpus(folder).notes)


def test_lines_of_utterances_that_are_not_there_are_told(tmp_path):
    folder = kaldi(tmp_path)
    for name in ("utt2spk", "utt2emotion"):
        (folder / name).write_text((folder / name).read_text().replace("u8 ", "U8 "))

    notes = load_corpus(folder).notes

    assert any("'utt2emotion' has 1 lines" in note and "'U8'" in note for note in notes)
    assert any("speaker of 1 utterances is unknown, such as 'u8'" in note for note in notes)


def test_a_change_of_labels_changes_what_a_store_must_read(tmp_path):
    folder = kaldi(tmp_path)
    before = folder_manifest(folder).reading
    (folder / "utt2emotion").write_text((folder / "utt2emotion").read_text().replace("u1 anger", "u1 sadness"))

    assert folder_manifest(folder).reading != before


def test_a_folder_with_one_manifest_is_that_corpus_and_its_own_source(tmp_path):
    manifest = (
        "name = 'takes'\ntitle = 'x'\n[labels]\npattern = 'u(?P<label>.)\\.wav'\ntarget = 'label'\nspeaker = ''\n"
    )

    corpus = load_corpus(write(tmp_path, {**audio(), "takes.toml": manifest}))

    assert corpus.name == "takes"
    assert len(corpus.label_counts()) == len(RECORDINGS)


def test_folders_of_speakers_are_not_taken_for_classes(tmp_path):
    write(tmp_path, {f"Actor_0{one[0]}/take.wav": tone(one[0]) for one in RECORDINGS})

    assert recognised_format(tmp_path) is None


def test_a_folder_in_no_known_format_is_told_what_to_do(tmp_path):
    write(tmp_path, audio(""))

    with pytest.raises(ManifestError, match=r"in no known format.*corpora new"):
        load_corpus(tmp_path)


def test_a_known_corpus_wins_over_a_folder_of_its_name(tmp_path, monkeypatch):
    kaldi(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)

    assert find_corpus_spec("demo").manifests[0].generator is not None
    assert load_corpus("./demo").name == "demo_own"


def test_a_store_keeps_the_recordings_with_their_labels(tmp_path, store):
    choice = find_corpus_spec(str(lhotse(tmp_path / "moods")))

    corpus = ingest_spec(store, choice, None, Fetcher(print, no_progress))
    kept = known_corpus(store, choice.manifests[0])

    assert kept == corpus
    assert corpus.label_counts() == EMOTIONS
    assert all(store.original(one.content) == tone(int(one.path[-5])) for one in corpus.utterances)


def no_progress(done, total):
    """Nothing is downloaded here."""
