"""One file that cannot be read, is too large, or has a strange name is rejected alone, and the others are built."""

import io
import json
import os
import tarfile
import zipfile

import pytest
from data_folders import write
from tiny_corpus import tone

from cli.main import run
from featurestore.corpus import load_corpus
from featurestore.corpus.load import read_listing
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import FolderSource, open_source

FILES = {
    f"{mood}/{number}.wav": tone(number + 4 * (mood == "calm")) for mood in ("calm", "joy") for number in (1, 2, 3)
}
MANIFEST = (
    "name = 'takes'\ntitle = 'Takes'\n[audio]\ndepth = 2\n[labels]\nmatch = 'path'\n"
    "pattern = '(?P<mood>[a-z]+)/.+'\ntarget = 'mood'\nspeaker = ''\n"
)
TOO_LARGE = Limits().member_bytes + 1


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "takes", FILES)


def built(folder, tmp_path, capsys):
    code = run(["build", str(folder), "--set", "mels=8", "--store", str(tmp_path / "store"), "--json", "--jobs", "1"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out)


def test_a_file_that_is_too_large_rejects_itself_alone_each_time(folder, tmp_path, capsys):
    with (folder / "joy" / "meeting.wav").open("wb") as file:
        file.truncate(TOO_LARGE)

    for _ in range(2):
        code, report = built(folder, tmp_path, capsys)

        assert (code, report["rows"]["clean"]) == (3, 6)
        assert [one["path"] for one in report["rejected"]] == ["joy/meeting.wav"]
        assert "larger than 128 MiB" in report["rejected"][0]["reason"]


def test_a_name_that_is_no_text_rejects_that_file_alone(folder, tmp_path, capsys):
    (folder / os.fsdecode(b"joy/M\xfcller.wav")).write_bytes(tone(9))

    code, report = built(folder, tmp_path, capsys)

    assert (code, report["rows"]["clean"]) == (3, 6)
    assert report["rejected"] == [
        {
            "path": "joy/M\\udcfcller.wav",
            "reason": "its name holds control characters, or bytes that are no UTF-8; rename it",
        }
    ]


def test_what_is_no_file_is_rejected_by_name_and_not_passed_over(folder, tmp_path, capsys):
    (folder / "joy" / "annexed.wav").symlink_to("../.git/annex/objects/SHA256E-s1--1.wav")
    os.mkfifo(folder / "joy" / "pipe.wav")
    (folder / "calm" / "zero.wav").symlink_to("/dev/zero")
    write(tmp_path / "elsewhere", {"1.wav": tone(20)})
    (folder / "fear").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to("joy")

    code, report = built(folder, tmp_path, capsys)

    assert (code, report["rows"]["clean"]) == (3, 6)
    rejected = {one["path"]: one["reason"] for one in report["rejected"]}
    assert rejected.keys() == {"joy/annexed.wav", "joy/pipe.wav", "calm/zero.wav", "fear"}
    assert "a link that leads nowhere" in rejected["joy/annexed.wav"]
    assert "a pipe" in rejected["joy/pipe.wav"]
    assert "not followed" in rejected["fear"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_rejects_itself_alone(folder, tmp_path, capsys):
    (folder / "joy" / "1.wav").chmod(0)

    code, report = built(folder, tmp_path, capsys)

    assert (code, report["rows"]["clean"]) == (3, 5)
    assert "Permission denied" in report["rejected"][0]["reason"]


def test_a_file_that_the_disk_does_not_give_rejects_itself_alone(folder, monkeypatch):
    class Broken(FolderSource):
        def read(self, path):
            if path == "joy/2.wav":
                return FolderSource(self.folder).read("joy/is not there.wav")
            return super().read(path)

    source = Broken(folder)

    assert len(read_listing(source)) == 5
    assert list(source.unread) == ["joy/2.wav"]


def zipped(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return open_source(path, Limits(member_bytes=10_000))


def tarred(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return open_source(path, Limits(member_bytes=10_000))


@pytest.mark.parametrize("packed", [zipped, tarred])
def test_a_member_that_is_too_large_is_passed_over_and_told(tmp_path, packed):
    files = {"a.wav": os.urandom(9_000), "b.wav": os.urandom(20_000), "c.wav": os.urandom(9_000)}
    source = packed(tmp_path / "archive", files)

    assert [one.path for one in read_listing(source)] == ["a.wav", "c.wav"]
    assert list(source.unread) == ["b.wav"]


def test_a_member_whose_name_is_no_text_is_rejected_alone(tmp_path):
    tarred(tmp_path / "takes.tar", {**FILES, "joy/M\udcfcller.wav": tone(9)})
    manifest = tmp_path / "takes.toml"
    manifest.write_text(MANIFEST)

    corpus = load_corpus(manifest, tmp_path / "takes.tar")

    assert len(corpus.utterances) == 6
    assert [one.path for one in corpus.rejected] == ["joy/M\\udcfcller.wav"]


def test_a_label_file_that_is_too_large_stops_the_command_with_its_name(tmp_path):
    folder = write(tmp_path / "takes", FILES)
    with (folder / "labels.csv").open("wb") as file:
        file.truncate(TOO_LARGE)
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(
        'name = "takes"\ntitle = "Takes"\n[labels]\ntarget = "mood"\n[[tables]]\nfiles = "labels.csv"\n',
        encoding="utf-8",
    )

    with pytest.raises(Exception, match=r"'labels.csv' in .* is larger than 128 MiB"):
        load_corpus(manifest, folder)


def test_a_check_tells_what_cannot_be_read(folder, tmp_path, capsys):
    with (folder / "joy" / "meeting.wav").open("wb") as file:
        file.truncate(TOO_LARGE)
    manifest = tmp_path / "takes.toml"
    manifest.write_text(MANIFEST)

    for place in ([str(folder)], [str(manifest), "--source", str(folder)]):
        assert run(["corpora", "check", *place, "--store", str(tmp_path / "store"), "--json"]) == 3
        report = json.loads(capsys.readouterr().out)
        assert [one["path"] for one in report["rejected"]] == ["joy/meeting.wav"]
