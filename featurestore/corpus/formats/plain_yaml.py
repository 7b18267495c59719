"""Reading YAML as plain text values: mappings, lists and strings, and nothing that a tag could make of them.

The grammar is PyYAML's, taken as a stream of events; values are built here. So no tag is obeyed, no scalar becomes a
date or a truth value, and what aliases may repeat is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from featurestore.errors import SourceError

MOST_EVENTS = 500_000
"""Scalars, lists and mappings of one file; the header of a database of 100 tables has about 5,000."""
DEEPEST = 40


def plain_yaml(text: str, where: str) -> Any:  # noqa: ANN401 (mappings, lists and strings)
    """Return the one document of a YAML text; every scalar is a string.

    Raises
    ------
    SourceError
        Naming `where`, if the text is no YAML, has a tag such as `!!python/object`, an alias to something that is not
        finished, several documents, or too many or too deep values.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Builder(where).document(yaml.parse(text, Loader=loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"{where} is no plain YAML ({_one_line(error)}). Mend the file.") from error


class _Builder:
    """Builds the values of one document from events, and counts them."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._count = 0
        self._anchors: dict[str, Any] = {}

    def document(self, events: Iterator[Any]) -> Any:  # noqa: ANN401
        """Return the value of the only document, None where there is none; `SourceError` at a second one."""
        value: Any = None
        found = 0
        for event in events:
            kind = type(event).__name__
            if kind in ("StreamStartEvent", "StreamEndEvent", "DocumentStartEvent", "DocumentEndEvent"):
                continue
            found += 1
            if found > 1:
                raise self._refused("it has several documents")
            value = self._value(event, events, 0)
        return value

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:  # noqa: ANN401
        self._count += 1
        if self._count > MOST_EVENTS or depth > DEEPEST:
            raise self._refused(f"it holds more than {MOST_EVENTS:,} values, or more than {DEEPEST} levels")
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event.anchor)
        if event.tag not in (None, "!"):
            raise self._refused(f"the tag {event.tag!r:.60} is not read")
        built = self._built(kind, event, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _built(self, kind: str, event: Any, events: Iterator[Any], depth: int) -> Any:  # noqa: ANN401
        if kind == "ScalarEvent":
            return event.value
        if kind == "SequenceStartEvent":
            return list(self._members(events, depth))
        members = self._members(events, depth)
        return {self._key(name): next(members, "") for name in members}

    def _key(self, name: object) -> str:
        if not isinstance(name, str) or name == "<<":
            raise self._refused("a key is a list, a mapping, or a merge (<<)")
        return name

    def _members(self, events: Iterator[Any], depth: int) -> Iterator[Any]:
        for event in events:
            if type(event).__name__ in ("SequenceEndEvent", "MappingEndEvent"):
                return
            yield self._value(event, events, depth + 1)

    def _alias(self, anchor: str) -> Any:  # noqa: ANN401
        """Return what an anchor stands for: the same value again, never a copy, so that aliases cannot multiply."""
        if anchor not in self._anchors:
            raise self._refused(f"the alias *{anchor:.40} stands for nothing that is complete")
        return self._anchors[anchor]

    def _refused(self, why: str) -> SourceError:
        return SourceError(f"{self._where}: {why}. Write it out plainly; nothing of it is ever executed.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
