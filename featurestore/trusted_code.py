"""Code of others, which is imported only where the user has allowed its module by name.

A spec can come from anywhere, so the functions that it names need a permission of this machine: an environment
variable, which worker processes inherit.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from featurestore.errors import SpecError

VARIABLE = "FEATURESTORE_TRUST_CODE"
"""Names of allowed modules, separated by commas."""
OPTION = "--trust-code"
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def check_reference(reference: object) -> str:
    """Return a reference such as `package.module:function`; anything else is a `SpecError`."""
    if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
        raise SpecError(f"a function is named 'module:function', not {reference!r}.")
    return reference


def trusted_modules() -> frozenset[str]:
    """Return the names of the modules that the user has allowed."""
    names = os.environ.get(VARIABLE, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def trust(modules: Iterable[str], environment: MutableMapping[str, str] = os.environ) -> None:
    """Allow modules for this process and for those that it starts from now on."""
    names = {name.strip() for name in environment.get(VARIABLE, "").split(",")} | set(modules)
    environment[VARIABLE] = ",".join(sorted(names - {""}))


def check_trusted(reference: str) -> None:
    """Raise a `SpecError` that says how to allow a function's module, if it is not allowed; nothing is imported."""
    module = check_reference(reference).partition(":")[0]
    if module not in trusted_modules():
        raise SpecError(
            f"{reference!r} is code that is not part of featurestore: if you trust it, give {OPTION} {module} "
            f"or set {VARIABLE}={module}."
        )


def trusted_function(reference: str) -> Callable[..., Any]:
    """Import an allowed module and return the function that `module:function` names.

    `SpecError` if the module is not allowed or cannot be imported, or has no such function.
    """
    check_trusted(reference)
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"cannot import {reference!r} ({error}): install it or put its folder on PYTHONPATH."
        ) from error
    if not callable(found):
        raise SpecError(f"{reference!r} is a {type(found).__name__}, not a function.")
    return cast("Callable[..., Any]", found)
