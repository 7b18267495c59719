"""The contents of a manifest, as frozen values; the sections of its TOML have the names of these fields."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any

from featurestore.corpus.sources.audio_files import RawFormat

OneOrMore = Annotated[tuple[str, ...], "a text alone is a list of it"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How labels are read from a path: a pattern with named groups, and a table of codes for some groups."""

    pattern: str
    """Regular expression that matches a whole file name; each named group is a label field. Empty where tables
    give every field."""
    target: str
    """The field whose value is the class to predict."""
    match: str = "name"
    """What the pattern matches: `name` (the file name) or `path` (the path inside the corpus)."""
    any_case: bool = False
    """Whether pattern and codes hold in upper and lower case alike."""
    speaker: str | None = "speaker"
    """The field that names the speaker; None where speakers are unknown."""
    text: str | None = None
    """The field that names the sentence, where there is one."""
    join_speakers: bool = False
    """Whether speakers who share a recording, byte for byte, are one: known names of one person, or a slip."""
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Code tables `{field: {code: value}}`; a field without a table keeps its text."""
    compose: Mapping[str, str] = field(default_factory=dict)
    """Fields put together from others, as `{"speaker": "{session}{sex}"}`; codes are translated before."""
    derived: Mapping[str, str] = field(default_factory=dict)
    """Fields computed where nothing else gives them: `{field: name of a rule in DERIVATIONS}`."""


@dataclass(frozen=True, slots=True)
class TableRule:
    """How rows of label files beside the audio become fields of recordings."""

    files: OneOrMore
    """Patterns of the files' paths; one with `k` slashes looks at the last `k + 1` parts."""
    format: str = "columns"
    """A key of `TABLE_FORMATS`."""
    encoding: OneOrMore = ("utf-8-sig",)
    """Encodings, tried in this order."""
    delimiter: str | None = None
    """The sign between two columns; `" "` is any white space, None is found out."""
    header: bool = True
    """Whether the first line names the columns."""
    columns: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    """`{field: accepted names, or the number (1 is the first)}` of its column; empty takes all by their names."""
    key: str = "{file}"
    """The recording that a row is about, put together from the row's fields; its extension may be left out."""
    match: str = "name"
    """What the key is compared with: `name` (the file name), `path` (the path inside the corpus), or `either`: the
    path, and where none is like it the name alone."""
    pattern: str | None = None
    """Regular expression for the label file's own path, whose groups are fields of each row."""
    lower: bool = False
    """Whether values are brought to lower case, except those for a missing one, such as `NA`."""


@dataclass(frozen=True, slots=True)
class ListRule:
    """Lists of recordings, one a line, whose members get a value of a field, such as the side of an official split."""

    files: OneOrMore
    value: str
    field: str = "split"
    match: str = "path"
    """What a line is compared with: `name` or `path`."""


def is_label_file(rules: tuple[TableRule | ListRule, ...], path: str) -> bool:
    """Tell whether one of the rules reads the file at a path of a source, in any case and any encoding of accents.

    The last parts of the path are compared, part by part.

    Examples
    --------
    >>> rule = TableRule(("EmoEvaluation/*.txt",))
    >>> is_label_file((rule,), "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt")
    True
    >>> is_label_file((rule,), "Session1/dialog/EmoEvaluation/Attribute/x.txt")
    False
    """
    if not rules:
        return False
    parts = _plain(path).split("/")
    for pattern in (_plain(pattern).split("/") for rule in rules for pattern in rule.files):
        # the last parts first, since most files of a corpus differ there
        pairs = zip(reversed(parts), reversed(pattern), strict=False)
        if len(parts) >= len(pattern) and all(fnmatch.fnmatchcase(part, one) for part, one in pairs):
            return True
    return False


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a complete copy holds; empty where unknown."""

    files: int | None = None
    """Number of recordings."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each class."""
    speakers: Mapping[str, int] = field(default_factory=dict)
    """Recordings of each speaker."""
    speaker_count: int | None = None
    """Number of speakers where they cannot be listed."""
    fields: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Recordings of each value of other fields, as `{"session": {"Ses01": 1819}}`."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A selection of recordings and the classes that they get; a view, nothing is computed for it."""

    name: str
    title: str = ""
    target: str | None = None
    """The field that the classes come from; None takes the corpus's own target."""
    votes: str | None = None
    """A key of `VOTE_RULES`: the classes come from the field `target` as rater votes (`votes` by default)."""
    where: Mapping[str, OneOrMore] = field(default_factory=dict)
    """Values of other fields that a recording must have, as `{"style": ("impro",)}`."""
    map: Mapping[str, str] = field(default_factory=dict)
    """Other names for values, before `keep`."""
    keep: tuple[str, ...] = ()
    """Classes of the scheme; recordings of others are left out. Empty keeps all."""
    expected: Expected = field(default_factory=Expected)
    """What is left of a complete copy."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A field that holds an amount, such as a rating of valence, which a model can learn as a number."""

    name: str
    low: float
    """Lower end of the scale."""
    high: float
    """Upper end of the scale."""
    title: str = ""
    """What the ends of the scale mean, and how one number was made of several ratings."""
    field: str = ""
    """The field that holds it; empty where it is called so itself."""


