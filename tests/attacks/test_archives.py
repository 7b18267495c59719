"""Archives made to harm: each is refused with the member named, within bounded memory, and nothing is written."""

import gzip
import io
import resource
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from featurestore.corpus import FolderSource, load_corpus, open_source, read_listing
from featurestore.corpus.sources.archive_safety import Limits, safe_name
from featurestore.errors import FeatureStoreError, SourceError, UnsafeArchiveError

EVIL_NAMES = [
    "../../x.wav",
    "/etc/x.wav",
    "C:\\x.wav",
    "a\\..\\b.wav",
    "a/../../b.wav",
    "a//b.wav",
    "C:x.wav",
    "a/\x1b[2J.wav",
]
TWINS = [
    ("a/Clip.wav", "a/clip.wav"),
    ("\u00e4.wav", "a\u0308.wav"),
    ("stra\u00dfe.wav", "strasse.wav"),
    ("a.wav", "./a.wav"),
]


def zip_of(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name), data, compression)
    return path


def tar_of(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


MAKERS = pytest.mark.parametrize("make", [zip_of, tar_of])


def everything_of(path, limits=None):
    return read_listing(open_source(path, limits))


@MAKERS
@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_member_whose_name_leaves_the_archive_is_refused_and_named(tmp_path, monkeypatch, make, name):
    path = make(tmp_path / "x.bin", [("good.wav", b"1"), (name, b"2")])
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UnsafeArchiveError, match="member"):
        everything_of(path)
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["x.bin"]


def test_a_zip_name_cut_by_a_nul_byte_is_refused(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("good.wav?.exe", b"1")])
    path.write_bytes(path.read_bytes().replace(b"good.wav?.exe", b"good.wav\x00.exe"))

    with pytest.raises(UnsafeArchiveError):
        everything_of(path)


@MAKERS
@pytest.mark.parametrize("names", TWINS)
def test_two_members_that_are_one_file_on_some_systems_are_refused(tmp_path, make, names):
    path = make(tmp_path / "x.bin", [(name, b"1") for name in names])

    with pytest.raises(UnsafeArchiveError, match="same name"):
        everything_of(path)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_a_tar_with_a_link_a_device_or_a_sparse_file_is_refused(tmp_path, kind):
    odd = tarfile.TarInfo("odd.wav")
    odd.type, odd.linkname = kind, "/etc/passwd"

    with pytest.raises(SourceError):
        everything_of(tar_of(tmp_path / "x.tar", [("odd.txt", b""), (odd, b""), ("odd.wav/inner.wav", b"1")]))


def test_a_zip_with_a_symbolic_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("odd.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(UnsafeArchiveError, match="link"):
        everything_of(zip_of(tmp_path / "x.zip", [(link, b"/etc/passwd")]))


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_bomb_stops_at_its_budget_in_little_memory(tmp_path, make):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = make(tmp_path / "bomb", [("big.wav", bytes(90 * 2**20))])

    with pytest.raises(UnsafeArchiveError):
        everything_of(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


@MAKERS
def test_a_bomb_in_many_small_pieces_stops_as_well(tmp_path, make):
    path = make(tmp_path / "bomb", [(f"{number}.wav", bytes(2**20)) for number in range(40)])

    with pytest.raises(UnsafeArchiveError):
        everything_of(path)


def test_a_short_silent_recording_is_no_bomb(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("silent.wav", bytes(2**20))])

    assert everything_of(path)[0].size == 2**20


@pytest.mark.parametrize("claimed", [10, 5000])
def test_a_zip_member_that_lies_about_its_size_is_refused(tmp_path, claimed):
    path = zip_of(tmp_path / "x.zip", [("a.wav", b"x" * 1000)])
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 1000), struct.pack("<L", claimed)))

    with pytest.raises(SourceError):
        everything_of(path)


def test_zip_members_that_share_their_bytes_are_refused(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("a.wav", bytes(range(256)) * 40)], zipfile.ZIP_STORED)
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    stop = data.index(b"PK\x05\x06")
    entry = data[start:stop]
    copies = entry + entry.replace(b"a.wav", b"b.wav") + entry.replace(b"a.wav", b"c.wav")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 3, 3, len(copies), start, 0)
    path.write_bytes(data[:start] + copies + end)

    with pytest.raises(UnsafeArchiveError, match="shares"):
        everything_of(path)


