"""Whether the parts of a manifest agree with each other and with the registries of labels and splits.

Only this file of a manifest's knows those registries, so they may use manifests themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from featurestore.corpus.labels.fields import DERIVATIONS, template_fields
from featurestore.corpus.labels.schemes import COMMON_SCHEMES
from featurestore.corpus.labels.table_formats import TABLE_FORMATS
from featurestore.corpus.labels.votes import VOTE_RULES
from featurestore.corpus.manifest.model import Manifest, TableRule
from featurestore.corpus.manifest.regex import compile_pattern
from featurestore.corpus.manifest.toml_table import is_relative, listed_names, shown_key
from featurestore.corpus.splits.rules import SPLITS, is_rule
from featurestore.errors import ManifestError

MOST_KNOWN = 12
"""Splits or schemes of the manifest's own that a message names."""

Faults = Iterator[tuple[str, str]]
"""The section that a fault is in, empty for the manifest as a whole, and the fault."""


def check_whole(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other, or name what no registry has."""
    for section, fault in _faults(manifest):
        raise ManifestError(f"{where}{section and ', '}{section}: {fault}.")


def _faults(manifest: Manifest) -> Faults:
    yield from _label_faults(manifest)
    for number, rule in enumerate(manifest.tables, 1):
        yield from ((f"[[tables]] {number}", fault) for fault in _table_faults(rule))
    for name, scheme in manifest.schemes.items():
        if scheme.votes is not None and scheme.votes not in VOTE_RULES:
            unknown = f"unknown rule {scheme.votes!r:.60} for votes; known: {', '.join(VOTE_RULES)}"
            yield f"[schemes], [{shown_key(name)}]", unknown
    if not re.fullmatch("[a-z0-9_]{1,40}", manifest.name):
        yield "", f"'name' must be 1 to 40 of a-z, 0-9 and _, not {manifest.name!r:.60}"
    if (manifest.rate is not None and manifest.rate < 1) or (manifest.hours is not None and manifest.hours < 0):
        yield "", f"'rate' and 'hours' are positive, not {manifest.rate} and {manifest.hours}"
    expected, target = manifest.expected, manifest.labels.target
    known = set(manifest.labels.codes.get(target, {}).values())
    strangers = sorted(set(expected.labels) - known) if known else []
    if strangers:
        yield "", f"expected labels {listed_names(strangers)} are in no code of {shown_key(target)!r}"
    unlisted = sorted(set(expected.speakers) - {speaker.id for speaker in manifest.speakers})
    if manifest.speakers and unlisted:
        yield "", f"expected speakers {listed_names(unlisted)} are missing from [speakers]"
    yield from (("", fault) for fault in _split_faults(manifest))
    for path, entry in manifest.index.items():
        if not is_relative(path) or entry.bytes < 1:
            yield "", f"the index names {path!r:.60}, which is no relative path to a file"


def _label_faults(manifest: Manifest) -> Faults:
    """Yield derivations that nobody knows, and fields that come from nowhere; with tables any field may."""
    rule = manifest.labels
    for name in rule.derived.values():
        if name not in DERIVATIONS:
            yield "[labels]", f"unknown derivation {name!r:.60}; known: {', '.join(DERIVATIONS)}"
    needed = [rule.target, rule.speaker, rule.text, *rule.codes]
    for template in rule.compose.values():
        try:
            needed += template_fields(template)
        except ValueError as error:
            yield "[labels]", str(error)
            return
    given = {*compile_pattern(rule.pattern, manifest.name).groupindex, *rule.derived, *rule.compose}
    for field in () if manifest.tables else needed:
        if field is not None and field not in given:
            yield "[labels]", f"the pattern has no group {f'(?P<{shown_key(field)}>...)'!r}"


def _table_faults(rule: TableRule) -> Iterator[str]:
    if rule.format not in TABLE_FORMATS:
        yield f"unknown format {rule.format!r:.60}; known: {', '.join(TABLE_FORMATS)}"
    try:
        names = template_fields(rule.key)
    except ValueError as error:
        yield f"'key': {error}"
        return
    if not names:
        yield f"'key' must hold a field, such as {{file}}, not {rule.key!r:.60}"
    of_path = compile_pattern(rule.pattern, "the pattern of a table").groupindex if rule.pattern else ()
    unknown = [name for name in names if name not in {*rule.columns, *of_path}]
    if rule.columns and unknown:
        yield f"'key' needs the column {unknown[0]!r:.60}, which [columns] does not name"


def _split_faults(manifest: Manifest) -> Iterator[str]:
    own = {*manifest.side_rules, *manifest.protocols}
    known = ", ".join([*SPLITS, *[*manifest.side_rules, *manifest.protocols][:MOST_KNOWN]])
    for split in manifest.splits:
        if not is_rule(split) and split not in own:
            yield f"unknown split {shown_key(split)!r}; known: {known}"
    for protocol in manifest.protocols.values():
        if not is_rule(protocol.split) and protocol.split not in manifest.side_rules:
            yield f"protocol {protocol.name!r} takes the unknown split {shown_key(protocol.split)!r}; known: {known}"
        if protocol.scheme is not None and protocol.scheme not in {*manifest.schemes, *COMMON_SCHEMES}:
            schemes = ", ".join([*[*manifest.schemes][:MOST_KNOWN], *COMMON_SCHEMES])
            unknown = shown_key(protocol.scheme)
            yield f"protocol {protocol.name!r} takes the unknown scheme {unknown!r}; known: {schemes}"
