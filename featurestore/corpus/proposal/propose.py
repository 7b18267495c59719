"""Proposing a data sheet: look, plan, write, and try it on what was looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.corpus.corpus import Corpus, Listed
from featurestore.corpus.labels.labelling import assign_labels
from featurestore.corpus.proposal.look import Seen, look
from featurestore.corpus.proposal.naming import corpus_name
from featurestore.corpus.proposal.plan import SheetPlan, plan_sheet
from featurestore.corpus.proposal.sheet_text import comment, sheet_text
from featurestore.corpus.reading.sources import Source, open_source
from featurestore.corpus.reading.unpack import Limits
from featurestore.corpus.sheet.datasheet import Manifest
from featurestore.corpus.sheet.manifest import manifest_names, parse_manifest
from featurestore.corpus.splitting.fitting import usual_splits
from featurestore.errors import AmbiguousError, FeatureStoreError


@dataclass(frozen=True)
class Proposal:
    """A proposed data sheet, and what it says of the recordings that it was made for."""

    toml: str
    plan: SheetPlan
    corpus: Corpus
    """The recordings under the sheet; their contents are not known."""
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


def propose_sheet(place: str | Path, limits: Limits | None = None) -> Proposal:
    """Look at a folder or archive of audio and propose its data sheet; no audio is opened.

    Raises
    ------
    SourceError
        If nothing is there, or no file looks like audio.

    Examples
    --------
    >>> propose_sheet("recordings/").toml  # doctest: +SKIP
    """
    return propose_for(open_source(place, limits), place)


def propose_for(source: Source, place: str | Path) -> Proposal:
    """Propose a data sheet for an open source, named after its place; `SourceError` as `propose_sheet`."""
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
    """Return the proposed data sheet of a folder where nobody has to read it first.

    Raises
    ------
    ManifestError
        If the class is none of words in folders, emotions, digits, or a column of a table.
    SourceError
        As `propose_sheet`.
    """
    proposal = propose_sheet(place, limits)
    plan, manifest = proposal.plan, proposal.corpus.manifest
    if not plan.is_sure:
        raise AmbiguousError(
            f"folder {str(place)!r:.200} holds no data sheet (*.toml), is in no known format (audformat, Lhotse, "
            f"Kaldi, Hugging Face metadata), and its names leave open what the class is{plan.doubt}. Say it: "
            "'featurestore corpora new FOLDER --out FILE.toml' proposes a sheet."
        )
    sides = {dict(one.labels).get("split", "") for one in proposal.corpus.utterances}
    splits = usual_splits(sides, len(proposal.corpus.speaker_counts()))
    return replace(manifest, place=str(place), splits=splits, notes=(plan.told,))


def _proposal(place: str | Path, seen: Seen) -> Proposal:
    plan = plan_sheet(seen)
    full = str(Path(place).resolve())
    text = sheet_text(corpus_name(full, manifest_names()), _title(full), seen, plan)
    return Proposal(text, plan, _tried(text, seen), len(seen.audio))


def _title(place: str) -> str:
    title = "".join(character for character in Path(place).name if character.isprintable())
    return title[:120] or "recordings"


def _tried(text: str, seen: Seen) -> Corpus:
    """Label the recordings by the sheet, so that a proposal is known to be accepted."""
    manifest = parse_manifest(text, "the proposed sheet")
    contents: Mapping[str, str] = {
        path: hashlib.sha256(path.encode()).hexdigest() for path in (*seen.audio, *seen.beside)
    }
    listing = tuple(Listed(path, content, 1) for path, content in contents.items())
    data = {contents[path]: bytes_ for path, bytes_ in seen.beside.items()}
    return assign_labels(manifest, listing, data.__getitem__)
