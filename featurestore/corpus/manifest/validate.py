"""Whether the parts of a manifest agree with each other and with the registries of labels and splits."""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.corpus.labels.schemes import COMMON_SCHEMES
from featurestore.corpus.manifest.model import Manifest
from featurestore.corpus.manifest.sections import _NAME, MOST_KNOWN
from featurestore.corpus.manifest.toml_table import is_relative, listed_names, shown_key
from featurestore.corpus.splits.rules import SPLITS, is_rule
from featurestore.errors import ManifestError


def check_whole(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other."""
    for fault in _faults(manifest):
        raise ManifestError(f"{where}: {fault}.")


def _faults(manifest: Manifest) -> Iterator[str]:
    if not _NAME.fullmatch(manifest.name):
        yield f"'name' must be 1 to 40 of a-z, 0-9 and _, not {manifest.name!r:.60}"
    if (manifest.rate is not None and manifest.rate < 1) or (manifest.hours is not None and manifest.hours < 0):
        yield f"'rate' and 'hours' are positive, not {manifest.rate} and {manifest.hours}"
    expected, rule = manifest.expected, manifest.labels
    known = set(rule.codes.get(rule.target, {}).values())
    strangers = sorted(set(expected.labels) - known) if known else []
    if strangers:
        yield f"expected labels {listed_names(strangers)} stand in no code of {shown_key(rule.target)!r}"
    unlisted = sorted(set(expected.speakers) - {speaker.id for speaker in manifest.speakers})
    if manifest.speakers and unlisted:
        yield f"expected speakers {listed_names(unlisted)} stand not in [speakers]"
    yield from _unknown_splits(manifest)
    for path, entry in manifest.index.items():
        if not is_relative(path) or entry.bytes < 1:
            yield f"the index names {path!r:.60}, which is no relative path to a file"


def _unknown_splits(manifest: Manifest) -> Iterator[str]:
    known = ", ".join([*SPLITS, *[*manifest.side_rules, *manifest.protocols][:MOST_KNOWN]])
    for split in manifest.splits:
        if not is_rule(split) and split not in {*manifest.side_rules, *manifest.protocols}:
            yield f"unknown split {shown_key(split)!r}; known: {known}"
    for protocol in manifest.protocols.values():
        if not is_rule(protocol.split) and protocol.split not in manifest.side_rules:
            yield f"protocol {protocol.name!r} takes the unknown split {shown_key(protocol.split)!r}; known: {known}"
        if protocol.scheme is not None and protocol.scheme not in {*manifest.schemes, *COMMON_SCHEMES}:
            schemes = ", ".join([*[*manifest.schemes][:MOST_KNOWN], *COMMON_SCHEMES])
            unknown = shown_key(protocol.scheme)
            yield f"protocol {protocol.name!r} takes the unknown scheme {unknown!r}; known: {schemes}"
