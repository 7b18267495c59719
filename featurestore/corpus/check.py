"""Whether a copy of a corpus is complete, and what a source holds in place of the recordings that it lacks.

Recordings can be missing, extra, different or placeholders; in their place there may be videos, unopened archives, or
another corpus.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from featurestore.corpus.catalog import find_manifest, manifest_names
from featurestore.corpus.labels.assign import (
    count_notes,
    difference,
    label,
    orphan_notes,
    parse_label,
    recordings_by_path,
)
from featurestore.corpus.labels.label_files import read_label_files
from featurestore.corpus.labels.schemes import under_scheme
from featurestore.corpus.labels.votes import krippendorff_alpha, parse_votes
from featurestore.corpus.manifest import Expected, Manifest, is_label_file
from featurestore.corpus.regex import compile_pattern
from featurestore.corpus.sources.archive_safety import is_junk
from featurestore.corpus.sources.audio_files import is_audio
from featurestore.corpus.sources.types import Source
from featurestore.corpus.types import Corpus, ListedFile, Rejection, Utterance
from featurestore.errors import AudioError, SplitError
from featurestore.segments import ReadBytes
from featurestore.showing import shown
from featurestore.signal.containers import container_of

LARGEST_STAND_IN = 4096
"""Bytes; pointers and error pages in place of a recording are smaller, and few recordings are."""
FITTING = 0.8
"""Share of the recordings whose names must be those of a corpus that a source resembles."""
MOST_TRIED = 2_000
"""Names of recordings that are tried; of more, an even sample."""
FEWEST = 3
"""Recordings from whose names a corpus without an index is recognised."""
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".wmv")


def fault_of(data: bytes) -> str | None:
    """Return why a file's first bytes are not supported audio; None if they may be."""
    try:
        container_of(data)
    except AudioError as error:
        return str(error)
    return None


def stand_ins(manifest: Manifest, listing: Iterable[ListedFile], read: Callable[[str], bytes]) -> dict[str, str]:
    """Return why small recordings of a listing are none, by path; larger ones are taken for recordings unread."""
    faults = {
        file.path: fault_of(read(file.content))
        for file in listing
        if file.size <= LARGEST_STAND_IN and manifest.audio.wants(file.path)
        if not is_label_file(manifest.label_files, file.path)
    }
    return {path: fault for path, fault in faults.items() if fault is not None}


@dataclass(frozen=True, slots=True)
class Difference:
    """A count that differs from the expected one."""

    scheme: str
    """The scheme that it was counted under; empty for the corpus as a whole."""
    field: str
    """`files`, `speakers`, `label`, `speaker`, or a label field such as `session`."""
    value: str
    """The class, speaker or value; empty for `files` and `speakers`."""
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Completeness:
    """A copy of a corpus beside what a complete one holds."""

    corpus: Corpus
    files: int
    """Recordings found, good and bad ones."""
    missing: tuple[str, ...]
    """Recordings that are published, or named by label files, and are not there; sorted paths."""
    extra: tuple[str, ...]
    """Recordings that are not published, or have no label; sorted paths."""
    mismatched: tuple[Rejection, ...]
    """Recordings whose bytes differ from the published ones, or whose label files contradict themselves."""
    rejected: tuple[Rejection, ...]
    """Recordings that cannot be used for another reason."""
    differences: tuple[Difference, ...]
    """Counts that differ from the expected ones."""
    known_bad: tuple[Rejection, ...] = ()
    """Recordings that are bad in the published corpus too; a complete copy holds them."""
    notes: tuple[str, ...] = ()
    """What else a user should know, besides `missing`, `extra` and `differences`."""
    looks_like: str | None = None
    """The corpus that the source seems to be instead, where it is another one."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, extra or different."""
        return not (self.missing or self.extra or self.mismatched or self.rejected or self.differences)

    @property
    def sound(self) -> int:
        """The number of labelled recordings of which nothing bad is known."""
        bad = {one.path for one in (*self.mismatched, *self.rejected, *self.known_bad)}
        return sum(not bad & {shown(one.path), shown(one.file.path)} for one in self.corpus.utterances)

    @property
    def agreement(self) -> float | None:
        """Krippendorff's alpha of the raters; None where the corpus keeps no votes."""
        return krippendorff_alpha([parse_votes(dict(one.fields).get("votes", "")) for one in self.corpus.utterances])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "corpus": self.corpus.name,
            "files": self.files,
            "sound": self.sound,
            "missing": list(self.missing),
            "extra": list(self.extra),
            "mismatched": [asdict(one) for one in self.mismatched],
            "rejected": [asdict(one) for one in self.rejected],
            "known_bad": [asdict(one) for one in self.known_bad],
            "labels": self.corpus.label_counts(),
            "speakers": self.corpus.speaker_counts(),
            "differences": [asdict(one) for one in self.differences],
            "agreement": self.agreement,
            "notes": list(self.notes),
        }


