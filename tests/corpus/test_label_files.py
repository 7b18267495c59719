"""Labels from files beside the audio: columns, lists, joins, headerless audio; kept, bounded, in no key."""

import io
import zipfile

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.corpus import ListedFile, find_manifest, label, load_corpus, read_manifest
from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.tables import read_columns, sniffed_delimiter
from featurestore.corpus.manifest import TableRule, is_label_file
from featurestore.corpus.sources.audio_files import RawFormat
from featurestore.errors import FeatureStoreError, ManifestError, SourceError
from featurestore.signal.audio import decode
from featurestore.store import open_store
from pipelines.ingest.ingest import ingest, known_corpus
from pipelines.repair import repair

MANIFEST = """
name = "takes"
title = "Takes"
[labels]
target = "mood"
[labels.codes.mood]
j = "joy"
c = "calm"
[[tables]]
files = ["labels.csv"]
columns = { file = "name", speaker = ["Speaker", "spk"], mood = 3 }
"""
TABLE = "name;spk;mood\na.wav;anna;j\nb;ben;c\n\ngone.wav;ben;j\n"


def manifest_file(folder, text=MANIFEST):
    path = folder / "takes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def audio_folder(folder, names=("a.wav", "b.wav", "c.wav"), **label_files):
    place = folder / "audio"
    (place / "deep").mkdir(parents=True)
    for name in names:
        (place / "deep" / name).write_bytes(name.encode())
    for name, text in (label_files or {"labels.csv": TABLE}).items():
        (place / name.replace("_csv", ".csv").replace("_txt", ".txt")).write_bytes(
            text.encode() if isinstance(text, str) else text
        )
    return place


def test_labels_and_speakers_come_from_a_table_with_or_without_extensions(tmp_path):
    corpus = load_corpus(manifest_file(tmp_path), audio_folder(tmp_path))

    assert [(one.path, one.label, one.speaker) for one in corpus.utterances] == [
        ("a.wav", "joy", "anna"),
        ("b.wav", "calm", "ben"),
    ]
    assert corpus.unlabelled[0].path == "c.wav"
    assert corpus.unlabelled[0].reason == "no row of labels.csv gives its mood"
    assert "1 rows of the label files have no recording: gone.wav" in corpus.notes


def test_a_zip_a_tar_and_a_folder_give_the_same_labels(tmp_path):
    import tarfile

    folder = audio_folder(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path))
            tar.add(file, file.relative_to(tmp_path))

    found = [
        load_corpus(manifest_file(tmp_path), tmp_path / name).utterances for name in ("audio", "a.zip", "a.tar.gz")
    ]

    assert found[0] == found[1] == found[2] != ()


def test_a_missing_table_is_an_error_that_names_it(tmp_path):
    place = audio_folder(tmp_path)
    (place / "labels.csv").unlink()

    with pytest.raises(SourceError, match=r"no label file 'labels\.csv'.*--source"):
        load_corpus(manifest_file(tmp_path), place)


def test_rows_that_contradict_each_other_reject_their_recording_alone(tmp_path):
    corpus = load_corpus(manifest_file(tmp_path), audio_folder(tmp_path, labels_csv=TABLE + "a.wav;anna;c\n"))

    assert [one.path for one in corpus.utterances] == ["b.wav"]
    assert "two rows of the labels differ in mood" in corpus.rejected[0].reason


def test_an_unknown_code_of_a_table_rejects_the_recording(tmp_path):
    corpus = load_corpus(manifest_file(tmp_path), audio_folder(tmp_path, labels_csv=TABLE.replace("anna;j", "anna;x")))

    assert corpus.rejected[0].reason == "unknown code 'x' for mood; known: c, j"


def test_the_store_keeps_the_label_files_so_that_later_commands_need_no_source(tmp_path):
    store, manifest = open_store(tmp_path / "store"), read_manifest(manifest_file(tmp_path))
    first = ingest(store, manifest, audio_folder(tmp_path), None)

    assert known_corpus(store, manifest).utterances == first.utterances
    assert ingest(store, manifest, None, None).utterances == first.utterances


def test_a_manifest_that_reads_other_label_files_needs_the_source_again(tmp_path):
    store, place = open_store(tmp_path / "store"), audio_folder(tmp_path)
    ingest(store, read_manifest(manifest_file(tmp_path)), place, None)
    (place / "more.csv").write_text("file,age\na,31\n")
    more = read_manifest(manifest_file(tmp_path, MANIFEST + '[[tables]]\nfiles = ["more.csv"]\n'))

    assert known_corpus(store, more) is None
    assert dict(ingest(store, more, place, None).utterances[0].fields)["age"] == "31"


