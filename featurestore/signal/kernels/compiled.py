"""How the inner loops are compiled: to machine code, once a machine, with the lock of the interpreter released.

Operations keep their order and each is rounded for itself, so that a loop has the same bits whatever the width of the
processor's registers and whether it can fuse a product into a sum. Loops without sums still fill all lanes; a sum over
an array says itself which parts it is made of, and products that are to be fused are written with `simd.fma`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    InTreeCacheLocator,
    UserWideCacheLocator,
)
from numba.extending import register_jitable

from featurestore.signal import KERNELS_NOT_KEPT

INSTALLED = "site-packages" in Path(__file__).parts or "dist-packages" in Path(__file__).parts
"""Whether pip put this file where it is."""
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a loop whose operations keep their order and rounding, and keep the machine code if that is possible."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        compiled._cache = _Kept(function)
    except RuntimeError:  # neither the installation nor the user's cache folder can be written
        if KERNELS_NOT_KEPT not in os.environ:
            os.environ[KERNELS_NOT_KEPT] = "1"
            sys.stderr.write(
                "note: compiled code cannot be kept here, so each command compiles anew, which takes a minute: set "
                "NUMBA_CACHE_DIR to a folder that you can write.\n"
            )
    return cast("Function", compiled)


class _UserCache(UserWideCacheLocator):
    """The user's cache, also where `XDG_CACHE_HOME` is empty: Numba alone would write to the working directory."""

    def __init__(self, function: Function, file: str) -> None:
        super().__init__(function, file)  # type: ignore[no-untyped-call]
        if not Path(self._cache_path).is_absolute():
            self._cache_path = str(Path.home() / ".cache" / "numba" / Path(self._cache_path).name)


class _Place(CompileResultCacheImpl):
    """Where machine code is kept: beside the code of a checkout; in an installation pip would leave it behind there."""

    _locator_classes = [  # noqa: RUF012 (as numba has them)
        _UserCache if one is UserWideCacheLocator else one
        for one in CompileResultCacheImpl._locator_classes
        if one is not InTreeCacheLocator or not INSTALLED
    ]


@cache
def _sources() -> str:
    """Return the sha256 of all code of `featurestore.signal`, of whose formulas and constants kernels are made."""
    found = sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


class _Kept(FunctionCache):
    """Machine code in files; one that cannot be read or written costs another compilation and nothing else.

    It counts only while all `_sources` are those of its compilation: Numba itself looks at a kernel's own file alone,
    and formulas of others are compiled into it.
    """

    _impl_class = _Place

    def __init__(self, function: Function) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        stamp = (self._impl.locator.get_source_stamp(), _sources())
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)  # type: ignore[no-untyped-call]

    def load_overload(self, *arguments: Any) -> Any:  # noqa: ANN401 (of numba)
        """Return kept machine code, or None."""
        try:
            return super().load_overload(*arguments)  # type: ignore[no-untyped-call]
        except Exception:  # it is cut or cannot be read; pickles fail in any way
            with suppress(Exception):
                self.flush()  # type: ignore[no-untyped-call]  # so that it is written anew
            return None

    def save_overload(self, *arguments: Any) -> None:  # noqa: ANN401 (of numba)
        """Keep machine code, if it can be written."""
        with suppress(Exception):
            super().save_overload(*arguments)  # type: ignore[no-untyped-call]


def inlined(function: Function) -> Function:
    """Compile a formula into each kernel that uses it."""
    return cast("Function", numba.njit(nogil=True, error_model="numpy", inline="always")(function))


def inlinable(function: Function) -> Function:
    """Leave a function as it is for Python, and let kernels call it too."""
    return register_jitable(error_model="numpy")(function)
