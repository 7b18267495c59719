"""The tables of a policy: how a perturbation is drawn, which recordings it takes in, the user's functions."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurestore.checksummed_json import canonical_json
from featurestore.errors import SpecError, UnknownNameError
from featurestore.registry import settle_fields
from featurestore.trusted_code import check_reference

PER = ("row", "copy")
"""What a value can be drawn for."""
RECORDINGS_PER = ("row", "copy", "turn")
"""How a copy gets its recording: drawn for each row, drawn once for each copy index, or in turn by copy index."""
MOST_RECORDINGS = 1000
"""Recordings of one policy at most: every shard record names them all."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often a perturbation is applied, and the rule for its value.

    The value is uniform in `[low, high]`, drawn anew for each row (`per="row"`) or once for each copy index and
    shared by all files (`per="copy"`), or taken from `listed` in turn: copy k takes entry (k - 1) mod length.
    """

    probability: float = 1.0
    """Share of the copies it is applied to, in [0, 1]."""
    uniform: tuple[float, float] | None = None
    """Lower and upper bound of the value."""
    per: str = "row"
    """`row` or `copy`: what a uniform value is drawn for."""
    listed: tuple[float, ...] = ()
    """The values, where they are listed and not drawn."""

    def __post_init__(self) -> None:
        settle_fields(self)
        _check_share(self.probability)
        if self.per not in PER:
            raise UnknownNameError("value rule", self.per, PER)
        if (self.uniform is None) == (not self.listed):
            raise SpecError("a perturbation needs either 'uniform = [low, high]' or 'listed = [...]'.")
        if self.uniform is not None:
            if len(self.uniform) != 2:
                raise SpecError(f"uniform must be [low, high], not {list(self.uniform)!r}.")
            low, high = self.uniform
            if not low <= high:
                raise SpecError(f"a range must rise: {low:g} is above {high:g}.")

    @property
    def values(self) -> tuple[float, ...]:
        """The bounds or the listed values."""
        return self.uniform or self.listed

    @property
    def shared(self) -> bool:
        """True if all files share the value of a copy index, and whether it is applied."""
        return self.uniform is not None and self.per == "copy"

    def check(self, name: str, low: float, high: float) -> None:
        """Refuse values outside `[low, high]` with a `SpecError` that calls the perturbation by its name."""
        for value in self.values:
            if not (math.isfinite(value) and low <= value <= high):
                raise SpecError(f"{name} must lie within {low:g} and {high:g}, not {value:g}.")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that matter as JSON values."""
        rule: dict[str, Any] = {"listed": list(self.listed)}
        if self.uniform is not None:
            rule = {"uniform": list(self.uniform), "per": self.per}
        return {"probability": self.probability, **rule}


@dataclass(frozen=True, slots=True)
class Recordings:
    """Some recordings, one of which a perturbed copy takes in.

    A policy names a place, `source` or `corpus`. Before anything is computed the place is read once, its recordings
    are kept in the store, and `contents` takes its place: what rows depend on. So a folder that is moved, or files
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
        settle_fields(self)
        if self.per not in RECORDINGS_PER:
            raise UnknownNameError("recording rule", self.per, RECORDINGS_PER)
        if bool(self.contents) + bool(self.source) + bool(self.corpus) > 1:
            raise SpecError("recordings come from either 'source' or 'corpus'.")
        for content in self.contents:
            if not re.fullmatch("[0-9a-f]{64}", content):
                raise SpecError(f"a recording is named by its sha256, not {content!r}.")
        if len(self.contents) > MOST_RECORDINGS:
            raise SpecError(
                f"{len(self.contents):,} recordings are more than {MOST_RECORDINGS:,}: choose with 'files'."
            )
        object.__setattr__(self, "contents", tuple(sorted(set(self.contents))))

    def to_dict(self) -> dict[str, Any]:
        """Return what rows depend on as JSON values; `SpecError` if the recordings have not been read."""
        if not self.contents:
            place = self.source or self.corpus or "no place"
            raise SpecError(f"the recordings of {place!r} have not been read: a build does that before it plans.")
        return {"contents": list(self.contents), "per": self.per}


@dataclass(frozen=True, slots=True)
class OwnPerturbation:
    """A function `function(signal, rate, rng, **settings)` that returns the perturbed signal.

    It gets array [time] in float32, samples a second, and a `numpy.random.Generator` that is keyed by seed, content
    and copy, and must depend on nothing else: then its rows are the same in every process and order. Name, version
    and settings are part of the address of its rows; the code is not, so a change of what it computes needs another
    version.
    """

    function: str
    """`module:function`; imported only if the user trusts the module by name."""
    version: int
    """Raised by its author when the function's numbers change; 1 or more."""
    probability: float = 1.0
    """Share of the copies it is applied to, in [0, 1]."""
    per: str = "row"
    """`row` or `copy`: whether all files share the random numbers of a copy index."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Keyword arguments, JSON values."""

    def __post_init__(self) -> None:
        settle_fields(self)
        check_reference(self.function)
        if self.version < 1:
            raise SpecError(f"the version of {self.function!r} must be a whole number from 1 on, not {self.version!r}.")
        _check_share(self.probability)
        if self.per not in PER:
            raise UnknownNameError("value rule", self.per, PER)
        object.__setattr__(self, "settings", json.loads(canonical_json(dict(self.settings))))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, settings only where there are any."""
        rule = {"function": self.function, "version": self.version, "probability": self.probability, "per": self.per}
        return {**rule, **({"settings": dict(self.settings)} if self.settings else {})}


def _check_share(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise SpecError(f"a probability must lie within 0 and 1, not {probability}.")


def read_table(kind: type[Any], name: str, table: Any, needed: str) -> Any:  # noqa: ANN401 (checked here)
    """Read a table of a policy into a frozen dataclass; one that was read before, and None, are returned as they are.

    Parameters
    ----------
    kind : type
        The dataclass.
    name : str
        What messages call it.
    table : mapping
    needed : str
        What the table has to hold, for the message.
    """
    if table is None or isinstance(table, kind):
        return table
    known = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(table, Mapping):
        raise SpecError(f"{name} must be a table with {needed}, not {table!r}.")
    for key in table:
        if key not in known:
            raise UnknownNameError(f"field of {name}", key, known)
    try:
        return kind(**table)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name}: {error}") from error


def beside(document: Mapping[str, Any], names: Iterable[str], folder: Path) -> dict[str, Any]:
    """Return a policy file's document with the `source` of its recordings taken from the folder of that file.

    Parameters
    ----------
    document : mapping
    names : iterable of str
        Fields that name recordings.
    folder : Path
        That of the policy file; `SpecError` if nothing is there.
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
    shown = dict(augmentation)
    for name, table in augmentation.items():
        if isinstance(table, Mapping) and "contents" in table:
            counted = {"recordings": len(table["contents"]), **table}
            shown[name] = {key: value for key, value in counted.items() if key != "contents"}
    return shown
