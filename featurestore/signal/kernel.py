"""How the inner loops are compiled: to machine code, once a machine, with the lock of the interpreter released."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_ANY_ORDER = {"reassoc", "contract", "arcp", "nsz"}


def exact_kernel(function: Function) -> Function:
    """Compile a loop whose operations keep their order and rounding."""
    return cast("Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def fast_kernel(function: Function) -> Function:
    """Compile a loop in which sums may be split over the lanes of the processor and products fused into them.

    The split is fixed when the code is compiled and follows from an array's length alone, so equal inputs give equal
    bits on one kind of processor, wherever the array lies in memory.
    """
    return cast("Function", numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_ANY_ORDER)(function))


def inlined(function: Function) -> Function:
    """Compile a formula into each kernel that uses it."""
    options = numba.njit(nogil=True, error_model="numpy", fastmath=_ANY_ORDER, inline="always")
    return cast("Function", options(function))
