"""Manifests that were changed where it hurts: each is a whole manifest that can be used, or one of our errors.

A second or two; FEATURESTORE_CHAOS=long (`make chaos`) tries a hundred times as much.
"""

import copy
import json
import tomllib
from pathlib import Path

import pytest
from fuzzing import fuzzed, refused_or_bounded
from hypothesis import given
from hypothesis import strategies as st

from featurestore.corpus.catalog import parse_manifest
from featurestore.corpus.catalog_page import catalogue_page
from featurestore.corpus.labels.assign import label
from featurestore.corpus.labels.schemes import under_scheme
from featurestore.corpus.splits.applicable import fields_of_manifests, fitting_rules
from featurestore.corpus.splits.leakage import leaks
from featurestore.corpus.splits.rules import find_rule
from featurestore.corpus.splits.rules.given_sides import OwnSides
from featurestore.corpus.splits.types import in_name_order
from featurestore.corpus.types import ListedFile
from featurestore.errors import FeatureStoreError, ManifestError

FOLDER = Path(__file__).resolve().parents[2] / "data_manifests"
MANIFESTS = {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.toml"))}
PATHS = (
    "wav/03a01Fa.wav",
    "wav/08a01Wb.wav",
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav",
    "wav_traindevel/1234/2/a11234s3.raw",
    "yes/0a7c2a8d_nohash_0.wav",
    "Actor_01/03-01-05-01-01-01-01.wav",
    "1001_DFA_ANG_XX.wav",
    "e\u0301.wav",
    "\u00e9.wav",
    "../x.wav",
    "esc\x1b[31m.wav",
    "\udcff.wav",
    "a" * 300 + ".wav",
)
VALUES = (
    "",
    "a",
    "-1",
    "x" * 3_000,
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "\x1b[31mred\x07",
    "two\nlines",
    "e\u0301",
    "\u00e9",
    "\u202egnp",
    "(a+)+",
    "(?P<mood>.*.*.*.*.*)",
    "(?P<speaker>(?:[a-z]|\\d)*)",
    "*" * 400,
    "[!",
    "[z-a]*",
    "{file.__class__}",
    "{0[x]}",
    "{a!r}",
    "idna",
    "punycode",
    "undefined",
    "unicode_escape",
    "loso",
    "group-99999fold",
    "https://user:word@host/../x",
    "file:///etc/passwd",
    True,
    0,
    -1,
    2**63,
    10**400,
    0.0,
    float("nan"),
    float("inf"),
    [],
    [[]],
    [""],
    ["a", 1],
    {},
    {"a": {}},
    {"a\nb": 1},
    {"x" * 3_000: "y"},
)
WAYS = ("drop", "repeat", "put", "add", "rename", "wrap", "move")
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.sampled_from(WAYS),
        st.sampled_from(VALUES) | st.text(max_size=20),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
)


