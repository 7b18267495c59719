"""The sections of a manifest about labels: `[labels]`, `[[tables]]`, `[[lists]]`."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping

from featurestore.corpus.labels.derived import DERIVATIONS, template_fields
from featurestore.corpus.labels.tables import TABLE_FORMATS
from featurestore.corpus.manifest.label_rules import LabelRule, ListRule, TableRule
from featurestore.corpus.manifest.regex import compile_pattern
from featurestore.corpus.manifest.toml_table import Table, is_relative, shown_key
from featurestore.errors import ManifestError

NO_DELIMITERS = frozenset('"\r\n\0')
"""Signs that begin a quoted cell or end a line."""
NO_ENCODINGS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Codecs of Python that stand for names of hosts or for escapes; some take time with the square of a text."""


def read_labels(table: Table, *, with_tables: bool) -> LabelRule:
    """Read `[labels]`; where there are tables beside the audio, any field may come from them.

    Raises
    ------
    ManifestError
        If the pattern is refused, or a field comes from nowhere.
    """
    codes = table.table("codes")
    rule = LabelRule(
        pattern=table.take("pattern", str, "") if with_tables else table.require("pattern", str),
        target=table.require("target", str),
        match=table.take("match", str, "name"),
        any_case=table.take("any_case", bool, False),
        speaker=table.take("speaker", str, "speaker") or None,
        text=table.take_optional("text", str),
        join_speakers=table.take("join_speakers", bool, False),
        codes={group: codes.table(group).all_of(str) for group in codes.keys()},  # noqa: SIM118 (a method of ours)
        compose=table.table("compose").all_of(str),
        derived=table.table("derived").all_of(str),
    )
    table.done()
    _check_match(rule.match, table.where)
    groups = set(compile_pattern(rule.pattern, table.where).groupindex)
    for fault in _label_faults(rule, groups, with_tables=with_tables):
        raise ManifestError(f"{table.where}: {fault}.")
    return rule


def _label_faults(rule: LabelRule, groups: set[str], *, with_tables: bool) -> Iterator[str]:
    for name in rule.derived.values():
        if name not in DERIVATIONS:
            yield f"unknown derivation {name!r:.60}; known: {', '.join(DERIVATIONS)}"
    given = groups | set(rule.derived) | set(rule.compose)
    for template in rule.compose.values():
        try:
            needed = template_fields(template)
        except ValueError as error:
            yield str(error)
            return
        yield from () if with_tables else (_no_group(name) for name in needed if name not in given)
    for field in (rule.target, rule.speaker, rule.text, *rule.codes):
        if field is not None and field not in given and not with_tables:
            yield _no_group(field)


def _no_group(field: str) -> str:
    return f"the pattern has no group {f'(?P<{shown_key(field)}>...)'!r}"


def read_table_rule(table: Table) -> TableRule:
    """Read one `[[tables]]` entry; `ManifestError` if it names an unknown format or encoding."""
    rule = TableRule(
        files=_files(table),
        format=table.take("format", str, "columns"),
        encoding=table.one_or_more("encoding", ("utf-8-sig",)),
        delimiter=table.take_optional("delimiter", str),
        header=table.take("header", bool, True),
        columns=_columns(table.table("columns")),
        key=table.take("key", str, "{file}"),
        match=table.take("match", str, "name"),
        pattern=table.take_optional("pattern", str),
        lower=table.take("lower", bool, False),
    )
    table.done()
    _check_match(rule.match, table.where, ("name", "path", "either"))
    if rule.format not in TABLE_FORMATS:
        raise ManifestError(f"{table.where}: unknown format {rule.format!r:.60}; known: {', '.join(TABLE_FORMATS)}.")
    if rule.format == "columns" and not rule.header and not rule.columns:
        raise ManifestError(f"{table.where}: without a header, 'columns' must number them, as file = 1.")
    if rule.delimiter is not None and (len(rule.delimiter) != 1 or rule.delimiter in NO_DELIMITERS):
        raise ManifestError(f"{table.where}: 'delimiter' must be one sign such as ',', not {rule.delimiter!r:.20}.")
    _check_encodings(rule.encoding, table.where)
    _check_key(rule, table.where)
    return rule


def read_list_rule(table: Table) -> ListRule:
    """Read one `[[lists]]` entry."""
    rule = ListRule(
        files=_files(table),
        value=table.require("value", str),
        field=table.take("field", str, "split"),
        match=table.take("match", str, "path"),
    )
    table.done()
    _check_match(rule.match, table.where)
    return rule


def _files(table: Table) -> tuple[str, ...]:
    files = table.one_or_more("files")
    if not files or not all(is_relative(pattern) for pattern in files):
        raise ManifestError(f"{table.where}: 'files' must name one file or more, as relative patterns without '..'.")
    return files


def _columns(table: Table) -> Mapping[str, tuple[str | int, ...]]:
    return {field: _column(table, field) for field in table.keys()}  # noqa: SIM118


def _column(table: Table, field: str) -> tuple[str | int, ...]:
    """Read where a field stands: a name, a number from 1, or a list of accepted names."""
    value = table.take(field, object, ())
    if isinstance(value, str) and value:
        return (value,)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10_000:
        return (value,)
    if isinstance(value, list) and value and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise ManifestError(f"{table.where}: {field!r} must be a column's name, a list of names, or a number from 1.")


def _check_match(match: str, where: str, allowed: tuple[str, ...] = ("name", "path")) -> None:
    if match not in allowed:
        raise ManifestError(f"{where}: 'match' must be {' or '.join(map(repr, allowed))}, not {match!r:.60}.")


def _check_encodings(encodings: tuple[str, ...], where: str) -> None:
    for encoding in encodings:
        try:
            found = codecs.lookup(encoding)
            is_text = found._is_text_encoding and found.name not in NO_ENCODINGS
        except (LookupError, ValueError):
            is_text = False
        if not is_text:
            raise ManifestError(f"{where}: unknown encoding {encoding!r:.40}, write one such as utf-8 or cp949.")


def _check_key(rule: TableRule, where: str) -> None:
    try:
        names = template_fields(rule.key)
    except ValueError as error:
        raise ManifestError(f"{where}: 'key': {error}.") from error
    if not names:
        raise ManifestError(f"{where}: 'key' must hold a field, such as {{file}}, not {rule.key!r:.60}.")
    of_path = set(compile_pattern(rule.pattern, where).groupindex) if rule.pattern else set()
    unknown = [name for name in names if name not in {*rule.columns, *of_path}]
    if rule.columns and unknown:
        raise ManifestError(f"{where}: 'key' needs the column {unknown[0]!r:.60}, which [columns] does not name.")
