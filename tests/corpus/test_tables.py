"""Tables of labels: quotes, lost delimiters, missing values and numbers never give a recording another one's label."""

import csv
import io
import json
import re
import unicodedata

import pytest
from data_folders import RECORDINGS, audio, kaldi, lhotse_recording, lhotse_supervision, lines, write
from hypothesis import assume, given
from hypothesis import strategies as st

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.labels.tables import table_rows
from featurestore.corpus.suggest.propose import propose_manifest
from featurestore.errors import SourceError

HEADER = ["path", "sentence", "emotion", "speaker"]
ROWS = [[f"c{number}.wav", f"say {number}", "joy" if number % 2 else "calm", f"s{number}"] for number in range(8)]

cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=8)
tables = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6)


def rows_of(text, delimiter=","):
    return [found for _, found in table_rows(text, delimiter, "table", header=True)]


def written(rows, delimiter=","):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue()


@given(tables, st.sampled_from(",;\t|"))
def test_what_a_writer_of_csv_writes_is_read(table, delimiter):
    assume(all(row[-1] and any(row) for row in table))

    assert rows_of(written([["a", "b", "c"], *table], delimiter), delimiter)[1:] == table


def test_fields_of_several_lines_are_read_where_no_line_of_them_is_a_row():
    table = [["a.wav", "first\nsecond", "joy"], ["b.wav", 'say "no"\n\nand go', "calm"]]

    assert rows_of(written([["path", "text", "mood"], *table]))[1:] == table


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_a_stray_quote_moves_no_value_to_another_row(delimiter, column, place):
    table = [list(row) for row in ROWS]
    value = table[3][column]
    cut = {"start": 0, "middle": 2, "end": len(value)}[place]
    table[3][column] = f'{value[:cut]}"{value[cut:]}'
    text = "\n".join(delimiter.join(row) for row in [HEADER, *table])

    assert rows_of(text, delimiter)[1:] == table


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (0, 3)])
def test_two_stray_quotes_far_apart_join_no_rows(first, second):
    table = [list(row) for row in ROWS]
    table[2][first] = f'"{table[2][first]}'
    table[5][second] = f'{table[5][second]}"'
    text = "\n".join("\t".join(row) for row in [HEADER, *table])

    assert rows_of(text, "\t")[1:] == table


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("c9.wav,hello,joy", 3),
        ("c9.wav,hello, world,joy,s1", 5),
        ('c9.wav,"hello, world,joy,s1', 5),
        ('c9.wav,"hello,joy,s1"', 2),
    ],
    ids=["a lost column", "a comma without quotes", "a quote that nothing closes", "a quote closed too late"],
)
def test_a_line_with_another_number_of_columns_is_named(line, columns):
    text = written([HEADER, *ROWS]) + line + "\n"

    with pytest.raises(SourceError, match=f"table, line 10: {columns} columns, and the first line has 4"):
        rows_of(text)


def test_signs_that_end_lines_in_unicode_alone_end_no_row():
    table = [["a.wav", "one\u2028two\x85three\x0bfour", "joy"]]

    assert rows_of(written([["path", "text", "mood"], *table]))[1:] == table


def test_empty_columns_at_the_end_of_lines_are_no_columns():
    assert rows_of("path,mood,,\na.wav,joy\nb.wav,calm,\nc.wav,joy,,,\n") == [
        ["path", "mood"],
        ["a.wav", "joy"],
        ["b.wav", "calm"],
        ["c.wav", "joy"],
    ]


MANIFEST = """
name = "quotes"
title = "Quotes"
[labels]
target = "emotion"
[[tables]]
files = ["labels.tsv"]
columns = { file = "path", emotion = "emotion", speaker = "speaker" }
"""


