"""Proposed manifests: what is guessed, that it is accepted at once, and that nothing makes it run away."""

import hashlib
import json

import pytest
from data_folders import CODES, RECORDINGS, TAKERS, audio_folder, kaldi, named, write

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.catalog import parse_manifest
from featurestore.corpus.suggest.propose import propose_manifest

FORMS = {
    "names with underscores": "{speaker}_{mood}_{take}",
    "names with dashes": "{take}-{speaker}-{mood}",
    "a folder for each speaker": "{speaker}/{mood}_{take}",
    "a folder for each class": "{mood}/{speaker}_{take}",
    "two levels of folders": "{speaker}/{mood}/{take}",
    "leading folders": "data/all/{mood}/{speaker}_{take}",
    "names with blanks": "take {take} {speaker} {mood}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_class_and_speaker_are_found_wherever_they_stand(tmp_path, form):
    corpus = propose_manifest(named(tmp_path, form)).corpus

    assert corpus.label_counts() == dict.fromkeys(CODES.values(), 9)
    assert corpus.speaker_counts() == dict.fromkeys(TAKERS, 12)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_proposal_is_accepted_at_once(tmp_path, form, capsys):
    folder = named(tmp_path / "takes", form)
    manifest = tmp_path / "manifest.toml"

    assert run(["corpora", "new", str(folder), "--out", str(manifest)]) == 0
    checked = run(
        ["corpora", "check", str(manifest), "--source", str(folder), "--store", str(tmp_path / "store"), "--json"]
    )
    report = json.loads(capsys.readouterr().out)

    assert checked == 0
    assert (report["files"], report["labels"]) == (36, dict.fromkeys(CODES.values(), 9))
    assert len(load_corpus(manifest, folder).utterances) == 36


def test_letters_and_digits_without_separators_are_told_apart(tmp_path):
    numbers = [(speaker, mood, text) for speaker in ("03", "08", "11") for mood in "WLEF" for text in ("a01a", "b10b")]
    folder = write(tmp_path, {f"{speaker}{text[:3]}{mood}{text[3]}.wav": b"" for speaker, mood, text in numbers})

    corpus = propose_manifest(folder).corpus

    assert corpus.label_counts() == dict.fromkeys("EFLW", 6)
    assert corpus.speaker_counts() == dict.fromkeys(("03", "08", "11"), 8)


BY_POSITION = {
    "letters alone": ("{speaker}{mood}{take}", ("ang", "hap", "neu", "sad"), ("dc", "je", "jk", "kl")),
}


@pytest.mark.parametrize(("form", "moods", "speakers"), BY_POSITION.values(), ids=BY_POSITION)
def test_fields_are_told_by_their_position_in_names_of_one_length(tmp_path, form, moods, speakers):
    takes = "abc" if "letters" in form or isinstance(speakers, tuple) else "123"
    names = [
        form.format(mood=mood, speaker=speaker, take=take) for mood in moods for speaker in speakers for take in takes
    ]
    proposal = propose_manifest(write(tmp_path, {f"{name}.wav": b"" for name in names}))

    assert sorted(proposal.corpus.label_counts().values()) == [3 * len(speakers)] * len(moods)
    assert len(proposal.corpus.speaker_counts()) == len(speakers)
    assert len(proposal.corpus.utterances) == proposal.files == len(names)


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        ("03{0:02}01{1:02}{2}", range(1, 9), range(1, 13)),
        ("{1}{0}{2}", ("AN", "HA", "NE", "SO"), ("DC", "JE", "RK", "KL")),
    ],
    ids=["digits alone", "capitals alone"],
)
def test_fields_whose_meaning_cannot_be_told_are_not_named(tmp_path, form, first, second):
    takes = "123" if "03" in form else "abc"
    names = [form.format(one, other, take) for one in first for other in second for take in takes]

    proposal = propose_manifest(write(tmp_path, {f"{name}.wav": b"" for name in names}))

    assert proposal.corpus.label_counts() == {"unlabelled": len(names)}
    assert proposal.corpus.speaker_counts() == {}


