"""What to say of a source that holds no recording of the wanted corpus: why, and what it seems to hold instead."""

from __future__ import annotations

from featurestore.corpus.corpus import Corpus
from featurestore.corpus.packed import packed_advice
from featurestore.corpus.reading.sources import Source
from featurestore.corpus.resemblance import resembled_corpus
from featurestore.corpus.videos import video_advice, videos_of


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
