"""Kaldi data folders: `wav.scp` with `utt2spk`, `text`, `spk2gender` and any `utt2NAME` or `spk2NAME`.

A line is a key and the rest; lines or files that differ in what they give for one key are refused. `segments` gives the
utterances of a recording. Commands behind a pipe and offsets into archives are refused: the first would have to be
executed, the second are no files. A folder of such folders (`train`, `dev`, `test`) is one corpus with their split.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from featurestore.corpus.importers.data_folder import DataFolder, DataFormat, FoundCorpus, written_path
from featurestore.corpus.labels.fields import is_missing
from featurestore.corpus.suggest.roles import side_of
from featurestore.errors import SourceError

NO_LABELS = frozenset({"utt2spk", "utt2dur", "utt2num_frames", "utt2uniq", "utt2num_samples", "spk2utt"})
"""Files of this form that hold no labels, or are read on their own."""
CHANNELS = {"A": "0", "B": "1", "1": "0", "2": "1"}
"""What `reco2file_and_channel` calls the channels of a file, and their numbers from 0."""

_LABELS = re.compile(r"(?P<of>utt|spk)2(?P<field>[A-Za-z0-9_.-]{1,40})")
_OFFSET = re.compile(r"\.ark(\.gz)?:\d+|:\d+(\[.*\])?$")


class Kaldi(DataFormat):
    """A data folder of Kaldi, or a folder of such."""

    name = "kaldi"
    title = "Kaldi data folder (wav.scp)"
    rank = 3

    def recognises(self, folder: DataFolder) -> bool:
        """Tell whether a folder holds `wav.scp`, or all it holds are folders that do."""
        return folder.has("wav.scp") or any(one.has("wav.scp") for one in folder.below())

    def read(self, folder: DataFolder) -> FoundCorpus:
        """Read one data folder, or all below one.

        `SourceError` for a pipe, an archive offset, lines or files that contradict each other, or a line without value.
        """
        parts = [folder] if folder.has("wav.scp") else [one for one in folder.below() if one.has("wav.scp")]
        rows: list[tuple[str, Mapping[str, str]]] = []
        for part in parts:
            side = {} if part is folder else {"split": side_of([part.place.name]) or part.place.name}
            rows += ((path, {**fields, **side}) for path, fields in _rows(part))
        notes = [note for part in parts for note in (*_channels_of_own_files(part), *_strangers(part))]
        if not any("speaker" in fields for _, fields in rows):
            notes.append("the speakers are unknown: utt2spk is absent, or names each utterance as its own speaker")
        return FoundCorpus("Kaldi", tuple(rows), notes=tuple(notes))


def _rows(folder: DataFolder) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the written path and the fields of each utterance."""
    recordings = {key: _audio_path(value, place) for key, (value, place) in _lines(folder, "wav.scp").items()}
    by_kind: dict[str, dict[str, Mapping[str, str]]] = {"utt": {}, "spk": {}}
    for name in folder.names():
        file = _LABELS.fullmatch(name)
        if file and name not in NO_LABELS:
            by_kind[file["of"]][file["field"]] = _values(folder, name)
    speakers = _speakers(folder)
    texts = _values(folder, "text")
    channels = _channels(folder)
    for utterance, recording, part in _utterances(folder, recordings):
        speaker = speakers.get(utterance)
        found = [
            *((f"utt2{name}", name, values.get(utterance)) for name, values in by_kind["utt"].items()),
            *((f"spk2{name}", name, values.get(speaker or "")) for name, values in by_kind["spk"].items()),
            ("utt2spk", "speaker", speaker),
            ("text", "text", texts.get(utterance)),
            ("reco2file_and_channel", "channel", channels.get(recording)),
            *(("segments", name, value) for name, value in part.items()),
        ]
        yield recordings[recording], _joined(folder, utterance, found)


def _joined(folder: DataFolder, utterance: str, found: Iterable[tuple[str, str, str | None]]) -> Mapping[str, str]:
    """Return the fields of an utterance, found as file, name and value; `SourceError` where two files differ."""
    fields: dict[str, str] = {}
    sources: dict[str, str] = {}
    for file, name, value in found:
        if value and fields.setdefault(name, value) != value:
            raise SourceError(
                f"{str(folder.place)!r:.120}: {sources[name]!r} says the {name} {fields[name]!r:.80} of "
                f"{utterance!r:.80}, and {file!r} says {value!r:.80}. Correct one of them."
            )
        sources.setdefault(name, file)
    return fields


