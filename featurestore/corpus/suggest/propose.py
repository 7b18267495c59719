"""Proposing a manifest: look, plan, write it as TOML with a comment for every guess, and try it on what was seen."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurestore.corpus.catalog import manifest_names, parse_manifest
from featurestore.corpus.labels.assign import label
from featurestore.corpus.manifest import Manifest
from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.open import open_source
from featurestore.corpus.sources.types import Source
from featurestore.corpus.splits.applicable import usual_splits
from featurestore.corpus.suggest.look import LabelTable, Seen, look
from featurestore.corpus.suggest.plan import UNLABELLED, ManifestPlan, plan_manifest
from featurestore.corpus.suggest.roles import holds_numbers, meanings
from featurestore.corpus.types import Corpus, ListedFile
from featurestore.errors import AmbiguousError, FeatureStoreError

LONGEST = 40
"""Characters of a corpus's name."""
VAGUE = frozenset({"train", "test", "dev", "validation", "data", "audio", "wav", "wavs", "recordings", ""})
"""Names of folders that are too common for a corpus."""
MOST_FOLDERS = 4
"""Folders that a question names."""
MOST_SHOWN = 8
"""Values that a comment names before it only counts."""
WIDTH = 78
"""Columns of a line, which may get two more where it is made a comment; a pattern can be longer."""


def corpus_name(place: str, known: tuple[str, ...] = ()) -> str:
    """Return a folder's or archive's name as a corpus may be called: `a-z`, `0-9` and `_`, at most 40.

    `train`, `data` and other common names get the folder above in front, a name that is `known` already gets `_own`
    behind it.

    Examples
    --------
    >>> corpus_name("My Recordings (2024)"), corpus_name("takes/train"), corpus_name("x/emodb.zip", ("emodb",))
    ('my_recordings_2024', 'takes_train', 'emodb_own')
    """

    def cleaned(text: str) -> str:
        """Keep letters and digits, and an underscore for all between."""
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
        return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:LONGEST].strip("_")

    parts = [part for part in place.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    name = cleaned(re.sub(r"\.(zip|tar|tgz|tar\.gz)$", "", parts[-1], flags=re.IGNORECASE)) if parts else ""
    if name in VAGUE and len(parts) > 1:
        name = cleaned(f"{parts[-2]}_{name}")
    name = name or "corpus"
    return f"{name[: LONGEST - 4]}_own" if name in known else name


@dataclass(frozen=True)
class Proposal:
    """A proposed manifest, and the recordings that it was made for under it."""

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
        unused = _comment(f"The tables beside the audio are not used: {why[:300]}")
        return replace(without, toml="\n".join([*unused, without.toml]))


def sure_manifest(place: Path, limits: Limits | None = None) -> Manifest:
    """Return the proposed manifest of a folder where nobody has to read it first.

    `ManifestError` if the class is none of words in folders, emotions, digits, or a column of a table; `SourceError` as
    `propose_manifest`.
    """
    proposal = propose_manifest(place, limits)
    plan = proposal.plan
    if not plan.is_sure:
        doubts = ["recordings lie in folders of several depths"] if plan.depths > 1 else []
        varying = (list(folder.counts)[:MOST_FOLDERS] for folder in plan.folders if folder.varies)
        doubts += [f"a folder is one of {', '.join(values)}" for values in varying]
        doubt = f" ({'; '.join(doubts)[:300]})" if doubts else ""
        raise AmbiguousError(
            f"folder {str(place)!r:.200} holds no manifest (*.toml), is in no known format (audformat, Lhotse, "
            f"Kaldi, Hugging Face metadata), and its names leave open what the class is{doubt}. Say it: "
            "'featurestore corpora new FOLDER --out FILE.toml' proposes a manifest."
        )
    guess = plan.class_guess
    where = "a table" if guess is None else "folders" if guess.piece.folder else "names of files"
    note = f"the class {plan.target!r} is read from {where}"
    if plan.speaker:
        note += ", the speaker too"
    else:
        note += "; the speaker is unknown: splits by speaker are refused, others may put one speaker on two sides"
    sides = {dict(one.fields).get("split", "") for one in proposal.corpus.utterances}
    splits = usual_splits(sides, len(proposal.corpus.speaker_counts()))
    return replace(proposal.corpus.manifest, place=str(place), splits=splits, notes=(note,))


def _proposal(place: str | Path, seen: Seen) -> Proposal:
    plan = plan_manifest(seen)
    full = Path(place).resolve()
    title = "".join(character for character in full.name if character.isprintable())[:120] or "recordings"
    lines = [
        *_head(corpus_name(str(full), manifest_names()), title, seen, plan),
        *_labels(plan),
        *_beside(plan),
        "# what a complete copy holds; 'corpora check' then tells what is missing:",
        "# [expected]",
        f"# files = {len(seen.audio)}",
    ]
    text = "\n".join(lines) + "\n"
    # the recordings are labelled by the manifest, so that a proposal is known to be accepted
    contents = {path: hashlib.sha256(path.encode()).hexdigest() for path in (*seen.audio, *seen.beside)}
    data = {contents[path]: held for path, held in seen.beside.items()}
    listing = [ListedFile(path, content, 1) for path, content in contents.items()]
    corpus = label(parse_manifest(text, "the proposed manifest"), listing, data.__getitem__)
    return Proposal(text, plan, corpus, len(seen.audio))


def toml_text(text: str) -> str:
    r"""Write a string for TOML: in single quotes where that needs no escape, else in double ones.

    Examples
    --------
    >>> print(toml_text(r"\d+"), toml_text("it's"))
    '\d+' "it's"
    """
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=not text.isprintable()).replace("\x7f", "\\u007f")


