"""Recordings that cannot become rows, remembered by content, so that the next build does not try them again."""

from __future__ import annotations

from collections.abc import Mapping

from featurestore.canonical import canonical_json, digest
from featurestore.corpus.corpus import Corpus, Rejection
from featurestore.datasets import Table
from featurestore.errors import FeatureStoreError
from featurestore.seals import parsed, reading
from featurestore.segments import is_content
from featurestore.specs.rows import RowSpec
from featurestore.store import Store


def known_rejects(store: Store, spec: RowSpec) -> dict[str, str]:
    """Return the reason of each recording that was rejected for a spec, by content."""
    reasons: dict[str, str] = {}
    for name in store.storage.children(_folder(spec)):
        content = name.removesuffix(".json")
        reason = _read(store, spec, content)
        if reason is not None:
            reasons[content] = reason
    return reasons


def remember_reject(store: Store, spec: RowSpec, content: str, reason: str) -> None:
    """Keep a reason under the recording's content and the spec that it was rejected for."""
    body = {"spec": spec.id[:16], "content": content, "reason": reason}
    data = canonical_json({**body, "seal": digest(body)}).encode("ascii")
    key = f"{_folder(spec)}/{content}.json"
    if not store.storage.put_if_absent(key, data) and store.storage.get(key) != data:
        store.storage.replace(key, data)


def rejections(corpus: Corpus, rejected: Mapping[str, str]) -> tuple[Rejection, ...]:
    """Return all files of a corpus that did not become rows, sorted by path; `rejected` has reasons by content."""
    of_audio = (
        Rejection(utterance.path, rejected[utterance.content])
        for utterance in corpus.utterances
        if utterance.content in rejected
    )
    aside = (*corpus.rejected, *corpus.unlabelled, *of_audio)
    return tuple(sorted(aside, key=lambda rejection: rejection.path))


def dataset_table(corpus: Corpus, rejected: Mapping[str, str]) -> Table:
    """Return the table of a dataset of a corpus."""
    manifest = corpus.manifest
    return Table(corpus.name, corpus.utterances, rejections(corpus, rejected), manifest.licence, manifest.citation)


def _folder(spec: RowSpec) -> str:
    return f"rejects/{spec.id[:16]}"


def _read(store: Store, spec: RowSpec, content: str) -> str | None:
    """Return a kept reason; None if the note is damaged, which costs one more try and nothing else."""
    if not is_content(content):
        return None
    try:
        key = f"{_folder(spec)}/{content}.json"
        with reading(key, "a note on a rejected recording"):
            body = parsed(store.storage.get(key))
            seal = body.pop("seal")
            sound = seal == digest(body) and (body["spec"], body["content"]) == (spec.id[:16], content)
            return str(body["reason"]) if sound else None
    except FeatureStoreError:
        return None
