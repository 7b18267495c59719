"""What a check of a copy says of label files: contradictions, rows without a recording, releases, absent fields."""

from __future__ import annotations

import pytest
from licensed_corpora import COLUMNS, put, write_agender, write_aihub

from featurestore.corpus import find_manifest, load_corpus
from featurestore.corpus.check import check_completeness
from featurestore.corpus.load import corpus_source, read_source

ROW = "{name},{sentence},sad,Sad,2,Sad,1,Sad,1,Sad,1,Sad,1,30,{sex}"


def checked(name, folder):
    manifest = find_manifest(name)
    listing, label_files = read_source(corpus_source(manifest, folder), manifest)
    return check_completeness(manifest, listing, label_files.__getitem__)


def add_rows(folder, release, *rows):
    """Add rows to the table of a release, and a recording for each in the release's folder."""
    table = folder / f"{release}.csv"
    with table.open("ab") as stream:
        for name, sentence, sex in rows:
            stream.write((ROW.format(name=name, sentence=sentence, sex=sex) + "\r\n").encode("cp949"))
            put(folder / release / f"{name}.wav", f"{release} {name}")


def test_a_class_that_contradicts_age_and_sex_in_the_list_is_mismatched(tmp_path):
    folder = write_agender(tmp_path, a_class=1)
    table = folder / "agender_distribution" / "trainSampleList_train.txt"
    table.write_text(table.read_text().replace("2 20 f 2\n", "2 20 f 5\n"))

    found = checked("agender", folder)

    assert [(one.path, one.reason) for one in found.mismatched] == [
        ("wav_traindevel/1200/2/a11200s3.raw", "the list states the class '5', and its other columns give '2'")
    ]
    assert not found.complete
    assert found.files == len(found.corpus.utterances)


def test_a_list_whose_classes_agree_with_age_and_sex_has_no_mismatch(tmp_path):
    assert checked("agender", write_agender(tmp_path, a_class=1)).mismatched == ()


def test_the_same_name_in_two_releases_is_two_recordings_with_labels_of_their_own(tmp_path):
    folder = write_aihub(tmp_path)
    add_rows(folder, "4차년도", ("same", "하나", "male"))
    add_rows(folder, "5차년도", ("same", "둘", "female"))

    corpus = load_corpus("aihub_emotion", folder)

    twins = {one.path: dict(one.fields) for one in corpus.utterances if one.path.endswith("same.wav")}
    assert {path: (said["release"], said["sentence"], said["sex"]) for path, said in twins.items()} == {
        "4차년도/same.wav": ("4차년도", "하나", "male"),
        "5차년도/same.wav": ("5차년도", "둘", "female"),
    }
    assert corpus.rejected == ()


def test_recordings_of_all_releases_in_one_folder_are_found_by_their_names(tmp_path):
    folder = write_aihub(tmp_path)
    for file in sorted(folder.glob("*차년도*/*.wav")):
        put(folder / "wav" / file.name, file.read_bytes())
        file.unlink()

    found = checked("aihub_emotion", folder)

    assert sorted(dict(one.fields)["release"] for one in found.corpus.utterances) == [
        "4차년도",
        "4차년도",
        "5차년도",
        "5차년도_2차",
    ]
    assert found.missing == ("5차년도_2차/gone.wav",)


def test_a_name_of_two_releases_without_their_folders_is_rejected_with_the_reason(tmp_path):
    folder = write_aihub(tmp_path)
    add_rows(folder, "4차년도", ("same", "하나", "male"))
    add_rows(folder, "5차년도", ("same", "둘", "female"))
    put(folder / "wav" / "same.wav", (folder / "4차년도" / "same.wav").read_bytes())
    for release in ("4차년도", "5차년도"):
        (folder / release / "same.wav").unlink()

    corpus = load_corpus("aihub_emotion", folder)

    assert [one.path for one in corpus.rejected] == ["wav/same.wav"]
    assert "two rows of the labels differ" in corpus.rejected[0].reason


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [("a.wav", "b.wav", "b.wav"), ("a.wav", "b", "b.wav"), ("a.wav", "sub/b.flac", "b.flac")],
)
def test_what_is_missing_has_the_ending_of_a_recording(tmp_path, name, row, expected):
    manifest = (
        'name = "tiny"\ntitle = "Tiny"\n[audio]\ninclude = ["*.wav", "*.flac"]\n[labels]\ntarget = "emotion"\n'
        '[[tables]]\nfiles = ["labels.csv"]\ncolumns = { file = "name", emotion = "emotion" }\n'
    )
    (tmp_path / "tiny.toml").write_text(manifest)
    (tmp_path / "labels.csv").write_text(f"name,emotion\n{name},joy\n{row},calm\n")
    (tmp_path / name).write_bytes(b"sound")

    assert checked(tmp_path / "tiny.toml", tmp_path).missing == (expected,)


def test_a_field_that_a_recording_lacks_is_said_to_be_absent(tmp_path):
    folder = write_aihub(tmp_path)
    text = COLUMNS.format(fourth="4번 감정세기") + "\r\n" + ROW.format(name="own", sentence="셋", sex="male") + "\r\n"
    put(folder / "labels.csv", text, "cp949")
    put(folder / "wav" / "own.wav", "own")

    found = checked("aihub_emotion", folder)

    absent = [one for one in found.differences if one.field == "release" and one.expected == 0]
    assert [(one.value, one.found) for one in absent] == [("(not stated)", 1)]