def test_a_quote_in_a_table_beside_the_audio_leaves_labels_and_speakers_where_they_are(tmp_path):
    lines = ["\t".join(HEADER)]
    lines += [f'u{number}.wav\t"Hello!\t{mood}\t{name}' for number, name, _, mood, _ in RECORDINGS]
    folder = write(tmp_path / "q", {**audio(), "labels.tsv": "\n".join(lines)})
    manifest = tmp_path / "q.toml"
    manifest.write_text(MANIFEST)

    corpus = load_corpus(manifest, folder)

    assert [(one.label, one.speaker) for one in corpus.utterances] == [(one[3], one[1]) for one in RECORDINGS]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('u1.wav\thello\t"joy\tann', 'its emotion has a quote that nothing closes: "joy'),
        ('u1.wav\thello\tjoy\tann"', 'its speaker has a quote that nothing closes: ann"'),
    ],
)
def test_a_class_or_speaker_with_an_open_quote_is_rejected_alone(tmp_path, line, reason):
    rows = ["\t".join(HEADER), line, "u2.wav\thello\tcalm\tben", 'u3.wav\thello\t"so ""called"" joy"\tann']
    folder = write(tmp_path / "q", {**audio(), "labels.tsv": "\n".join(rows)})
    manifest = tmp_path / "q.toml"
    manifest.write_text(MANIFEST)

    corpus = load_corpus(manifest, folder)

    assert [(one.label, one.speaker) for one in corpus.utterances] == [("calm", "ben"), ('so "called" joy', "ann")]
    assert [one.reason for one in corpus.rejected] == [reason]


def metadata(folder, values, column="emotion"):
    rows = "".join(f"wav/u{one[0]}.wav,{value},{one[1]}\n" for one, value in zip(RECORDINGS, values, strict=True))
    return write(folder, {**audio(), "metadata.csv": f"file_name,{column},speaker\n{rows}"})


MISSING = ("", "nan", "NaN", "None", "none", "NONE", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "<NA>", "?", "-", "--")


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_label_is_no_class_and_a_missing_speaker_nobody(tmp_path, missing):
    folder = metadata(tmp_path, ["joy", "calm", "joy", "calm", "joy", "calm", missing, missing])

    built = load_corpus(folder)
    proposed = propose_manifest(folder).corpus

    assert built.label_counts() == proposed.label_counts() == {"calm": 3, "joy": 3}
    assert len(built.rejected) + len(built.unlabelled) == 2
    assert not missing or f"2 recordings have no emotion, which their label files call missing: 2 {missing!r}" in [
        *built.notes
    ]


@pytest.mark.parametrize("missing", [*filter(None, MISSING), "NaT"])
def test_a_missing_label_is_no_class_in_a_table_that_is_read_in_lower_case_either(tmp_path, missing):
    table = f"path\temotion\tspeaker\nu1.wav\tJoy\tAnn\nu2.wav\t{missing}\tBen\n"
    lines = f'{{"path": "u1.wav", "emotion": "Joy"}}\n{{"path": "u2.wav", "emotion": "{missing}"}}\n'
    manifests = {"labels.tsv": MANIFEST, "labels.jsonl": MANIFEST.replace("labels.tsv", "labels.jsonl")}
    for name, text in manifests.items():
        folder = write(tmp_path / name, {**audio(), name: table if name.endswith("tsv") else lines})
        how = "lower = true\n" if name.endswith("tsv") else 'lower = true\nformat = "jsonl"\n'
        manifest = tmp_path / f"{name}.toml"
        manifest.write_text(text + how)

        assert load_corpus(manifest, folder).label_counts() == {"joy": 1}


def test_a_code_table_of_the_manifest_says_that_na_is_a_class(tmp_path):
    folder = write(
        tmp_path / "q", {**audio(), "labels.tsv": "path\temotion\tspeaker\nu1.wav\tNA\tann\nu2.wav\tHA\tNA\n"}
    )
    manifest = tmp_path / "q.toml"
    manifest.write_text(MANIFEST + '[labels.codes.emotion]\nNA = "natural"\nHA = "happy"\n')

    corpus = load_corpus(manifest, folder)

    assert [(one.label, one.speaker) for one in corpus.utterances] == [("natural", "ann"), ("happy", None)]


