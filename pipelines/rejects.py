"""Recordings that cannot become rows, remembered by content, so that the next build does not try them again."""

from __future__ import annotations

import json
import re

from featurestore.canonical import canonical_json, digest
from featurestore.errors import FeatureStoreError
from featurestore.specs.rows import RowSpec
from featurestore.store import Store


def known_rejects(store: Store, spec: RowSpec) -> dict[str, str]:
    """Return the reason of each recording that was rejected for a spec, by content."""
    reasons: dict[str, str] = {}
    for name in store.storage.children(_folder(spec)):
        content = name.removesuffix(".json")
        reason = _read(store, f"{_folder(spec)}/{name}", content)
        if reason is not None:
            reasons[content] = reason
    return reasons


def remember_reject(store: Store, spec: RowSpec, content: str, reason: str) -> None:
    """Keep a reason under the recording's content and the spec that it was rejected for."""
    body = {"content": content, "reason": reason}
    data = canonical_json({**body, "seal": digest(body)}).encode("ascii")
    key = f"{_folder(spec)}/{content}.json"
    if not store.storage.put_if_absent(key, data) and store.storage.get(key) != data:
        store.storage.replace(key, data)


def _folder(spec: RowSpec) -> str:
    return f"rejects/{spec.id[:16]}"


def _read(store: Store, key: str, content: str) -> str | None:
    """Return a kept reason; None if the note is damaged, which costs one more try and nothing else."""
    if not re.fullmatch(r"[0-9a-f]{64}", content):
        return None
    try:
        body = json.loads(store.storage.get(key))
        seal = body.pop("seal")
        sound = seal == digest(body) and body["content"] == content
        return str(body["reason"]) if sound else None
    except (FeatureStoreError, KeyError, TypeError, ValueError, AttributeError):
        return None