@dataclass(frozen=True, slots=True)
class SideRule:
    """A split of a corpus's own: values of a field decide the side, and some groups of training validate."""

    name: str
    description: str = ""
    field: str = "split"
    """The field whose value decides: as side names themselves, or through the three lists."""
    train: OneOrMore = ("train",)
    validation: OneOrMore = ("validation",)
    test: OneOrMore = ("test",)
    hold_out: int = 0
    """How many groups of the training side validate."""
    group: str = "speaker"
    """The field that groups are values of."""
    by: str | None = None
    """The field whose every value gives `hold_out` groups of its own; None takes them from all together."""
    drawn: bool = False
    """Whether the groups are drawn by the seed; else they are the first in order."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A published experiment's choice of recordings, labels and sides, so that two results compare by one string."""

    name: str
    """The name behind `corpus/`, such as `impro4-loso10@etienne2018`."""
    split: str
    """A key of `SPLITS` or of the manifest's sides."""
    scheme: str | None = None
    """The scheme, None for the corpus's own labels."""
    citation: str = ""
    description: str = ""
    leaks: tuple[str, ...] = ()
    """Kinds of leak that the published protocol is known to have; still refused unless allowed."""


@dataclass(frozen=True, slots=True)
class Translation:
    """Data in a format of another tool, as it was understood.

    The rows travel with the recordings as a label file of their own, so that a store can label them again without the
    folder they came from.
    """

    format: str
    """The name of the format in messages."""
    rows: bytes
    """One JSON object a line: `file`, the path inside the corpus, and the fields of this recording."""
    paths: Mapping[str, str]
    """For each path inside the corpus, the path as it was written down: relative, or absolute on another machine."""

    @property
    def file(self) -> str:
        """The path of the rows among the files of the corpus; hidden, and new for every change of a label."""
        return f".featurestore/{hashlib.sha256(self.rows).hexdigest()[:32]}.jsonl"


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


