"""What is known of a folder's files, so that one that has not changed is not read again.

As in git's index, a file whose size, times and inode are those of an earlier look holds what it held then. A file that
was changed so shortly before that look that a second change need not show ("racily clean") is not remembered.
The index lies in the user's cache beside the downloads, not in the store: it is about places of one machine, and what
others who share a store may write there is nobody's word for what the user's own files hold. It enters no key.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from featurestore.checksummed_json import canonical_json, digest
from featurestore.corpus.sources.open import FolderSource, file_state
from featurestore.corpus.sources.types import FileState, Member, Wanted
from featurestore.corpus.types import ListedFile
from featurestore.files import read_regular

FORMAT = 1
"""Version of the file, and of what is kept of a recording; another is ignored."""
SETTLED = 2_000_000_000
"""Nanoseconds after which a change shows in a file's times: those of FAT are even seconds."""
LARGEST = 2_000_000_000
"""Bytes of an index that is read; a file takes about 150."""
CHECKSUM = re.compile(r"[0-9a-f]{64}")


class Known(NamedTuple):
    """What a file was when it was read, and what was kept of it."""

    state: FileState
    file: ListedFile


class FolderIndex:
    """The files of a folder as they were when they were last read for a way of reading (`Manifest.reading`).

    Times are compared with this machine's clock: where a file server's is late by hours, and a file is changed twice
    within the precision of its times around the moment that it is read, `rehash` alone sees it.

    Parameters
    ----------
    source : FolderSource
    reading : mapping
        What decides how files are kept.
    rehash : bool
        Believe nothing, and make the index anew.
    """

    def __init__(self, source: FolderSource, reading: dict[str, Any], *, rehash: bool = False) -> None:
        self._source = source
        self._head = {"format": FORMAT, "folder": str(source.folder.resolve()), "reading": reading}
        folder = Path(platformdirs.user_cache_dir("featurestore")) / "folders"
        self._place = folder / f"{digest(self._head)[:32]}.json"
        self._files = {} if rehash else self._load()
        self._started = time.time_ns()
        self._linked: dict[str, FileState] = {}
        self._members = list(source.members())

    def members(self, wanted: Wanted, held: Collection[str]) -> tuple[list[Member], list[ListedFile]]:
        """Return the wanted files that have to be read, and what is known of the others.

        `held` are contents that are kept: what a store does not have is read whatever is known of it.
        """
        read: list[Member] = []
        same: list[ListedFile] = []
        for member in self._members:
            if not wanted(member.path):
                continue
            known = self._files.get(member.path)
            fits = member.size <= self._source.limits.member_bytes
            if known and known.state == member.state and known.file.content in held and fits:
                same.append(known.file)
            else:
                read.append(member)
        return read, same

    def link(self, path: str) -> None:
        """Take note that the store has just linked to a file, which changes its inode's time but not its bytes."""
        with suppress(OSError):
            self._linked[path] = file_state((self._source.folder / path).lstat())

    def remember(self, members: Iterable[Member], files: Iterable[ListedFile]) -> None:
        """Keep what files held that were read now, if nothing can have changed them since the folder was listed.

        Parameters
        ----------
        members : iterable of Member
            Those that had to be read.
        files : iterable of ListedFile
            What was read of them.
        """
        present = {member.path for member in self._members}
        found = {file.path: file for file in files}
        kept = {path: known for path, known in self._files.items() if path in present}
        for member in members:
            kept.pop(member.path, None)
            state = self._settled(member) if member.path in found else None
            if state is not None:
                kept[member.path] = Known(state, found[member.path])
        if kept != self._files:
            self._files = kept
            self._save()

    def _settled(self, member: Member) -> FileState | None:
        """Return a file's state now; None unless it is that of the listing, and old enough for a change to show."""
        listed, now = member.state, time.time_ns()
        if listed is None:
            return None
        linked = self._linked.get(member.path)
        try:
            state = file_state((self._source.folder / member.path).lstat())
        except OSError:
            return None
        unchanged = state == (linked or listed) and state._replace(changed=listed.changed) == listed
        shown = (
            state.modified <= self._started - SETTLED and state.changed <= (now if linked else self._started) - SETTLED
        )
        return state if unchanged and shown and state.changed > 0 else None

    def _load(self) -> dict[str, Known]:
        """Read the index; whatever is wrong with it, it is made anew."""
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            checksum, _, data = read_regular(self._place, LARGEST).partition(b"\n")
            body = json.loads(data) if checksum.decode("ascii") == hashlib.sha256(data).hexdigest() else {}
            if {name: body.get(name) for name in self._head} == json.loads(canonical_json(self._head)):
                return _files_of(body["paths"], body["contents"], body["sizes"], body["states"])
        return {}

    def _save(self) -> None:
        """Write the index in one step; that it cannot be written costs reading again and nothing else."""
        known = sorted(self._files.values(), key=lambda one: one.file.path)
        body = {
            **self._head,
            "paths": [one.file.path for one in known],
            "contents": [one.file.content for one in known],
            "sizes": [one.file.size for one in known],
            "states": [list(column) for column in zip(*(one.state for one in known), strict=True)],
        }
        data = canonical_json(body).encode("ascii")
        with suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._place.parent, prefix="new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(data).hexdigest().encode("ascii") + b"\n" + data)
                Path(temporary).replace(self._place)
            finally:
                Path(temporary).unlink(missing_ok=True)


def _files_of(
    paths: Sequence[str], contents: Sequence[str], sizes: Sequence[int], states: Sequence[Sequence[int]]
) -> dict[str, Known]:
    """Put the columns of an index together; `ValueError` or `TypeError` where they are none."""
    numbers = [*sizes, *(number for column in states for number in column)]
    if not all(type(number) is int for number in numbers) or not all(map(CHECKSUM.fullmatch, contents)):
        raise ValueError("an index holds contents, sizes and times")
    rows = zip(paths, contents, sizes, map(FileState._make, zip(*states, strict=True)), strict=True)
    return {path: Known(state, ListedFile(path, content, size)) for path, content, size, state in rows}