@pytest.mark.parametrize("column", ["valence", "label"])
@pytest.mark.parametrize(
    "values", [[f"{number / 10}" for number in range(8)], ["1e-3", "2.5", "1", "1", "1", "2.5", "-3", ".5"]]
)
def test_a_column_of_numbers_is_told_and_becomes_no_class(tmp_path, capsys, column, values):
    folder = metadata(tmp_path / "m", values, column)

    assert run(["build", str(folder), "--dry-run", "--store", str(tmp_path / "store")]) == 1
    assert f"{column!r} holds numbers, which are no classes" in capsys.readouterr().err
    proposal = propose_manifest(folder)
    assert proposal.corpus.label_counts() == {"unlabelled": 8}
    assert "numbers, no class: " in proposal.toml


def kaldi_folder(folder, emotions):
    kaldi(folder, utt2emotion="".join(f"u{number} {emotion}\n" for number, emotion in emotions.items()))


def lhotse_folder(folder, emotions):
    told = [lhotse_supervision(*one[:3], emotions[one[0]]) for one in RECORDINGS]
    recordings = lines(lhotse_recording(number) for number in emotions)
    write(folder, {**audio(), "x_recordings.jsonl": recordings, "x_supervisions.jsonl": lines(told)})


@pytest.mark.parametrize("missing", [*filter(None, MISSING)])
@pytest.mark.parametrize("way", [kaldi_folder, lhotse_folder])
def test_a_missing_label_is_no_class_in_data_of_other_tools_either(tmp_path, way, missing):
    way(tmp_path, {one[0]: missing if one[0] > 6 else one[3] for one in RECORDINGS})

    corpus = load_corpus(tmp_path)

    assert corpus.label_counts() == {"anger": 3, "sadness": 3}
    assert len(corpus.rejected) == 2


def test_words_for_an_unknown_class_are_classes_and_told(tmp_path):
    corpus = load_corpus(metadata(tmp_path, ["joy", "Unknown"] * 4))

    assert corpus.label_counts() == {"Unknown": 4, "joy": 4}
    assert "4 recordings have the class 'Unknown': if it means that nobody knows it, leave it empty" in corpus.notes


def test_names_that_are_nearly_words_for_missing_are_speakers(tmp_path):
    names = ("Nan", "Na", "Nat")
    rows = "".join(f"wav/u{n + 1}.wav,{('joy', 'calm')[n % 2]},{names[n % 3]}\n" for n in range(8))

    corpus = load_corpus(write(tmp_path, {**audio(), "metadata.csv": f"file_name,emotion,speaker\n{rows}"}))

    assert corpus.speaker_counts().keys() == set(names)


