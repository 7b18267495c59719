"""What a source holds in place of the recordings that a corpus lacks: videos, unopened archives, or another corpus."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from featurestore.corpus.check import Completeness
from featurestore.corpus.labels.assign import parse_label
from featurestore.corpus.manifest.catalog import find_manifest, manifest_names
from featurestore.corpus.manifest.model import Manifest, TableRule, is_label_file
from featurestore.corpus.manifest.regex import compile_pattern
from featurestore.corpus.sources.archive_safety import is_junk
from featurestore.corpus.sources.audio_files import is_audio
from featurestore.corpus.sources.types import Source
from featurestore.corpus.types import Corpus, Rejection, shown

FITTING = 0.8
"""Share of the recordings whose names must be those of a corpus."""

MOST_TRIED = 2_000
"""Names of recordings that are tried; of more, an even sample."""

FEWEST = 3
"""Recordings whose names can tell a corpus that pins no index of them."""


def resembled_corpus(paths: Iterable[str], other_than: str = "") -> str | None:
    """Return the corpus, among those known by name, that files with these paths seem to be; None if none.

    The names of nearly all recordings must be listed in its index, or fit its pattern with classes and speakers that
    it has, or its label files must be there. Of several the one whose names leave least room wins.

    Parameters
    ----------
    paths : iterable of str
        All files of a folder or archive, `/` between the parts.
    other_than : str
        A corpus that is not asked for.
    """
    files = [path for path in paths if not is_junk(path)]
    audio = [path for path in files if is_audio(path)]
    tried = audio[:: -(-len(audio) // MOST_TRIED)] if audio else []
    manifests = (find_manifest(name) for name in manifest_names() if name != other_than)
    fits = ((_fit(manifest, files, tried), manifest) for manifest in manifests if manifest.generator is None)
    fitting = [(*fit, manifest.name) for fit, manifest in fits if fit is not None]
    return max(fitting)[-1] if fitting else None


def _fit(manifest: Manifest, files: Sequence[str], audio: Sequence[str]) -> tuple[bool, float, float] | None:
    """Return how well a corpus fits, the larger the better; None if it does not.

    Some corpora are named alike (RAVDESS, BanglaSER): then the one wins of whose speakers more are there.
    """
    if not audio or not _label_files_there(manifest, files):
        return None
    speakers = list(_speakers_of(manifest, audio))
    if len(speakers) < FITTING * len(audio) or (not manifest.index and len(speakers) < FEWEST):
        return None
    known = {one for one in speakers if one is not None}
    if (
        len(known) == 1 and (manifest.speaker_count or 1) > 1 and not manifest.speakers
    ):  # any folder of classes has one name
        return None
    return bool(manifest.index), len(speakers) / len(audio), len(known) / (manifest.speaker_count or len(speakers))


def _speakers_of(manifest: Manifest, audio: Iterable[str]) -> Iterator[str | None]:
    """Yield the speaker of each recording whose name is one of the corpus, None where the name does not tell."""
    rule = manifest.labels
    pattern = compile_pattern(rule.pattern, f"manifest {manifest.name!r}", any_case=rule.any_case)
    known = {speaker.id for speaker in manifest.speakers}
    for path in filter(manifest.audio.wants, audio):
        inside = manifest.audio.corpus_path(path)
        fields = parse_label(rule, pattern, inside) if rule.pattern else None
        said = fields if isinstance(fields, dict) else {}
        speaker = said.get(rule.speaker) if rule.speaker else None
        if manifest.index:
            fitting = inside in manifest.index
        elif manifest.tables and not rule.pattern:
            fitting = True
        else:
            classes = manifest.classes or (said.get(rule.target),)
            fitting = bool(said) and said.get(rule.target) in classes and (not known or speaker in known)
        if fitting:
            yield speaker


def _label_files_there(manifest: Manifest, files: Sequence[str]) -> bool:
    """Tell whether each table of a manifest is there; where the table's own name gives fields, by that name."""

    def is_there(rule: TableRule) -> bool:
        """Tell whether a file has the name that a rule looks for."""
        pattern = compile_pattern(rule.pattern or ".*", f"manifest {manifest.name!r}")
        return any(is_label_file((rule,), path) and pattern.fullmatch(path) for path in files)

    return all(map(is_there, manifest.tables))


ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")


