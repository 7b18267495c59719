"""Regular expressions from manifests, bounded so that no file name can keep the matcher busy.

A backtracking matcher can take time exponential in the length of a name. Two rules keep it polynomial and small: a
repeated group holds no choice of its own, and the number of ways to share a name among all repetitions is limited.
"""

from __future__ import annotations

import re
import warnings

from featurestore.errors import ManifestError

LONGEST_PATTERN = 500
LONGEST_NAME = 255
MOST_WAYS = 10**8
"""About three unbounded repetitions over a name of 255 characters."""

_TOKEN = re.compile(
    r"(?P<refused>\(\?(?!P<\w|:|>)|\\[1-9])"
    r"|(?P<atom>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?P<\w+>|\?:|\?>)?)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<quantifier>(?:[*+?]|\{(?P<least>\d{0,6})(?P<comma>,?)(?P<most>\d{0,6})\})[?+]?)"
    r"|(?P<other>.)",
    re.DOTALL,
)


def compile_pattern(pattern: str, where: str, *, any_case: bool = False) -> re.Pattern[str]:
    """Compile a manifest's pattern; `ManifestError`, naming `where`, if it is wrong, too long or could run away."""
    if len(pattern) > LONGEST_PATTERN:
        raise ManifestError(f"{where}: the pattern has {len(pattern)} characters, at most {LONGEST_PATTERN} are read.")
    _check_cost(pattern, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a doubtful set such as [[a] is better refused than read in one of two ways
            return re.compile(pattern, re.ASCII | (re.IGNORECASE if any_case else 0))
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ManifestError(f"{where}: {pattern!r} is no valid regular expression ({error}).") from error


def match_groups(pattern: re.Pattern[str], text: str) -> dict[str, str] | None:
    """Return the named groups of a pattern that matches the whole text, or None; overlong texts never match."""
    found = pattern.fullmatch(text) if len(text) <= LONGEST_NAME else None
    return None if found is None else {name: value for name, value in found.groupdict().items() if value is not None}


def _check_cost(pattern: str, where: str) -> None:
    """Walk over the pattern once, multiply the ways of its choices, refuse choices inside repeated groups."""
    ways, closed = 1, 1
    open_groups: list[int] = []
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup
        choices, repeats = _choices(token) if kind == "quantifier" else (2 if kind == "or" else 1, False)
        if kind == "refused":
            raise ManifestError(f"{where}: back-references, look-around and flags are not allowed in {pattern!r}.")
        if repeats and closed > 1:
            raise ManifestError(f"{where}: a repeated group holds another repetition or choice in {pattern!r}.")
        if kind == "open":
            open_groups.append(ways)
        closed = ways // open_groups.pop() if kind == "close" and open_groups else 1
        ways *= choices
        if ways > MOST_WAYS:
            raise ManifestError(
                f"{where}: {pattern!r} matches in too many ways; bound its repetitions, as [a-z]{{1,20}}."
            )


def _choices(quantifier: re.Match[str]) -> tuple[int, bool]:
    """Return how many choices a quantifier offers, and whether it repeats the atom before it."""
    if quantifier[0][0] == "?":
        return 2, False
    if quantifier[0][0] in "*+" or (quantifier["comma"] and not quantifier["most"]):
        return LONGEST_NAME, True
    least = int(quantifier["least"] or 0)
    most = int(quantifier["most"]) if quantifier["comma"] else least
    return max(1, most - least + 1), most > 1
