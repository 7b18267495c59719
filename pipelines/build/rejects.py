"""Recordings that cannot become rows, remembered by content, so that the next build does not try them again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from featurestore.checksummed_json import canonical_json, digest, parsed, reading
from featurestore.errors import FeatureStoreError, TooLongError
from featurestore.segments import is_content
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.specs.row_spec import RowSpec
from featurestore.storage.protocol import put
from featurestore.store import Store


def known_rejects(store: Store, spec: RowSpec, max_seconds: float = MAX_SECONDS) -> dict[str, str]:
    """Return the reason of each recording that was rejected for a spec or is longer than a limit, by content."""
    contents = [name.removesuffix(".json") for name in store.storage.children(_folder(spec))]
    found = {content: _read(store, spec, content, max_seconds) for content in contents if is_content(content)}
    return {content: reason for content, reason in found.items() if reason is not None}


def remember_reject(store: Store, spec: RowSpec, content: str, reason: str) -> None:
    """Keep a reason under the recording's content and the spec that it was rejected for."""
    _remember(store, spec, content, {"reason": reason})


def remember_length(store: Store, spec: RowSpec, content: str, seconds: float) -> None:
    """Keep the length of a recording beyond `MAX_SECONDS`, read or not: each build's own limit decides about it."""
    _remember(store, spec, content, {"reason": "", "seconds": seconds})


def too_long(seconds: float, most: float) -> str:
    """Return why a recording is rejected that is too long, and what to do about it."""
    return f"{TooLongError(seconds, most)} Raise it with --max-duration {math.ceil(seconds)}, or cut the recording."


def _remember(store: Store, spec: RowSpec, content: str, found: Mapping[str, Any]) -> None:
    body = {"spec": spec.id[:16], "content": content, **found}
    data = canonical_json({**body, "seal": digest(body)}).encode("ascii")
    put(store.storage, f"{_folder(spec)}/{content}.json", data)


def _folder(spec: RowSpec) -> str:
    return f"rejects/{spec.id[:16]}"


def _read(store: Store, spec: RowSpec, content: str, max_seconds: float) -> str | None:
    """Return a kept reason; None if the note is damaged, which costs no more than another try.

    A note from before lengths were kept is ignored too: it would outlive a raised limit.
    """
    try:
        key = f"{_folder(spec)}/{content}.json"
        with reading(key, "a note on a rejected recording"):
            body = parsed(store.storage.get(key))
            seal = body.pop("seal")
            sound = seal == digest(body) and (body["spec"], body["content"]) == (spec.id[:16], content)
            if not sound or str(body["reason"]).startswith("too long: "):
                return None
            if "seconds" in body:
                return too_long(body["seconds"], max_seconds) if body["seconds"] > max_seconds else None
            return str(body["reason"])
    except FeatureStoreError:
        return None
