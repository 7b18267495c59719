"""Leaks: what stands on more than one side of a split and makes a test easier than the world.

A model that has heard the test speakers is not tested on new ones. Many published splits leak, so a leak is allowed
when it is asked for by its kind, and always reported.

Identical audio is told exactly: by equal clean rows of a dataset, else by equal bytes of files. The same recording at
another level, with other silence at its ends, cut elsewhere, resampled, or through a lossy codec has other rows and is
not found here; `featurestore corpora check --quality` finds copies that differ in level and silence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from featurestore.corpus.splits.types import Split, SplitItem
from featurestore.errors import LeakError, UnknownNameError
from featurestore.segments import recording_of, segment_of

MOST_NAMED = 12
"""Names that a message spells out before it only counts."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What two or more sides of a split share; every tuple is sorted. Of audio only exact copies are known."""

    shared_speakers: tuple[str, ...] = ()
    shared_sources: tuple[str, ...] = ()
    """Utterances (by path) that stand on two sides, themselves or as augmented copies."""
    shared_audio: tuple[str, ...] = ()
    """Identical audio on two sides, whatever the names: for each sound the lowest checksum of its files.

    Copies at another level, with other silence or through a lossy codec are not identical and do not stand here.
    """
    shared_recordings: tuple[str, ...] = ()
    """Recordings (by path) of which segments or channels stand on two sides: one room, one talk, one microphone."""
    audio_paths: tuple[str, ...] = ()
    """The same for people: `a.wav = b.flac`."""
    noises: tuple[tuple[str, str], ...] = ()
    """Recordings (side, path) of the validation and test sides that the policy mixes into training copies."""
    heard: bool = False
    """Whether audio was compared by what the features hear of it; else by the bytes of the files alone."""
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
            "recording": self.shared_recordings,
            "audio": (*self.shared_audio, *(path for _, path in self.noises)),
            "sentence": self.shared_sentences,
        }

    @property
    def verdict(self) -> str:
        """One sentence for a report."""
        found = [
            f"{len(self.by_kind[kind])} {kind}s ({_some(self.named(kind))})" for kind in KINDS if self.by_kind[kind]
        ]
        said = f"on more than one side: {'; '.join(found)}" if found else "nothing is shared between the sides"
        unknown = f"; the speakers of {self.unknown_speakers} utterances are unknown" if self.unknown_speakers else ""
        return f"{said}{unknown}{'' if self.heard else '; audio was compared by the bytes of the files alone'}"

    def named(self, kind: str) -> tuple[str, ...]:
        """Return what is shared of one kind in words that a user knows: identical audio by its paths."""
        if kind != "audio":
            return self.by_kind[kind]
        return (*self.audio_paths, *(f"{path} = a noise of the policy" for _, path in self.noises))

    @property
    def noises_told(self) -> str:
        """What a refusal says about noises; empty without any."""
        sides = " and ".join(side for side in TOLD_SIDES if any(side == one for one, _ in self.noises))
        return f"; noises of the policy are recordings of the {sides} side" if sides else ""


TOLD_SIDES = ("validation", "test")
"""Sides whose recordings no training copy may hold as noise."""
KINDS = ("speaker", "source", "recording", "audio", "sentence")
REFUSED_KINDS = ("speaker", "source", "recording", "audio")
"""Kinds refused unless allowed; shared sentences are reported only, since most acted corpora repeat theirs."""


