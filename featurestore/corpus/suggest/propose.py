"""Proposing a manifest: look, plan, write, and try it on what was looked at."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.corpus.labels.assign import label
from featurestore.corpus.manifest.catalog import manifest_names
from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.manifest.parse import parse_manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import Source
from featurestore.corpus.splits.applicable import usual_splits
from featurestore.corpus.suggest.look import Seen, look
from featurestore.corpus.suggest.manifest_text import comment, manifest_text
from featurestore.corpus.suggest.plan import ManifestPlan, plan_manifest
from featurestore.corpus.types import Corpus, ListedFile
from featurestore.errors import AmbiguousError, FeatureStoreError

LONGEST = 40


def corpus_name(place: str, known: tuple[str, ...] = ()) -> str:
    """Return a folder's or archive's name as a corpus may be called: `a-z`, `0-9` and `_`, at most 40.

    A name that another corpus has already gets `_own` behind it.

    Parameters
    ----------
    place : str
        Path of the folder or archive; `train`, `data` and other names that say little get the folder above in front.
    known : tuple of str
        Names that are taken.

    Examples
    --------
    >>> corpus_name("My Recordings (2024)"), corpus_name("takes/train"), corpus_name("x/emodb.zip", ("emodb",))
    ('my_recordings_2024', 'takes_train', 'emodb_own')
    """
    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    name = _cleaned(_stem(parts[-1])) if parts else ""
    if name in _VAGUE and len(parts) > 1:
        name = _cleaned(f"{parts[-2]}_{name}")
    name = name or "corpus"
    return f"{name[: LONGEST - 4]}_own" if name in known else name


_VAGUE = frozenset({"train", "test", "dev", "validation", "data", "audio", "wav", "wavs", "recordings", ""})

_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.gz)$", re.IGNORECASE)


def _stem(name: str) -> str:
    return _ARCHIVE.sub("", name)


def _cleaned(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST].strip("_")


@dataclass(frozen=True)
class Proposal:
    """A proposed manifest, and what it says of the recordings that it was made for."""

    toml: str
    plan: ManifestPlan
    corpus: Corpus
    """The recordings under the manifest; their contents are not known."""
    files: int
    """Recordings that were found."""

    def to_dict(self) -> dict[str, Any]:
        """Return the proposal as JSON values."""
        return {
            "name": self.corpus.name,
            "files": self.files,
            "labelled": len(self.corpus.utterances),
            "labels": self.corpus.label_counts(),
            "speakers": self.corpus.speaker_counts(),
            "guesses": [
                {"field": one.field, "from": "folder" if one.piece.folder else "name", "why": one.why}
                for one in self.plan.guesses
            ],
            "tables": {table.path: dict(self.plan.columns[table.path]) for table in self.plan.tables},
            "lists": {one.path: one.side for one in self.plan.lists},
            "toml": self.toml,
        }


def propose_manifest(place: str | Path, limits: Limits | None = None) -> Proposal:
    """Look at a folder or archive of audio and propose its manifest; no audio is opened.

    Raises
    ------
    SourceError
        If nothing is there, or no file looks like audio.

    Examples
    --------
    >>> propose_manifest("recordings/").toml  # doctest: +SKIP
    """
    return propose_for(open_source(place, limits), place)


def propose_for(source: Source, place: str | Path) -> Proposal:
    """Propose a manifest for an open source, named after its place; `SourceError` as `propose_manifest`."""
    seen = look(source)
    try:
        return _proposal(place, seen)
    except FeatureStoreError as error:  # a table that looks right at its start need not be right to its end
        if not seen.beside:
            raise
        without = _proposal(place, replace(seen, beside={}))
        why = "".join(character if character.isprintable() else "?" for character in str(error))
        unused = "\n".join(comment(f"The tables beside the audio are not used: {why[:300]}"))
        return replace(without, toml=f"{unused}\n{without.toml}")


def sure_manifest(place: Path, limits: Limits | None = None) -> Manifest:
    """Return the proposed manifest of a folder where nobody has to read it first.

    Raises
    ------
    ManifestError
        If the class is none of words in folders, emotions, digits, or a column of a table.
    SourceError
        As `propose_manifest`.
    """
    proposal = propose_manifest(place, limits)
    plan, manifest = proposal.plan, proposal.corpus.manifest
    if not plan.is_sure:
        raise AmbiguousError(
            f"folder {str(place)!r:.200} holds no manifest (*.toml), is in no known format (audformat, Lhotse, "
            f"Kaldi, Hugging Face metadata), and its names leave open what the class is{plan.doubt}. Say it: "
            "'featurestore corpora new FOLDER --out FILE.toml' proposes a manifest."
        )
    sides = {dict(one.labels).get("split", "") for one in proposal.corpus.utterances}
    splits = usual_splits(sides, len(proposal.corpus.speaker_counts()))
    return replace(manifest, place=str(place), splits=splits, notes=(plan.told,))


def _proposal(place: str | Path, seen: Seen) -> Proposal:
    plan = plan_manifest(seen)
    full = str(Path(place).resolve())
    text = manifest_text(corpus_name(full, manifest_names()), _title(full), seen, plan)
    return Proposal(text, plan, _tried(text, seen), len(seen.audio))


def _title(place: str) -> str:
    title = "".join(character for character in Path(place).name if character.isprintable())
    return title[:120] or "recordings"


def _tried(text: str, seen: Seen) -> Corpus:
    """Label the recordings by the manifest, so that a proposal is known to be accepted."""
    manifest = parse_manifest(text, "the proposed manifest")
    contents: Mapping[str, str] = {
        path: hashlib.sha256(path.encode()).hexdigest() for path in (*seen.audio, *seen.beside)
    }
    listing = tuple(ListedFile(path, content, 1) for path, content in contents.items())
    data = {contents[path]: bytes_ for path, bytes_ in seen.beside.items()}
    return label(manifest, listing, data.__getitem__)
