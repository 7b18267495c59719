"""Looking at a folder or archive once: which files are audio, and which may say something about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from featurestore.corpus.diagnose import packed_advice
from featurestore.corpus.sources.archive_safety import has_control_characters
from featurestore.corpus.sources.audio_files import is_audio
from featurestore.corpus.sources.types import Source
from featurestore.errors import SourceError

MOST_STUDIED = 20_000
"""Names of recordings that are studied; of more, an even sample."""
MOST_TABLES = 20
LARGEST_TABLE = 16 * 2**20
"""Bytes of a file that is looked at as a table or list of labels; of all tables together as well."""
TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".txt", ".lst", ".list", ".scp")


@dataclass(frozen=True)
class Seen:
    """What a folder or archive holds."""

    audio: tuple[str, ...]
    """Paths of all recordings, sorted."""
    studied: tuple[str, ...]
    """The paths whose names are studied."""
    beside: Mapping[str, bytes]
    """Bytes of the files that may be tables or lists."""
    strange: int = 0
    """Recordings with control characters or bytes that are no text in their names; no manifest can name them."""

    @property
    def endings(self) -> Mapping[str, int]:
        """How many recordings have each ending, in lower case."""
        return dict(Counter(ending_of(path) for path in self.audio).most_common())


def look(source: Source) -> Seen:
    """Look at a source.

    Raises
    ------
    SourceError
        If there is no file whose name ends as audio does, or all have names that no manifest can hold.
    """
    members = sorted(source.members(), key=lambda member: member.path)
    named = [member.path for member in members if is_audio(member.path)]
    audio = [path for path in named if not has_control_characters(path)]
    if not audio:
        raise SourceError(_nothing(source, len(members), len(named)))
    step = -(-len(audio) // MOST_STUDIED)
    sizes = {member.path: member.size for member in members}
    return Seen(tuple(audio), tuple(audio[::step]), _beside(source, sizes), len(named) - len(audio))


def _nothing(source: Source, files: int, strange: int) -> str:
    if strange:
        return (
            f"the names of all {strange:,} recordings in {source.name!r:.200} hold control characters or bytes "
            "that are no text, so no manifest can name them. Rename them."
        )
    return (
        f"{source.name!r:.200} holds no audio among its {files:,} files (*.wav, *.flac, *.mp3 and so on). "
        f"{packed_advice(source) or 'Name the folder or archive that does.'}"
    )


def _beside(source: Source, sizes: Mapping[str, int]) -> Mapping[str, bytes]:
    """Read small files that may be tables; those near the top and with telling names first."""
    likely = [
        path
        for path, size in sizes.items()
        if path.casefold().endswith(TABLE_ENDINGS) and 0 < size <= LARGEST_TABLE and not has_control_characters(path)
    ]
    chosen = _within(sorted(likely, key=lambda path: (path.count("/"), _rank(path), path))[:MOST_TABLES], sizes)
    found = dict(source.iterate(lambda path: path in chosen)) if chosen else {}
    for path, reason in source.unread.items():
        if path.casefold().endswith(TABLE_ENDINGS[:3]):  # a table for sure; without it labels may be others
            raise SourceError(reason)
    return found


def _within(paths: Sequence[str], sizes: Mapping[str, int]) -> frozenset[str]:
    chosen: list[str] = []
    total = 0
    for path in paths:
        total += sizes[path]
        if total <= LARGEST_TABLE:
            chosen.append(path)
    return frozenset(chosen)


def _rank(path: str) -> int:
    return next(n for n, ending in enumerate(TABLE_ENDINGS) if path.casefold().endswith(ending))


def ending_of(path: str) -> str:
    """Return the ending of a file's name in lower case, with its dot.

    Examples
    --------
    >>> ending_of("a/b.tar.WAV")
    '.wav'
    """
    return path[path.rindex(".") :].casefold()


def least_depth(paths: Iterable[str], most: int = 16) -> int:
    """Return how many trailing parts of all paths are needed to tell them apart."""
    parts = [path.casefold().split("/") for path in paths]
    for depth in range(1, most):
        if len({tuple(one[-depth:]) for one in parts}) == len(parts):
            return depth
    return most
