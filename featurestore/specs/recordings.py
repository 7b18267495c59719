"""Recordings that perturbations take in, such as noises and room responses: named by their bytes, never by a place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurestore.errors import SpecError, UnknownNameError

CHOSEN_PER = ("row", "copy", "turn")
"""How a copy gets its recording: drawn for each row, drawn once for each copy index, or in turn by copy index."""
MOST_RECORDINGS = 1000
"""Recordings of one policy at most: every shard record names them all."""
_CONTENT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Recordings:
    """Some recordings, one of which a perturbed copy takes in.

    A policy names a place, `source` or `corpus`. Before anything is computed the place is read once, its recordings
    are kept in the store, and `contents` stand here instead: what rows depend on. So a folder that is moved, or files
    in it that are renamed, change no address.
    """

    contents: tuple[str, ...] = ()
    """The sha256 of each recording's bytes, sorted."""
    per: str = "row"
    """`row` draws one for each row, `copy` one for each copy index; with `turn` copy k takes (k - 1) mod their
    number."""
    source: str = ""
    """Folder or archive that holds them."""
    corpus: str = ""
    """A corpus that the store knows, in place of `source`."""
    files: str = "*"
    """Pattern of the paths that are taken, such as `_background_noise_/*`; of paths that end as audio files do."""

    def __post_init__(self) -> None:
        if self.per not in CHOSEN_PER:
            raise UnknownNameError("recording rule", self.per, CHOSEN_PER)
        if bool(self.contents) + bool(self.source) + bool(self.corpus) > 1:
            raise SpecError("recordings come from either 'source' or 'corpus'.")
        for content in self.contents:
            if not isinstance(content, str) or not _CONTENT.fullmatch(content):
                raise SpecError(f"a recording is named by its sha256, not {content!r}.")
        if len(self.contents) > MOST_RECORDINGS:
            raise SpecError(
                f"{len(self.contents):,} recordings are more than {MOST_RECORDINGS:,}: choose with 'files'."
            )
        object.__setattr__(self, "contents", tuple(sorted(set(self.contents))))

    def to_dict(self) -> dict[str, Any]:
        """Return what rows depend on as JSON values.

        Raises
        ------
        SpecError
            If the recordings have not been read.
        """
        if not self.contents:
            place = self.source or self.corpus or "no place"
            raise SpecError(f"the recordings of {place!r} have not been read: a build does that before it plans.")
        return {"contents": list(self.contents), "per": self.per}


def beside(document: Mapping[str, Any], names: Iterable[str], folder: Path) -> dict[str, Any]:
    """Return a policy file's document with the `source` of its recordings taken from the folder of that file.

    Parameters
    ----------
    document : mapping
    names : iterable of str
        Fields that name recordings.
    folder : Path
        That of the policy file.

    Raises
    ------
    SpecError
        If nothing is there.
    """
    placed = dict(document)
    for name in names:
        table = placed.get(name)
        if isinstance(table, Mapping) and isinstance(table.get("source"), str):
            place = folder / Path(table["source"]).expanduser()
            if not place.exists():
                raise SpecError(
                    f"{name}: source {str(place)!r} does not exist; a policy names it relative to its own file."
                )
            placed[name] = {**table, "source": str(place.resolve())}
    return placed


def briefly(augmentation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical form of an augmentation for readers: recordings are counted and not named.

    Examples
    --------
    >>> briefly({"seed": 0, "noises": {"contents": ["ab", "cd"], "per": "row"}})
    {'seed': 0, 'noises': {'recordings': 2, 'per': 'row'}}
    """
    return {name: _counted(value) if isinstance(value, Mapping) else value for name, value in augmentation.items()}


def _counted(table: Mapping[str, Any]) -> dict[str, Any]:
    return dict(("recordings", len(value)) if name == "contents" else (name, value) for name, value in table.items())
