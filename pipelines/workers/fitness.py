"""Whether a worker computes the client's rows and sees its store: asked before it gets work, and before it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from featurestore.trusted_code import trusted_function

STORE_PATIENCE = 5.0
"""Seconds within which a network file system shows a worker what the client has just written."""


class UnfitWorkerError(BuildError):
    """Raised when a worker would compute other rows than the client, or write to another store."""


def fault_of_worker(specs: Sequence[RowSpec], store_uri: str, heartbeat: str) -> str:
    """Say why this worker may not take part in work on a store; an empty text if it may."""
    try:
        for spec in specs:
            refuse_other_versions(spec)
            for function in spec.functions:
                trusted_function(function)
        refuse_other_store(store_uri, heartbeat)
    except FeatureStoreError as error:
        return str(error).rstrip(".")
    return ""


def refuse_other_versions(spec: RowSpec) -> None:
    """Refuse a spec that this installation computes otherwise, with an `UnfitWorkerError` that names what differs."""
    if spec.renewed().id == spec.id:
        return
    differing = ", ".join(
        f"{name} {'none' if here is None else here} in place of {'none' if wanted is None else wanted}"
        for name, (wanted, here) in spec.differing_versions().items()
    )
    raise UnfitWorkerError(f"it has other versions ({differing}): install the same on all machines.")


def refuse_other_store(store_uri: str, heartbeat: str) -> None:
    """Raise `UnfitWorkerError` unless the client's heartbeat is in what this worker finds at a URI."""
    storage = open_store(store_uri).storage
    until = time.monotonic() + STORE_PATIENCE
    while not storage.has_heartbeat(heartbeat):
        if time.monotonic() > until:
            raise UnfitWorkerError(f"what it finds at {store_uri} is not the store of this command.")
        time.sleep(0.1)
