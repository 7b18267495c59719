"""What may happen to a copy, how often and how much (`AugmentationSpec`), and what does (`Perturbation`).

A policy does not set how many copies are made: copy 7 is the same whether 10 or 100 are asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.perturbations import PERTURBATIONS, RECORDINGS
from featurestore.perturbations.draws import CopyDraws
from featurestore.perturbations.policy_tables import Distribution, OwnPerturbation, Recordings, read_table
from featurestore.registry import declared, settle_fields


@dataclass(frozen=True, slots=True)
@declared({field: (Any, None, f"The recordings of `{name}`.") for name, field in RECORDINGS.items()})
@declared(
    {name: (type(value), value, meaning) for kind in PERTURBATIONS.values() for name, value, meaning in kind.settings}
)
@declared({name: (Any, None, kind.meaning) for name, kind in PERTURBATIONS.items()})
class AugmentationSpec:
    """Which perturbations the augmented copies get, in the order of `featurestore.perturbations.PERTURBATIONS`.

    Each of them is a field that holds a `Distribution`, beside the settings and recordings that it declares. One that
    is None is absent and left out of the canonical form, so that a perturbation which is added later changes no
    address.
    """

    seed: int = 0
    """Chooses the draws; equal seeds give equal copies on every machine."""
    own: tuple[OwnPerturbation, ...] = ()
    """Functions of the user, applied in this order after the gain."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...  # noqa: ANN401
        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401

    def __post_init__(self) -> None:
        settle_fields(self, "policy: ")
        for name, kind in PERTURBATIONS.items():
            if name in self.distributions:
                self.distributions[name].check(name, *kind.limits)
            kind.check(self)

    @property
    def distributions(self) -> dict[str, Distribution]:
        """The perturbations that are present, by name, in the order in which they are applied."""
        rules = {name: getattr(self, name) for name in PERTURBATIONS}
        return {name: rule for name, rule in rules.items() if rule is not None}

    @property
    def recordings(self) -> dict[str, Recordings]:
        """The recordings that rows take in, by the field that names them.

        Raises
        ------
        SpecError
            If a perturbation needs recordings and none are named.
        """
        needed = {
            RECORDINGS[name]: getattr(self, RECORDINGS[name]) for name in self.distributions if name in RECORDINGS
        }
        for name, recordings in needed.items():
            if recordings is None:
                raise SpecError(f"the policy names no {name}: give them as '[{name}] source = FOLDER' in its file.")
        return needed

    @property
    def inputs(self) -> tuple[str, ...]:
        """The sha256 of each recording that rows take in, sorted; the store keeps them as long as rows need them."""
        return tuple(sorted({content for chosen in self.recordings.values() for content in chosen.contents}))

    @property
    def mean_duration(self) -> float:
        """How long copies last on average, as a share of their recording."""
        if self.stretch is None:
            return 1.0
        rule: Distribution = self.stretch
        return 1.0 + rule.probability * (sum(rule.values) / len(rule.values) - 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical JSON form: absent perturbations and the settings that belong to them are left out.

        Raises
        ------
        SpecError
            If recordings that rows take in have not been read.
        """
        document: dict[str, Any] = {"seed": self.seed}
        for name, distribution in self.distributions.items():
            document[name] = distribution.to_dict()
            for setting, default, _ in PERTURBATIONS[name].settings:
                if setting not in PERTURBATIONS[name].added or getattr(self, setting) != default:
                    document[setting] = getattr(self, setting)
        for name, recordings in self.recordings.items():
            document[name] = recordings.to_dict()
        if self.own:
            document["own"] = [one.to_dict() for one in self.own]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> AugmentationSpec:
        """Read the canonical form or a policy file; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in document:
            if name not in known:
                raise UnknownNameError("augmentation field", name, known)
        try:
            return cls(**{name: _field(name, value) for name, value in document.items()})
        except (TypeError, ValueError) as error:
            raise SpecError(f"augmentation spec: a field has the wrong type ({error}).") from error


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 (checked here)
    """Read one field; tables become what they describe."""
    if name in RECORDINGS.values():
        return read_table(Recordings, name, value, "'source' or 'corpus'")
    if name == "own":
        if not isinstance(value, list | tuple):
            raise SpecError(f"own perturbations are a list of tables [[own]], not {value!r}.")
        return tuple(read_table(OwnPerturbation, "own", one, "'function' and 'version'") for one in value)
    if name not in PERTURBATIONS:
        return value
    if name == "reverb" and isinstance(value, Mapping) and not {"uniform", "listed"} & value.keys():
        value = {**value, "listed": (1.0,)}  # a room is applied alone unless a share of it is asked for
    return read_table(Distribution, name, value, "'uniform' or 'listed'")


@dataclass(frozen=True, slots=True)
@declared({name: (Any, None, kind.meaning) for name, kind in PERTURBATIONS.items()})
@declared({name: (Any, default, "") for kind in PERTURBATIONS.values() for name, default in kind.details})
class Perturbation:
    """What happens to one augmented copy: a value for each of `PERTURBATIONS`, None if not applied.

    Values are those applied, exactly. Beside them: `noise_key` (of the noise stream, 64 bits), `noise` and `rir` (the
    sha256 of a recording) and `noise_position` (where in it the noise begins, in [0, 1)).
    """

    own: tuple[int | None, ...] = ()
    """Key of the random numbers of each function of the user, 64 bits; None for one that is not applied."""

    if TYPE_CHECKING:

        def __init__(self, **fields: Any) -> None: ...  # noqa: ANN401
        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401

    @property
    def values(self) -> dict[str, float]:
        """The perturbations that are applied, by name, in their order."""
        return {name: value for name, value in zip(PERTURBATIONS, _values(self), strict=True) if value is not None}

    def changes(self, other: Perturbation) -> dict[str, Any]:
        """Return the fields in which another perturbation differs, with its values."""
        fields = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(other, name) for name in fields if getattr(self, name) != getattr(other, name)}

    def changed(self, changes: Mapping[str, Any]) -> Perturbation:
        """Return the perturbation with other values of some fields."""
        return dataclasses.replace(self, **changes) if changes else self


_values = attrgetter(*PERTURBATIONS)


def draw(augmentation: AugmentationSpec, content: str, copy: int, attempt: int = 0) -> Perturbation:
    """Return the parameters of one augmented copy: a pure function of the spec, the recording and the copy.

    `SpecError` if `copy` is below 1: copy 0 is the clean row. `content` is the recording's content id. A later
    `attempt` has other values of what moves speech, for a copy that lost it.
    """
    if copy < 1:
        raise SpecError(f"copy {copy} has no perturbation: augmented copies count from 1, copy 0 is the clean row.")
    draws = CopyDraws(augmentation, content, copy, attempt)
    found: dict[str, Any] = {}
    for name, rule in augmentation.distributions.items():
        value = draws.value(name, rule, moves=PERTURBATIONS[name].moves)
        if value is not None:
            found[name] = PERTURBATIONS[name].nearest(value, min(rule.values), max(rule.values))
            found |= PERTURBATIONS[name].draw_details(draws)
    if augmentation.own:
        found["own"] = tuple(draws.own_key(place) for place in range(len(augmentation.own)))
    return Perturbation(**found)