def test_a_damaged_label_file_of_the_store_is_mended_from_the_source(tmp_path):
    store, place = open_store(tmp_path / "store"), audio_folder(tmp_path)
    manifest = read_manifest(manifest_file(tmp_path))
    ingest(store, manifest, place, None)
    import hashlib

    kept = tmp_path / "store" / "sources" / hashlib.sha256(TABLE.encode()).hexdigest()
    kept.unlink()
    kept.write_bytes(b"damaged")

    with pytest.raises(FeatureStoreError, match="damaged"):
        known_corpus(store, manifest)
    assert repair(store, source=place).left == ()
    assert len(known_corpus(store, manifest).utterances) == 2


def test_renaming_paths_or_labels_changes_no_content(tmp_path):
    before = load_corpus(manifest_file(tmp_path), audio_folder(tmp_path))
    (tmp_path / "audio" / "labels.csv").write_text(TABLE.replace(";j", ";c"))

    after = load_corpus(manifest_file(tmp_path), tmp_path / "audio")

    assert [one.content for one in before.utterances] == [one.content for one in after.utterances]
    assert [one.label for one in before.utterances] != [one.label for one in after.utterances]


LISTS = """
[[lists]]
files = ["val.txt"]
value = "validation"
[[lists]]
files = ["test.txt"]
value = "test"
"""


def test_lists_give_their_members_a_side_by_path_whatever_folder_stands_before(tmp_path):
    place = audio_folder(tmp_path, labels_csv=TABLE, val_txt="x/a.wav\r\n", test_txt="b.wav\n")

    corpus = load_corpus(manifest_file(tmp_path, MANIFEST + LISTS), place)

    assert [dict(one.fields)["split"] for one in corpus.utterances] == ["validation", "test"]


def test_a_table_path_can_give_fields_and_a_key_can_join_several_columns(tmp_path):
    text = MANIFEST.replace(
        'columns = { file = "name", speaker = ["Speaker", "spk"], mood = 3 }',
        "columns = { d = 1, u = 2, mood = 3 }\nkey = '{part}{d}_{u}'\npattern = '.*?(?P<part>[a-z]+)\\.csv'",
    ).replace("labels.csv", "*.csv")

    corpus = load_corpus(
        manifest_file(tmp_path, text), audio_folder(tmp_path, ("train1_2.wav",), train_csv="d,u,m\n1,2,j\n")
    )

    assert corpus.label_counts() == {"joy": 1}


@pytest.mark.parametrize(
    ("text", "data", "delimiter"),
    [("a\tb", "a\tb", "\t"), ("a,b", "a,b", ","), ("\n\na;b", "a;b", ";"), ("a b  c", "a b", " ")],
)
def test_the_delimiter_is_found_in_the_first_line(text, data, delimiter):
    assert sniffed_delimiter(text) == delimiter