def _lines(folder: DataFolder, name: str) -> Mapping[str, tuple[str, str]]:
    """Return the rest and the place of each line of a file by its key; nothing where it is absent."""
    found: dict[str, tuple[str, str]] = {}
    for place, line in folder.lines(name) if folder.has(name) else ():
        key, *rest = line.split(None, 1)
        value = rest[0].strip() if rest else ""
        known, before = found.setdefault(key, (value, place))
        if known != value:
            raise SourceError(
                f"{str(folder.place)!r:.120}: {before} says {known!r:.80} of {key!r:.80}, and {place} says "
                f"{value!r:.80}. Correct one of them."
            )
    return {key: (value, f"{place} of {str(folder.place)!r:.120}") for key, (value, place) in found.items()}


def _values(folder: DataFolder, name: str) -> Mapping[str, str]:
    """Return the rest of each line of a file by its key."""
    return {key: value for key, (value, _) in _lines(folder, name).items()}


def _speakers(folder: DataFolder) -> Mapping[str, str]:
    """Return the speaker of each utterance; none where every utterance is its own speaker, as they are unknown then."""
    found = _values(folder, "utt2spk")
    for speaker, (utterances, place) in _lines(folder, "spk2utt").items():
        for utterance in utterances.split():
            if found.get(utterance, speaker) != speaker:
                raise SourceError(
                    f"{place}: {utterance!r:.80} is said to be of {speaker!r:.80}, and 'utt2spk' says "
                    f"{found[utterance]!r:.80}. Correct one of them."
                )
    return {} if all(utterance == speaker for utterance, speaker in found.items()) else found


def _channels(folder: DataFolder) -> Mapping[str, str]:
    """Return the channel of each recording."""
    found: dict[str, str] = {}
    for recording, (value, place) in _lines(folder, "reco2file_and_channel").items():
        channel = value.split()[-1].upper() if value else ""
        if channel not in CHANNELS:
            raise SourceError(f"{place}: the channel {channel!r:.40} is none of {', '.join(CHANNELS)}. Correct it.")
        found[recording] = CHANNELS[channel]
    return found


def _channels_of_own_files(folder: DataFolder) -> Iterator[str]:
    """Warn of channels of files that belong to one recording each, and may hold that channel alone."""
    paths = _values(folder, "wav.scp")
    files = Counter(paths.values())
    alone = [one for one in _channels(folder) if one in paths and files[paths[one]] == 1]
    if alone:
        yield (
            f"'reco2file_and_channel' names a channel of {len(alone):,} recordings with a file of their own, such as "
            f"{alone[0]!r:.80}: it is taken from that file. If each file holds one channel, remove "
            "'reco2file_and_channel'"
        )


def _strangers(folder: DataFolder) -> Iterator[str]:
    """Name the lines of utterances that are not in the folder, and the utterances that lack a speaker."""
    own = _values(folder, "segments" if folder.has("segments") else "wav.scp")
    for name in folder.names():
        lines = _values(folder, name) if name == "text" or name.startswith("utt2") else {}
        if others := sorted(set(lines) - set(own)):
            yield f"{name!r:.80} has {len(others):,} lines of utterances that are not there, such as {others[0]!r:.80}"
    speakers = _speakers(folder)
    if speakers and (alone := sorted(set(own) - set(speakers))):
        yield f"the speaker of {len(alone):,} utterances is unknown, such as {alone[0]!r:.80}: not in 'utt2spk'"


def _audio_path(value: str, place: str) -> str:
    if value.endswith("|") or value.startswith("|"):
        raise SourceError(
            f"{place}: {value!r:.120} is a command, and none is executed. Write the audio to files first."
        )
    if _OFFSET.search(value) or value == "-":
        raise SourceError(f"{place}: {value!r:.120} is no file of its own. Write the audio to files first.")
    return written_path(value, place)


def _utterances(folder: DataFolder, recordings: Mapping[str, str]) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield utterance, recording and part: by `segments` where there is one, else each recording is an utterance."""
    if not folder.has("segments"):
        yield from ((recording, recording, {}) for recording in recordings)
        return
    seconds = _values(folder, "reco2dur")
    for utterance, (value, place) in _lines(folder, "segments").items():
        recording, start, end, channel = (*value.split(), "", "", "", "")[:4]
        if recording not in recordings:
            raise SourceError(f"{place}: the recording {recording!r:.80} is missing from wav.scp. Correct one of them.")
        if not start or not end or is_missing(start) or is_missing(end) or len(value.split()) > 4:
            raise SourceError(f"{place}: a recording, a start and an end in seconds are needed, not {value!r:.80}.")
        try:  # -1 ends with the recording, and so does the length in `reco2dur`
            whole = float(end) == -1 or (recording in seconds and float(end) == float(seconds[recording]))
        except ValueError:
            whole = False
        part = {"start": start, "end": "" if whole else end, "channel": channel}
        yield utterance, recording, {name: value for name, value in part.items() if value}
