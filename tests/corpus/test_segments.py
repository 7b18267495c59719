"""Segments and channels of recordings: one utterance each, whatever wrote them down; what cannot be is refused."""

from __future__ import annotations

import json

import pytest
from data_folders import write
from hypothesis import given
from hypothesis import strategies as st
from segmented import PARTS, WAYS, audio, kaldi, lhotse, metadata_csv, path_of
from tiny_corpus import build_here, recipe, tone

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.corpus_spec import folder_manifest
from featurestore.corpus.types import identified_file
from featurestore.errors import SourceError
from featurestore.segments import SECOND, WHOLE, Segment, is_content, recording_of, segment_of

RECORDING = "ab" * 32


def content(part):
    segment = Segment(round(part.start * SECOND), round(part.end * SECOND), part.channel)
    return segment.content(identified_file("", audio()[part.file]).content)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_segments_down_gives_the_same_utterances(tmp_path, way):
    corpus = load_corpus(WAYS[way](tmp_path))

    assert corpus.rejected == corpus.unlabelled == ()
    assert {(one.path, one.content, one.label, one.speaker) for one in corpus.utterances} == {
        (path_of(part), content(part), part.emotion, part.speaker) for part in PARTS
    }
    assert [one.path for one in corpus.utterances] == sorted(one.path for one in corpus.utterances)
    assert {one.file.path for one in corpus.utterances} == {"calls/a.wav", "calls/b.wav"}


segments = st.builds(
    lambda start, length, channel: Segment(start, None if length is None else start + length, channel),
    st.integers(0, 10**15),
    st.none() | st.integers(1, 10**15),
    st.none() | st.integers(0, 99),
)


@given(segments)
def test_a_content_id_tells_its_recording_and_its_segment(segment):
    name = segment.content(RECORDING)

    assert is_content(name)
    assert recording_of(name) == RECORDING
    assert segment_of(name) == segment
    assert segment.file(segment.path("x#t/a.wav")) == "x#t/a.wav"


def test_the_content_id_of_a_whole_recording_is_its_checksum():
    assert WHOLE.content(RECORDING) == RECORDING
    assert WHOLE.path("a.wav") == "a.wav"


@pytest.mark.parametrize(
    "name",
    [
        "", "ab", RECORDING[:-1], RECORDING.upper(), f"{RECORDING}\n", f"{RECORDING}.t0-", f"{RECORDING}.t01-2",
        f"{RECORDING}.t5-5", f"{RECORDING}.t5-4", f"{RECORDING}.c00", f"{RECORDING}.c100", f"{RECORDING}.c1.t1-2",
        f"{RECORDING}.t1-2.c-1", f"{RECORDING}.t1-99999999999999999999", f"{RECORDING}/../x", None, 7,
    ],
)  # fmt: skip
def test_a_content_id_is_written_in_one_way_only(name):
    assert not is_content(name)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("-0.5,1,,", "lies before the start"),
        ("1.5,1.0,,", "ends before it starts"),
        ("1,1,,", "ends before it starts"),
        (",1.0,,", "not where it starts"),
        ("half,1,,", "'half' is no number of seconds"),
        ("0.5s,1,,", "'0.5s' is no number of seconds"),
        ("1e99,,,", "no time in seconds within a recording"),
        ("01:30,2,,", "'01:30' is no number of seconds"),
        ("0.5,1,2.0,", "contradict each other"),
        ("0.5,1,,left", "the channel 'left' is no number"),
        ("0.5,1,,-1", "the channel '-1' is no number"),
        ('0.5,1,,"[0, 1]"', "the channel '[0, 1]' is no number"),
    ],
)
def test_a_row_about_no_possible_part_is_rejected_alone_with_its_reason(tmp_path, row, reason):
    header, others = "file_name,start,end,duration,channel,emotion", "calls/a.wav,2,2.5,,,calm\ncalls/b.wav,1,2,,,joy\n"
    text = f"{header}\ncalls/a.wav,{row},joy\n{others}"

    corpus = load_corpus(write(tmp_path, {"metadata.csv": text, **audio()}))

    assert {one.path for one in corpus.utterances} == {"calls/a.wav#t=2,2.5", "calls/b.wav#t=1,2"}
    assert len(corpus.rejected) == 1
    assert corpus.rejected[0].path == "calls/a.wav"
    assert reason in corpus.rejected[0].reason


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        ("start,start_time,end", "0.5,5,6", "contradict each other: 0.5 and 5 s"),
        ("start_time,start,end", "5,0.5,6", "contradict each other: 0.5 and 5 s"),
        ("start,end_s,End", "0.5,1,2", "contradict each other: 1 and 2 s"),
        ("start_ms,start,end", "500,0.5,1", "'start_ms' is in ms"),
        ("start,start_ms,end", "0.5,500,1", "'start_ms' is in ms"),
        ("channel,Channel", "0,1", "several channels: 0, 1"),
    ],
)
def test_columns_that_say_the_same_thing_twice_have_to_agree_in_any_order(tmp_path, header, row, reason):
    blank = "," * header.count(",")
    text = f"file_name,{header},emotion\ncalls/a.wav,{row},joy\ncalls/b.wav,{blank},calm\n"

    (rejected,) = load_corpus(write(tmp_path, {"metadata.csv": text, **audio()})).rejected

    assert reason in rejected.reason
    assert rejected.reason.startswith("the Hugging Face audio folder data: ")


