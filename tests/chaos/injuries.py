"""Ways to injure a store, drawn at random, each of which can be undone."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

Injury = Callable[[random.Random, Path, list[Path]], str]
"""Injures one place below a root and returns the key that is to be reported (any of several, split by spaces)."""


def flip(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Flip one bit of one file."""
    file = chance.choice(files)
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    _overwrite(file, bytes(data))
    return file.relative_to(root).as_posix()


def truncate(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Cut one file short, to nothing at times, as a loss of power does."""
    file = chance.choice(files)
    data = file.read_bytes()
    _overwrite(file, data[: chance.choice([0, chance.randrange(len(data))])])
    return file.relative_to(root).as_posix()


def lengthen(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Add bytes to one file."""
    file = chance.choice(files)
    _overwrite(file, file.read_bytes() + chance.randbytes(chance.randrange(1, 64)))
    return file.relative_to(root).as_posix()


def remove(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Delete one object that something needs; notes on rejected recordings cost one more try and nothing else.

    A store without its marker is known by its objects, and the next write marks it again.
    """
    needed = [file for file in files if file.relative_to(root).parts[0] not in ("rejects", "featurestore.json")]
    file = chance.choice(needed)
    file.unlink()
    return file.relative_to(root).as_posix()


def swap(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Swap two objects of one kind that differ."""
    first = chance.choice(files)
    kind = first.relative_to(root).parts[0]
    others = [
        file
        for file in files
        if (file.relative_to(root).parts[0] == kind and file.name == first.name) or file.parent == first.parent
        if file.read_bytes() != first.read_bytes()
    ]
    if not others:
        return flip(chance, root, [first])
    second = chance.choice(others)
    one, other = first.read_bytes(), second.read_bytes()
    _overwrite(first, other)
    _overwrite(second, one)
    return f"{first.relative_to(root).as_posix()} {second.relative_to(root).as_posix()}"


def foreign(chance: random.Random, root: Path, files: list[Path]) -> str:
    """Put a file that is no part of the store beside an object, or a copy of an object under another name."""
    file = chance.choice(files)
    stranger = file.parent / f"{chance.choice(['copy', 'notes.txt', '.hidden', file.name + '.bak'])}{chance.random()}"
    stranger.write_bytes(chance.choice([b"", b"text", file.read_bytes()]))
    return stranger.relative_to(root).as_posix()


INJURIES: tuple[Injury, ...] = (flip, flip, truncate, lengthen, remove, swap, foreign)


def _overwrite(file: Path, data: bytes) -> None:
    """Write through a new file: originals may be hard links to files of the user."""
    file.unlink()
    file.write_bytes(data)
