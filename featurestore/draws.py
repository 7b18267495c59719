"""Which perturbation a copy gets: a pure function of the augmentation spec, the recording's content and the copy.

There is no generator with a state that rows would have to be computed in the order of: each number is read from the
sha256 of its own name. So copy 7 of a recording is the same in every build, process and release of numpy.
"""

from __future__ import annotations

import hashlib

from featurestore.errors import SpecError
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
    semitones = _value(augmentation, "semitones", content, copy)
    if semitones is not None and augmentation.semitones is not None:
        values = augmentation.semitones.values
        semitones = snap(semitones, min(values), max(values))
    snr_db = _value(augmentation, "snr_db", content, copy)
    return Perturbation(
        semitones=semitones,
        shift_seconds=_value(augmentation, "shift_seconds", content, copy),
        snr_db=snr_db,
        vtlp_alpha=_value(augmentation, "vtlp_alpha", content, copy),
        peak=_value(augmentation, "peak", content, copy),
        noise_key=0 if snr_db is None else _words(augmentation.seed, content, copy, "noise")[0],
    )


def _value(augmentation: AugmentationSpec, name: str, content: str, copy: int) -> float | None:
    """Decide whether a perturbation is applied and draw its value.

    With `per="copy"` both come from a digest without the content: all recordings share them.
    """
    rule: Drawn | None = getattr(augmentation, name)
    if rule is None:
        return None
    shared = rule.uniform is not None and rule.per == "copy"
    decision, position = _words(augmentation.seed, "" if shared else content, copy, name)
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
