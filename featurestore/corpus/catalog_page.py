"""The page of all known corpora, as Markdown, from their data sheets alone.

`docs/corpora.md` is this page; a test compares the two, so a sheet cannot change without its documentation.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from featurestore.corpus.manifest.model import Archive, Manifest, Speaker
from featurestore.corpus.splits.rules import SPLITS

HEAD = """# Corpora

What is known by name, from the data sheets in `data_manifests/`. Written by `featurestore corpora --markdown`: to
change something, change a sheet. A dash stands where files differ or no figure with a source was found. Where sources
disagree on a licence, the stricter one is given. Counts are those of the published files, the known bad ones among
them. `fetch` says what the download is held to: a pinned `sha256`, the publisher's `md5`, or the first copy that you
accept with `--trust-first-download` (`first`); a dash means that you give your own copy with `--source`.
"""

COLUMNS = ("corpus", "files", "hours", "rate", "classes", "speakers", "language", "licence", "fetch")
NUMBERS = ("files", "hours", "rate", "classes", "speakers")
LISTED_SPEAKERS = 12
"""Speakers that are named one by one; more are summed up."""


def catalogue_page(sheets: Iterable[Manifest]) -> str:
    """Return the page: a table of all corpora, then a section for each with what its sheet says.

    Parameters
    ----------
    sheets : iterable of Manifest
        In the order of the page.

    Examples
    --------
    >>> from featurestore.corpus.manifest.parse import find_manifest
    >>> print(catalogue_page([find_manifest("demo")]).splitlines()[-1])
    - Splits: `speakers`, `shuffled`, `loso`, `mathworks`
    """
    sheets = tuple(sheets)
    parts = [HEAD, "\n".join(_table(sheets)), *(_section(sheet) for sheet in sheets)]
    return "\n".join(parts)


def _table(sheets: Sequence[Manifest]) -> Iterator[str]:
    yield _row(COLUMNS)
    yield _row(["---:" if column in NUMBERS else "---" for column in COLUMNS])
    for sheet in sheets:
        yield _row(_cells(sheet))
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(sheet: Manifest) -> tuple[str, ...]:
    return (
        f"[{sheet.name}](#{sheet.name})",
        _number(sheet.expected.files),
        "-" if sheet.hours is None else f"{sheet.hours:g}",
        _number(sheet.rate),
        _number(len(sheet.classes) or None),
        _number(sheet.speaker_count),
        _text(sheet.language) or "-",
        _text(sheet.licence),
        _pin(sheet),
    )


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _text(text: str) -> str:
    """Keep a sheet's words from ending a cell or starting markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")


def _pin(sheet: Manifest) -> str:
    """Say what the best archive is held to."""
    if sheet.generator:
        return "made here"
    return _held_to(sheet.archives[0], sheet) if sheet.archives else "-"


def _held_to(archive: Archive, sheet: Manifest) -> str:
    if archive.sha256:
        return "sha256"
    return "md5" if archive.md5 else "sha256 of each file" if sheet.index else "first"


def _section(sheet: Manifest) -> str:
    lines = [f"## {sheet.name}", "", _wrapped(f"**{_text(sheet.title)}.** {_text(sheet.description)}"), ""]
    facts = (
        *_origin(sheet),
        *_labels(sheet),
        *_speakers(sheet),
        *_sentences(sheet),
        *_known_bad(sheet),
        *_views(sheet),
    )
    return "\n".join([*lines, *(_wrapped(f"- {fact}", "  ") for fact in facts), ""])


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _origin(sheet: Manifest) -> Iterator[str]:
    terms = f" (<{sheet.licence_url}>)" if sheet.licence_url else ""
    yield f"Licence: {_text(sheet.licence)}{terms}"
    if sheet.citation:
        yield f"Citation: {_text(sheet.citation)}"
    if sheet.homepage:
        yield f"From: <{sheet.homepage}>"
    for archive in sheet.archives:
        size = "" if archive.bytes is None else f", {archive.bytes:,} bytes"
        yield f"Archive: <{archive.url}>{size}, held to {_held_to(archive, sheet)}"


def _labels(sheet: Manifest) -> Iterator[str]:
    """Say the classes with their codes and counts, and which other fields there are."""
    rule, counts = sheet.labels, sheet.expected.labels
    codes: dict[str, list[str]] = {}
    for code, meaning in rule.codes.get(rule.target, {}).items():
        codes.setdefault(meaning, []).append(code)
    named = (_label(name, codes.get(name, []), counts.get(name)) for name in sheet.classes)
    yield f"Labels (`{rule.target}`): {', '.join(named) or 'as in the labels'}"
    for other in (name for name in rule.codes if name not in (rule.target, rule.speaker)):
        yield f"Also `{other}`: {', '.join(f'`{code}` {_text(said)}' for code, said in rule.codes[other].items())}"
    if sheet.label_files:
        yield "Read beside the audio: " + ", ".join(f"`{name}`" for one in sheet.label_files for name in one.files)


def _label(name: str, codes: Sequence[str], count: int | None) -> str:
    written = "".join(f" `{code}`" for code in codes if code != name)
    return f"{_text(name)}{written}" + ("" if count is None else f" {count:,}")


def _speakers(sheet: Manifest) -> Iterator[str]:
    if sheet.labels.speaker is None:
        yield "Speakers: unknown, so no split can keep them apart"
        return
    count = "number unknown" if sheet.speaker_count is None else f"{sheet.speaker_count:,}"
    yield f"Speakers (`{sheet.labels.speaker}`): {count}{_speaker_list(sheet)}"


def _speaker_list(sheet: Manifest) -> str:
    if not sheet.speakers:
        return ""
    if len(sheet.speakers) <= LISTED_SPEAKERS:
        return f": {', '.join(_speaker(one) for one in sheet.speakers)}"
    sexes = Counter(one.sex for one in sheet.speakers if one.sex)
    ages = [one.age for one in sheet.speakers if one.age is not None]
    known = [f"{count} {sex}" for sex, count in sorted(sexes.items())]
    return "".join(f", {fact}" for fact in [*known, *([f"{min(ages)} to {max(ages)} years old"] if ages else [])])


def _speaker(one: Speaker) -> str:
    age = None if one.age is None else str(one.age)
    return _text(" ".join(filter(None, [one.id, one.sex, age])))


def _sentences(sheet: Manifest) -> Iterator[str]:
    text = sheet.labels.text
    yield "Sentences: not told apart" if text is None else f"Sentences: field `{text}`"
    if sheet.labels.pattern:
        yield f"Names{' and folders' if sheet.labels.match == 'path' else ''}: `{sheet.labels.pattern}`"


def _known_bad(sheet: Manifest) -> Iterator[str]:
    for name, reason in sheet.audio.known_bad.items():
        yield f"Known bad: `{name}`, {_text(reason)}"


def _views(sheet: Manifest) -> Iterator[str]:
    """Say the splits that make sense, and the protocols with their sources."""
    rules = [name for name in sheet.splits if name in SPLITS or name in sheet.side_rules]
    if rules:
        yield f"Splits: {', '.join(f'`{name}`' for name in rules)}"
    for name, scheme in sheet.schemes.items():
        yield f"Scheme `{name}`: {_text(scheme.title) or ', '.join(map(_text, scheme.keep)) or 'a selection'}"
    for protocol in sheet.protocols.values():
        said = ". ".join(filter(None, (protocol.description.rstrip("."), protocol.citation)))
        yield f"Protocol `{sheet.name}/{protocol.name}`: {_text(said) or f'split `{protocol.split}`'}"
