"""What is known of speakers: their sex, as a corpus publishes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from featurestore.corpus.catalog import find_manifest, manifest_names

FIELDS = ("sex", "gender")
"""Fields of recordings that may say it."""
WORDS = {"f": "female", "m": "male", "x": "other"}


def sexes_of(
    corpora: Sequence[str], speakers: Iterable[str | None], fields: Iterable[Iterable[tuple[str, str]]]
) -> dict[str, str]:
    """Return the sex of each speaker of whom it is known, such as `female` or `male`.

    Manifests of known corpora say it; else it is a field `sex` or `gender` that all recordings of a speaker share.

    Parameters
    ----------
    corpora : sequence of str
        Names of the corpora; of several, speakers are called `CORPUS/SPEAKER`.
    speakers, fields : iterable
        Of each recording.
    """
    said: dict[str, set[str]] = {}
    for speaker, pairs in zip(speakers, fields, strict=True):
        if speaker is not None:
            values = (value.casefold() for name, value in pairs if name in FIELDS)
            said.setdefault(speaker, set()).update(WORDS.get(value, value) for value in values)
    known = set(manifest_names())
    published = {
        speaker.id if len(corpora) == 1 else f"{corpus}/{speaker.id}": speaker.sex
        for corpus in corpora
        if corpus.replace("-", "_") in known
        for speaker in find_manifest(corpus).speakers
        if speaker.sex
    }
    found = {speaker: values.pop() for speaker, values in said.items() if len(values) == 1}
    return {**found, **{speaker: sex for speaker, sex in published.items() if speaker in said}}