@lru_cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what fits names in lower case that one of some patterns (`*`, `?`, `[...]`) fits."""
    return re.compile("|".join(fnmatch.translate(pattern.casefold()) for pattern in patterns) or "(?!)")


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
    raw: RawFormat | None = None
    """What headerless files hold; None where every file has a header."""
    known_bad: Mapping[str, str] = field(default_factory=dict)
    """Why a published recording cannot be used, by its name or the last parts of its path, in any case and with or
    without extension."""

    def wants(self, path: str) -> bool:
        """Tell whether a path of a source is a recording by its name."""
        parts = path.casefold().split("/")
        if not _any_of(self.include).fullmatch(parts[-1]):
            return False
        return not self.exclude or not any(map(_any_of(self.exclude).fullmatch, parts))

    def fault(self, path: str) -> str | None:
        """Return what is known to be wrong with a recording of the published corpus, None if nothing is.

        Examples
        --------
        >>> AudioFiles(known_bad={"b": "silent"}).fault("wav/B.wav")
        'silent'
        """
        if not self.known_bad:
            return None
        whole = f"/{path}".casefold()
        ends = (whole, whole.rpartition(".")[0])
        tails = ((f"/{tail}".casefold(), why) for tail, why in self.known_bad.items())
        return next((why for tail, why in tails if any(end.endswith(tail) for end in ends)), None)

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
class Speaker:
    """One speaker as published: sex `male` or `female`, age in years; None where unpublished."""

    id: str
    sex: str | None = None
    age: int | None = None


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
    family: str = ""
    """What versions of one corpus are called together, as `speech-commands`; they share the names of protocols."""
    description: str = ""
    language: str = ""
    """ISO 639 code."""
    rate: int | None = None
    """Published sampling rate in hertz; None where it varies."""
    hours: float | None = None
    """Hours of sound in a complete copy; None where unknown."""
    homepage: str = ""
    licence: str = "unknown"
    licence_url: str = ""
    citation: str = ""
    splits: tuple[str, ...] = ("shuffled",)
    """Splits that results are usually given for, the commonest first; `featurestore splits` finds all that fit."""
    generator: str | None = None
    """Name of the synthesiser that makes the corpus; None for recordings."""
    archives: tuple[Archive, ...] = ()
    audio: AudioFiles = field(default_factory=AudioFiles)
    speakers: tuple[Speaker, ...] = ()
    expected: Expected = field(default_factory=Expected)
    index: Mapping[str, IndexEntry] = field(default_factory=dict)
    """Published checksum of each recording, by its path inside the corpus; empty where unknown."""
    tables: tuple[TableRule, ...] = ()
    """Label files beside the audio."""
    lists: tuple[ListRule, ...] = ()
    """Lists of recordings beside the audio."""
    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    """Selections and mappings of labels by name."""
    dimensions: Mapping[str, Dimension] = field(default_factory=dict)
    """Fields that hold amounts on a scale, by the name that they are learnt under."""
    side_rules: Mapping[str, SideRule] = field(default_factory=dict)
    """Splits of this corpus's own by name, `[sides.NAME]` in the manifest."""
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    """Published ways to split and label, by the name after `corpus/`."""
    place: str | None = None
    """The folder that the manifest was found or made for, which is the source where none is given."""
    translation: Translation | None = None
    """The data of another tool about the recordings, where the manifest was made from such data."""
    notes: tuple[str, ...] = ()
    """What a user should know of how a folder was understood, where nobody wrote a manifest."""

    @property
    def label_files(self) -> tuple[TableRule | ListRule, ...]:
        """What is read beside the audio."""
        return (*self.tables, *self.lists)

    @property
    def beside(self) -> Mapping[str, bytes]:
        """Label files that come with the manifest and not from the source, by their paths."""
        return {self.translation.file: self.translation.rows} if self.translation else {}

    def wants(self, path: str) -> bool:
        """Tell whether a file of a source is a recording or a label file."""
        return self.audio.wants(path) or is_label_file(self.label_files, path)

    def recording(self, path: str, data: bytes) -> bytes:
        """Return a file as it is kept: headerless audio gets a WAV header, all else stays."""
        raw = self.audio.raw
        return raw.wrap(data) if raw and not is_label_file(self.label_files, path) else data

    @property
    def reading(self) -> dict[str, Any]:
        """What decides, besides the source, which files are kept and how; empty if nothing special.

        A listing that was made under another reading does not serve this manifest.
        """
        found: dict[str, Any] = {}
        if self.label_files:
            found["label_files"] = sorted({pattern for rule in self.label_files for pattern in rule.files})
        if self.audio.raw:
            found["raw"] = self.audio.raw.to_dict()
        if found:
            found["include"] = list(self.audio.include)
        return found

    @property
    def downloadable(self) -> bool:
        """Whether the corpus can be fetched from the network at all."""
        return bool(self.archives)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the corpus, in the manifest's order; empty where only its label files name them."""
        meanings = self.labels.codes.get(self.labels.target, {}).values()
        return tuple(self.expected.labels) or tuple(dict.fromkeys(meanings))

    @property
    def speaker_count(self) -> int | None:
        """How many speakers a complete copy holds; None where unknown."""
        return self.expected.speaker_count or len(self.speakers) or len(self.expected.speakers) or None

    def speaker(self, name: str) -> Speaker:
        """Return what is published about a speaker; an unlisted one is unknown but for the name."""
        return next((known for known in self.speakers if known.id == name), Speaker(name))
