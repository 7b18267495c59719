"""What a source holds in place of the recordings that a corpus lacks: videos of them, or another corpus."""

from __future__ import annotations

from dataclasses import replace

from featurestore.corpus.completeness import Completeness
from featurestore.corpus.packed import packed_advice
from featurestore.corpus.reading.sources import Source
from featurestore.corpus.resemblance import resembled_corpus
from featurestore.corpus.videos import video_advice, video_rejection, videos_of


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


def _stem(path: str) -> str:
    return path.rpartition(".")[0]