@pytest.mark.parametrize("name", ["start_ms", "Start (ms)", "begin_samples", "start_frame", "onset_us"])
def test_times_in_another_unit_are_refused_by_the_name_of_their_column(tmp_path, name):
    text = f"file_name,{name},end,emotion\ncalls/a.wav,500,1000,joy\ncalls/b.wav,5,6,calm\n"

    with pytest.raises(SourceError, match=r"times are read in seconds"):
        load_corpus(write(tmp_path, {"metadata.csv": text, **audio()}))


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("begin,end", "0.5,1.5", "#t=0.5,1.5"),
        ("Start Time,End Time", "0.50,1.500", "#t=0.5,1.5"),
        ("start_s,stop_s", "0.5,1.5", "#t=0.5,1.5"),
        ("onset,offset", "0.5,1.5", "#t=0.5,1.5"),
        ("offset,duration", "0.5,1", "#t=0.5,1.5"),
        ("start,duration", "0.1,0.2", "#t=0.1,0.3"),
        ("start,end", "00:00:00.5,0 days 00:00:01.500000", "#t=0.5,1.5"),
        ("start,end", "5e-1,1.5000000001", "#t=0.5,1.5"),
        ("start,end", "0.5,NaT", "#t=0.5"),
        ("start,start_time,end", "0.5,0.50,1.5", "#t=0.5,1.5"),
        ("start,end", "0,NaN", ""),
        ("channel", "1.0", "#channel=1"),
        ("duration", "1.5", ""),
    ],
)
def test_the_names_and_forms_of_times_that_people_use(tmp_path, header, row, expected):
    text = f"file_name,{header},emotion\ncalls/a.wav,{row},joy\ncalls/b.wav,{row},calm\n"

    corpus = load_corpus(write(tmp_path, {"metadata.csv": text, **audio()}))

    assert {one.path for one in corpus.utterances} == {f"calls/{name}.wav{expected}" for name in "ab"}


def test_what_is_said_of_a_whole_recording_holds_for_its_segments(tmp_path):
    text = "file_name,start,end,speaker,emotion\ncalls/a.wav,,,ann,\ncalls/a.wav,1,2,,joy\ncalls/b.wav,1,2,ben,calm\n"

    corpus = load_corpus(write(tmp_path, {"metadata.csv": text, **audio()}))

    assert {(one.path, one.speaker) for one in corpus.utterances} == {
        ("calls/a.wav#t=1,2", "ann"),
        ("calls/b.wav#t=1,2", "ben"),
    }


def test_two_rows_about_one_segment_that_differ_are_rejected_naming_both(tmp_path):
    text = "file_name,start,end,emotion\ncalls/a.wav,1,2,joy\ncalls/a.wav,1.0,2.00,calm\ncalls/b.wav,0,2,calm\n"

    corpus = load_corpus(write(tmp_path, {"metadata.csv": text, **audio()}))

    assert [one.path for one in corpus.utterances] == ["calls/b.wav#t=0,2"]
    assert "differ in emotion: 'calm', 'joy'" in corpus.rejected[0].reason


def test_segments_without_a_class_leave_recordings_that_have_one_whole(tmp_path):
    header = """\
name: calls
tables:
  files: {type: filewise, columns: {emotion: {}}}
  pauses: {type: segmented, columns: {kind: {}}}
"""
    tables = {
        "db.files.csv": "file,emotion\ncalls/a.wav,joy\ncalls/b.wav,calm\n",
        "db.pauses.csv": "file,start,end,kind\ncalls/a.wav,0 days,0 days 00:00:01,breath\n",
    }

    corpus = load_corpus(write(tmp_path, {"db.yaml": header, **tables, **audio()}))

    assert [one.path for one in corpus.utterances] == ["calls/a.wav", "calls/b.wav"]
    assert any("1 segments without 'emotion'" in note for note in corpus.notes)


