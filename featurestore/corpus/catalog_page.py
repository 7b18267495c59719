"""The page of all known corpora, as Markdown, from their manifests alone.

`docs/corpora.md` is this page; a test compares the two, so a manifest cannot change without its documentation.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from featurestore.corpus.manifest import Archive, Manifest
from featurestore.corpus.splits.rules import SPLITS

HEAD = """# Corpora

All corpora that are known by name, from the manifests in `data_manifests/`. `featurestore corpora --markdown` writes
this page: to change it, change a manifest. A dash means that files differ or that no source gives a figure. Where
sources disagree on a licence, the stricter one is given. Counts include the known bad files. `fetch` says what the
download is checked against: a pinned `sha256`, the publisher's `md5`, or the first copy that you accept with
`--trust-first-download` (`first`); a dash means that you give your own copy with `--source`.
"""

COLUMNS = ("corpus", "files", "hours", "rate", "classes", "speakers", "language", "licence", "fetch")
NUMBERS = ("files", "hours", "rate", "classes", "speakers")
LISTED_SPEAKERS = 12
"""Speakers that are named one by one; more are summed up."""


def catalogue_page(manifests: Iterable[Manifest]) -> str:
    """Return the page: a table of all corpora, then a section for each with the facts of its manifest.

    Parameters
    ----------
    manifests : iterable of Manifest
        In the order of the page.

    Examples
    --------
    >>> from featurestore.corpus.catalog import find_manifest
    >>> print(catalogue_page([find_manifest("demo")]).splitlines()[-1])
    - Splits: `speakers`, `shuffled`, `loso`, `mathworks`
    """
    manifests = tuple(manifests)
    rows = [COLUMNS, ["---:" if column in NUMBERS else "---" for column in COLUMNS], *map(_cells, manifests)]
    lines = [HEAD, *(f"| {' | '.join(cells)} |" for cells in rows), ""]
    for manifest in manifests:
        intro = _wrapped(f"**{_text(manifest.title)}.** {_text(manifest.description)}")
        facts = (_wrapped(f"- {fact}", "  ") for fact in _facts(manifest))
        lines += [f"## {manifest.name}", "", intro, "", *facts, ""]
    return "\n".join(lines)


def _cells(manifest: Manifest) -> tuple[str, ...]:
    archive = manifest.archives[0] if manifest.archives else None
    pin = "made here" if manifest.generator else _held_to(archive, manifest) if archive else "-"
    return (
        f"[{manifest.name}](#{manifest.name})",
        _number(manifest.expected.files),
        "-" if manifest.hours is None else f"{manifest.hours:g}",
        _number(manifest.rate),
        _number(len(manifest.classes) or None),
        _number(manifest.speaker_count),
        _text(manifest.language) or "-",
        _text(manifest.licence),
        pin,
    )


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _text(text: str) -> str:
    """Keep a manifest's words from ending a cell or starting markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_").replace("*", "\\*")


def _held_to(archive: Archive, manifest: Manifest) -> str:
    if archive.sha256:
        return "sha256"
    return "md5" if archive.md5 else "sha256 of each file" if manifest.index else "first"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _facts(manifest: Manifest) -> Iterator[str]:
    """Yield where the corpus is from, its classes, speakers and names, and the ways to split and select it."""
    rule = manifest.labels
    terms = f" (<{manifest.licence_url}>)" if manifest.licence_url else ""
    yield f"Licence: {_text(manifest.licence)}{terms}"
    if manifest.citation:
        yield f"Citation: {_text(manifest.citation)}"
    if manifest.homepage:
        yield f"From: <{manifest.homepage}>"
    for archive in manifest.archives:
        size = "" if archive.bytes is None else f", {archive.bytes:,} bytes"
        yield f"Archive: <{archive.url}>{size}, held to {_held_to(archive, manifest)}"
    yield f"Labels (`{rule.target}`): {', '.join(_classes(manifest)) or 'as in the labels'}"
    for other in (name for name in rule.codes if name not in (rule.target, rule.speaker)):
        codes = (f"`{code}` {_text(meaning)}" for code, meaning in rule.codes[other].items())
        yield f"Also `{other}`: {', '.join(codes)}"
    if manifest.label_files:
        yield "Read beside the audio: " + ", ".join(f"`{name}`" for one in manifest.label_files for name in one.files)
    if rule.speaker is None:
        yield "Speakers: unknown, so no split can keep them apart"
    else:
        count = "number unknown" if manifest.speaker_count is None else f"{manifest.speaker_count:,}"
        yield f"Speakers (`{rule.speaker}`): {count}{_speaker_list(manifest)}"
    yield "Sentences: not told apart" if rule.text is None else f"Sentences: field `{rule.text}`"
    if rule.pattern:
        yield f"Names{' and folders' if rule.match == 'path' else ''}: `{rule.pattern}`"
    for name, reason in manifest.audio.known_bad.items():
        yield f"Known bad: `{name}`, {_text(reason)}"
    splits = [name for name in manifest.splits if name in SPLITS or name in manifest.side_rules]
    if splits:
        yield f"Splits: {', '.join(f'`{name}`' for name in splits)}"
    for name, scheme in manifest.schemes.items():
        yield f"Scheme `{name}`: {_text(scheme.title) or ', '.join(map(_text, scheme.keep)) or 'a selection'}"
    for protocol in manifest.protocols.values():
        about = ". ".join(filter(None, (protocol.description.rstrip("."), protocol.citation)))
        yield f"Protocol `{manifest.name}/{protocol.name}`: {_text(about) or f'split `{protocol.split}`'}"


def _classes(manifest: Manifest) -> Iterator[str]:
    """Yield each class with its codes and its count."""
    rule, counts = manifest.labels, manifest.expected.labels
    for name in manifest.classes:
        codes = [code for code, meaning in rule.codes.get(rule.target, {}).items() if meaning == name != code]
        written = "".join(f" `{code}`" for code in codes)
        yield f"{_text(name)}{written}" + (f" {counts[name]:,}" if name in counts else "")


def _speaker_list(manifest: Manifest) -> str:
    """Name a few speakers one by one; sum up more by sex and age."""
    speakers = manifest.speakers
    ages = [one.age for one in speakers if one.age is not None]
    if 0 < len(speakers) <= LISTED_SPEAKERS:
        named = (filter(None, (one.id, one.sex, None if one.age is None else str(one.age))) for one in speakers)
        return f": {', '.join(_text(' '.join(words)) for words in named)}"
    facts = [f"{count} {sex}" for sex, count in sorted(Counter(one.sex for one in speakers if one.sex).items())]
    facts += [f"{min(ages)} to {max(ages)} years old"] if ages else []
    return "".join(f", {fact}" for fact in facts)