@MAKERS
def test_too_many_members_are_refused(tmp_path, make):
    path = make(tmp_path / "x.bin", [(f"{number}.wav", b"") for number in range(101)])

    assert len(everything_of(path, Limits(members=101))) == 101
    with pytest.raises(UnsafeArchiveError, match="100 files and folders"):
        everything_of(path, Limits(members=100))


def test_ten_million_members_hidden_behind_a_small_count_are_refused_in_seconds(tmp_path):
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    path = tmp_path / "many.zip"
    count = 2_000_000
    with path.open("wb") as file:
        file.write(b"PK\x03\x04" + bytes(26))
        file.writelines(entry * 10_000 for _ in range(count // 10_000))
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) * count, 30, 0))

    with pytest.raises(UnsafeArchiveError, match="members"):
        everything_of(path)


def test_an_extended_tar_header_that_claims_gigabytes_is_refused(tmp_path):
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(2**21))

    with pytest.raises(UnsafeArchiveError, match="claimed size"):
        everything_of(path)


def test_a_total_above_the_budget_is_refused(tmp_path):
    members = [(f"{number}.wav", bytes(range(256)) * 4) for number in range(20)]

    with pytest.raises(UnsafeArchiveError):
        everything_of(zip_of(tmp_path / "x.zip", members), Limits(total_bytes=10_000))
    with pytest.raises(UnsafeArchiveError):
        everything_of(tar_of(tmp_path / "x.tar", members), Limits(total_bytes=10_000))


@pytest.mark.parametrize(("make", "mode"), [(zip_of, None), (tar_of, "w"), (tar_of, "w:gz")])
def test_an_archive_cut_anywhere_is_an_error_that_names_it_and_never_a_shorter_corpus(tmp_path, make, mode):
    noise = zlib.compress(bytes(range(256)) * 9)
    members = [(f"{number}.wav", noise * (number + 1)) for number in range(6)]
    whole = make(tmp_path / "whole", members, *([mode] if mode else []))
    data = whole.read_bytes().rstrip(b"\0") + bytes(1024) if mode == "w" else whole.read_bytes()
    cut = tmp_path / "cut.bin"

    for size in range(300, len(data) - 1100, 97):
        cut.write_bytes(data[:size])
        with pytest.raises(SourceError, match=r"cut\.bin"):
            everything_of(cut)
    assert len(everything_of(whole)) == 6


def test_a_damaged_header_inside_a_tar_is_not_taken_for_its_end(tmp_path):
    path = tar_of(tmp_path / "x.tar", [("a.wav", b"1" * 512), ("b.wav", b"2" * 512)], "w")
    data = bytearray(path.read_bytes())
    data[1024 + 148] ^= 0x7F  # the checksum of the second header
    path.write_bytes(bytes(data))

    with pytest.raises(SourceError, match="damaged"):
        everything_of(path)


def test_a_flipped_bit_in_a_zip_member_is_an_error(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("a.wav", bytes(range(256)) * 40)], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(bytes(data))

    with pytest.raises(SourceError, match="damaged"):
        everything_of(path)


@MAKERS
def test_what_macos_adds_to_archives_is_passed_over(tmp_path, make):
    path = make(
        tmp_path / "x.bin", [("__MACOSX/._a.wav", b"0"), ("._a.wav", b"0"), (".DS_Store", b"0"), ("a.wav", b"1")]
    )

    assert [file.path for file in everything_of(path)] == ["a.wav"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"RIFF1234WAVEfmt ", "one audio file"),
        (b"", "no zip, tar or tar.gz"),
    ],
)
def test_a_file_that_is_no_archive_is_told_by_what_it_looks_like(tmp_path, data, message):
    path = tmp_path / "download.zip"
    path.write_bytes(data)

    with pytest.raises(SourceError, match=message):
        load_corpus("emodb", path)


def test_a_source_that_is_not_there_names_the_option(tmp_path):
    with pytest.raises(SourceError, match=r"does not exist.*--source"):
        load_corpus("emodb", tmp_path / "nowhere.zip")


