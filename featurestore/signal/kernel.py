"""How the inner loops are compiled: to machine code, once a machine, with the lock of the interpreter released.

Operations keep their order and each is rounded for itself, so that a loop has the same bits whatever the width of the
processor's registers and whether it can fuse a product into a sum. Loops without sums still fill all lanes; a sum over
an array says itself which parts it is made of, and products that are to be fused are written with `lanes.fma`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import register_jitable

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a loop whose operations keep their order and rounding."""
    return cast("Function", numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """Compile a formula into each kernel that uses it."""
    return cast("Function", numba.njit(nogil=True, error_model="numpy", inline="always")(function))


def inlinable(function: Function) -> Function:
    """Leave a function as it is for Python, and let kernels call it too."""
    return register_jitable(error_model="numpy")(function)
