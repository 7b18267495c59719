"""Manifests: found by name, read strictly, never trusted."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.corpus import find_manifest, manifest_names, read_manifest
from featurestore.errors import FeatureStoreError, ManifestError, UnknownNameError

README = Path(__file__).resolve().parents[2] / "data_manifests" / "README.md"
SMALL = """
name = "takes"
title = "Takes"
[labels]
pattern = '(?P<speaker>[a-z]+)_(?P<mood>[a-z]+)\\.wav'
target = "mood"
"""


def written(folder, text):
    path = folder / "takes.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", manifest_names())
def test_every_manifest_that_comes_with_the_package_is_read_under_its_own_name(name):
    assert find_manifest(name).name == name


def test_a_small_manifest_needs_only_a_name_a_title_and_a_pattern(tmp_path):
    manifest = read_manifest(written(tmp_path, SMALL))

    assert (manifest.labels.target, manifest.audio.include, manifest.downloadable) == ("mood", ("*.wav",), False)


def test_the_example_of_the_readme_is_a_manifest(tmp_path):
    first, second = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[:2]
    top, tables = second.split("[[archives]]", 1)
    head, body = first.split("[audio]", 1)
    index = "\n".join(f"takes/anna_{number:02}_joy.wav\t{'0' * 64}\t44" for number in range(40))
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes" / "takes.tsv").write_text(index, encoding="utf-8")

    manifest = read_manifest(written(tmp_path, f"{head}{top}[audio]{body}[[archives]]{tables}"))

    assert manifest.expected.labels == {"happiness": 20, "neutral": 20}
    assert manifest.speaker("anna").age == 31
    assert len(manifest.index) == 40


def test_emodb_publishes_sex_and_age_of_its_ten_speakers():
    speakers = {one.id: (one.sex, one.age) for one in find_manifest("emodb").speakers}

    assert sorted(speakers) == ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert (speakers["03"], speakers["09"]) == (("male", 31), ("female", 21))
    assert sum(sex == "female" for sex, _ in speakers.values()) == 5


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "EMODB", "", "a" * 41, "emodb\x00"])
def test_a_name_that_is_no_plain_name_finds_nothing(name):
    with pytest.raises(UnknownNameError, match="unknown corpus"):
        find_manifest(name)


def test_a_misspelt_corpus_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'emodb'"):
        find_manifest("emobd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("licens = 'x'\n" + SMALL, "unknown key 'licens': did you mean 'licence'"),
        (SMALL + "patern = 'x'", r"\[labels\]: unknown key 'patern': did you mean 'pattern'"),
        (SMALL.replace("takes", "../takes", 1), "'name' must be 1 to 40"),
        (SMALL.replace('title = "Takes"', "title = 3"), "'title' must be a string"),
        (SMALL.replace('title = "Takes"', ""), "the key 'title' is missing"),
        (SMALL.replace("title", "titel"), "unknown key 'titel': did you mean 'title'"),
        (SMALL.replace("target", "tagret"), r"\[labels\]: unknown key 'tagret': did you mean 'target'"),
        (SMALL.replace("[labels]", "[lables]"), "takes.toml': unknown key 'lables': did you mean 'labels'"),
        (SMALL.replace('target = "mood"', 'target = "emotion"'), "no group"),
        (SMALL + "[expected]\nfiles = 3\n[expected.labels]\na = 1", "sum to 1, but 'files' says 3"),
        (SMALL + "[audio]\nfolder = '../x'", "relative path"),
        ("index = '/etc/passwd'\n" + SMALL, "relative path"),
        ("index = 'missing.tsv'\n" + SMALL, "cannot be read"),
        (SMALL + "[[archives]]\nurl = 'file:///etc/passwd'\nname = 'x'", "must start with https"),
        (SMALL + "[[archives]]\nurl = 'https://a.b/c'\nname = '../x'", "plain file name"),
        (SMALL + "[[archives]]\nurl = 'https://a.b/c'\nname = 'x'\nsha256 = 'abc'", "64 hexadecimal"),
        ("splits = ['losso']\n" + SMALL, "unknown split 'losso'"),
        (SMALL + "[speakers]\na = {}\n[expected.speakers]\nb = 1", "expected speakers 'b'"),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_manifest_with_a_fault_is_refused_with_the_fault_named(tmp_path, change, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(written(tmp_path, change))


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<mood>(a+)+)b",
        r"(?P<mood>(a|a)*)b",
        r"(?P<mood>a*a*a*a*a*)b",
        r"(?P<mood>(?:[a-z]?){30})x",
        r"(?P<mood>(a{1,9}){9})b",
        r"(?P<mood>.)(?P=mood)",
        r"(?=a)(?P<mood>a)",
        r"(?x)#[(a+)+#]" + "\n(?P<mood>a)",
        "(?P<mood>" + "a" * 600 + ")",
        "(?P<mood>",
        "(?P<mood>a{99999999999})",
    ],
)
def test_a_pattern_that_could_run_away_is_refused(tmp_path, pattern):
    table = f"name='t'\ntitle='t'\n[labels]\ntarget='mood'\nspeaker=''\npattern = '''{pattern}'''"

    with pytest.raises(ManifestError):
        read_manifest(written(tmp_path, table))


@pytest.mark.timeout(20)
def test_the_costliest_pattern_that_is_allowed_still_ends_soon(tmp_path):
    from featurestore.corpus.regex import compile_pattern, match_groups

    pattern = compile_pattern(r"(?P<a>[a-z]+)(?P<b>[a-z]+)(?P<c>[a-z]+)x", "test")

    assert match_groups(pattern, "a" * 255) is None


PIECES = [
    "a",
    "b",
    "(",
    ")",
    "(?P<m>",
    "(?:",
    "[ab]",
    "[^a]",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{1,9}",
    "{0,}",
    ".",
    "\\d",
    "\\",
    "[",
]


@pytest.mark.timeout(60)
@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_any_pattern_is_refused_or_answers_soon(pieces):
    from featurestore.corpus.regex import compile_pattern, match_groups

    try:
        groups = match_groups(compile_pattern("".join(pieces), "fuzz"), "a" * 254 + "c")
    except ManifestError:
        groups = None

    assert groups is None or set(groups) <= {"m"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_as_a_manifest_give_a_manifest_or_one_of_our_errors(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.toml"
    path.write_bytes(data)

    with pytest.raises(FeatureStoreError):
        read_manifest(path)


VALUES = st.recursive(
    st.text(max_size=12) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["name", "title", "labels", "audio", "speakers", "expected", "archives", "index", "rate", "splits"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES))
def test_any_values_under_the_known_keys_give_a_manifest_or_one_of_our_errors(values):
    from featurestore.corpus.catalog import manifest_of
    from featurestore.corpus.catalog.toml_table import TomlTable

    base = {**tomllib.loads(SMALL), **values}
    try:
        names = [manifest_of(TomlTable(base, "fuzz"), Path("fuzz.toml")).name]
    except FeatureStoreError:
        names = []

    assert names in ([], [base["name"]])
