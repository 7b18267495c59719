"""Leaks: data shared between sides of a split, which makes a test easier than real use; and classes that a side lacks.

A model that has heard the test speakers is not tested on new ones. Many published splits leak, so a leak is allowed
when it is asked for by its kind, and always reported.

Identical audio is found exactly: by equal clean rows of a dataset, else by equal bytes of files. The same recording at
another level, with other silence at its ends, cut elsewhere, resampled, or through a lossy codec has other rows and is
not found here; `featurestore corpora check --quality` finds copies that differ in level and silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurestore.corpus.splits.types import SIDE_BITS, Split, SplitItem
from featurestore.errors import LeakError, UnknownNameError
from featurestore.segments import recording_of, segment_of

MOST_NAMED = 12
"""Names that a message spells out before it only counts."""
LEAK_KINDS = ("speaker", "source", "recording", "audio", "sentence")
REFUSED_KINDS = ("speaker", "source", "recording", "audio")
"""Kinds refused unless allowed; shared sentences are reported only, since most acted corpora repeat theirs."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What two or more sides of a split share; every tuple is sorted."""

    shared_speakers: tuple[str, ...] = ()
    shared_sources: tuple[str, ...] = ()
    """Utterances (by path) that appear on two sides, themselves or as augmented copies."""
    shared_audio: tuple[str, ...] = ()
    """Identical audio on two sides, whatever the names: for each sound the lowest checksum of its files."""
    shared_recordings: tuple[str, ...] = ()
    """Recordings (by path) whose segments or channels appear on two sides: one room, one talk, one microphone."""
    audio_paths: tuple[str, ...] = ()
    """`shared_audio` for people: `a.wav = b.flac`."""
    noises: tuple[tuple[str, str], ...] = ()
    """Recordings (side, path) of the validation and test sides that the policy mixes into training copies."""
    compared_by_features: bool = False
    """Whether audio was compared by the rows of its features; else by the bytes of the files alone."""
    shared_sentences: tuple[str, ...] = ()
    """Spoken sentences on two sides, where the corpus names them."""
    unknown_speakers: int = 0
    """Utterances without a known speaker, which cannot be checked."""

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
        found = [f"{len(names)} {kind}s ({self.some(kind)})" for kind, names in self.by_kind.items() if names]
        said = f"on more than one side: {'; '.join(found)}" if found else "nothing is shared between the sides"
        unknown = f"; the speakers of {self.unknown_speakers} utterances are unknown" if self.unknown_speakers else ""
        by_bytes = "" if self.compared_by_features else "; audio was compared by the bytes of the files alone"
        return f"{said}{unknown}{by_bytes}"

    def named(self, kind: str) -> tuple[str, ...]:
        """Return what is shared of one kind in words that a user knows: identical audio by its paths."""
        if kind != "audio":
            return self.by_kind[kind]
        return (*self.audio_paths, *(f"{path} = a noise of the policy" for _, path in self.noises))

    def some(self, kind: str) -> str:
        """Name the first of what is shared of one kind."""
        names = self.named(kind)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return ", ".join(name[:100] for name in names[:MOST_NAMED]) + more


