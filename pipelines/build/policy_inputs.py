"""The noises and room responses that a policy needs besides the corpus, read before a build.

A policy names a place. Its recordings are read once, checked, and kept in the store's `sources/`; from then on the
policy names them by their bytes, so that workers and repairs do not need the place.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurestore.corpus.sources.audio_files import is_audio
from featurestore.corpus.sources.open import open_source
from featurestore.errors import AudioError, FeatureStoreError, SourceError, SpecError
from featurestore.perturbations.policy_tables import MOST_RECORDINGS, Recordings
from featurestore.store import Store
from pipelines.build.spec import DatasetSpec

if TYPE_CHECKING:
    from featurestore.signal.guarded import GuardedDecoder


def with_inputs(store: Store, spec: DatasetSpec, *, write: bool = True) -> DatasetSpec:
    """Return a spec whose policy names recordings by their bytes, which the store then holds.

    Parameters
    ----------
    write : bool
        False is for a dry run: nothing is kept, and the store need not hold what the policy already names by its bytes.

    Raises
    ------
    SpecError
        If there are no recordings where the policy says, or one of them cannot be used.
    """
    policy = spec.augmentation
    if policy is None:
        return spec
    chosen: dict[str, Any] = {name: _resolved(store, name, one, write) for name, one in policy.recordings.items()}
    return dataclasses.replace(spec, augmentation=dataclasses.replace(policy, **chosen))


def _resolved(store: Store, name: str, chosen: Recordings, write: bool) -> Recordings:
    if chosen.contents:
        for content in chosen.contents if write else ():  # a dry run has kept none of those that it has just read
            if not store.storage.exists(f"sources/{content}"):
                raise SpecError(
                    f"{name}: {store.uri} does not hold recording {content[:12]} of the policy: name the folder or "
                    f"archive that it lies in with --set {name}=PATH."
                )
        return chosen
    from featurestore.signal.guarded import GuardedDecoder  # audio libraries, which few builds need in this process

    contents: set[str] = set()
    decoder = GuardedDecoder()
    for path, data in _found(store, name, chosen):
        content = hashlib.sha256(data).hexdigest()
        contents.add(content)
        if len(contents) > MOST_RECORDINGS:
            raise SpecError(f"{name}: more than {MOST_RECORDINGS:,} recordings: choose some with '{name}.files'.")
        if not store.storage.exists(f"sources/{content}"):
            _check_usable(decoder, name, path, data)
            if write:
                store.storage.put_if_absent(f"sources/{content}", data, durable=False)
    if not contents:
        raise SpecError(f"{name}: no audio file {chosen.files!r} in {chosen.source or chosen.corpus!r}.")
    return Recordings(tuple(contents), chosen.per)


def _check_usable(decoder: GuardedDecoder, name: str, path: str, data: bytes) -> None:
    from featurestore.signal.kernels.level import energy  # compiled code

    try:
        signal = decoder.decode(data).signal
    except AudioError as error:
        raise SpecError(f"{name}: {path!r} cannot be used: {error}") from error
    if energy(signal) == 0:
        raise SpecError(f"{name}: {path!r} cannot be used: it is silent.")


def _found(store: Store, name: str, chosen: Recordings) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the recordings at a place: a corpus that the store knows, a folder or an archive."""

    def wanted(path: str) -> bool:
        """Say whether a path is audio and fits the policy's pattern at any depth, whatever the case of its letters."""
        return is_audio(path) and fnmatch.fnmatchcase(f"/{path}".casefold(), f"*/{chosen.files}".casefold())

    if chosen.corpus:
        try:
            files = store.listing(store.corpus(chosen.corpus).listing)
        except FeatureStoreError as error:
            raise SpecError(
                f"{name}: the store does not know corpus {chosen.corpus!r}: build it once with 'featurestore build "
                f"{chosen.corpus}', or name a folder or archive as 'source'."
            ) from error
        yield from ((file.path, store.original(file.content)) for file in files if wanted(file.path))
        return
    if not chosen.source:
        raise SpecError(f"{name}: the policy names no place: give --set {name}=PATH, a folder or an archive.")
    if not Path(chosen.source).exists():
        raise SpecError(f"{name}: source {chosen.source!r} does not exist: give a folder or an archive.")
    try:
        source = open_source(chosen.source)
        yield from source.iterate(wanted)
        for reason in source.unread.values():
            raise SourceError(reason)
    except SourceError as error:
        raise SpecError(f"{name} of the policy: {error}") from error
