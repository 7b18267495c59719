"""Fields made from other fields by a template, or from a recording's path by a named rule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from string import Formatter


def filled(template: str, fields: Mapping[str, str]) -> str | None:
    """Put fields into a template such as `{session}{sex}`; None if one of them is missing."""
    parts: list[str] = []
    for text, name, _, _ in Formatter().parse(template):
        if name is not None and name not in fields:
            return None
        parts += [text, fields[name] if name is not None else ""]
    return "".join(parts)


def template_fields(template: str) -> tuple[str, ...]:
    """Return the names in a template.

    Raises
    ------
    ValueError
        If it is no plain template: unbalanced braces, conversions, formats or attributes.
    """
    names: list[str] = []
    for _, name, form, conversion in Formatter().parse(template):
        if form or conversion or (name is not None and not re.fullmatch(r"\w+", name)):
            raise ValueError(f"{template!r:.60} may hold {{field}} and nothing else in braces")
        names += [name] if name else []
    return tuple(names)


def speech_commands_side(path: str) -> str:
    """Return the side that Speech Commands gives a clip: by the sha1 of its name up to `_nohash_`.

    So all clips of one speaker and word family stay on one side when the corpus grows. About 10 % each validate and
    test (P. Warden, Speech Commands, arXiv:1804.03209, `which_set` of its published code).
    """
    name = re.sub(r"_nohash_.*$", "", path.rsplit("/", 1)[-1])
    largest = 2**27 - 1
    percent = (
        int(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), 16) % (largest + 1) * (100.0 / largest)
    )
    return "validation" if percent < 10 else "test" if percent < 20 else "train"


def top_folder(path: str) -> str:
    """Return the folder that a recording lies in."""
    return path.split("/")[-2] if "/" in path else ""


def sex_of_ravdess_actor(path: str) -> str:
    """Return the sex of a RAVDESS actor, whose number ends the file name: odd is male, even is female."""
    number = re.search(r"(\d+)\.\w+$", path)
    return "" if number is None else "female" if int(number[1]) % 2 == 0 else "male"


DERIVATIONS: Mapping[str, Callable[[str], str]] = {
    "speech-commands-hash": speech_commands_side,
    "folder": top_folder,
    "odd-is-male": sex_of_ravdess_actor,
}
"""Fields computed from a recording's path, by the names that `[labels.derived]` takes."""
