"""Leaks: what stands on more than one side of a split and makes a test easier than the world.

A model that has heard the test speakers is not tested on new ones. Many published splits leak, so a leak is allowed
when it is asked for by its kind, and always reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from featurestore.corpus.splitting.splits import Split, SplitItem
from featurestore.errors import LeakError, UnknownNameError

MOST_NAMED = 12
"""Names that a message spells out before it only counts."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What two or more sides of a split share; every tuple is sorted."""

    shared_speakers: tuple[str, ...] = ()
    shared_sources: tuple[str, ...] = ()
    """Utterances (by path) that stand on two sides, themselves or as augmented copies."""
    shared_audio: tuple[str, ...] = ()
    """Checksums of byte-identical audio on two sides, whatever the names."""
    shared_sentences: tuple[str, ...] = ()
    """Spoken sentences on two sides, where the corpus names them."""
    unknown_speakers: int = 0
    """Utterances without a known speaker: for these nothing can be said."""

    @property
    def by_kind(self) -> dict[str, tuple[str, ...]]:
        """What is shared, under the names that `--allow-leak` takes."""
        return {
            "speaker": self.shared_speakers,
            "source": self.shared_sources,
            "audio": self.shared_audio,
            "sentence": self.shared_sentences,
        }

    @property
    def verdict(self) -> str:
        """One sentence for a report."""
        found = [f"{len(names)} {kind}s ({_some(names)})" for kind, names in self.by_kind.items() if names]
        said = f"on more than one side: {'; '.join(found)}" if found else "nothing is shared between the sides"
        return (
            f"{said}; the speakers of {self.unknown_speakers} utterances are unknown" if self.unknown_speakers else said
        )


KINDS = ("speaker", "source", "audio", "sentence")
REFUSED_KINDS = ("speaker", "source", "audio")
"""Kinds refused unless allowed; shared sentences are reported only, since most acted corpora repeat theirs."""


def leaks(split: Split, utterances: Iterable[SplitItem]) -> Leaks:
    """Find what the sides of a split share.

    Parameters
    ----------
    split : Split
    utterances : iterable
        The utterances that the split was made of, with `path`, `content`, `label`, `speaker`, and `text` if known.
    """
    sides = _sides_of_paths(split)
    used = [one for one in utterances if one.path in sides]

    def shared(key: Callable[[SplitItem], str | None]) -> tuple[str, ...]:
        places: dict[str, set[str]] = {}
        for one in used:
            name = key(one)
            if name is not None:
                places.setdefault(name, set()).update(sides[one.path])
        return tuple(sorted(name for name, found in places.items() if len(found) > 1))

    return Leaks(
        shared_speakers=shared(lambda one: one.speaker),
        shared_sources=tuple(sorted(path for path, found in sides.items() if len(found) > 1)),
        shared_audio=shared(lambda one: one.content),
        shared_sentences=shared(lambda one: getattr(one, "text", None)),
        unknown_speakers=len({one.path for one in used if one.speaker is None}),
    )


def check_leaks(
    split: Split,
    utterances: Iterable[SplitItem],
    allowed: Collection[str] = (),
    refused: Collection[str] = REFUSED_KINDS,
) -> Leaks:
    """Refuse a split that leaks, unless the kind of leak is allowed by name.

    Returns
    -------
    Leaks
        What is shared, allowed or not, for the report.

    Raises
    ------
    LeakError
        Naming each kind, what is shared, and the flag that allows it.
    UnknownNameError
        If `allowed` or `refused` names no kind of leak.
    """
    for kind in (*allowed, *refused):
        if kind not in KINDS:
            raise UnknownNameError("kind of leak", kind, KINDS)
    used = tuple(utterances)
    found = leaks(split, used)
    wrong = [kind for kind in KINDS if found.by_kind[kind] and kind in refused and kind not in allowed]
    if wrong:
        what = "; ".join(f"{kind} ({_some(_names(kind, found, used))})" for kind in wrong)
        flags = " ".join(f"--allow-leak {kind}" for kind in wrong)
        raise LeakError(
            f"split {split.name!r} leaks: more than one side has {what}. Choose another split, or accept it: {flags}"
        )
    return found


def _names(kind: str, found: Leaks, utterances: Iterable[SplitItem]) -> tuple[str, ...]:
    """Return what is shared in words that a user knows: identical audio by its paths, not by its checksum."""
    if kind != "audio":
        return found.by_kind[kind]
    paths = {content: set[str]() for content in found.shared_audio}
    for one in utterances:
        paths.get(one.content, set()).add(one.path)
    return tuple(sorted(" = ".join(sorted(same)) for same in paths.values()))


def _sides_of_paths(split: Split) -> dict[str, set[str]]:
    places: dict[str, set[str]] = {}
    for side, paths in split.sides.items():
        for path in paths:
            places.setdefault(path, set()).add(side)
    return places


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(name[:100] for name in names[:MOST_NAMED]) + more
