"""Labels come from names, exactly, and what does not fit is set aside with its reason."""

import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.corpus import ListedFile, find_manifest, label, load_corpus, read_listing
from featurestore.corpus.catalog import parse_manifest
from featurestore.corpus.sources.open import FolderSource, open_source
from featurestore.corpus.sources.types import MemorySource
from featurestore.errors import SourceError

SOME = "0" * 64


def unpinned(name):
    """Return a manifest without its index, so that invented files are judged by their names alone."""
    import dataclasses

    return dataclasses.replace(find_manifest(name), index={}, expected=type(find_manifest(name).expected)())


def test_emodb_has_its_published_number_of_files_for_each_label_and_speaker(emodb):
    expected = emodb.manifest.expected

    assert len(emodb.utterances) == expected.files == 535
    assert emodb.label_counts() == dict(sorted(expected.labels.items()))
    assert emodb.speaker_counts() == dict(sorted(expected.speakers.items()))
    assert (emodb.rejected, emodb.unlabelled, emodb.notes) == ((), (), ())


def test_an_emodb_name_is_parsed_into_speaker_text_emotion_and_version(emodb):
    found = next(one for one in emodb.utterances if one.path == "wav/16a04Lc.wav")

    assert dict(found.fields) == {"speaker": "16", "text": "a04", "emotion": "boredom", "version": "c"}
    assert (found.label, found.speaker, found.text) == ("boredom", "16", "a04")


def test_utterances_stand_in_path_order_and_paths_are_unique(emodb):
    paths = [one.path for one in emodb.utterances]

    assert paths == sorted(set(paths))


def test_fsdd_has_fifty_takes_of_ten_digits_by_six_speakers(fsdd_zip):
    corpus = load_corpus("fsdd", fsdd_zip)

    assert len(corpus.utterances) == 3000
    assert set(corpus.label_counts().values()) == {300}
    assert set(corpus.speaker_counts().values()) == {500}
    assert corpus.notes == ()


def test_a_tar_whose_names_start_with_a_dot_is_read_in_one_pass(speech_commands_tar):
    listing = read_listing(open_source(speech_commands_tar), lambda path: path.startswith("bed/"))

    assert len(listing) == 350
    assert all(re.fullmatch(r"bed/[0-9a-f]{8}_nohash_\d\.wav", file.path) for file in listing)


@pytest.mark.parametrize("start", [".", "wav"])
def test_archive_folder_and_inner_folder_give_the_same_corpus(tmp_path, start):
    files = {f"wav/03a0{text}{emotion}a.wav": bytes([text, ord(emotion)]) for text in (1, 2) for emotion in "WN"}
    for path, data in files.items():
        (tmp_path / "deep" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "deep" / path).write_bytes(data)
    manifest = unpinned("emodb")

    whole = label(manifest, read_listing(MemorySource("memory", files)))
    part = label(manifest, read_listing(FolderSource(tmp_path / "deep" / start)))
    above = label(manifest, read_listing(FolderSource(tmp_path)))

    assert whole.utterances == part.utterances == above.utterances
    assert len(whole.utterances) == 4


def test_an_unknown_code_rejects_the_file_and_names_the_known_codes():
    corpus = label(unpinned("emodb"), (ListedFile("wav/03a01Xa.wav", SOME, 1), ListedFile("wav/03a01Wa.wav", SOME, 1)))

    assert [one.path for one in corpus.utterances] == ["wav/03a01Wa.wav"]
    assert corpus.rejected[0].path == "wav/03a01Xa.wav"
    assert corpus.rejected[0].reason == "unknown code 'X' for emotion; known: A, E, F, L, N, T, W"


def test_a_name_that_does_not_fit_is_listed_as_unlabelled():
    corpus = label(unpinned("emodb"), (ListedFile("wav/readme.wav", SOME, 1),))

    assert (corpus.utterances, corpus.rejected) == ((), ())
    assert corpus.unlabelled[0].path == "wav/readme.wav"


def test_a_file_that_differs_from_the_published_one_is_rejected_with_both_checksums(emodb):
    first = emodb.utterances[0]

    corpus = label(emodb.manifest, (ListedFile(first.path, SOME, first.size),))

    assert corpus.utterances == ()
    assert f"sha256 {SOME}, expected {first.content}" in corpus.rejected[0].reason


@pytest.mark.parametrize(("kept", "word"), [(0, "empty"), (1000, "truncated")])
def test_a_published_file_that_has_become_shorter_is_told_so(emodb, kept, word):
    corpus = label(emodb.manifest, (ListedFile(emodb.utterances[0].path, SOME, kept),))

    assert corpus.rejected[0].reason.startswith(word)