def packed_advice(source: Source) -> str:
    """Say which archives a source without recordings holds, and how to read one; empty where it holds none.

    Returns
    -------
    str
        A sentence such as `It holds archives, which are read as they are: name one, such as 'data/a.zip'.`
    """
    paths = [member.path for member in source.members() if member.path.lower().endswith(ENDINGS)]
    if not paths:
        return ""
    others = f" (and {len(paths) - 1:,} more)" if len(paths) > 1 else ""
    return f"It holds an archive, which is read as it is: name {f'{source.name}/{paths[0]}'!r:.300}{others}."


VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".flv", ".mpg", ".mpeg", ".wmv")
"""Ends of the names of videos."""


def videos_of(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """Return the videos of a source that the corpus has as recordings, by their paths inside it, sorted."""
    paths = (member.path for member in source.members() if member.path.casefold().endswith(VIDEOS))
    told = (path for path in paths if not manifest.wants(path) and manifest.audio.wants(_as_sound(path, manifest)))
    return tuple(sorted({manifest.audio.corpus_path(path) for path in told}))


def video_advice(videos: Iterable[str], place: str) -> str:
    """Return the one command that takes the sound out of all videos below a folder, and puts it beside them."""
    names = " -o ".join(f"-name {shlex.quote('*' + ending)}" for ending in sorted({_ending(path) for path in videos}))
    names = f"'(' {names} ')'" if " -o " in names else names
    return (
        f"videos are not read; take their sound out: find {shlex.quote(shown(place))} {names} "
        """-exec sh -c 'ffmpeg -nostdin -i "$1" -vn "${1%.*}.wav"' - {} ';'"""
    )


def video_rejection(path: str) -> Rejection:
    """Reject a video, with the command that takes its sound out."""
    name = path.rpartition("/")[2]
    command = f"ffmpeg -i {shlex.quote(name)} -vn {shlex.quote(_stem(name) + '.wav')}"
    return Rejection(shown(path), shown(f"a video; take its sound out: {command}"))


def _as_sound(path: str, manifest: Manifest) -> str:
    """Return the path that the sound of a video would have, under the first ending that the manifest includes."""
    ending = next((one.rpartition(".")[2] for one in manifest.audio.include if "." in one), "wav")
    return f"{_stem(path)}.{ending}"


def _stem(path: str) -> str:
    return path.rpartition(".")[0]


def _ending(path: str) -> str:
    return path[path.rindex(".") :]


def nothing_found(corpus: Corpus, source: Source) -> str:
    """Return one line: what was looked for where, the first file that was set aside, and what to do next."""
    aside = (*corpus.rejected, *corpus.unlabelled)
    seen = f"; first of {len(aside)} set aside: {aside[0].path!r} ({aside[0].reason})" if aside else ""
    patterns = ", ".join(corpus.manifest.audio.include)
    found = f"no recording of corpus {corpus.name!r} ({patterns}) with a known label found in {source.name!r}{seen}."
    return f"{found} {_advice(corpus, source)}"


def _advice(corpus: Corpus, source: Source) -> str:
    videos = videos_of(source, corpus.manifest)
    if videos:
        advice = video_advice(videos, source.name)
        return f"{advice[0].upper()}{advice[1:]}"
    if packed_advice(source):
        return packed_advice(source)
    other = resembled_corpus((member.path for member in source.members()), corpus.name)
    if other is not None:
        return f"It looks like {other}: give its name instead, or another archive or folder with --source."
    return "Give the archive or folder of this corpus with --source."


def with_what_is_there_instead(found: Completeness, source: Source) -> Completeness:
    """Reject the videos in place of missing recordings, and tell what the source is instead: packed, another corpus."""
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
    """Reject the videos in place of missing recordings; all of them where there are no recordings."""
    videos = {_stem(path): path for path in videos_of(source, found.corpus.manifest)}
    lacking = {one: one if one in videos else _stem(one) for one in found.missing}
    wanted = set(lacking.values())
    told = {stem: path for stem, path in videos.items() if not found.files or stem in wanted}
    if not told:
        return found
    return replace(
        found,
        missing=tuple(one for one, stem in lacking.items() if stem not in told),
        rejected=(*found.rejected, *map(video_rejection, told.values())),
        notes=(*found.notes, video_advice(told.values(), source.name)),
    )
