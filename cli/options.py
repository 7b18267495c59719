"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]
BASE = "featurestore.base"
"""Where the context keeps `--base` until `--store` is read."""


def store_option(command: Command) -> Command:
    """Add `--store` and `--base`; the command gets one address, `place`, that names both."""
    store = click.option(
        "--store",
        "place",
        metavar="URI",
        callback=_with_base,
        help="The store's folder. Default: FEATURESTORE_HOME, else the user's cache.",
    )
    base = click.option(
        "--base",
        metavar="URI",
        is_eager=True,
        expose_value=False,
        callback=_remember_base,
        help="A store below it that is only read, such as a group's. Default: FEATURESTORE_BASE, else none.",
    )
    return store(base(command))


def _remember_base(context: click.Context, _: click.Parameter, base: str | None) -> None:
    context.meta[BASE] = base


def _with_base(context: click.Context, _: click.Parameter, place: str | None) -> str:
    """Put store and base into one address, so that workers open both."""
    from featurestore.places import default_place, layered_place

    return layered_place(place or default_place(), context.meta.get(BASE))


def trust_code_option(command: Command) -> Command:
    """Add `--trust-code`; the command needs no argument for it, since the permission goes into the environment."""
    return click.option(
        "--trust-code",
        multiple=True,
        metavar="MODULE",
        is_eager=True,
        expose_value=False,
        callback=_trust_code,
        help="Allow this Python module to be imported, where features or a policy name a function in it; repeatable. "
        "Default: FEATURESTORE_TRUST_CODE, else none.",
    )(command)


def _trust_code(_: click.Context, __: click.Parameter, modules: tuple[str, ...]) -> None:
    from featurestore.trusted_code import trust

    if modules:
        trust(modules)


json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON value on standard output.")
source_option = click.option("--source", metavar="PATH|URL", help="Archive, folder or URL that holds the corpus.")
seed_option = click.option("--seed", type=int, help="Chooses all draws. Default: the policy's, 0.")
