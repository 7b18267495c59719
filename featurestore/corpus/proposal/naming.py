"""Names for corpora, from the names that people give to folders."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 40


def corpus_name(place: str, known: tuple[str, ...] = ()) -> str:
    """Return a folder's or archive's name as a corpus may be called: `a-z`, `0-9` and `_`, at most 40.

    A name that another corpus has already gets `_own` behind it.

    Parameters
    ----------
    place : str
        Path of the folder or archive; `train`, `data` and other names that say little get the folder above in front.
    known : tuple of str
        Names that are taken.

    Examples
    --------
    >>> corpus_name("My Recordings (2024)"), corpus_name("takes/train"), corpus_name("x/emodb.zip", ("emodb",))
    ('my_recordings_2024', 'takes_train', 'emodb_own')
    """
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    name = _cleaned(_stem(parts[-1])) if parts else ""
    if name in _VAGUE and len(parts) > 1:
        name = _cleaned(f"{parts[-2]}_{name}")
    name = name or "corpus"
    return f"{name[: LONGEST - 4]}_own" if name in known else name


_VAGUE = frozenset({"train", "test", "dev", "validation", "data", "audio", "wav", "wavs", "recordings", ""})
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.gz)$", re.IGNORECASE)


def _stem(name: str) -> str:
    return _ARCHIVE.sub("", name)


def _cleaned(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST].strip("_")
