"""The random numbers of a copy: each is read from the sha256 of its own name.

There is no generator with a state that rows would have to be computed in the order of. So copy 7 of a recording is the
same in every build, process and release of numpy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from featurestore.errors import SpecError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.registry import Declared


@dataclass(frozen=True, slots=True)
class CopyDraws:
    """The random numbers of one copy, by their purpose."""

    policy: Declared
    content: str
    copy: int
    attempt: int = 0

    def words(self, purpose: str, *, shared: bool = False) -> tuple[int, int]:
        """Return two independent whole numbers of 64 bits, the first sixteen bytes of a sha256.

        With `shared` they come from a digest without the content: all recordings share them.
        """
        whose = f"{self.copy}" if shared or not self.content else f"{self.content}/{self.copy}"
        digest = hashlib.sha256(f"{self.policy.seed}/{whose}/{purpose}".encode("ascii")).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")

    def value(self, name: str, rule: Distribution, *, moves: bool) -> float | None:
        """Decide whether a perturbation is applied and draw its value; None if it is not.

        One that moves speech has another value at another `attempt`.
        """
        decision, position = self.words(name, shared=rule.shared)
        if _unit(decision) >= rule.probability:
            return None
        again = self.attempt if moves else 0
        if rule.uniform is None:
            return rule.listed[(self.copy - 1 + again) % len(rule.listed)]
        if again:
            position = self.words(f"{name}/{again}", shared=rule.shared)[1]
        low, high = rule.uniform
        return min(high, low + (high - low) * _unit(position))

    def recording(self, name: str) -> tuple[str, float]:
        """Return which recording of a field a copy takes in, and a position in it, in [0, 1)."""
        chosen = self.policy.recordings[name]
        which, where = self.words(name, shared=chosen.per == "copy")
        count = len(chosen.contents)
        if not count:
            raise SpecError(f"the {name} of this policy have not been read, which a build does before it plans.")
        place = (self.copy - 1) % count if chosen.per == "turn" else which * count >> 64
        return chosen.contents[place], _unit(where)

    def own_key(self, place: int) -> int | None:
        """Return the key of a user's function's random numbers; None if it is not applied to this copy."""
        own = self.policy.own[place]
        decision, key = self.words(f"own/{place}/{own.function}", shared=own.per == "copy")
        return key if _unit(decision) < own.probability else None


def _unit(word: int) -> float:
    """Map 64 bits onto [0, 1), using the 53 bits that a float64 can hold."""
    return (word >> 11) * 2.0**-53
