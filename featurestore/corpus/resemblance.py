"""Which corpus that is known by name a folder seems to hold, told by the names of its files alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from featurestore.corpus.labels.labelling import parse_label
from featurestore.corpus.proposal.audio_names import is_audio
from featurestore.corpus.reading.unpack import is_junk
from featurestore.corpus.sheet.datasheet import Manifest
from featurestore.corpus.sheet.label_rules import TableRule, is_label_file
from featurestore.corpus.sheet.manifest import find_manifest, manifest_names
from featurestore.corpus.sheet.patterns import compile_pattern

FITTING = 0.8
"""Share of the recordings whose names must be those of a corpus."""
MOST_TRIED = 2_000
"""Names of recordings that are tried; of more, an even sample."""
FEWEST = 3
"""Recordings whose names can tell a corpus that pins no index of them."""


def resembled_corpus(paths: Iterable[str], other_than: str = "") -> str | None:
    """Return the corpus, among those known by name, that files with these paths seem to be; None if none.

    The names of nearly all recordings must be listed in its index, or fit its pattern with classes and speakers that
    it has, or its label files must be there. Of several the one whose names leave least room wins.

    Parameters
    ----------
    paths : iterable of str
        All files of a folder or archive, `/` between the parts.
    other_than : str
        A corpus that is not asked for.
    """
    files = [path for path in paths if not is_junk(path)]
    audio = [path for path in files if is_audio(path)]
    tried = audio[:: -(-len(audio) // MOST_TRIED)] if audio else []
    sheets = (find_manifest(name) for name in manifest_names() if name != other_than)
    fits = ((_fit(sheet, files, tried), sheet) for sheet in sheets if sheet.generator is None)
    fitting = [(*fit, sheet.name) for fit, sheet in fits if fit is not None]
    return max(fitting)[-1] if fitting else None


def _fit(sheet: Manifest, files: Sequence[str], audio: Sequence[str]) -> tuple[bool, float, float] | None:
    """Return how well a corpus fits, the larger the better; None if it does not.

    Some corpora are named alike (RAVDESS, BanglaSER): then the one wins of whose speakers more are there.
    """
    if not audio or not _label_files_there(sheet, files):
        return None
    speakers = list(_speakers_of(sheet, audio))
    if len(speakers) < FITTING * len(audio) or (not sheet.index and len(speakers) < FEWEST):
        return None
    known = {one for one in speakers if one is not None}
    if len(known) == 1 and (sheet.speaker_count or 1) > 1 and not sheet.speakers:  # any folder of classes has one name
        return None
    return bool(sheet.index), len(speakers) / len(audio), len(known) / (sheet.speaker_count or len(speakers))


def _speakers_of(sheet: Manifest, audio: Iterable[str]) -> Iterator[str | None]:
    """Yield the speaker of each recording whose name is one of the corpus, None where the name does not tell."""
    rule = sheet.labels
    pattern = compile_pattern(rule.pattern, f"manifest {sheet.name!r}", any_case=rule.any_case)
    known = {speaker.id for speaker in sheet.speakers}
    for path in filter(sheet.audio.wants, audio):
        inside = sheet.audio.corpus_path(path)
        fields = parse_label(rule, pattern, inside) if rule.pattern else None
        said = fields if isinstance(fields, dict) else {}
        speaker = said.get(rule.speaker) if rule.speaker else None
        if sheet.index:
            fitting = inside in sheet.index
        elif sheet.tables and not rule.pattern:
            fitting = True
        else:
            classes = sheet.classes or (said.get(rule.target),)
            fitting = bool(said) and said.get(rule.target) in classes and (not known or speaker in known)
        if fitting:
            yield speaker


def _label_files_there(sheet: Manifest, files: Sequence[str]) -> bool:
    """Tell whether each table of a sheet is there; where the table's own name gives fields, by that name."""

    def is_there(rule: TableRule) -> bool:
        """Tell whether a file has the name that a rule looks for."""
        pattern = compile_pattern(rule.pattern or ".*", f"manifest {sheet.name!r}")
        return any(is_label_file((rule,), path) and pattern.fullmatch(path) for path in files)

    return all(map(is_there, sheet.tables))
