"""Published recordings that are known to be bad: told apart from those that this copy lacks or has damaged."""

import pytest
from field_copies import read, recording
from field_names import TABLES

from featurestore.corpus import MemorySource, find_manifest
from featurestore.corpus.check import check_completeness
from featurestore.corpus.load import read_source


@pytest.mark.parametrize(
    ("name", "path", "word"),
    [
        ("cremad", "AudioWAV/1076_MTI_SAD_XX.wav", "silent"),
        ("cremad", "AudioWAV/1064_IEO_DIS_MD.wav", "a minute long"),
        ("aesdd", "sadness/s05 (3).wav", "damaged"),
        ("aesdd", "S05 (3).WAV", "damaged"),
    ],
)
def test_a_recording_that_is_known_to_be_bad_is_rejected_with_what_is_wrong(name, path, word):
    corpus, _ = read(name, [path])

    assert corpus.utterances == ()
    assert corpus.rejected[0].reason.startswith("known to be bad in the published corpus: ")
    assert word in corpus.rejected[0].reason


def test_a_complete_copy_holds_the_files_that_are_known_to_be_bad_too():
    files = {"sadness/s05 (3).wav": recording(1), "anger/a01 (1).wav": recording(2)}
    manifest = find_manifest("aesdd")

    found = check_completeness(manifest, read_source(MemorySource("aesdd", files), manifest)[0])

    assert found.rejected == ()
    assert found.files == 2
    assert found.corpus.label_counts()["sadness"] == 1
    assert [(one.expected, one.found) for one in found.differences if one.field == "speakers"] == [(6, 2)]


def test_a_broken_clip_of_meld_is_rejected_in_its_own_part_only():
    tables, _ = TABLES["meld"]
    header = tables["MELD.Raw/dev_sent_emo.csv"].splitlines()[0]
    row = '1,"Ah.",Joey,anger,negative,110,7,4,7,"0","1"\n'
    files = dict.fromkeys(tables, f"{header}\n{row}")

    corpus, _ = read("meld", ["dev_splits_complete/dia110_utt7.wav", "train_splits/dia110_utt7.wav"], files)

    assert [one.path for one in corpus.utterances] == ["train_splits/dia110_utt7.wav"]
    assert [one.path for one in corpus.rejected] == ["dev_splits_complete/dia110_utt7.wav"]