def test_a_file_with_the_name_of_a_segment_is_not_mixed_up_with_it(tmp_path):
    files = {**audio(), "calls/a.wav#t=1,2": audio()["calls/b.wav"]}
    text = 'file_name,start,end,emotion\ncalls/a.wav,1,2,joy\n"calls/a.wav#t=1,2",,,calm\ncalls/b.wav,,,calm\n'

    corpus = load_corpus(write(tmp_path, {"metadata.csv": text, **files}))

    assert len({one.path for one in corpus.utterances}) == len(corpus.utterances)
    assert any("is that of a part" in one.reason for one in corpus.rejected)


CONFLICTS = {
    "utt2emotion": "u0 anger\nu1 sadness\nu0 sadness\n",
    "utt2spk": "u0 ann\nu1 ben\nu0 ben\n",
    "spk2gender": "ann f\nben m\nann m\n",
    "wav.scp": "a calls/a.wav\nb calls/b.wav\na calls/b.wav\n",
    "segments": "u0 a 0 1\nu1 b 1 2\nu0 b 0 1\n",
    "text": "u0 one\nu1 two\nu0 three\n",
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_lines_of_kaldi_that_say_two_things_of_one_key_are_refused_naming_both(tmp_path, name):
    folder = kaldi(tmp_path)
    (folder / name).write_text(CONFLICTS[name])

    with pytest.raises(SourceError, match=rf"'{name}', line 1.*'{name}', line 3"):
        load_corpus(folder)


def test_a_line_of_kaldi_that_stands_twice_says_one_thing(tmp_path):
    folder = kaldi(tmp_path)
    text = (folder / "utt2emotion").read_text()
    (folder / "utt2emotion").write_text(text + text)

    assert len(load_corpus(folder).utterances) == len(PARTS)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("spk2utt", "ann u0 u2\nben u1 u3 u4\n", r"'u3' is said to be of 'ben', and 'utt2spk' says 'cleo'"),
        ("spk2emotion", "ann joy\n", r"'utt2emotion' says the emotion 'anger' of 'u0', and 'spk2emotion' says 'joy'"),
        ("utt2speaker", "u1 dora\n", r"'utt2speaker' says the speaker 'dora' of 'u1', and 'utt2spk' says 'ben'"),
    ],
)
def test_files_of_kaldi_that_contradict_each_other_are_refused_naming_both(tmp_path, name, text, named):
    folder = kaldi(tmp_path)
    (folder / name).write_text(text)

    with pytest.raises(SourceError, match=named):
        load_corpus(folder)


def test_recordings_of_kaldi_that_share_a_file_are_its_channels(tmp_path):
    folder = kaldi(tmp_path)
    (folder / "segments").unlink()
    (folder / "wav.scp").write_text("u0 calls/a.wav\nu1 calls/a.wav\nu4 calls/b.wav\n")
    (folder / "reco2file_and_channel").write_text("u0 a A\nu1 a B\nu4 b B\n")

    corpus = load_corpus(folder)

    assert {(one.path, one.speaker) for one in corpus.utterances} == {
        ("calls/a.wav#channel=0", "ann"),
        ("calls/a.wav#channel=1", "ben"),
        ("calls/b.wav#channel=1", "ben"),
    }


def test_a_channel_of_kaldi_is_taken_from_a_file_of_its_own_as_well_and_told(tmp_path):
    folder = kaldi(tmp_path)
    (folder / "segments").unlink()
    (folder / "wav.scp").write_text("u0 calls/a.wav\nu1 calls/b.wav\n")
    (folder / "reco2file_and_channel").write_text("u0 a A\nu1 b 2\n")

    corpus = load_corpus(folder)

    assert {one.path for one in corpus.utterances} == {"calls/a.wav#channel=0", "calls/b.wav#channel=1"}
    assert any(
        "names a channel of 2 recordings with a file of their own, such as 'u0'" in note for note in corpus.notes
    )


def test_a_channel_of_kaldi_that_a_file_of_its_own_lacks_rejects_that_recording(tmp_path, store):
    folder = kaldi(tmp_path)
    (folder / "segments").unlink()
    (folder / "wav.scp").write_text("u0 calls/a.wav\nu1 calls/b.wav\n")
    (folder / "calls" / "b.wav").write_bytes(tone(3))
    (folder / "reco2file_and_channel").write_text("u0 a A\nu1 b B\n")

    build_here(store, folder, recipe(0), "calls", manifest=folder_manifest(folder))

    view = store.view("calls")
    assert view.paths == ("calls/a.wav#channel=0",)
    assert [one.reason for one in view.table.rejected] == [
        "there is no channel 1: the recording has 1, and 0 is the first."
    ]


def test_a_channel_of_kaldi_that_there_is_not_is_refused_for_a_file_of_its_own_as_well(tmp_path):
    folder = kaldi(tmp_path)
    (folder / "reco2file_and_channel").write_text("a a left\n")

    with pytest.raises(SourceError, match=r"line 1.*the channel 'LEFT' is none of A, B, 1, 2"):
        load_corpus(folder)


