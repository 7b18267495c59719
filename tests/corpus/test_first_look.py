"""What `corpora check` tells of files by their first bytes: pointers, pages and videos in place of recordings."""

import json

import pytest
from command_line import featurestore
from field_copies import recording
from field_names import TABLES

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 71234\n"
VIDEO = b"\0\0\0\x20ftypisom" + bytes(100)


def put(folder, files):
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


@pytest.fixture
def cremad(tmp_path):
    """A clone with two pointers, a login page, a recording that is known to be bad, and a good one."""
    return put(
        tmp_path / "CREMA-D",
        {
            "AudioWAV/1001_IEO_ANG_HI.wav": POINTER,
            "AudioWAV/1002_IEO_ANG_HI.wav": POINTER.replace(b"a" * 64, b"b" * 64),
            "AudioWAV/1004_IEO_SAD_HI.wav": b"<!doctype html><title>Sign in</title>",
            "AudioWAV/1076_MTI_SAD_XX.wav": recording(3),
            "AudioWAV/1003_IEO_HAP_HI.wav": recording(4),
        },
    )


def checked(*arguments, store):
    result = featurestore("corpora", "check", *arguments, "--json", store=store)
    return result.returncode, json.loads(result.stdout)


def test_pointers_in_place_of_audio_are_rejected_without_decoding_anything(tmp_path, cremad):
    code, report = checked("cremad", "--source", cremad, store=tmp_path / "store")

    assert code == 3
    reasons = {one["path"]: one["reason"] for one in report["rejected"]}
    assert set(reasons) == {
        "AudioWAV/1001_IEO_ANG_HI.wav",
        "AudioWAV/1002_IEO_ANG_HI.wav",
        "AudioWAV/1004_IEO_SAD_HI.wav",
    }
    assert "a Git LFS pointer, not the audio: run 'git lfs pull'" in reasons["AudioWAV/1001_IEO_ANG_HI.wav"]
    assert "web page" in reasons["AudioWAV/1004_IEO_SAD_HI.wav"]


def test_recordings_that_are_known_to_be_bad_are_listed_as_such_and_not_counted_as_sound(tmp_path, cremad):
    _, report = checked("cremad", "--source", cremad, store=tmp_path / "store")
    shown = featurestore("corpora", "check", "cremad", "--source", cremad, store=tmp_path / "store")

    assert [one["path"] for one in report["known_bad"]] == ["AudioWAV/1076_MTI_SAD_XX.wav"]
    assert "silent" in report["known_bad"][0]["reason"]
    assert (report["files"], report["sound"]) == (5, 1)
    assert "cremad: 5 files, 5 with a label, 1 of them sound" in shown.stdout
    assert "known bad: AudioWAV/1076_MTI_SAD_XX.wav" in shown.stdout


def test_listening_names_no_file_twice(tmp_path, cremad):
    _, report = checked("cremad", "--source", cremad, "--quality", store=tmp_path / "store")

    paths = [one["path"] for one in report["rejected"]]
    assert len(paths) == len(set(paths)) == 3


def test_pointers_that_a_store_took_are_rejected_when_it_is_asked_without_a_source(tmp_path):
    manifest = 'name = "p"\ntitle = "P"\n[labels]\npattern = "(?P<speaker>.)_(?P<mood>.)\\\\.wav"\ntarget = "mood"\n'
    put(tmp_path, {"p.toml": manifest, "p/a_x.wav": POINTER, "p/b_y.wav": recording(1) + bytes(2)})
    featurestore("build", tmp_path / "p.toml", "--source", tmp_path / "p", store=tmp_path / "store")

    code, report = checked(tmp_path / "p.toml", store=tmp_path / "store")

    assert code == 3
    assert [one["path"] for one in report["rejected"]] == ["a_x.wav"]


@pytest.fixture
def meld(tmp_path):
    """The training part of MELD as it is published: videos."""
    tables, _ = TABLES["meld"]
    header = tables["MELD.Raw/dev_sent_emo.csv"].splitlines()[0]
    rows = '1,"Ah.",Joey,anger,negative,1,1,4,7,"0","1"\n2,"Oh.",Ross,joy,positive,1,2,4,7,"0","1"\n'
    return put(
        tmp_path / "MELD.Raw",
        {
            **dict.fromkeys((path.rpartition("/")[2] for path in tables), f"{header}\n{rows}"),
            "train_splits/dia1_utt1.mp4": VIDEO,
            "train_splits/dia1_utt2.wav": recording(1),
            "train_splits/dia1_utt2.mp4": VIDEO,
            "extras/trailer.mp4": VIDEO,
        },
    )


def test_a_video_in_place_of_a_recording_is_rejected_with_the_command_that_takes_its_sound_out(tmp_path, meld):
    code, report = checked("meld", "--source", meld, store=tmp_path / "store")

    assert code == 3
    (rejected,) = report["rejected"]
    assert rejected["path"] == "train_splits/dia1_utt1.mp4"
    assert "ffmpeg -i dia1_utt1.mp4 -vn dia1_utt1.wav" in rejected["reason"]
    assert "train_splits/dia1_utt1" not in report["missing"]
    assert len(report["missing"]) == 4
    assert any("find " in note and "ffmpeg" in note for note in report["notes"])


def test_a_build_from_videos_alone_names_the_command(tmp_path, meld):
    (meld / "train_splits" / "dia1_utt2.wav").unlink()

    result = featurestore("build", "meld", "--source", meld, store=tmp_path / "store")

    assert result.returncode == 1
    assert "ffmpeg" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_names_of_videos_cannot_smuggle_a_command_into_the_advice(tmp_path, meld):
    (meld / "train_splits" / "dia1_utt1.mp4").unlink()
    put(meld, {"train_splits/dia2_utt1; rm x.mp4": VIDEO})
    (meld / "train_splits" / "dia1_utt2.wav").unlink()

    _, report = checked("meld", "--source", meld, store=tmp_path / "store")

    reason = next(one["reason"] for one in report["rejected"] if "rm" in one["path"])
    assert "ffmpeg -i 'dia2_utt1; rm x.mp4' -vn 'dia2_utt1; rm x.wav'" in reason