def leaks(
    split: Split,
    utterances: Iterable[SplitItem],
    sounds: Mapping[str, str] | None = None,
    heard: Collection[str] = (),
) -> Leaks:
    """Find what the sides of a split share.

    Parameters
    ----------
    split : Split
    utterances : iterable
        The utterances that the split was made of, with `path`, `content`, `label`, `speaker`, and `text` if known.
    sounds : mapping of content to name, optional
        What tells equal sound in files that differ (`DatasetView.sounds`); without it bytes are compared.
    heard : collection of str
        Contents that training copies take in besides their own, such as the noises of the policy.
    """
    sides = _sides_of_paths(split)
    used = [one for one in utterances if one.path in sides]

    def shared(key: Callable[[SplitItem], str | None]) -> tuple[str, ...]:
        """Return the values of a key, sorted, whose utterances stand on more than one side; None is no value."""
        places: dict[str, set[str]] = {}
        for one in used:
            name = key(one)
            if name is not None:
                places.setdefault(name, set()).update(sides[one.path])
        return tuple(sorted(name for name, found in places.items() if len(found) > 1))

    known = sounds or {}
    same = _files_of_sounds(used, known, shared(lambda one: known.get(one.content, one.content)))
    mixed_in = {name for content in heard for name in (content, known.get(content, content))}
    return Leaks(
        shared_speakers=shared(lambda one: one.speaker),
        shared_sources=tuple(sorted(path for path, found in sides.items() if len(found) > 1)),
        shared_recordings=_recordings(used, shared(lambda one: recording_of(one.content))),
        shared_audio=tuple(sorted(min(one.content for one in files) for files in same)),
        audio_paths=tuple(sorted(" = ".join(sorted({one.path for one in files})) for files in same)),
        noises=tuple(
            sorted(
                (side, one.path)
                for one in used
                if mixed_in & {recording_of(one.content), known.get(one.content, one.content)}
                for side in sides[one.path] & {*TOLD_SIDES}
            )
        ),
        heard=sounds is not None,
        shared_sentences=shared(lambda one: getattr(one, "text", None)),
        unknown_speakers=len({one.path for one in used if one.speaker is None}),
    )


def _files_of_sounds(
    used: Iterable[SplitItem], sounds: Mapping[str, str], names: Collection[str]
) -> list[list[SplitItem]]:
    """Return the utterances of each of some sounds."""
    files: dict[str, list[SplitItem]] = {name: [] for name in names}
    for one in used:
        name = sounds.get(one.content, one.content)
        if name in files:
            files[name].append(one)
    return list(files.values())


def _recordings(used: Iterable[SplitItem], contents: Collection[str]) -> tuple[str, ...]:
    """Return the paths of some recordings of which several parts are used, sorted."""
    parts: dict[str, dict[str, str]] = {content: {} for content in contents}
    for one in used:
        if recording_of(one.content) in parts:
            parts[recording_of(one.content)][one.content] = segment_of(one.content).file(one.path)
    return tuple(sorted(min(paths.values()) for paths in parts.values() if len(paths) > 1))


def check_leaks(
    split: Split,
    utterances: Iterable[SplitItem],
    allowed: Collection[str] = (),
    refused: Collection[str] = REFUSED_KINDS,
    sounds: Mapping[str, str] | None = None,
    heard: Collection[str] = (),
) -> Leaks:
    """Refuse a split that leaks, unless the kind of leak is allowed by name.

    Parameters
    ----------
    split, utterances, sounds, heard
        As `leaks` takes them.
    allowed : collection of str
        Kinds of `KINDS` that are reported only.
    refused : collection of str
        Kinds that are refused otherwise.

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
    found = leaks(split, utterances, sounds, heard)
    wrong = [kind for kind in KINDS if found.by_kind[kind] and kind in refused and kind not in allowed]
    if wrong:
        what = "; ".join(f"{kind} ({_some(found.named(kind))})" for kind in wrong)
        noises = found.noises_told if "audio" in wrong else ""
        flags = " ".join(f"--allow-leak {kind}" for kind in wrong)
        raise LeakError(
            f"split {split.name!r} leaks: more than one side has {what}{noises}. Choose another split, or accept it: "
            f"{flags}"
        )
    return found


def _sides_of_paths(split: Split) -> dict[str, set[str]]:
    places: dict[str, set[str]] = {}
    for side, paths in split.sides.items():
        for path in paths:
            places.setdefault(path, set()).add(side)
    return places


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(name[:100] for name in names[:MOST_NAMED]) + more
