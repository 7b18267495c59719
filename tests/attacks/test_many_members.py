"""Of ten million members in an archive of a few megabytes no more is read than the budget allows."""

import gzip
import resource
import tarfile
from pathlib import Path

import pytest

from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.errors import UnsafeArchiveError


def headers(kind, count, start=0):
    lines = []
    for number in range(start, start + count):
        member = tarfile.TarInfo(f"{number}.wav")
        member.type = kind
        lines.append(member.tobuf(tarfile.USTAR_FORMAT))
    return gzip.compress(b"".join(lines), 1)


def bytes_read():
    """What this process has read from files so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_ten_million_folders_in_a_tar_stop_at_its_budget(tmp_path):
    path = tmp_path / "many.tar.gz"
    block = headers(tarfile.DIRTYPE, 10_000)
    with path.open("wb") as file:
        file.writelines(block for _ in range(1_000))
    before, read = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, bytes_read()

    with pytest.raises(UnsafeArchiveError, match="20,000 files and folders"):
        list(open_source(path, Limits(members=20_000)).members())

    assert bytes_read() - read < path.stat().st_size / 20  # 20,000 of ten million are one in 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_members_that_are_headers_alone_stop_at_the_ratio(tmp_path):
    path = tmp_path / "empty.tar.gz"
    path.write_bytes(gzip.compress(headers(tarfile.DIRTYPE, 1)[:0] + bytes(2**26)))

    assert list(open_source(path, Limits(ratio_floor=2**27)).members()) == []
    with pytest.raises(UnsafeArchiveError):
        list(open_source(path, Limits(ratio_floor=2**20)).members())