def places(value):
    """All containers of a manifest with their keys, the whole first."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = [(value, key) for key in keys]
    return found + [one for key in keys for one in places(value[key])]


def changed(manifest, changes):
    manifest = copy.deepcopy(manifest)
    for where, how, value, other in changes:
        every = places(manifest)
        if not every:
            return manifest
        holder, key = every[where % len(every)]
        if how == "drop":
            del holder[key]
        elif how == "repeat":
            holder[key] = [copy.deepcopy(holder[key]) for _ in range(2 + other % 40)]
        elif how == "add" and isinstance(holder, dict):
            holder[value if isinstance(value, str) else "new"] = "x"
        elif how == "rename" and isinstance(holder, dict):
            holder[value if isinstance(value, str) else "new"] = holder.pop(key)
        elif how == "wrap":
            holder[key] = {"a": holder[key]}
        elif how == "move":
            elsewhere, name = every[other % len(every)]
            holder[key] = copy.deepcopy(elsewhere[name])
        else:
            holder[key] = copy.deepcopy(value)
    return manifest


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int):
        return hex(value) if value > 2**63 else str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(name)} = {toml(one)}' for name, one in value.items())}}}"
    return repr(value)


def text_of(manifest):
    return "".join(f"{toml(name)} = {toml(value)}\n" for name, value in manifest.items())


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_unchanged_manifest_stays_one_in_the_form_that_the_fuzz_writes(name):
    manifest = {key: value for key, value in MANIFESTS[name].items() if key != "index"}

    assert parse_manifest(text_of(manifest), name).name == name


def use(manifest):
    """Do what commands do with a manifest; our errors are answers."""
    listing = tuple(ListedFile(path, f"{number:064x}", 10) for number, path in enumerate(PATHS))
    catalogue_page([manifest])
    fitting_rules(fields_of_manifests([manifest]))
    corpus = label(manifest, listing, lambda content: b"file,emotion\na,b\n")
    utterances = in_name_order(corpus.utterances)
    rules = [OwnSides(rule).build for rule in manifest.side_rules.values()]
    rules += [
        find_rule(name).build for name in manifest.splits if name not in {*manifest.side_rules, *manifest.protocols}
    ]
    for build in rules:
        for split in quietly(build, utterances, 0):
            leaks(split, utterances)
    for scheme in manifest.schemes.values():
        quietly(under_scheme, utterances, scheme)


def quietly(work, *values):
    try:
        return work(*values)
    except FeatureStoreError:
        return ()


@fuzzed(150)
@given(name=st.sampled_from(sorted(MANIFESTS)), changes=CHANGES)
def test_a_changed_manifest_is_a_manifest_that_can_be_used_or_one_of_our_errors(name, changes):
    text = text_of(changed(MANIFESTS[name], changes))

    with refused_or_bounded():
        use(parse_manifest(text, "manifest 'x.toml'"))


PIECES = st.sampled_from(
    ["[", "]", "[[", "]]", "=", ".", '"', "'''", '"""', "\\", "#", "\n", ",", "{", "}", "1e9", "0x", "\0"]
)


@fuzzed(60)
@given(
    name=st.sampled_from(sorted(MANIFESTS)),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 30), PIECES | st.text(max_size=4)), max_size=4),
)
def test_a_manifest_with_damaged_text_is_a_manifest_that_can_be_used_or_one_of_our_errors(name, changes):
    text = text_of(MANIFESTS[name])
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]

    with refused_or_bounded():
        use(parse_manifest(text, "manifest 'x.toml'"))


SMALL = """
name = "takes"
title = "Takes"
%s
[labels]
pattern = '(?P<speaker>[a-z]+)_(?P<mood>[a-z]+)\\.wav'
target = "mood"
%s
"""


@pytest.mark.parametrize(
    ("top", "sections"),
    [
        (f"rate = {'9' * 5_000}", ""),
        (f"rate = 0x{'f' * 5_000}", ""),
        (f"homepage = 0x{'f' * 5_000}", ""),
        ("", f"[audio]\ndepth = 0x{'f' * 5_000}"),
        ("", f"[expected]\nfiles = 1\n[expected.labels]\na = 0x{'f' * 5_000}"),
        (f"homepage{'.a' * 5_000} = 1", ""),
        (f"homepage{' . a' * 30_000} = 1", ""),
        (f'"#"{".a" * 30_000} = "#"', ""),
        (f'x = ["""\n""", {{b{".a" * 30_000} = "#"}}]', ""),
        (f"{'a' * 100_000} = 1", ""),
        (f'splits = ["{"x" * 100_000}"]', ""),
        ("", '[speakers."a\\nb\\u001b[31m"]\nsex = "x"'),
        ("", f'[labels.codes.mood]\na = "x"\n[expected.labels]\n"{"x" * 100_000}" = 1'),
        ("", "[labels.codes.mood]\na = 'x'\n[expected.labels]\n" + "".join(f"l{n} = 1\n" for n in range(5_000))),
        ("", "[[tables]]\nfiles = 'a.csv'\nencoding = 'idna'"),
        ("", "[[tables]]\nfiles = 'a.csv'\ndelimiter = '\\n'".replace("'\\n'", '"\\n"')),
        ("rate = -16000", ""),
        ("hours = nan", ""),
        ("description = '''\n" + "x" * 5_000_000 + "'''", ""),
    ],
)
def test_a_manifest_made_to_keep_the_reader_busy_is_refused_in_a_short_line(top, sections):
    with refused_or_bounded(), pytest.raises(ManifestError) as error:
        parse_manifest(SMALL % (top, sections), "manifest 'x.toml'")
    assert len(str(error.value)) < 1_000
    assert str(error.value).isprintable()


def test_whole_hours_are_a_number_of_hours():
    assert parse_manifest(SMALL % ("hours = 2", ""), "x").hours == 2.0
