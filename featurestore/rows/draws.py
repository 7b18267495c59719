"""Which perturbation a copy gets: a pure function of the augmentation spec, the recording's content and the copy.

There is no generator with a state that rows would have to be computed in the order of: each number is read from the
sha256 of its own name. So copy 7 of a recording is the same in every build, process and release of numpy.
"""

from __future__ import annotations

import hashlib
from typing import Any

from featurestore.errors import SpecError
from featurestore.signal.perturbations.stretch import on_grid
from featurestore.signal.pitch_grid import snap
from featurestore.specs.augmentation import AugmentationSpec, Drawn
from featurestore.specs.perturbation import Perturbation


def draw(augmentation: AugmentationSpec, content: str, copy: int) -> Perturbation:
    """Return the parameters of one augmented copy.

    Parameters
    ----------
    augmentation : AugmentationSpec
    content : str
        sha256 of the recording's bytes.
    copy : int
        1 or more; copy 0 is the clean row and has no perturbation.

    Raises
    ------
    SpecError
        If `copy` is below 1.
    """
    if copy < 1:
        raise SpecError(f"copy {copy} has no perturbation: augmented copies count from 1, copy 0 is the clean row.")
    values = {name: _value(augmentation, name, content, copy) for name in augmentation.drawn}
    applied = {name: _as_applied(augmentation, name, value) for name, value in values.items() if value is not None}
    if "snr_db" in applied:
        applied["noise_key"] = _words(augmentation.seed, content, copy, "noise")[0]
    if "recorded_snr_db" in applied:
        applied["noise"], applied["noise_position"] = _recording(augmentation, "noises", content, copy)
    if "reverb" in applied:
        applied["rir"], _ = _recording(augmentation, "rirs", content, copy)
    if augmentation.own:
        applied["own"] = tuple(_own_key(augmentation, place, content, copy) for place in range(len(augmentation.own)))
    return Perturbation(**applied)


def _as_applied(augmentation: AugmentationSpec, name: str, value: float) -> Any:  # noqa: ANN401 (a field)
    """Move a drawn value to the nearest one that can be applied, so that the recorded draw is what happens."""
    nearest = {"semitones": snap, "stretch": on_grid}.get(name)
    if nearest is None:
        return value
    values = getattr(augmentation, name).values
    return nearest(value, min(values), max(values))


def _recording(augmentation: AugmentationSpec, name: str, content: str, copy: int) -> tuple[str, float]:
    """Return which recording a copy takes in, and a position in it, in [0, 1)."""
    chosen = augmentation.recordings[name]
    which, where = _words(augmentation.seed, "" if chosen.per == "copy" else content, copy, name)
    count = len(chosen.contents)
    if not count:
        raise SpecError(f"the {name} of this policy have not been read: a build does that before it plans.")
    place = (copy - 1) % count if chosen.per == "turn" else which * count >> 64
    return chosen.contents[place], _unit(where)


def _own_key(augmentation: AugmentationSpec, place: int, content: str, copy: int) -> int | None:
    """Return the key of a function's random numbers; None if it is not applied to this copy."""
    own = augmentation.own[place]
    purpose = f"own/{place}/{own.function}"
    decision, key = _words(augmentation.seed, "" if own.per == "copy" else content, copy, purpose)
    return key if _unit(decision) < own.probability else None


def _value(augmentation: AugmentationSpec, name: str, content: str, copy: int) -> float | None:
    """Decide whether a perturbation is applied and draw its value; None if it is not.

    With `per="copy"` both come from a digest without the content: all recordings share them.
    """
    rule: Drawn = getattr(augmentation, name)
    decision, position = _words(augmentation.seed, "" if rule.shared else content, copy, name)
    if _unit(decision) >= rule.probability:
        return None
    if rule.uniform is None:
        return rule.listed[(copy - 1) % len(rule.listed)]
    low, high = rule.uniform
    return min(high, low + (high - low) * _unit(position))


def _words(seed: int, content: str, copy: int, purpose: str) -> tuple[int, int]:
    """Return two independent whole numbers of 64 bits, the first sixteen bytes of a sha256."""
    name = f"{seed}/{content}/{copy}/{purpose}" if content else f"{seed}/{copy}/{purpose}"
    digest = hashlib.sha256(name.encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


def _unit(word: int) -> float:
    """Map 64 bits onto [0, 1), using the 53 bits that a float64 can hold."""
    return (word >> 11) * 2.0**-53
