"""`corpora check` on folders, with and without a manifest."""

import json
import zipfile

import numpy as np
import pytest
from command_line import error_line, featurestore
from odd_audio_bytes import flac_of, wav_of

MANIFEST = """
name = "takes"
title = "Takes"
licence = "CC0"
[labels]
pattern = '(?P<speaker>[a-z])_(?P<mood>[a-z]+)_\\d+\\.wav'
target = "mood"
"""


@pytest.fixture
def folder(tmp_path):
    """Two good recordings, one of them FLAC under the name of a WAV, and one that is cut."""
    place = tmp_path / "takes"
    place.mkdir()
    sound = (0.2 * np.sin(np.arange(8_000) * 0.1)).astype(np.float32)
    (place / "a_up_1.wav").write_bytes(wav_of(sound))
    (place / "a_down_2.wav").write_bytes(flac_of(sound * 0.5))
    (place / "b_up_3.wav").write_bytes(wav_of(sound)[:1_000])
    return place


def test_a_folder_without_a_manifest_exits_with_3_and_the_reason_of_each_rejected_file(tmp_path, folder):
    result = featurestore("corpora", "check", folder, "--json", store=tmp_path / "store")

    report = json.loads(result.stdout)
    assert result.returncode == 3
    assert (report["files"], report["decoded"]) == (3, 2)
    assert [(one["path"], one["reason"][:10]) for one in report["rejected"]] == [("b_up_3.wav", "truncated:")]
    assert "quality" not in report
    assert not (tmp_path / "store").exists()


def test_with_a_manifest_the_quality_check_adds_what_cannot_be_decoded(tmp_path, folder):
    (folder / "takes.toml").write_text(MANIFEST)

    plain = featurestore("corpora", "check", folder, "--json", store=tmp_path / "store")
    heard = featurestore("corpora", "check", folder, "--quality", "--json", store=tmp_path / "store")

    assert json.loads(plain.stdout)["rejected"] == []
    report = json.loads(heard.stdout)
    assert heard.returncode == 3
    assert [one["path"] for one in report["rejected"]] == ["b_up_3.wav"]
    assert report["quality"]["summary"]["rates"] == {"16000": 2}


def test_escape_sequences_in_file_names_never_reach_the_terminal(tmp_path, folder):
    (folder / "\x1b[31mred\x07.wav").write_bytes(b"no sound")

    result = featurestore("corpora", "check", folder, "--quality", store=tmp_path / "store")

    assert result.returncode == 3
    assert "red" in result.stdout
    assert "\x1b" not in result.stdout + result.stderr
    assert "\x07" not in result.stdout + result.stderr


def test_a_folder_without_audio_is_one_line(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")

    result = featurestore("corpora", "check", tmp_path, store=tmp_path / "store")

    assert result.returncode == 1
    assert "no file whose name ends as audio does" in error_line(result)


@pytest.mark.parametrize("manifest", [(), ("emodb", "--source")])
@pytest.mark.parametrize("members", [{}, {"readme.txt": "nothing to hear"}])
def test_an_archive_without_audio_is_an_error_and_no_incomplete_copy(tmp_path, manifest, members):
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)

    result = featurestore("corpora", "check", *manifest, tmp_path / "corpus.zip", store=tmp_path / "store")

    assert result.returncode == 1
    assert "corpus.zip" in error_line(result)


def test_the_124_odd_files_are_all_decoded_or_rejected(tmp_path, shared):
    with zipfile.ZipFile(shared / "data" / "odd_audio" / "odd_audio.zip") as archive:
        archive.extractall(tmp_path / "odd")  # our own reference data

    result = featurestore("corpora", "check", tmp_path / "odd", "--json", store=tmp_path / "store")

    report = json.loads(result.stdout)
    assert result.returncode == 3
    assert report["files"] == 124
    assert report["decoded"] + len(report["rejected"]) == 124
    assert all(one["reason"] for one in report["rejected"])
