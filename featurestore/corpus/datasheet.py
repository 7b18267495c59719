"""The nouns of a corpus data sheet: what a TOML manifest says, as frozen values."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Archive:
    """One place where a corpus can be fetched; the archives of a corpus are alternatives, best first."""

    url: str
    """Where it lies, `https://` (or `http://`, which only a pinned sha256 makes usable)."""
    name: str
    """File name to keep it under, without folders."""
    sha256: str | None = None
    """Pinned checksum, 64 hexadecimal digits."""
    md5: str | None = None
    """Checksum that the publisher gives where it gives no sha256, 32 hexadecimal digits."""
    bytes: int | None = None
    """Size of the archive."""
    unpacked_bytes: int | None = None
    """Sum of the sizes of its files."""


@dataclass(frozen=True, slots=True)
class AudioFiles:
    """Which files of a source are the recordings, and what each is called inside the corpus."""

    include: tuple[str, ...] = ("*.wav",)
    """Name patterns (`*`, `?`, `[...]`, any case) of the recordings."""
    exclude: tuple[str, ...] = ()
    """Patterns of files or folders (any part of the path) that are no recordings."""
    folder: str = ""
    """Folder that every path of the corpus starts with."""
    depth: int = 1
    """How many trailing parts of a file's path identify it: 1 = its name, 2 = `folder/name` and so on."""

    def wants(self, path: str) -> bool:
        """Tell whether a path of a source is a recording by its name."""
        parts = path.casefold().split("/")
        included = any(fnmatch.fnmatchcase(parts[-1], pattern.casefold()) for pattern in self.include)
        return included and not any(
            fnmatch.fnmatchcase(part, pattern.casefold()) for part in parts for pattern in self.exclude
        )

    def corpus_path(self, path: str) -> str:
        """Name a file of a source inside the corpus, the same wherever the user's folder starts.

        Examples
        --------
        >>> AudioFiles(folder="wav").corpus_path("download/copy/03a01Fa.wav")
        'wav/03a01Fa.wav'
        """
        kept = path.split("/")[-self.depth :]
        return "/".join([self.folder, *kept] if self.folder else kept)


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How labels are read from a path: a pattern with named groups, and a table of codes for some groups."""

    pattern: str
    """Regular expression that matches a whole file name; each named group is a label field."""
    target: str
    """The group whose value is the class to predict."""
    match: str = "name"
    """What the pattern matches: `name` (the file name) or `path` (the path inside the corpus)."""
    speaker: str | None = "speaker"
    """The group that names the speaker; None where speakers are unknown."""
    text: str | None = None
    """The group that names the sentence, where there is one."""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Code tables `{group: {code: value}}`; a group without a table keeps its text."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One speaker as published: sex `male` or `female`, age in years; None where unpublished."""

    id: str
    sex: str | None = None
    age: int | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a complete copy holds; empty where unknown."""

    files: int | None = None
    """Number of recordings."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each class."""
    speakers: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each speaker."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The published checksum and size of one recording."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A corpus as data: where it lies, how its labels are read, what a complete copy holds, under which terms."""

    name: str
    """Letters a to z, digits and underscores, at most 40."""
    title: str
    labels: LabelRule
    description: str = ""
    language: str = ""
    """ISO 639 code."""
    rate: int | None = None
    """Published sampling rate in hertz; None where it varies."""
    homepage: str = ""
    licence: str = "unknown"
    licence_url: str = ""
    citation: str = ""
    splits: tuple[str, ...] = ("shuffled",)
    """Names of the splits that make sense for this corpus, the usual one first."""
    generator: str | None = None
    """Name of the synthesiser that makes the corpus; None for recordings."""
    archives: tuple[Archive, ...] = ()
    audio: AudioFiles = field(default_factory=AudioFiles)
    speakers: tuple[Speaker, ...] = ()
    expected: Expected = field(default_factory=Expected)
    index: Mapping[str, IndexEntry] = field(default_factory=dict)
    """Published checksum of each recording, by its path inside the corpus; empty where unknown."""

    @property
    def downloadable(self) -> bool:
        """Whether the corpus can be fetched from the network at all."""
        return bool(self.archives)

    def speaker(self, name: str) -> Speaker:
        """Return what is published about a speaker; an unlisted one is unknown but for the name."""
        return next((known for known in self.speakers if known.id == name), Speaker(name))
