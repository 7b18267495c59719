"""What the first bytes of a file tell before anything is decoded: pointers and pages in place of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from featurestore.corpus.corpus import Listed
from featurestore.corpus.reading.sources import Member, Source, Wanted, everything
from featurestore.corpus.sheet.datasheet import Manifest
from featurestore.corpus.sheet.label_rules import is_label_file
from featurestore.errors import AudioError
from featurestore.signal.containers.sniff import container_of

LARGEST_STAND_IN = 4096
"""Bytes; pointers and error pages in place of a recording are smaller, and few recordings are."""


def fault_of(data: bytes) -> str | None:
    """Say why a file's first bytes are no audio that is read; None if they may be."""
    try:
        container_of(data)
    except AudioError as error:
        return str(error)
    return None


class FirstLook:
    """A source that looks at the first bytes of each recording on the way, so that no file is read twice."""

    def __init__(self, source: Source, manifest: Manifest) -> None:
        self._source = source
        self._manifest = manifest
        self.faults: dict[str, str] = {}
        """Why a recording is none, by its path in the source."""

    @property
    def name(self) -> str:
        """How messages call the source."""
        return self._source.name

    @property
    def unread(self) -> Mapping[str, str]:
        """Why files of the source cannot be read."""
        return self._source.unread

    def members(self) -> Iterator[Member]:
        """Yield every regular file."""
        return self._source.members()

    def iterate(self, wanted: Wanted = everything) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of each wanted file, and note the faults of recordings."""
        for path, data in self._source.iterate(wanted):
            if _is_audio(self._manifest, path):
                fault = fault_of(self._manifest.recording(path, data))
                if fault is not None:
                    self.faults[path] = fault
            yield path, data

    def read(self, path: str) -> bytes:
        """Return the bytes of one file."""
        return self._source.read(path)


def stand_ins(manifest: Manifest, listing: Iterable[Listed], read: Callable[[str], bytes]) -> dict[str, str]:
    """Return why small recordings of a listing are none, by path; larger ones are taken for recordings unread."""
    small = (file for file in listing if file.size <= LARGEST_STAND_IN and _is_audio(manifest, file.path))
    faults = ((file.path, fault_of(read(file.content))) for file in small)
    return {path: fault for path, fault in faults if fault is not None}


def _is_audio(manifest: Manifest, path: str) -> bool:
    return manifest.audio.wants(path) and not is_label_file(manifest.label_files, path)