def test_missing_and_extra_files_are_noted_and_the_rest_is_used(emodb):
    listing = [ListedFile(one.path, one.content, one.size) for one in emodb.utterances[3:]]

    corpus = label(emodb.manifest, (*listing, ListedFile("wav/99a01Wa.wav", SOME, 1)))

    assert len(corpus.utterances) == 533
    assert corpus.notes[0].startswith("3 of 535 published files are missing: wav/03a01Fa.wav, ")
    assert corpus.notes[1] == "1 files are not in the published index: wav/99a01Wa.wav"


def test_a_second_copy_of_a_file_is_left_out_and_a_second_version_rejected():
    listing = (
        ListedFile("wav/03a01Wa.wav", SOME, 1),
        ListedFile("copy/wav/03a01Wa.wav", SOME, 1),
        ListedFile("other/wav/03a01Wa.wav", "1" * 64, 1),
    )

    corpus = label(unpinned("emodb"), listing)

    assert [one.content for one in corpus.utterances] == [SOME]
    assert corpus.rejected[0].path == "other/wav/03a01Wa.wav"
    assert "1 files are second copies of others and were left out" in corpus.notes


def test_two_names_with_equal_bytes_are_two_utterances_and_a_note():
    corpus = label(unpinned("emodb"), (ListedFile("03a01Wa.wav", SOME, 1), ListedFile("03a01Wb.wav", SOME, 1)))

    assert len(corpus.utterances) == 2
    assert "byte-identical: wav/03a01Wa.wav, wav/03a01Wb.wav" in corpus.notes


def test_control_characters_in_a_name_never_reach_the_terminal():
    corpus = label(
        unpinned("emodb"), (ListedFile("wav/\x1b[31mred.wav", SOME, 1), ListedFile("wav/\udcff.wav", SOME, 1))
    )

    shown = "".join(one.path for one in corpus.unlabelled)
    assert "\x1b" not in shown
    assert shown.encode("utf-8").isascii()


def test_an_empty_folder_is_an_error_that_names_source(tmp_path):
    with pytest.raises(SourceError, match=r"no recording of corpus 'emodb'.*--source"):
        load_corpus("emodb", tmp_path)


def test_a_corpus_that_needs_recordings_asks_for_them():
    with pytest.raises(SourceError, match="--source"):
        load_corpus("emodb")


NAMES = st.text(alphabet="0123456789abWLEAFTN./ _\x1b", max_size=30) | st.from_regex(
    r"\d\d[ab]\d\d[A-Z][a-z]\.wav", fullmatch=True
)


@settings(max_examples=150, deadline=None)
@given(st.lists(NAMES, max_size=6, unique=True))
def test_every_listed_recording_ends_as_utterance_rejected_unlabelled_or_second_copy(names):
    manifest = unpinned("emodb")
    listing = tuple(ListedFile(f"wav/{name}", SOME, 1) for name in names)

    corpus = label(manifest, listing)

    wanted = {manifest.audio.corpus_path(file.path) for file in listing if manifest.audio.wants(file.path)}
    junk = {path for path in wanted if path.rsplit("/", 1)[-1].startswith("._")}
    assert len(corpus.utterances) + len(corpus.rejected) + len(corpus.unlabelled) == len(wanted - junk)
    assert all(one.label in manifest.labels.codes["emotion"].values() for one in corpus.utterances)


def test_a_tar_that_begins_with_the_folder_that_was_packed_is_read(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    with tarfile.open(tmp_path / "packed.tar", "w") as packed:
        packed.add(tmp_path, arcname=".", recursive=False)
        packed.add(tmp_path / "a.wav", arcname="./a.wav")

    assert [path for path, _ in open_source(tmp_path / "packed.tar").iterate()] == ["a.wav"]


JOINED = """
name = "takes"
title = "Takes"
[labels]
pattern = '(?P<speaker>[a-z])_(?P<mood>[a-z]+)\\.wav'
target = "mood"
join_speakers = {}
"""


@pytest.mark.parametrize(
    ("join", "speakers"), [("false", {"a": 2, "b": 1, "c": 1, "d": 1}), ("true", {"a+b+c": 4, "d": 1})]
)
def test_speakers_who_share_recordings_are_one_where_the_manifest_says_so(join, speakers):
    listing = tuple(
        ListedFile(path, content * 64, 1)
        for path, content in {
            "a_joy.wav": "1",
            "b_joy.wav": "1",
            "a_sad.wav": "2",
            "c_sad.wav": "2",
            "d_joy.wav": "3",
        }.items()
    )

    corpus = label(parse_manifest(JOINED.format(join), "here"), listing)

    assert corpus.speaker_counts() == speakers
    assert ("speakers joined, as they share recordings: a+b+c" in corpus.notes) == (join == "true")