def check_completeness(
    manifest: Manifest,
    listing: tuple[ListedFile, ...],
    read: ReadBytes | None = None,
    faults: Mapping[str, str] | None = None,
) -> Completeness:
    """Compare a listing with a manifest: files with its index, counts with all its expectations.

    `manifest`, `listing` and `read` are those of `featurestore.corpus.label`, and so is the `SourceError`; `faults` are
    the reasons of files that are no recordings, by path in the source, as `read_source` or `stand_ins` found them.
    """
    # a complete copy holds the known-bad files as well, and expected counts include them
    published = replace(manifest, audio=replace(manifest.audio, known_bad={}))
    corpus = label(published, listing, read)
    files, _, _ = recordings_by_path(manifest, listing)
    faulty = {shown(path): faults[file.path] for path, file in files.items() if faults and file.path in faults}
    wrong = {shown(path) for path, file in files.items() if difference(manifest.index.get(path), file)} - set(faulty)
    unpublished = set(files) - set(manifest.index) if manifest.index else set()
    beside = read_label_files(manifest, listing, read)
    known_bad = ((path, manifest.audio.fault(path)) for path in sorted(files))
    said_elsewhere = {*count_notes(manifest, files), *orphan_notes(beside, files)}
    other = [one for one in corpus.rejected if one.path not in wrong and one.path not in faulty]
    other += [Rejection(path, reason) for path, reason in faulty.items()]
    return Completeness(
        corpus=corpus,
        files=len(files),
        missing=tuple(sorted(set(manifest.index) - set(files) if manifest.index else beside.orphans(files))),
        extra=tuple(sorted({shown(path) for path in unpublished} | {one.path for one in corpus.unlabelled})),
        mismatched=(*(one for one in corpus.rejected if one.path in wrong), *_contradictions(corpus)),
        rejected=tuple(sorted(other, key=lambda one: one.path)),
        differences=tuple(_differences(corpus, len(files))),
        known_bad=tuple(Rejection(shown(path), fault) for path, fault in known_bad if fault is not None),
        notes=tuple(note for note in corpus.notes if note not in said_elsewhere),
    )


def _contradictions(corpus: Corpus) -> Iterator[Rejection]:
    """Yield the recordings for which a list states a field (as `stated_FIELD`) that its other columns do not give."""
    for one in corpus.utterances:
        fields = dict(one.fields)
        for name, value in one.fields:
            stated = name.removeprefix("stated_")
            if stated != name and fields.get(stated, value) != value:
                reason = f"the list states the {stated} {value!r}, and its other columns give {fields[stated]!r}"
                yield Rejection(shown(one.path), reason)


def _differences(corpus: Corpus, files: int) -> Iterator[Difference]:
    expected = corpus.manifest.expected
    if expected.files is not None and expected.files != files:
        yield Difference("", "files", "", expected.files, files)
    yield from _counts("", expected, corpus.utterances)
    known, speakers = corpus.manifest.speaker_count, len(corpus.speaker_counts())
    if not expected.speakers and known is not None and known != speakers:
        yield Difference("", "speakers", "", known, speakers)
    for scheme in corpus.manifest.schemes.values():
        try:
            chosen = under_scheme(corpus.utterances, scheme)
        except SplitError:  # none is left
            chosen = ()
        if scheme.expected.files is not None and scheme.expected.files != len(chosen):
            yield Difference(scheme.name, "files", "", scheme.expected.files, len(chosen))
        yield from _counts(scheme.name, scheme.expected, chosen)