def test_a_folder_with_pipes_loops_and_dead_links_is_walked_to_its_end(tmp_path):
    import os

    (tmp_path / "a.wav").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "dead.wav").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "object.wav").write_bytes(b"2")

    assert [file.path for file in read_listing(FolderSource(tmp_path))] == ["a.wav"]


def test_a_folder_never_hands_out_a_file_above_it(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret").write_bytes(b"1")

    with pytest.raises(SourceError, match="below"):
        FolderSource(tmp_path / "inner").read("../secret")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_a_name_that_passes_stays_below_its_folder(name):
    base = Path("/base")
    try:
        path = safe_name(name, "x")
    except UnsafeArchiveError:
        path = ""

    assert (base / path).resolve().is_relative_to(base)
    assert "\\" not in path


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 3000), byte=st.integers(0, 255), kind=st.sampled_from(["zip", "tar"]))
@example(position=388, byte=0, kind="zip")  # a member without a name
def test_one_wrong_byte_anywhere_gives_the_same_files_or_one_of_our_errors(tmp_path_factory, position, byte, kind):
    folder = tmp_path_factory.mktemp("fuzz")
    members = [("a.wav", b"abc" * 99), ("b/c.wav", bytes(range(256)))]
    path = zip_of(folder / "x", members) if kind == "zip" else tar_of(folder / "x", members, "w:gz")
    good = {data for _, data in members}
    data = bytearray(path.read_bytes())
    data[position % len(data)] = byte
    path.write_bytes(bytes(data))

    try:
        found = {data for _, data in open_source(path).iterate()}
    except FeatureStoreError:
        found = set()

    assert found <= good


def test_reading_one_member_gives_the_bytes_that_a_pass_gives(tmp_path):
    members = [("a.wav", b"1" * 10), ("b/c.wav", b"2" * 20)]

    for path in (zip_of(tmp_path / "x.zip", members), tar_of(tmp_path / "x.tgz", members)):
        source = open_source(path)
        assert dict(source.iterate()) == {name: source.read(name) for name, _ in members} == dict(members)
        with pytest.raises(SourceError, match="holds no file"):
            source.read("nothing.wav")


def test_an_encrypted_zip_is_refused_with_advice(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("a.wav", b"1")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))

    with pytest.raises(SourceError, match="encrypted"):
        list(open_source(path).iterate())


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_reading_an_archive_writes_nothing_beside_it(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("a.wav", b"1")])

    everything_of(path)

    assert [file.name for file in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_of_bzip2_and_lzma_are_read_whole_and_a_wrong_byte_is_told(tmp_path, method):
    data = bytes(range(256)) * 5000
    path = zip_of(tmp_path / "good.zip", [("a.wav", data), ("b.wav", b""), ("c.wav", b"x")], method)
    assert dict(open_source(path).iterate()) == {"a.wav": data, "b.wav": b"", "c.wav": b"x"}

    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 16] ^= 1  # the checksum of a.wav in the directory
    path.write_bytes(raw)
    with pytest.raises(SourceError, match=r"checksum of 'a\.wav' is wrong"):
        list(open_source(path).iterate())


@pytest.mark.parametrize(("method", "number"), [(zipfile.ZIP_BZIP2, 12), (zipfile.ZIP_LZMA, 14)])
def test_a_member_of_bzip2_or_lzma_that_claims_little_is_stopped_where_it_claims_to_end(tmp_path, method, number):
    """Three kilobytes of bzip2 hold gigabytes of zeros; they are counted as they come out, a megabyte at a time."""
    path = zip_of(tmp_path / "bomb.zip", [("a.wav", bytes(2**28))], method)
    raw = bytearray(path.read_bytes())
    directory = raw.index(b"PK\x01\x02")
    raw[directory + 24 : directory + 28] = struct.pack("<I", 2**20)
    assert raw[directory + 10] == number
    path.write_bytes(raw)
    code = (
        "import resource, sys; from pathlib import Path; from featurestore.corpus import open_source\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**28))\n"
        "try: list(open_source(Path(sys.argv[1])).iterate())\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)

    assert told.stdout.startswith("UnsafeArchiveError")
    assert "more bytes than its header says (1048576)" in told.stdout