def test_a_file_in_an_older_encoding_is_read_by_the_second_one_named():
    rule = TableRule(("x.csv",), encoding=("utf-8", "cp949"))

    rows = list(read_columns(rule, "x.csv", "file,감정\r\na,기쁨\r\n".encode("cp949")))

    assert rows == [{"file": "a", "감정": "기쁨"}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"name;spk\na;b\n", "no column|too few"),
        (b"\xff\xfe\xff", "no utf-8-sig text"),
        (b"other;thing;x\n1;2;3\n", "no column 'name'"),
        (b'name;spk;mood\n"a;b', "line 2: 2 columns, and the first line has 3"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_name(tmp_path, data, message):
    with pytest.raises(SourceError, match=message):
        load_corpus(manifest_file(tmp_path), audio_folder(tmp_path, labels_csv=data))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(TABLE_FORMATS)), st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_as_a_label_file_give_rows_or_one_of_our_errors(name, data):
    rule = TableRule(("x",), format=name)

    try:
        rows = list(TABLE_FORMATS[name](rule, "x", data))
    except FeatureStoreError:
        return
    assert all(isinstance(value, str) for row in rows for value in row.values())


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.csv", "a/b/C.CSV", True),
        ("labels/*.csv", "x/labels/a.csv", True),
        ("labels/*.csv", "labels/deep/a.csv", False),
        ("5차년도.csv", "5차년도.csv", True),
    ],
)
def test_file_patterns_look_at_the_end_of_a_path_part_by_part(pattern, path, fits):
    assert is_label_file((TableRule((pattern,)),), path) is fits


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (MANIFEST.replace('files = ["labels.csv"]', "files = ['../x.csv']"), "without '..'"),
        (MANIFEST + "format = 'pickle'", "unknown format 'pickle'; known: columns"),
        (MANIFEST + "encoding = 'zip'", "unknown encoding 'zip'"),
        (MANIFEST + "key = '{file.__class__}'", "nothing else in braces"),
        (MANIFEST + "key = 'x'", "must hold a field"),
        (MANIFEST + "key = '{other}'", "needs the column 'other'"),
        (MANIFEST + "pattern = '(a+)+'", "repeated group"),
        (MANIFEST.replace("mood = 3", "mood = 0"), "a number from 1"),
        (MANIFEST.replace("[[tables]]", "[labels.derived]\nx = 'eval'\n[[tables]]"), "unknown derivation 'eval'"),
        (MANIFEST + "[audio]\nraw = { rate = 8000, endian = 'middle' }", "'endian' little or big"),
        (MANIFEST + "[audio]\nraw = { channels = 1 }", "the key 'rate' is missing"),
        (MANIFEST + "[schemes.a]\nvotes = 'loudest'", "unknown rule 'loudest'"),
        (MANIFEST + "[protocols.a]\nsplit = 'lose'", "takes the unknown split 'lose'"),
        (MANIFEST + "[protocols.a]\nsplit = 'loso'\nscheme = 'four'", "unknown scheme 'four'"),
        (MANIFEST + "[expected]\nfiles = 3\n[expected.fields.room]\na = 1", "expected room sum to 1"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place_and_the_way_out(tmp_path, change, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(manifest_file(tmp_path, change))


SAMPLES = (np.sin(np.arange(800) / 20) * 20_000).astype("<i2")


def wave(subtype, samples=SAMPLES):
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (RawFormat(8000), SAMPLES.tobytes()),
        (RawFormat(8000), SAMPLES.tobytes() + b"\1"),
        (RawFormat(8000, endian="big"), SAMPLES.astype(">i2").tobytes()),
        (RawFormat(8000, encoding="pcm_32"), (SAMPLES.astype("<i4") << 16).tobytes()),
        (RawFormat(8000, encoding="float_32"), (SAMPLES / np.float32(32768)).astype("<f4").tobytes()),
    ],
)
def test_headerless_samples_decode_as_the_same_samples_with_a_header(raw, data):
    wrapped = raw.wrap(data)

    assert np.array_equal(decode(wrapped).signal, decode(wave("PCM_16")).signal)
    assert raw.wrap(wrapped) == wrapped


def test_headerless_a_law_decodes_as_in_a_wav_file():
    data = wave("ALAW")
    samples = data[data.index(b"data") + 8 :][: len(SAMPLES)]

    assert np.array_equal(decode(RawFormat(8000, encoding="alaw").wrap(samples)).signal, decode(data).signal)


def test_headerless_audio_is_kept_with_its_header_and_mended_from_the_bare_file(tmp_path):
    text = MANIFEST + '[audio]\ninclude = ["*.raw"]\nraw = { rate = 8000 }\n'
    place = audio_folder(tmp_path, ("a.raw",), labels_csv="name;spk;mood\na.raw;anna;j\n")
    (place / "deep" / "a.raw").write_bytes(SAMPLES.tobytes())
    store, manifest = open_store(tmp_path / "store"), read_manifest(manifest_file(tmp_path, text))
    content = ingest(store, manifest, place, None).utterances[0].content

    assert decode(store.original(content)).rate == 8000
    (tmp_path / "store" / "sources" / content).unlink()
    assert repair(store, source=place).left == ()
    assert np.array_equal(decode(store.original(content)).signal, decode(wave("PCM_16")).signal)


def test_a_manifest_without_label_files_says_nothing_special_about_reading():
    assert find_manifest("emodb").reading == {}
    assert label(find_manifest("demo"), (ListedFile("f1_s1_neu.wav", "0" * 64, 1),)).label_counts() == {"neutral": 1}


def test_the_examples_of_the_readme_are_manifests(tmp_path):
    import re
    from pathlib import Path

    text = (Path(__file__).resolve().parents[2] / "data_manifests" / "README.md").read_text(encoding="utf-8")
    blocks = [
        block
        for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        if "[[tables]]" in block or "[schemes" in block
    ]
    head = 'name = "takes"\ntitle = "Takes"\n'

    manifest = read_manifest(manifest_file(tmp_path, head + "".join(blocks)))

    assert len(blocks) == 2
    assert manifest.tables[0].columns["emotion"] == (4,)
    assert manifest.protocols["four-loso@author2020"].scheme == "four"