def _counts(scheme: str, expected: Expected, utterances: tuple[Utterance, ...]) -> Iterator[Difference]:
    """Compare the utterances of each class, speaker and value with what is expected; unexpected values differ too."""
    fields = {"label": expected.labels, "speaker": expected.speakers, **expected.fields}
    for field, counts in fields.items():
        if counts:
            found = Counter(_value(one, field) for one in utterances)
            for value in dict.fromkeys([*counts, *sorted(set(found) - set(counts))]):
                if found[value] != counts.get(value, 0):
                    yield Difference(scheme, field, value, counts.get(value, 0), found[value])


def _value(one: Utterance, field: str) -> str:
    if field == "speaker":
        return one.speaker or "unknown"
    return one.label if field == "label" else dict(one.fields).get(field, "(not stated)")


def resembled_corpus(paths: Iterable[str], other_than: str = "") -> str | None:
    """Return the corpus, among those known by name, that files with these paths seem to be; None if none.

    The names of nearly all recordings must be listed in its index, or fit its pattern with classes and speakers that
    it has, or its label files must be there. Of several the one whose names leave least room wins.
    The paths are those of all files of a folder or archive.
    """
    files = [path for path in paths if not is_junk(path)]
    audio = [path for path in files if is_audio(path)]
    tried = audio[:: -(-len(audio) // MOST_TRIED)] if audio else []
    fitting = []
    for manifest in (find_manifest(name) for name in manifest_names() if name != other_than):
        fit = _fit(manifest, files, tried) if manifest.generator is None else None
        if fit is not None:
            fitting.append((*fit, manifest.name))
    return max(fitting)[-1] if fitting else None


def _fit(manifest: Manifest, files: Sequence[str], audio: Sequence[str]) -> tuple[bool, float, float] | None:
    """Return how well a corpus fits, the larger the better; None if it does not."""
    for table in manifest.tables:  # where a table's own name gives fields, it has to have them
        pattern = compile_pattern(table.pattern or ".*", f"manifest {manifest.name!r}")
        if not any(is_label_file((table,), path) and pattern.fullmatch(path) for path in files):
            return None
    speakers = list(_speakers_of(manifest, audio))
    if not audio or len(speakers) < FITTING * len(audio) or (not manifest.index and len(speakers) < FEWEST):
        return None
    known = {one for one in speakers if one is not None}
    if len(known) == 1 and (manifest.speaker_count or 1) > 1 and not manifest.speakers:
        return None  # any folder of classes has one name
    # some corpora are named alike (RAVDESS, BanglaSER): that one wins of whose speakers more are there
    return bool(manifest.index), len(speakers) / len(audio), len(known) / (manifest.speaker_count or len(speakers))


def _speakers_of(manifest: Manifest, audio: Iterable[str]) -> Iterator[str | None]:
    """Yield the speaker of each recording whose name is one of the corpus, None where the name does not hold it."""
    rule = manifest.labels
    pattern = compile_pattern(rule.pattern, f"manifest {manifest.name!r}", any_case=rule.any_case)
    known = {speaker.id for speaker in manifest.speakers}
    for path in filter(manifest.audio.wants, audio):
        inside = manifest.audio.corpus_path(path)
        fields = parse_label(rule, pattern, inside) if rule.pattern else None
        found = fields if isinstance(fields, dict) else {}
        speaker = found.get(rule.speaker) if rule.speaker else None
        if manifest.index:
            fitting = inside in manifest.index
        elif manifest.tables and not rule.pattern:
            fitting = True
        else:
            classes = manifest.classes or (found.get(rule.target),)
            fitting = bool(found) and found.get(rule.target) in classes and (not known or speaker in known)
        if fitting:
            yield speaker


def packed_advice(source: Source) -> str:
    """Return which archive a source without recordings holds, and how to read it; empty where it holds none."""
    paths = [member.path for member in source.members() if member.path.lower().endswith(ARCHIVES)]
    if not paths:
        return ""
    others = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
    return f"It holds an archive, which is read as it is: name {f'{source.name}/{paths[0]}'!r:.300}{others}."


def nothing_found(corpus: Corpus, source: Source) -> str:
    """Return one line: what was looked for where, the first file that was set aside, and what to do next."""
    aside = (*corpus.rejected, *corpus.unlabelled)
    seen = f"; first of {len(aside)} set aside: {aside[0].path!r} ({aside[0].reason})" if aside else ""
    patterns = ", ".join(corpus.manifest.audio.include)
    found = f"no recording of corpus {corpus.name!r} ({patterns}) with a known label found in {source.name!r}{seen}."
    videos = _videos_of(source, corpus.manifest)
    if videos:
        advice = _video_advice(videos, source.name)
        return f"{found} {advice[0].upper()}{advice[1:]}"
    if packed_advice(source):
        return f"{found} {packed_advice(source)}"
    other = resembled_corpus((member.path for member in source.members()), corpus.name)
    if other is not None:
        return f"{found} It looks like {other}: give its name instead, or another archive or folder with --source."
    return f"{found} Give the archive or folder of this corpus with --source."


def with_what_is_there_instead(found: Completeness, source: Source) -> Completeness:
    """Reject the videos in place of missing recordings, and name what the source is instead: packed, another corpus."""
    if found.files and not found.missing and found.sound:
        return found
    found = _with_videos(found, source)
    advice = "" if found.files else packed_advice(source)
    if advice:
        return replace(found, notes=(*found.notes, f"no recordings are in {source.name!r:.200}. {advice}"))
    if 2 * found.sound > found.files:
        return found
    paths = [member.path for member in source.members()]
    return replace(found, looks_like=resembled_corpus(paths, other_than=found.corpus.name))


def _with_videos(found: Completeness, source: Source) -> Completeness:
    """Reject the videos in place of missing recordings, each with the command that takes its sound out.

    Where there are no recordings at all, all videos are in place of some.
    """
    videos = {_stem(path): path for path in _videos_of(source, found.corpus.manifest)}
    lacking = {one: one if one in videos else _stem(one) for one in found.missing}
    wanted = set(lacking.values())
    instead = {stem: path for stem, path in videos.items() if not found.files or stem in wanted}
    if not instead:
        return found
    rejected = []
    for path in instead.values():
        name = path.rpartition("/")[2]
        command = f"ffmpeg -i {shlex.quote(name)} -vn {shlex.quote(_stem(name) + '.wav')}"
        rejected.append(Rejection(shown(path), shown(f"a video; take its sound out: {command}")))
    return replace(
        found,
        missing=tuple(one for one, stem in lacking.items() if stem not in instead),
        rejected=(*found.rejected, *rejected),
        notes=(*found.notes, _video_advice(instead.values(), source.name)),
    )


def _videos_of(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """Return the videos whose sound would be recordings of the corpus, by their paths inside it, sorted."""
    ending = next((one.rpartition(".")[2] for one in manifest.audio.include if "." in one), "wav")
    videos = (member.path for member in source.members() if member.path.casefold().endswith(VIDEOS))
    in_place = (path for path in videos if not manifest.wants(path) and manifest.audio.wants(f"{_stem(path)}.{ending}"))
    return tuple(sorted({manifest.audio.corpus_path(path) for path in in_place}))


def _video_advice(videos: Iterable[str], place: str) -> str:
    """Return the one command that takes the sound out of all videos below a folder, and puts it beside them."""
    endings = sorted({path[path.rindex(".") :] for path in videos})
    names = " -o ".join(f"-name {shlex.quote('*' + ending)}" for ending in endings)
    names = f"'(' {names} ')'" if len(endings) > 1 else names
    return (
        f"videos are not read; take their sound out: find {shlex.quote(shown(place))} {names} "
        """-exec sh -c 'ffmpeg -nostdin -i "$1" -vn "${1%.*}.wav"' - {} ';'"""
    )


def _stem(path: str) -> str:
    return path.rpartition(".")[0]
