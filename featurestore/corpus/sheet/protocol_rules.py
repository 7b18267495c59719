"""What a data sheet says about schemes (which recordings, under which labels), sides and named protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.corpus.sheet.expected import Expected


@dataclass(frozen=True, slots=True)
class Scheme:
    """A selection of recordings and the classes that they get; a view, nothing is computed for it."""

    name: str
    title: str = ""
    target: str | None = None
    """The field that the classes come from; None takes the corpus's own target."""
    votes: str | None = None
    """A key of `VOTE_RULES`: the classes come from the field `target` as rater votes (`votes` by default)."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of other fields that a recording must have, as `{"style": ("impro",)}`."""
    map: Mapping[str, str] = field(default_factory=dict)
    """Other names for values, before `keep`."""
    keep: tuple[str, ...] = ()
    """Classes of the scheme; recordings of others are left out. Empty keeps all."""
    expected: Expected = field(default_factory=Expected)
    """What is left of a complete copy."""


@dataclass(frozen=True, slots=True)
class SideRule:
    """A split of a corpus's own: values of a field decide the side, and some groups of training validate."""

    name: str
    description: str = ""
    field: str = "split"
    """The field whose value decides: as side names themselves, or through the three lists."""
    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    test: tuple[str, ...] = ("test",)
    hold_out: int = 0
    """How many groups of the training side validate."""
    group: str = "speaker"
    """The field that groups are values of."""
    by: str | None = None
    """The field whose every value gives `hold_out` groups of its own; None takes them from all together."""
    drawn: bool = False
    """Whether the groups are drawn by the seed; else they are the first in order."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A published experiment's choice of recordings, labels and sides, so that two results compare by one string."""

    name: str
    """What stands behind `corpus/`, such as `impro4-loso10@etienne2018`."""
    split: str
    """A key of `SPLITS` or of the sheet's sides."""
    scheme: str | None = None
    """The scheme, None for the corpus's own labels."""
    citation: str = ""
    description: str = ""
    leaks: tuple[str, ...] = ()
    """Kinds of leak that the published protocol carries, told beforehand; still refused unless allowed."""
