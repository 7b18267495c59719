"""The sections of a data sheet about views: `[schemes.NAME]`, `[sides.NAME]`, `[protocols.NAME]`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from featurestore.corpus.labels.votes import VOTE_RULES
from featurestore.corpus.sheet.protocol_rules import Protocol, Scheme, SideRule
from featurestore.corpus.sheet.sections import read_expected
from featurestore.corpus.sheet.toml_table import Table, listed_names
from featurestore.errors import ManifestError

_SCHEME_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_PROTOCOL_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}(@[a-z0-9]{1,40})?")
LEAK_KINDS = ("speaker", "source", "recording", "audio", "sentence")


def read_schemes(table: Table) -> Mapping[str, Scheme]:
    """Read `[schemes.NAME]` sections."""
    return {name: _scheme(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _scheme(name: str, table: Table) -> Scheme:
    where = table.table("where")
    scheme = Scheme(
        name=name,
        title=table.take("title", str, ""),
        target=table.take_optional("target", str),
        votes=table.take_optional("votes", str),
        where={field: where.one_or_more(field) for field in where.keys()},  # noqa: SIM118
        map=table.table("map").all_of(str),
        keep=table.strings("keep"),
        expected=read_expected(table.table("expected")),
    )
    table.done()
    _check_name(_SCHEME_NAME, name, table.where)
    if scheme.votes is not None and scheme.votes not in VOTE_RULES:
        raise ManifestError(
            f"{table.where}: unknown rule {scheme.votes!r:.60} for votes; known: {', '.join(VOTE_RULES)}."
        )
    strangers = sorted(set(scheme.expected.labels) - set(scheme.keep)) if scheme.keep else []
    if strangers:
        raise ManifestError(f"{table.where}: expected labels {listed_names(strangers)} stand not in 'keep'.")
    return scheme


def read_side_rules(table: Table) -> Mapping[str, SideRule]:
    """Read `[sides.NAME]` sections."""
    return {name: _side_rule(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _side_rule(name: str, table: Table) -> SideRule:
    default = SideRule(name)
    rule = SideRule(
        name,
        description=table.take("description", str, ""),
        field=table.take("field", str, default.field),
        train=table.one_or_more("train", default.train),
        validation=table.one_or_more("validation", default.validation),
        test=table.one_or_more("test", default.test),
        hold_out=table.take("hold_out", int, 0),
        group=table.take("group", str, default.group),
        by=table.take_optional("by", str),
        drawn=table.take("drawn", bool, False),
    )
    table.done()
    _check_name(_SCHEME_NAME, name, table.where)
    if not 0 <= rule.hold_out <= 100_000:
        raise ManifestError(f"{table.where}: 'hold_out' is a number of groups, not {rule.hold_out}.")
    return rule


def read_protocols(table: Table) -> Mapping[str, Protocol]:
    """Read `[protocols.NAME]` sections."""
    return {name: _protocol(name, table.table(name)) for name in table.keys()}  # noqa: SIM118


def _protocol(name: str, table: Table) -> Protocol:
    protocol = Protocol(
        name,
        split=table.require("split", str),
        scheme=table.take_optional("scheme", str),
        citation=table.take("citation", str, ""),
        description=table.take("description", str, ""),
        leaks=table.strings("leaks"),
    )
    table.done()
    _check_name(_PROTOCOL_NAME, name, table.where)
    unknown = sorted(set(protocol.leaks) - set(LEAK_KINDS))
    if unknown:
        raise ManifestError(f"{table.where}: 'leaks' are of {', '.join(LEAK_KINDS)}, not {unknown[0]!r:.40}.")
    return protocol


def _check_name(allowed: re.Pattern[str], name: str, where: str) -> None:
    if not allowed.fullmatch(name):
        raise ManifestError(f"{where}: {name!r:.60} is no name: use a-z, 0-9, '_', '.' and '-'.")