def pattern_of(path: str) -> str:
    """Return a name pattern that fits this text alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def _counted(counts: Mapping[str, int]) -> str:
    """Write how often each value occurs, in one line that is safe to print."""
    shown = ", ".join(f"{_shown(value)} {count}" for value, count in list(counts.items())[:MOST_SHOWN])
    more = f" and {len(counts) - MOST_SHOWN} more values" if len(counts) > MOST_SHOWN else ""
    return f"{len(counts)} values: {shown}{more}"


def _shown(value: str) -> str:
    text = value if value.isprintable() else repr(value)[1:-1]
    return text if len(text) <= 40 else f"{text[:37]}..."


def _comment(text: str, first: str = "# ", more: str = "#   ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=more, break_on_hyphens=False)


def _noted(code: str, note: str) -> list[str]:
    """Return a line of a manifest with a comment behind it, or above it where both are too long for one line."""
    line = f"{code}  # {note}"
    return [line] if len(line) <= WIDTH else [*_comment(note), code]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_text(name)


def _head(name: str, title: str, seen: Seen, plan: ManifestPlan) -> Iterator[str]:
    yield "# A manifest that was proposed by looking at names and tables alone."
    yield "# Read what was guessed, correct it, then:"
    yield "#   featurestore corpora check THIS.toml --source FOLDER"
    if len(seen.studied) < len(seen.audio):
        studied = f"the names of {len(seen.studied)} were studied; counts are of these."
        yield from _comment(f"Of {len(seen.audio)} recordings, {studied}")
    if seen.strange:
        yield from _comment(f"{seen.strange} recordings have control characters in their names and will be set aside.")
    yield ""
    yield f"name = {toml_text(name)}"
    yield f"title = {toml_text(title)}"
    yield '# licence = "CC BY 4.0"  # unknown: who may use it, and for what?'
    yield '# citation = "..."'
    yield ""
    yield "[audio]"
    endings = ", ".join(f"{ending} {count}" for ending, count in seen.endings.items())
    names = ", ".join(toml_text(f"*{ending}") for ending in seen.endings)
    yield from _noted(f"include = [{names}]", endings)
    why = "names of files are all different" if plan.depth == 1 else "folders are needed to tell recordings apart"
    yield from _noted(f"depth = {plan.depth}", f"trailing parts of a path that name a recording: {why}")
    yield ""


def _labels(plan: ManifestPlan) -> Iterator[str]:
    yield from _pieces(plan)
    yield "[labels]"
    if plan.pattern:
        yield f"match = {toml_text(plan.match)}"
        yield f"pattern = {toml_text(plan.pattern)}"
    elif not any(map(plan.is_used, plan.tables)):
        yield "pattern = '.+'  # neither folders nor names seem to hold a label"
    usual = (plan.target, "speaker", "text")
    others = dict.fromkeys(field for fields in plan.columns.values() for field in fields if field not in usual)
    note = f"; other fields: {', '.join(map(_shown, others))[:200]}" if others else ""
    yield from _noted(f"target = {toml_text(plan.target)}", f"the class to predict{note}")
    unknown = "" if plan.speaker else "  # unknown: no split can promise new speakers"
    yield f"speaker = {toml_text(plan.speaker or '')}{unknown}"
    if plan.text:
        yield f"text = {toml_text(plan.text)}"
    if plan.target == UNLABELLED:
        yield "# one class for all, until there is a better one"
        yield f"compose = {{ {UNLABELLED} = {toml_text(UNLABELLED)} }}"
    # codes of the class and the side; tables keep their own classes
    counted: dict[str, Mapping[str, int]] = {guess.field: guess.piece.counts for guess in plan.guesses}
    for table in filter(plan.is_used, plan.tables):
        if "split" in plan.columns[table.path]:
            counted.setdefault("split", table.columns[plan.columns[table.path]["split"]])
    for field, counts in counted.items():
        meant = meanings(counts, field) if field in (plan.target, "split") else {}
        if not meant:
            continue
        yield ""
        yield "# code = what it means; a code that is not here rejects the recording"
        yield f"[labels.codes.{_key(field)}]"
        for value, meaning in meant.items():
            yield from _noted(f"{_key(value)} = {toml_text(meaning)}", str(counts[value]))
    yield ""


def _pieces(plan: ManifestPlan) -> Iterator[str]:
    """Yield what varies in the paths and what it was taken for."""
    named = {id(guess.piece): guess for guess in plan.guesses}
    varying = [*(one for one in plan.folders if one.varies), *(plan.form.varying if plan.form else ())]
    if plan.form is None:
        yield from _comment("The file names are not all built in the same way, so nothing is read from them.")
    elif plan.form.others:
        yield f"# {plan.form.others} file names are built in another way than the rest."
    if varying:
        yield "# What varies in the paths, from left to right:"
    for number, piece in enumerate(varying, 1):
        guess = named.get(id(piece))
        taken = f"-> {guess.field}, because {guess.why}" if guess else "-> not used"
        text = f"{number}. {'folder' if piece.folder else 'name'}, {_counted(piece.counts)} {taken}"
        yield from _comment(text, "#   ", "#      ")


def _beside(plan: ManifestPlan) -> Iterator[str]:
    for table in plan.tables:
        used = plan.is_used(table)
        if not used:
            yield "# Not used, as it seems to give neither class nor speaker;"
            yield "# remove the # signs to have its fields:"
        yield from (line if used or not line else f"# {line}" for line in _table(table, plan))
    for one in plan.lists:
        yield from _noted("[[lists]]", f"{one.joined} lines name recordings; the side is in the file's name")
        yield f"files = {toml_text(pattern_of(one.path))}"
        yield f"value = {toml_text(one.side)}"
        yield f"match = {toml_text('path' if plan.depth > 1 else 'name')}"
        yield ""


def _table(table: LabelTable, plan: ManifestPlan) -> Iterator[str]:
    yield from _noted("[[tables]]", f"{table.joined} of {table.rows} rows name a recording in {_shown(table.key)!r}")
    yield f"files = {toml_text(pattern_of(table.path))}"
    yield f"format = {toml_text(table.format)}"
    if table.encoding != "utf-8-sig":
        yield f"encoding = {toml_text(table.encoding)}"
    if table.delimiter is not None:
        yield f"delimiter = {toml_text(table.delimiter)}"
    if not table.header:
        yield "header = false"
    match, key = plan.joins[table.path]
    yield f"match = {toml_text(match)}"
    if key != "{file}":
        yield f"key = {toml_text(key)}"
    yield ""
    yield "[tables.columns]"
    yield f"file = {_column(table, table.key)}"
    for field, column in plan.columns[table.path].items():
        counts = table.columns[column]
        numbers = "numbers, no class: " if holds_numbers(counts) else ""
        yield from _noted(f"{_key(field)} = {_column(table, column)}", numbers + _counted(dict(counts.most_common())))
    yield ""


def _column(table: LabelTable, column: str) -> str:
    """Name a column: by its header, or by its number from 1."""
    return toml_text(column) if table.header else str(table.order.index(column) + 1)
