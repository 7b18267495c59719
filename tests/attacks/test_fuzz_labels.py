"""Label files and other tools' data that were changed where it hurts: verified rows, or one of our errors.

A second or two; FEATURESTORE_CHAOS=long (`make chaos`) tries a hundred times as much.
"""

import gzip
import shutil
import tempfile
from pathlib import Path

import pytest
from data_folders import audformat, kaldi, lhotse
from fuzzing import fuzzed, refused_or_bounded
from hypothesis import given
from hypothesis import strategies as st
from licensed_corpora import COLUMNS, IEMOCAP_HEADER, turn_lines
from segmented import WAYS

from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.votes import parse_votes
from featurestore.corpus.load import load_corpus
from featurestore.corpus.manifest import TableRule
from featurestore.corpus.splits.leakage import leaks
from featurestore.corpus.splits.rules import SPLITS, find_rule
from featurestore.errors import FeatureStoreError, SourceError
from featurestore.segments import is_content

AIHUB = "\r\n".join(
    [COLUMNS.format(fourth="4번 감정세기"), 'a1,"뭐, 그래?",anger,Angry,2,Angry,1,Sadness,1,Neutral,0,Angry,2,25,male']
)
EVALUATION = IEMOCAP_HEADER + turn_lines("Ses01F_impro01_F000", "neu") + turn_lines("Ses01F_impro01_M000", "ang")
SAMPLES = "".join(f"wav_traindevel/100{n}/2/a1100{n}s3.raw 100{n} 2 {20 + n} f 2\n" for n in range(4))
FILES = {
    "iemocap": (TableRule(("x",), format="iemocap"), EVALUATION.encode()),
    "aihub": (TableRule(("x",), format="aihub", encoding=("utf-8-sig", "cp949")), AIHUB.encode("cp949")),
    "agender": (TableRule(("x",), format="agender"), SAMPLES.encode()),
    "csv": (TableRule(("x",)), b'file,speaker,mood\na.wav,ann,"x, y"\nb.wav,ben,z\n'),
    "tsv": (TableRule(("x",), columns={"file": (1,), "mood": ("mood",)}), b"file\tmood\na.wav\tx\nb.wav\tz\n"),
    "jsonl": (TableRule(("x",), format="jsonl"), b'{"file": "a.wav", "mood": "x", "age": 3}\n{"file": "b.wav"}\n'),
}
PIECES = (
    *(b"\0", b"\n", b"\r", b'"', b"\t", b",", b";", b"|", b" ", b":", b"*", b"[", b"]", b"{", b"}", b"\\", b"../"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xb0\xa1", b"\xc8", b"\xe2\x80\xa8", b"\x1c", b"\x85", b"e\xcc\x81"),
    *(b"9" * 5_000, b"-1", b"1e999", b"NaN", b"\\ud800", b"[" * 2_000, b"a," * 300, b"x" * 140_000, b'"' * 999),
    *(b"\x1b[31m", b"\xe2\x80\xae", b"!!python/object/apply:os.system", b"*a", b"&a", b"/etc/passwd", b"Infinity"),
)  # fmt: skip
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.integers(0, 12),
        st.sampled_from(PIECES) | st.binary(max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def changed(data, changes):
    for place, length, piece in changes:
        place %= len(data) + 1
        data = data[:place] + piece + data[place + length :]
    return data


def sound(text):
    """Whether a text can be kept and printed: no half of a pair of code units."""
    return text.encode("utf-8", "replace").decode("utf-8") == text


@pytest.mark.parametrize("kind", FILES)
@fuzzed(40)
@given(changes=CHANGES, lower=st.booleans())
def test_a_changed_label_file_gives_rows_of_plain_texts_or_one_of_our_errors(kind, changes, lower):
    rule, data = FILES[kind]

    with refused_or_bounded():
        rows = list(TABLE_FORMATS[rule.format](rule, "labels/x", changed(data, changes)))
        assert all(isinstance(value, str) and sound(value) for row in rows for value in row.values())
        for row in rows:
            assert all(vote.strength in range(3) for vote in parse_votes(row.get("votes", "")))


FOLDERS = {
    "audformat": audformat,
    "kaldi": kaldi,
    "lhotse": lambda folder: lhotse(folder, packed=False),
    **{f"segments of {name}": WAYS[name] for name in ("audformat", "kaldi", "lhotse", "metadata.csv")},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("folders")
    return {name: write(top / name) for name, write in FOLDERS.items()}


def use(folder):
    """Do what commands do with a folder of another tool."""
    corpus = load_corpus(folder)
    for name in SPLITS:
        if "N" not in name and "FIELD" not in name:
            try:
                found = find_rule(name).build(corpus.utterances, 0)
            except FeatureStoreError:
                continue
            for split in found:
                leaks(split, corpus.utterances)
    return corpus


@pytest.mark.parametrize("kind", FOLDERS)
@fuzzed(8)
@given(which=st.integers(0, 20), changes=CHANGES)
def test_changed_data_of_another_tool_gives_its_recordings_or_one_of_our_errors(folders, kind, which, changes):
    with tempfile.TemporaryDirectory() as top:
        folder = Path(shutil.copytree(folders[kind], f"{top}/data", copy_function=link))
        files = sorted(file for file in folder.iterdir() if file.is_file())
        file = files[which % len(files)]
        data = changed(file.read_bytes(), changes)
        file.unlink()
        file.write_bytes(data)

        with refused_or_bounded():
            corpus = use(folder)
            assert len({one.path for one in corpus.utterances}) == len(corpus.utterances) <= 16
            assert all(is_content(one.content) for one in corpus.utterances)
            assert all(sound(value) for one in corpus.utterances for _, value in one.fields)


def link(source, target):
    Path(target).hardlink_to(source)
    return target


def test_a_packed_list_beyond_the_limit_is_refused_before_it_is_unpacked(tmp_path):
    folder = lhotse(tmp_path, packed=False)
    for name in ("recordings", "supervisions"):
        (folder / f"corpus_{name}_train.jsonl").unlink()
        (folder / f"corpus_{name}_train.jsonl.gz").write_bytes(gzip.compress(bytes(2**20)) * 65)

    with refused_or_bounded(), pytest.raises(SourceError, match="no list of labels"):
        load_corpus(folder)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("agender", b"a.raw 1 2 " + b"9" * 5_000 + b" f 2\n"),
        ("jsonl", b'{"file": "a.wav", "mood": "\\ud800"}\n'),
        ("jsonl", b'{"file": "a.wav", "\\udfff": "x"}\n'),
        ("csv", b'file,mood\na.wav,"' + b"x" * 140_000 + b'"\n'),
        ("csv", b"file," + b"m" * 10_000 + b"\na.wav\n"),
    ],
)
def test_a_label_file_made_to_break_its_reader_is_refused_in_a_short_line(kind, data):
    rule, _ = FILES[kind]

    with refused_or_bounded(), pytest.raises(SourceError):
        list(TABLE_FORMATS[rule.format](rule, "labels/x", data))


def test_a_supervision_of_a_length_beyond_all_floats_is_refused(tmp_path):
    folder = lhotse(tmp_path, packed=False)
    file = folder / "corpus_supervisions_test.jsonl"
    file.write_text(file.read_text().replace('"duration": 0.16', f'"duration": {10**400}', 1))

    with pytest.raises(SourceError, match="must be numbers of seconds"):
        load_corpus(folder)