@pytest.mark.parametrize(
    "names",
    [
        [f"{number:06}" for number in range(100)],
        [f"rec{number:03}" for number in range(7, 200)],
        [hashlib.sha256(bytes([number])).hexdigest()[:12] for number in range(200)],
        [f"{7919 * number % 100_000:05}" for number in range(100)],
    ],
    ids=["a counter", "a counter behind a word", "checksums", "numbers by chance"],
)
def test_names_that_only_tell_files_apart_are_not_cut_into_fields(tmp_path, names):
    proposal = propose_manifest(write(tmp_path, {f"{name}.wav": b"" for name in names}))

    assert proposal.corpus.label_counts() == {"unlabelled": len(names)}


def test_a_corpus_that_is_known_by_name_is_told(tmp_path, emodb_zip, capsys):
    assert run(["corpora", "new", str(emodb_zip), "--out", str(tmp_path / "mine.toml")]) == 0
    told = " ".join(capsys.readouterr().err.split())

    assert "this looks like emodb" in told
    assert f"featurestore corpora check emodb --source {emodb_zip}" in told.replace("\\ ", "")


def test_recordings_of_ones_own_look_like_no_known_corpus(tmp_path, capsys):
    assert run(["corpora", "new", str(named(tmp_path, FORMS["names with underscores"])), "--json"]) == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out)["looks_like"] is None
    assert "looks like" not in captured.err


def test_a_place_that_does_not_exist_is_told_without_an_option_that_there_is_not(capsys):
    assert run(["corpora", "new", "/nowhere/at/all"]) == 1

    error = capsys.readouterr().err
    assert "'/nowhere/at/all' does not exist" in error
    assert "--source" not in error


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_manifest_fits_eighty_columns_but_for_its_pattern(tmp_path, form):
    table = "name,temperature of the room in degrees\n" + "".join(
        f"{one},{20 + n}.125\n" for n, one in enumerate(RECORDINGS)
    )
    folder = named(tmp_path / "takes", form)
    (folder / "table_of_everything_else.csv").write_text(table)

    lines = propose_manifest(folder).toml.splitlines()

    assert [line for line in lines if len(line) > 80 and not line.startswith("pattern = ")] == []


def test_speakers_that_are_numbered_as_such_are_found_behind_the_class(tmp_path):
    names = [
        f"{mood}_x{take}_spk{number}.flac" for mood in ("on", "off", "up") for take in "12" for number in (1, 2, 3)
    ]

    corpus = propose_manifest(write(tmp_path, dict.fromkeys(names, b""))).corpus

    assert corpus.speaker_counts() == {"spk1": 6, "spk2": 6, "spk3": 6}
    assert corpus.label_counts() == {"off": 6, "on": 6, "up": 6}


def test_sides_are_read_from_folders_and_brought_to_their_usual_names(tmp_path):
    files = {f"{side}/{one[3]}/u{one[0]}.wav": b"" for side in ("train", "dev", "test") for one in RECORDINGS}

    corpus = propose_manifest(write(tmp_path, files)).corpus

    assert {dict(one.fields)["split"] for one in corpus.utterances} == {"train", "validation", "test"}
    assert corpus.label_counts() == {"anger": 15, "sadness": 9}


@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_beside_the_audio_is_joined_by_the_column_that_names_files(tmp_path, encoding, delimiter):
    header = ("번호", "wav_id", "speaker_id", "감정")
    rows = [
        header,
        *((str(one[0]), f"u{one[0]}", one[1], "화남" if one[3] == "anger" else "슬픔") for one in RECORDINGS),
    ]
    table = "\n".join(delimiter.join(row) for row in rows).encode(encoding)
    files = {f"wav/u{one[0]}.wav": b"" for one in RECORDINGS}

    corpus = propose_manifest(write(tmp_path, {**files, "labels.csv": table})).corpus

    assert corpus.label_counts() == {"슬픔": 3, "화남": 5}
    assert corpus.speaker_counts() == {"ann": 3, "ben": 2, "cleo": 3}


