"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

store_option = click.option(
    "--store", "place", metavar="URI", help="The store's folder. Default: FEATURESTORE_HOME, else the user's cache."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON value on standard output.")
source_option = click.option("--source", metavar="PATH|URL", help="Archive, folder or URL that holds the corpus.")
seed_option = click.option("--seed", type=int, help="Chooses all draws. Default: the policy's, 0.")
