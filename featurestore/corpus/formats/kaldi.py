"""Kaldi data folders: `wav.scp` with `utt2spk`, `text`, `spk2gender` and any `utt2NAME` or `spk2NAME`.

A line is a key and the rest. Commands behind a pipe and offsets into archives are refused: the first would have to be
executed, the second are no files. A folder of such folders (`train`, `dev`, `test`) is one corpus with their split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from featurestore.corpus.formats.found import DataFolder, FoundCorpus, written_path
from featurestore.corpus.proposal.roles import side_of
from featurestore.errors import SourceError

NO_LABELS = frozenset({"utt2spk", "utt2dur", "utt2num_frames", "utt2uniq", "utt2num_samples", "spk2utt"})
"""Files of this form that hold no labels, or are read on their own."""
END_TOLERANCE = 0.02
"""Seconds by which a segment may miss the end of its recording and still be all of it."""

_LABELS = re.compile(r"(?P<of>utt|spk)2(?P<field>[A-Za-z0-9_.-]{1,40})")
_OFFSET = re.compile(r"\.ark(\.gz)?:\d+|:\d+(\[.*\])?$")


def is_kaldi(folder: DataFolder) -> bool:
    """Tell whether a folder holds `wav.scp`, or all it holds are folders that do."""
    return folder.has("wav.scp") or any(one.has("wav.scp") for one in folder.below())


def read_kaldi(folder: DataFolder) -> FoundCorpus:
    """Read one data folder, or all below one.

    Raises
    ------
    SourceError
        For a pipe, an archive offset, a segment that is only a part of its recording, or a line without a value.
    """
    parts = [folder] if folder.has("wav.scp") else [one for one in folder.below() if one.has("wav.scp")]
    rows = [
        (path, {**fields, **({"split": side_of([part.place.name]) or part.place.name} if part is not folder else {})})
        for part in parts
        for path, fields in _rows(part)
    ]
    notes: tuple[str, ...] = ()
    if not any("speaker" in fields for _, fields in rows):
        notes = ("the speakers are unknown: utt2spk is absent, or names each utterance as its own speaker",)
    return FoundCorpus("Kaldi", tuple(rows), notes=notes)


def _rows(folder: DataFolder) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the written path and the fields of each utterance."""
    recordings = {key: _audio_path(value, place) for key, value, place in _pairs(folder, "wav.scp")}
    by_utterance, by_speaker = _label_files(folder)
    speakers = _speakers(folder)
    texts = dict(_values(folder, "text"))
    for utterance, path in _utterances(folder, recordings):
        fields = {name: values[utterance] for name, values in by_utterance.items() if utterance in values}
        speaker = speakers.get(utterance)
        if speaker is not None:
            fields["speaker"] = speaker
            fields |= {name: values[speaker] for name, values in by_speaker.items() if speaker in values}
        yield path, {**fields, **({"text": texts[utterance]} if texts.get(utterance) else {})}


def _pairs(folder: DataFolder, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield key, rest and place of each line of a file; nothing where it is absent."""
    for place, line in folder.lines(name) if folder.has(name) else ():
        key, *rest = line.split(None, 1)
        yield key, rest[0].strip() if rest else "", f"{place} of {str(folder.place)!r:.120}"


def _values(folder: DataFolder, name: str) -> Iterator[tuple[str, str]]:
    for key, value, _ in _pairs(folder, name):
        yield key, value


def _label_files(folder: DataFolder) -> tuple[Mapping[str, Mapping[str, str]], Mapping[str, Mapping[str, str]]]:
    """Return the fields of utterances and those of speakers, by name and key."""
    found: dict[str, dict[str, Mapping[str, str]]] = {"utt": {}, "spk": {}}
    for name in folder.names():
        file = _LABELS.fullmatch(name)
        if file and name not in NO_LABELS:
            found[file["of"]][file["field"]] = dict(_values(folder, name))
    return found["utt"], found["spk"]


def _speakers(folder: DataFolder) -> Mapping[str, str]:
    """Return the speaker of each utterance; none where every utterance is its own, which says that they are unknown."""
    found = dict(_values(folder, "utt2spk"))
    return {} if all(utterance == speaker for utterance, speaker in found.items()) else found


def _audio_path(value: str, place: str) -> str:
    if value.endswith("|") or value.startswith("|"):
        raise SourceError(
            f"{place}: {value!r:.120} is a command, and none is executed. Write the audio to files first."
        )
    if _OFFSET.search(value) or value == "-":
        raise SourceError(f"{place}: {value!r:.120} is no file of its own. Write the audio to files first.")
    return written_path(value, place)


def _utterances(folder: DataFolder, recordings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield utterance and path: by `segments` where there is one, else each recording is an utterance."""
    if not folder.has("segments"):
        yield from recordings.items()
        return
    seconds = dict(_values(folder, "reco2dur"))
    for utterance, value, place in _pairs(folder, "segments"):
        recording, start, end = (*value.split(), "", "", "")[:3]
        if recording not in recordings:
            raise SourceError(f"{place}: the recording {recording!r:.80} does not stand in wav.scp. Mend either.")
        if not _is_whole(start, end, seconds.get(recording, "")):
            raise SourceError(
                f"{place}: the segment from {start or '?'} to {end or '?'} s is only a part of {recording!r:.80}, or "
                "reco2dur does not say its length; whole files are read. Cut the recordings into files first."
            )
        yield utterance, recordings[recording]


def _is_whole(start: str, end: str, length: str) -> bool:
    try:
        first, last = float(start), float(end)
        return first == 0 and (last == -1 or abs(last - float(length)) <= END_TOLERANCE)
    except ValueError:
        return False