@pytest.mark.parametrize("segments", ["u0 a 0.5\n", "u0 a\n", "u0 a 0 1 0 7\n", "u0 a 0.5 nan\n"])
def test_a_segment_of_kaldi_without_times_is_refused(tmp_path, segments):
    folder = kaldi(tmp_path)
    (folder / "segments").write_text(segments)

    with pytest.raises(SourceError, match=r"'segments', line 1.*a recording, a start and an end in seconds"):
        load_corpus(folder)


def test_a_segment_of_kaldi_up_to_minus_one_ends_with_its_recording(tmp_path):
    folder = kaldi(tmp_path)
    (folder / "segments").write_text("u0 a 0.5 -1\nu1 a 0 -1\nu4 b 0 3.00\n")
    (folder / "reco2dur").write_text("a 3.0\nb 3.0\n")

    paths = [one.path for one in load_corpus(folder).utterances]

    assert paths == ["calls/a.wav#t=0.5", "calls/b.wav"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"channel": 1', '"channel": 2', r"the channels 2 of a recording with 0, 1"),
        ('"channel": 1', '"channel": [1, 2]', r"the channels 1, 2 of a recording with 0, 1"),
        ('"channel": 1', '"channel": "left"', r"the channels 'left'"),
        ('"start": 0.5', '"start": "0.5"', r"'start' and 'duration' must be numbers"),
        ('"start": 0.5, ', "", r"'start' and 'duration' must be numbers"),
    ],
)
def test_a_supervision_that_cannot_be_honoured_is_refused_by_name(tmp_path, old, new, named):
    folder = lhotse(tmp_path)
    file = folder / "supervisions.jsonl"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))

    with pytest.raises(SourceError, match=named):
        load_corpus(folder)


def test_the_channels_of_a_source_are_counted_as_they_stand_in_its_file(tmp_path):
    folder = lhotse(tmp_path)
    for name, old, new in (
        ("recordings.jsonl", '"channels": [0, 1]', '"channels": [3, 1]'),
        ("supervisions.jsonl", '"channel": 0', '"channel": 3'),
        ("supervisions.jsonl", '"channel": [0, 1]', '"channel": [1, 3]'),
    ):
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    paths = {one.path for one in load_corpus(folder).utterances}

    assert paths == {path_of(part._replace(channel={0: 0, 1: 1, None: None}[part.channel])) for part in PARTS}


def test_a_field_of_a_supervision_that_is_called_as_times_are_is_a_label(tmp_path):
    folder = lhotse(tmp_path)
    file = folder / "supervisions.jsonl"
    file.write_text(file.read_text().replace('"custom": {', '"custom": {"channel": "telephone", '))

    corpus = load_corpus(folder)

    assert {dict(one.fields)["custom_channel"] for one in corpus.utterances} == {"telephone"}


def test_metadata_with_segments_is_read_again_when_a_time_changes(tmp_path):
    before = {one.content for one in load_corpus(metadata_csv(tmp_path)).utterances}
    file = tmp_path / "metadata.csv"
    file.write_text(file.read_text().replace("0.25,1.0", "0.25,1.1"))

    after = {one.content for one in load_corpus(tmp_path).utterances}

    assert len(after - before) == len(before - after) == 1


def test_a_proposed_manifest_reads_the_segments_of_a_table(tmp_path, capsys):
    rows = "".join(f"{p.file},0 days 00:00:{p.start:09.6f},0 days 00:00:{p.end:09.6f},{p.emotion}\n" for p in PARTS)
    write(tmp_path / "calls", {"labels.csv": f"file,start,end,emotion\n{rows}", **audio()})

    assert run(["corpora", "new", str(tmp_path / "calls"), "--out", str(tmp_path / "calls.toml")]) == 0
    corpus = load_corpus(tmp_path / "calls.toml", tmp_path / "calls")

    fragments = {path_of(part._replace(channel=None)).partition("#")[2] for part in PARTS}
    assert {one.path.partition("#")[2] for one in corpus.utterances} == fragments


def test_a_check_listens_to_the_segments_of_a_corpus(tmp_path, capsys):
    folder = metadata_csv(tmp_path / "calls")

    assert run(["corpora", "check", str(folder), "--quality", "--json", "--store", str(tmp_path / "store")]) == 0
    report = json.loads(capsys.readouterr().out)

    heard = report["quality"]
    assert (report["files"], report["sound"], heard["decoded"]) == (2, len(PARTS), len(PARTS))
    assert heard["summary"]["seconds"]["sum"] == pytest.approx(sum(part.end - part.start for part in PARTS))