def test_a_table_without_a_header_is_joined_by_its_numbers(tmp_path):
    table = "".join(f"u{one[0]}.wav {one[3]} {one[1]}\n" for one in RECORDINGS)
    files = {f"u{one[0]}.wav": b"" for one in RECORDINGS}

    corpus = propose_manifest(write(tmp_path, {**files, "list.txt": table})).corpus

    assert corpus.label_counts() == {"anger": 5, "sadness": 3}


def test_a_table_of_json_lines_is_joined(tmp_path):
    table = "".join(json.dumps({"audio": f"wav/u{one[0]}.wav", "label": one[3], "x": [1]}) + "\n" for one in RECORDINGS)
    files = {f"wav/u{one[0]}.wav": b"" for one in RECORDINGS}

    assert propose_manifest(write(tmp_path, {**files, "all.jsonl": table})).corpus.label_counts() == {
        "anger": 5,
        "sadness": 3,
    }


def test_lists_of_sides_become_lists_of_the_manifest(tmp_path):
    words = {f"{word}/a{take}.wav": b"" for word in ("yes", "no") for take in range(10)}
    lists = {"testing_list.txt": "yes/a0.wav\nno/a0.wav\n", "validation_list.txt": "yes/a1.wav\nno/a1.wav\n"}

    proposal = propose_manifest(write(tmp_path, {**words, **lists}))
    sides = {one.path: dict(one.fields).get("split") for one in proposal.corpus.utterances}

    assert (sides["yes/a0.wav"], sides["no/a1.wav"], sides["no/a2.wav"]) == ("test", "validation", None)


def test_a_hugging_face_folder_gets_a_manifest_too(tmp_path):
    assert propose_manifest(audio_folder(tmp_path)).corpus.label_counts() == {"anger": 5, "sadness": 3}


def test_names_that_say_nothing_give_one_class_and_say_so(tmp_path):
    folder = write(tmp_path, dict.fromkeys(("a song.wav", "Recording (2).WAV", "x_1_2_3.mp3"), b""))

    proposal = propose_manifest(folder)

    assert proposal.corpus.label_counts() == {"unlabelled": 3}
    assert "neither folders nor names seem to hold a label" in proposal.toml


def test_comments_tell_what_was_guessed_from_which_values(tmp_path):
    toml = propose_manifest(named(tmp_path, "{speaker}_{mood}_{take}")).toml

    assert "#   1. name, 3 values: anna 12, ben 12, cleo 12 -> speaker" in toml
    assert "#   2. name, 4 values: ang 9, hap 9, neu 9, sad 9 -> emotion, because" in toml
    assert "#   3. name, 3 values: 01 12, 02 12, 03 12 -> not used" in toml
    assert 'ang = "anger"  # 9' in toml


def test_a_folder_without_audio_is_told_in_one_line(tmp_path, capsys):
    write(tmp_path, {"notes.txt": "x"})

    assert run(["corpora", "new", str(tmp_path)]) == 1
    assert "holds no audio among its 1 files" in capsys.readouterr().err


def test_data_that_needs_no_manifest_is_told_so(tmp_path, capsys):
    assert run(["corpora", "new", str(kaldi(tmp_path))]) == 1
    assert "needs no manifest" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_overwritten(tmp_path, capsys):
    folder = named(tmp_path / "takes", "{speaker}_{mood}_{take}")
    manifest = tmp_path / "mine.toml"
    manifest.write_text("precious")

    assert run(["corpora", "new", str(folder), "--out", str(manifest)]) == 1
    assert manifest.read_text() == "precious"
    assert "already exists" in capsys.readouterr().err


def test_json_is_one_object_with_the_manifest_in_it(tmp_path, capsys):
    assert run(["corpora", "new", str(named(tmp_path, "{speaker}_{mood}_{take}")), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)

    assert (told["files"], told["labelled"], told["labels"]["anger"]) == (36, 36, 9)
    assert parse_manifest(told["toml"], "here").labels.speaker == "speaker"
