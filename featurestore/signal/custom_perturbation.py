"""Calling a perturbation that the user wrote, and checking what it returns."""

from __future__ import annotations

import numpy as np

from featurestore.errors import FeatureStoreError, SpecError
from featurestore.signal.arrays import LOUDEST, Signal
from featurestore.specs.custom import CustomPerturbation
from featurestore.trusted_code import trusted_function


def random_numbers(key: int) -> np.random.Generator:
    """Return the generator of a key of 64 bits: numpy's counter-based Philox."""
    return np.random.Generator(np.random.Philox(key=key))


def apply_custom(custom: CustomPerturbation, signal: Signal, rate: int, key: int) -> Signal:
    """Return what a user's function makes of a signal, array [time].

    Parameters
    ----------
    custom : CustomPerturbation
    signal : array [time], float32
        The function gets a copy.
    rate : int
        Samples a second.
    key : int
        Key of its random numbers.

    Raises
    ------
    SpecError
        If its module is not trusted, it fails, or what it returns is no signal.
    """
    try:
        found = trusted_function(custom.function)(signal.copy(), rate, random_numbers(key), **custom.settings)
    except FeatureStoreError:
        raise
    except (Exception, SystemExit) as error:  # sys.exit() would end the worker, for every recording
        reason = str(error).partition("\n")[0]
        raise SpecError(f"perturbation {custom.function!r} failed with {type(error).__name__}: {reason}.") from error
    fault = _fault(found)
    if fault:
        raise SpecError(
            f"perturbation {custom.function!r} returned {fault}: it must return an array [time] of finite float32."
        )
    return np.ascontiguousarray(found)


def _fault(found: object) -> str:
    """Say what is wrong with a returned signal; nothing if it is sound."""
    if not isinstance(found, np.ndarray):
        return f"a {type(found).__name__}"
    if found.dtype != np.float32 or found.ndim != 1:
        return f"an array {list(found.shape)} of {found.dtype}"
    if not len(found):
        return "no sample"
    loudest = float(np.max(np.abs(found)))
    if not np.isfinite(loudest):
        return "samples that are not finite"
    return f"samples up to {loudest:.3g}" if loudest > LOUDEST else ""