class Values:
    """The values of a field of each utterance, None where it has none, grouped once for many splits of them."""

    def __init__(self, values: Iterable[str | None]) -> None:
        numbers: dict[str, int] = {}
        codes = np.array(
            [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values], np.int64
        )
        self.names = list(numbers)
        """The values, in the order in which they first occur."""
        self._utterances = np.argsort(codes, kind="stable")[np.count_nonzero(codes < 0) :]
        self._starts = np.searchsorted(codes[self._utterances], np.arange(len(self.names) + 1))

    def side_bits(self, of_utterances: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the sides of each value, array [values], by those of each utterance, as in `Split.side_bits`."""
        if not self.names:
            return np.zeros(0, np.uint8)
        return np.bitwise_or.reduceat(of_utterances[self._utterances], self._starts[:-1])

    def shared(self, of_utterances: NDArray[np.uint8]) -> tuple[str, ...]:
        """Return the values on several sides, sorted."""
        return tuple(sorted(self.names[number] for number in on_several_sides(self.side_bits(of_utterances))))

    def sharing(self, of_utterances: NDArray[np.uint8]) -> Iterator[NDArray[np.int64]]:
        """Yield for each value on several sides the numbers of its utterances on any side."""
        for number in on_several_sides(self.side_bits(of_utterances)):
            utterances = self._utterances[self._starts[number] : self._starts[number + 1]]
            yield utterances[of_utterances[utterances] > 0]


def on_several_sides(side_bits: NDArray[np.uint8]) -> list[int]:
    """Return the places of what is on more than one side."""
    places: list[int] = np.flatnonzero(side_bits & (side_bits - 1)).tolist()
    return places


class LeakSearch:
    """Utterances, as `leaks` takes them, prepared for several splits of them: a few array operations each."""

    def __init__(
        self,
        utterances: Iterable[SplitItem],
        sounds: Mapping[str, str] | None = None,
        mixed_in: Collection[str] = (),
    ) -> None:
        sound_of = sounds or {}
        noises = {name for content in mixed_in for name in (content, sound_of.get(content, content))}
        self._compared_by_features = sounds is not None
        self._items = list(utterances)
        self._paths = tuple(sorted({item.path for item in self._items}))
        numbers = {path: number for number, path in enumerate(self._paths)}
        self._path_of = np.array([numbers[item.path] for item in self._items], np.int64)
        self._unknown = np.unique([numbers[item.path] for item in self._items if item.speaker is None]).astype(np.int64)
        self._speakers = Values(item.speaker for item in self._items)
        self._sentences = Values(getattr(item, "text", None) for item in self._items)
        item_recordings = [recording_of(item.content) for item in self._items]
        self._recordings = Values(item_recordings)
        item_sounds = [sound_of.get(item.content, item.content) for item in self._items]
        self._sounds = Values(item_sounds)
        names = zip(item_recordings, item_sounds, strict=True)
        self._noises = [number for number, both in enumerate(names) if not noises.isdisjoint(both)]

    def leaks(self, split: Split) -> Leaks:
        """Find what the sides of one split share."""
        of_paths = split.bits_of(self._paths)
        of_items = of_paths[self._path_of]
        same = self._members(self._sounds, of_items)
        parts = [{one.content: one for one in files}.values() for files in self._members(self._recordings, of_items)]
        return Leaks(
            shared_speakers=self._speakers.shared(of_items),
            shared_sources=tuple(split.paths[number] for number in on_several_sides(split.side_bits)),
            shared_recordings=tuple(
                sorted(min(segment_of(one.content).file(one.path) for one in ones) for ones in parts if len(ones) > 1)
            ),
            shared_audio=tuple(sorted(min(one.content for one in files) for files in same)),
            audio_paths=tuple(sorted(" = ".join(sorted({one.path for one in files})) for files in same)),
            noises=tuple(
                sorted(
                    (side, self._items[number].path)
                    for number in self._noises
                    for side in ("validation", "test")
                    if of_items[number] & SIDE_BITS[side]
                )
            ),
            compared_by_features=self._compared_by_features,
            shared_sentences=self._sentences.shared(of_items),
            unknown_speakers=int(np.count_nonzero(of_paths[self._unknown])),
        )

    def _members(self, values: Values, of_items: NDArray[np.uint8]) -> list[list[SplitItem]]:
        """Return the utterances in the split that have one value, for each value that is shared."""
        return [[self._items[number] for number in numbers] for numbers in values.sharing(of_items)]


def leaks(
    split: Split,
    utterances: Iterable[SplitItem],
    sounds: Mapping[str, str] | None = None,
    mixed_in: Collection[str] = (),
) -> Leaks:
    """Find what the sides of a split share; for several splits of the same utterances `LeakSearch` is faster.

    Parameters
    ----------
    split : Split
    utterances : iterable
        The utterances that the split was made of, with `path`, `content`, `label`, `speaker`, and `text` if known.
    sounds : mapping of content to name, optional
        Identifies equal sound in files that differ (`DatasetView.sounds`); without it bytes are compared.
    mixed_in : collection of str
        Contents that training copies take in besides their own, such as the noises of the policy.
    """
    return LeakSearch(utterances, sounds, mixed_in).leaks(split)


def check_leaks(
    split: Split,
    utterances: Iterable[SplitItem],
    allowed: Collection[str] = (),
    refused: Collection[str] = REFUSED_KINDS,
    sounds: Mapping[str, str] | None = None,
    mixed_in: Collection[str] = (),
) -> Leaks:
    """Refuse a split that leaks, unless the kind of leak is allowed by name.

    Parameters
    ----------
    split, utterances, sounds, mixed_in
        As `leaks` takes them.
    allowed : collection of str
        Kinds of `LEAK_KINDS` that are reported only.
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
    return check_folds([split], utterances, allowed, refused, sounds, mixed_in)[0]


def check_folds(
    splits: Iterable[Split],
    utterances: Iterable[SplitItem],
    allowed: Collection[str] = (),
    refused: Collection[str] = REFUSED_KINDS,
    sounds: Mapping[str, str] | None = None,
    mixed_in: Collection[str] = (),
) -> list[Leaks]:
    """Return what `check_leaks` does for each of several splits of the same utterances, which are prepared once."""
    for kind in (*allowed, *refused):
        if kind not in LEAK_KINDS:
            raise UnknownNameError("kind of leak", kind, LEAK_KINDS)
    search = LeakSearch(utterances, sounds, mixed_in)
    every = []
    for split in splits:
        found = search.leaks(split)
        every.append(found)
        wrong = [kind for kind in LEAK_KINDS if found.by_kind[kind] and kind in refused and kind not in allowed]
        if wrong:
            what = "; ".join(f"{kind} ({found.some(kind)})" for kind in wrong)
            sides = [side for side in ("validation", "test") if "audio" in wrong and side in dict(found.noises)]
            noises = f"; noises of the policy are recordings of the {' and '.join(sides)} side" if sides else ""
            raise LeakError(
                f"split {split.name!r} leaks: more than one side has {what}{noises}. Choose another split, or accept "
                f"it: {' '.join(f'--allow-leak {kind}' for kind in wrong)}"
            )
    return every


def lacking_notes(splits: Iterable[Split], labels: Mapping[str, str]) -> list[str]:
    """Say which sides of splits lack a class, by the class of each path; classes of no side do not count."""
    notes: list[str] = []
    paths, classes = None, Values(())
    for split in splits:
        if split.paths is not paths:  # folds have theirs together
            paths, classes = split.paths, Values(labels[path] for path in split.paths)
        side_bits = classes.side_bits(split.side_bits)
        held = {
            side: {classes.names[place] for place in np.flatnonzero(side_bits & bit)} for side, bit in SIDE_BITS.items()
        }
        notes += class_notes(held, set().union(*held.values()), f" of {split.name!r}")
    return notes


def class_notes(held: Mapping[str, Set[str]], classes: Iterable[str], split: str = "") -> list[str]:
    """Name the classes that a side lacks, by the classes that each side has: they are not learnt or not judged there.

    A line is such as `the test side of 'speakers' has no recording of: sadness`, where `split` is ` of 'speakers'`. A
    side without any class has no line.
    """
    lacking = {side: sorted(set(classes) - found) for side, found in held.items() if found}
    return [
        f"the {side} side{split} has no recording of: {', '.join(names)[:200]}"
        for side, names in lacking.items()
        if names
    ]
