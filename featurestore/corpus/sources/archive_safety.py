"""The rules that every member of an archive must keep before a byte of it is used.

Nothing is ever unpacked into a folder: members are read one at a time into memory. Names are checked all the same,
because they become paths in datasets and exports, and every budget counts bytes that were really produced, since
sizes in headers can lie.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from featurestore.errors import FeatureStoreError, SourceError, UnsafeArchiveError

CHUNK = 2**20
"""Bytes read at a time."""
_DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, NotImplementedError),
)


@contextmanager
def damage_named(archive: str) -> Iterator[None]:
    """Turn the many errors of damaged archives into one that names the file."""
    try:
        yield
    except FeatureStoreError:
        raise
    except _DAMAGE as error:
        raise SourceError(f"archive {archive!r} is truncated or damaged; download it again. ({error})") from error


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold at most."""

    members: int = 250_000
    """Files and folders; the largest speech corpus known here has about 106,000."""
    member_bytes: int = 128 * 2**20
    """Bytes of one file: about an hour of 16 kHz, 16-bit mono speech."""
    total_bytes: int = 256 * 2**30
    """Bytes of all files together."""
    ratio: int = 200
    """Bytes produced for each stored byte; speech reaches about 2, digital silence about 1,000."""
    ratio_floor: int = 16 * 2**20
    """Bytes that may be produced whatever the ratio, so that a short silent file passes."""

    @property
    def too_large(self) -> str:
        """The message for a file that is too large."""
        most = self.member_bytes
        size = f"{most:,} bytes" if most % 2**20 else f"{most // 2**20:,} MiB"  # as options take it
        return f"larger than {size}, and files are read whole. Raise it with --max-file-size, or cut the recording."

    @property
    def too_many(self) -> str:
        """The message for a place with too many files."""
        return f"more than {self.members:,} files and folders. Raise it with --max-files, or name a folder below."

    def produced(self, stored: int) -> int:
        """Return the bytes that one member with so many stored bytes may produce."""
        return min(self.member_bytes, max(self.ratio_floor, self.ratio * stored))

    def produced_in_all(self, stored: int) -> int:
        """Return the bytes that all members of an archive of so many bytes may produce together."""
        return min(self.total_bytes, max(self.ratio_floor, self.ratio * stored))


def is_junk(path: str) -> bool:
    """Tell whether a path is one of the files that macOS adds to archives and folders."""
    parts = path.split("/")
    return "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store"


def safe_name(name: str, archive: str) -> str:
    """Return a member's name without a leading `./`, or refuse it.

    `UnsafeArchiveError` if the name is absolute, leaves its folder, names a drive, holds a backslash or a control
    character, or has a part of more than 255 bytes. A byte that is no text makes no archive unsafe: its file is
    rejected later.
    """
    path = name
    while path.startswith("./"):
        path = path[2:]
    path = path.rstrip("/")
    path = "" if path == "." else path  # the folder that was packed: `tar -c .` begins with it
    parts = path.split("/")
    if "\\" in name or any(unicodedata.category(character) == "Cc" for character in name):
        raise unsafe(archive, name, "a backslash or a control character in its name")
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise unsafe(archive, name, "an absolute path")
    if path and any(part in ("", ".", "..") for part in parts):
        raise unsafe(archive, name, "a path that is not plain ('..', '.' or '//')")
    if any(len(part.encode(errors="surrogatepass")) > 255 for part in parts) or len(parts) > 64:
        raise unsafe(archive, name, "a path that is too long")
    return path


def unsafe(archive: str, member: str, reason: str) -> UnsafeArchiveError:
    """Return the refusal of one member."""
    return UnsafeArchiveError(
        f"archive {archive!r}: member {member!r:.120} has {reason}. Nothing was read from it; get the archive again "
        "from its publisher, or unpack it yourself and give the folder to --source."
    )


class Census:
    """Counts the members of one pass over an archive and refuses two of one name and overlong lists."""

    def __init__(self, archive: str, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._count = 0
        self._seen: set[str] = set()

    def admit(self, name: str) -> str:
        """Count a member and return its safe name; two names that differ in case or accents' encoding are twins."""
        self._count += 1
        if self._count > self._limits.members:
            raise UnsafeArchiveError(f"archive {self._archive!r} holds {self._limits.too_many}")
        return safe_name(name, self._archive)

    def admit_file(self, name: str) -> str:
        """As `admit`, for a regular file, whose name must be its own on every file system."""
        path = self.admit(name)
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        if key in self._seen and not is_junk(path):
            raise unsafe(self._archive, name, "the same name as another one on some file systems")
        self._seen.add(key)
        return path


def read_bounded(read: Callable[[int], bytes], claimed: int, most: int, archive: str, member: str) -> bytes:
    """Read one member in blocks: exactly the bytes `claimed` in its header, and at most the budget of `most` bytes.

    `read` returns at most as many bytes as asked for, none at the end.
    """
    if claimed > most:
        raise unsafe(archive, member, f"a size of {claimed} bytes, and at most {most} are allowed")
    blocks, produced = [], 0
    while block := read(CHUNK):
        produced += len(block)
        if produced > most or produced > claimed:
            raise unsafe(archive, member, f"more bytes than its header says ({claimed}) or than are allowed ({most})")
        blocks.append(block)
    if produced < claimed:
        raise SourceError(f"archive {archive!r} is damaged: {member!r} ends after {produced} of {claimed} bytes.")
    return b"".join(blocks)
