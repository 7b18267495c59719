"""The pages of the documentation, and the commands in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from demo_corpus import ROOT

PAGES = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "featurestore" / "DESIGN.md",
        ROOT / "data_manifests" / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
)
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
DATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:")
"""Progress, which a terminal shows as a bar."""
FILE = re.compile(r"# (?P<name>[\w/-]+\.\w+)\n")

ABSENT = {
    r"(FOLDER|RUN|NAME|AUDIO|OTHER|STORE|CORPUS)(/.*)?": "what stands for something of the reader's",
    r"(emodb|ravdess|iemocap|fau_aibo|agender|aihub_emotion|speech_commands_v[12]|fsdd)\b.*": "a corpus to download",
    r"(mathworks|zhao|digits|etienne|keren|best)": "a recipe on such a corpus",
    r"runs/(?!demo).*": "a run on another corpus",
    r"(.*=)?(download\.zip|recordings/|/corpora/.*|my_?corpus\.toml|IEMOCAP_full_release)": "files of the reader's",
    r"(.*=)?(s3|https|tls|tcp)://.*": "a network",
    r"/(media|mnt|shared|data|scratch)/.*|SHARED": "another disk",
    r"cuda.*": "a GPU",
    r"doctor": "a whole installation, which it judges",
}
"""Words with which a command is only parsed, because a test lacks what they name; any other command is run."""
RUN_ANYWAY = re.compile(r"featurestore (reproduce \w+ --show|recipes \w+)")
"""Commands that read what is installed, although they name such a recipe."""


@dataclass(frozen=True)
class Command:
    """A command as a page writes it."""

    page: str
    text: str
    shown: tuple[str, ...] | None
    """The lines that the page shows as printed; None if it shows none."""

    @property
    def words(self) -> list[str]:
        """The words, without a comment, variables in front, and what is redirected."""
        words = shlex.split(self.text, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        return words[: words.index(">")] if ">" in words else words

    @property
    def redirected(self) -> str | None:
        """The file into which the output goes."""
        words = shlex.split(self.text, comments=True)
        return words[words.index(">") + 1] if ">" in words else None

    @property
    def runs(self) -> bool:
        """Whether a test runs it: it is ours, and what it names is here."""
        return self.words[:1] == ["featurestore"] and not self.lacks

    @property
    def lacks(self) -> str:
        """What a test lacks to run it; nothing if it can be run."""
        if RUN_ANYWAY.match(self.text):
            return ""
        found = [why for word in self.words[1:] for pattern, why in ABSENT.items() if re.fullmatch(pattern, word)]
        return found[0] if found else ""


def blocks(page: str, *languages: str) -> list[str]:
    """Return the blocks of code of a page in these languages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [found["text"] for found in BLOCK.finditer(text) if found["language"] in languages]


def commands(page: str) -> list[Command]:
    """Return the commands of a page: those after `$`, where a block has any, else all lines of the block."""
    found = []
    for text in blocks(page, "", "sh"):
        lines = text.replace("\\\n", " ").splitlines()
        if not any(line.startswith("$ ") for line in lines):
            found += [Command(page, part, None) for line in lines for part in line.split(" && ") if part.strip()]
            continue
        starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        assert starts[0] == 0, f"{page}: {lines[0]} is printed by no command"
        for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
            found.append(Command(page, lines[start].removeprefix("$ "), tuple(lines[start + 1 : stop])))
    return found


def files_of(page: str) -> dict[str, str]:
    """Return the files that a page shows whole: blocks that begin with their name as a comment."""
    return {found["name"]: text for text in blocks(page, "toml", "python") if (found := FILE.match(text)) is not None}


def write_files(page: str, folder: Path) -> None:
    """Put the files that a page shows into a folder."""
    for name, text in files_of(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def differs(shown: tuple[str, ...], printed: str) -> list[str]:
    """Return the lines that a page shows and the command did not print; without `...`, those that are not shown too.

    Whole numbers and words have to agree. Fractions are those of one machine or one training, so any fits.
    """
    lines = [line for line in printed.splitlines() if line.strip() and not DATED.match(line)]
    wanted = {line: pattern(line) for line in shown if line.strip() not in ("...", "")}
    missing = [line for line, form in wanted.items() if not any(form.fullmatch(one) for one in lines)]
    if "..." in shown:
        return missing
    return missing + [f"not shown: {one}" for one in lines if not any(form.fullmatch(one) for form in wanted.values())]


def pattern(line: str) -> re.Pattern[str]:
    """Return what a shown line stands for."""
    words = [re.sub(r"(\\[+-])?\d+\\\.\d+", r"[+-]?\\d+\\.\\d+", re.escape(word)) for word in line.split()]
    return re.compile(r"\s*" + r"\s+".join(words) + r"\s*")