@pytest.mark.parametrize(
    ("values", "some"),
    [
        ([str(7 * (number // 2)) for number in range(8)], "4 (0, 7, 14, 21)"),
        (["0", "7", "14", "21", "28", "49", "49", "0"], "6 (0, 7, 14, 21, 28, ...)"),
        (["1", "2"] * 4, "2 (1, 2)"),
        (["10", "9", "-1", "10", "9", "-1", "9", "10"], "3 (-1, 9, 10)"),
    ],
)
def test_whole_numbers_as_classes_are_told(tmp_path, capsys, values, some):
    folder = metadata(tmp_path / "m", values, "label")
    told = f"the classes of 'label' are numbers: {some} of 8 recordings; amounts are no classes: name ranges of them"

    assert told in load_corpus(folder).notes
    assert run(["build", str(folder), "--dry-run", "--store", str(tmp_path / "store")]) == 0
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "values", [[str(7 * number) for number in range(8)], [f"take {number}" for number in range(8)]]
)
@pytest.mark.parametrize("column", ["label", "emotion"])
def test_a_column_with_another_value_for_every_recording_is_no_class_for_build_and_new_alike(tmp_path, values, column):
    folder = metadata(tmp_path / "m", values, column)

    with pytest.raises(SourceError, match=f"{column!r} has another value for every recording"):
        load_corpus(folder)
    assert propose_manifest(folder).corpus.label_counts() == {"unlabelled": 8}


@pytest.mark.parametrize("times", ["start,end", "begin,duration", "onset,offset", "StartTime,EndTime", "channel,year"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_times_of_segments_that_a_manifest_leaves_out_are_refused_by_name(tmp_path, times, form):
    names = ["path", "emotion", *times.split(",")]
    values = [("u1.wav", "joy", "1", "2"), ("u2.wav", "calm", "0", "1")]
    text_of = "".join(",".join(one) + "\n" for one in (names, *values))
    if form == "jsonl":
        text_of = "".join(json.dumps(dict(zip(names, one, strict=True))) + "\n" for one in values)
    folder = write(tmp_path / "q", {**audio(), f"labels.{form}": text_of})
    manifest = tmp_path / "q.toml"
    text = MANIFEST.replace("labels.tsv", f"labels.{form}") + ('format = "jsonl"\n' if form == "jsonl" else "")
    text = re.sub(r"columns = \{.*\}", 'columns = {{ file = "path", emotion = "emotion"{} }}', text)
    manifest.write_text(text.format(""))
    first, second = names[2:]
    named = repr(first) if first == "channel" else f"{first!r} and {second!r}"

    with pytest.raises(
        SourceError, match=f"{named} say a part of a recording, and the manifest's 'columns' leave them"
    ):
        load_corpus(manifest, folder)

    manifest.write_text(text.format(f', cut_from = "{first}", cut_to = "{second}"'))
    assert load_corpus(manifest, folder).label_counts() == {"joy": 1, "calm": 1}


def test_whole_numbers_that_pandas_wrote_as_floats_may_be_classes(tmp_path):
    folder = metadata(tmp_path, ["1.0", "2.0"] * 4, "label")

    assert load_corpus(folder).label_counts() == {"1.0": 4, "2.0": 4}


def test_dates_are_no_class(tmp_path):
    rows = "".join(
        f"wav/u{one[0]}.wav,4/2{number % 2},{'positive' if number < 4 else 'negative'}\n"
        for number, one in enumerate(RECORDINGS)
    )
    folder = write(tmp_path, {**audio(), "metadata.csv": f"file_name,date,test\n{rows}"})

    assert load_corpus(folder).label_counts() == {"negative": 4, "positive": 4}
    assert propose_manifest(folder).corpus.label_counts() == {"negative": 4, "positive": 4}


def test_a_json_line_that_says_two_things_of_one_key_is_named(tmp_path):
    lines = [
        '{"file_name": "wav/u1.wav", "emotion": "joy"}',
        '{"file_name": "wav/u2.wav", "emotion": "joy", "emotion": "calm"}',
    ]
    folder = write(tmp_path, {**audio(), "metadata.jsonl": "\n".join(lines)})

    with pytest.raises(SourceError, match=r"'metadata.jsonl', line 2: not JSON .the key 'emotion' appears twice"):
        load_corpus(folder)


def test_a_faulty_line_of_a_table_is_told_in_the_proposed_manifest(tmp_path):
    rows = "".join(f"u{one[0]}.wav,{one[3]}\n" for one in RECORDINGS)
    folder = write(tmp_path, {**audio(), "labels.csv": f"file,mood\n{rows}u9.wav,joy,too much\n"})

    toml = propose_manifest(folder).toml

    assert "The tables beside the audio are not used: label file 'labels.csv', line 10: 3" in " ".join(
        toml.replace("\n#  ", "").split()
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("table_form", ["NFC", "NFD"])
def test_names_are_matched_in_either_form_of_unicode(tmp_path, form, table_form):
    names = {number: unicodedata.normalize(form, f"Gefühl_{number}.wav") for number in range(6)}
    rows = "".join(f"Gefühl_{number}.wav,{'xy'[number % 2]},{'ABC'[number % 3]}\n" for number in names)
    table = unicodedata.normalize(table_form, f"file,emotion,speaker\n{rows}")
    folder = write(tmp_path, {**dict.fromkeys(names.values(), b"RIFF"), "labels.csv": table})

    corpus = propose_manifest(folder).corpus

    assert (corpus.label_counts(), corpus.speaker_counts()) == ({"x": 3, "y": 3}, {"A": 2, "B": 2, "C": 2})
