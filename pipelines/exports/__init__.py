"""Datasets in other formats: every file of this folder with a `FORMAT` is one.

What is written appears whole and read back, or not at all.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from featurestore.checksummed_json import canonical_json
from featurestore.corpus.protocols import split as find_split
from featurestore.corpus.splits.leakage import leaks
from featurestore.errors import SpecError, StorageError, UnknownNameError
from featurestore.files import sync_folder
from featurestore.moving.licences import may_pass_on
from featurestore.registry import formats_in
from featurestore.view import DatasetView


@dataclass(frozen=True)
class FileFormat:
    """How a dataset is written to one file, and compared with it."""

    name: str
    write: Callable[[DatasetView, IO[bytes]], None]
    """Called with an empty, unbuffered file for reading and writing."""
    holds: Callable[[DatasetView, Path], bool]
    """Reads a file and tells whether it is what `write` makes of the dataset."""
    recordings: bool = False
    """Whether it holds sound that can be listened to."""


Files = Iterator[tuple[str, Iterable[bytes]]]
"""Files of a folder: path in it, `/` between the parts, and content in pieces, which are read before the next file."""


@dataclass(frozen=True)
class Sides:
    """The sides of a split that an export keeps apart."""

    split: str
    views: Mapping[str, DatasetView]
    """The rows of `train`, `validation` and `test`; a side without rows is left out."""
    leaks: str
    """What is on more than one side, in one sentence."""


@dataclass(frozen=True)
class FolderFormat:
    """How a dataset is written to a folder, in which `dataset.json` says what it is."""

    name: str
    files: Callable[[DatasetView, Path], Files]
    """Called with the path that the folder gets when it is whole; equal bytes for equal datasets."""
    recordings: bool = False
    """Whether it holds sound that can be listened to."""
    split_files: Callable[[DatasetView, Path, Sides], Files] | None = None
    """As `files`, with the sides of a split kept apart; None for a format that has no sides."""

    def described(self, view: DatasetView, out: Path, sides: Sides | None = None) -> Files:
        """Yield all files."""
        said: dict[str, object] = {**attributes(view), "rows": len(view)}
        if sides is None or self.split_files is None:
            yield from self.files(view, out)
        else:
            yield from self.split_files(view, out, sides)
            rows = {side: len(of_side) for side, of_side in sides.views.items()}
            said |= {"split": sides.split, "sides": rows, "leaks": sides.leaks}
        yield "dataset.json", (canonical_json(said).encode(), b"\n")


Format = FileFormat | FolderFormat


def attributes(view: DatasetView) -> dict[str, str]:
    """Return what a dataset is: specs as JSON, corpus, licence, citation and digest."""
    return {
        "features": canonical_json(view.features.to_dict()),
        "augmentation": canonical_json(view.augmentation.to_dict() if view.augmentation else None),
        "corpus": view.table.corpus,
        "licence": view.table.licence,
        "citation": view.table.citation,
        "digest": view.digest,
    }


def formats() -> dict[str, Format]:
    """Return the formats by name."""
    return formats_in(__name__)


def export(view: DatasetView, to: str, out: Path, split: str | None = None) -> int:
    """Write a dataset to a file or folder of another format, read it back, and return its number of rows.

    It appears whole or not at all. One that holds the dataset already is left as it is.

    Parameters
    ----------
    split : str, optional
        Keep the sides of this split apart: training takes the augmented copies if there are any, validation and test
        take copy 0. A split that leaks is written too, and the export says what it shares.

    Raises
    ------
    UnknownNameError
        If there is no such format or split.
    SpecError
        If the rows' names, signals or parameters cannot be given in this format, or it has no sides.
    SplitError
        If the split gives folds or does not fit the corpus.
    MissingPackageError
        If the format needs a package that is not installed.
    StorageError
        If something else stands there, or it cannot be written or does not read as it was written.
    """
    known = formats()
    if to not in known:
        raise UnknownNameError("export format", to, known)
    target, sides = known[to], None
    if split is not None:
        view, sides = _sides(view, known, to, split)
    try:
        if not out.exists():
            _publish(view, target, out, sides)
        elif not _holds(view, target, out, out, sides):
            raise StorageError(f"{str(out)!r} exists and does not hold this dataset: give --out another path.")
    except OSError as error:
        raise StorageError(f"cannot write {str(out)!r}: {error.strerror or error}.") from error
    except UnicodeEncodeError as error:
        raise StorageError(f"cannot write {str(out)!r}: {error.object!r:.80} is no text in UTF-8.") from error
    return len(view) if sides is None else sum(map(len, sides.views.values()))


def _sides(view: DatasetView, known: Mapping[str, Format], to: str, name: str) -> tuple[DatasetView, Sides]:
    """Return the rows that take part in a split, and its sides."""
    with_sides = [one.name for one in known.values() if isinstance(one, FolderFormat) and one.split_files]
    if to not in with_sides:
        raise SpecError(f"the format {to} has no sides: leave --split out, or export to {' or '.join(with_sides)}.")
    view = view.under(name)
    split = find_split(view.table.utterances, name)
    views = dict(zip(("train", "validation", "test"), view.sides(split), strict=True))
    shared = leaks(split, view.table.utterances, view.sounds).verdict
    return view, Sides(split.name, {side: of_side for side, of_side in views.items() if len(of_side)}, shared)


def leak_note(view: DatasetView, split: str) -> str:
    """Return what is on more than one side of a split that an export keeps apart; nothing if nothing is."""
    chosen = view.under(split)
    found = leaks(find_split(chosen.table.utterances, split), chosen.table.utterances, chosen.sounds)
    return found.verdict if any(found.by_kind.values()) else ""


def licence_note(view: DatasetView, to: str) -> str:
    """Return what to know before an export is passed on; nothing where the licence allows it or there is no sound."""
    licence = view.table.licence
    if not formats()[to].recordings or may_pass_on(licence):
        return ""
    return (
        f"the licence of {view.table.corpus} ({licence!r:.120}) does not say that its recordings may be passed on, and "
        "these are made from them"
    )


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write all of some bytes to an unbuffered file."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def holds_bytes(file: IO[bytes], pieces: Iterable[bytes]) -> bool:
    """Tell whether a file has these bytes and no more."""
    return all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)


def _write_files(folder: Path, files: Files) -> None:
    """Write the files of a folder so that they survive a loss of power."""
    for name, pieces in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
    for place, _, _ in os.walk(folder):
        sync_folder(Path(place))


def _holds_files(folder: Path, files: Files) -> bool:
    """Tell whether a folder has these files, byte by byte, and no others."""
    names = set()
    for name, pieces in files:
        path = folder / name
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if not holds_bytes(file, pieces):
                return False
        names.add(name)
    return names == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _holds(view: DatasetView, target: Format, place: Path, out: Path, sides: Sides | None = None) -> bool:
    if isinstance(target, FolderFormat):
        return place.is_dir() and _holds_files(place, target.described(view, out, sides))
    return place.is_file() and target.holds(view, place)


def _publish(view: DatasetView, target: Format, out: Path, sides: Sides | None = None) -> None:
    """Write beside the place, sync, read back and move there; remove what is left if that fails."""
    part = _unfinished(out)
    with _alone_in(part) if isinstance(target, FolderFormat) else _alone(part) as file:
        try:
            if isinstance(target, FolderFormat):
                _write_files(part, target.described(view, out, sides))
            elif file is not None:
                target.write(view, file)
                os.fsync(file.fileno())
            if not _holds(view, target, part, out, sides):
                raise StorageError(f"{str(out)!r} did not read back as written: is the disk faulty? Nothing was kept.")
            os.replace(part, out)  # noqa: PTH105 (same folder: atomic)
        except BaseException:
            with suppress(OSError):
                shutil.rmtree(part) if isinstance(target, FolderFormat) else part.unlink()
            raise


def _unfinished(out: Path) -> Path:
    """Return where is written until all is: under a name that nobody else gives, as it is emptied."""
    return out.with_name(f".{out.name}.featurestore-export")


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """Open an empty file that no other export writes, and none behind a link."""
    with open(part, "a+b", buffering=0, opener=_no_link) as file:
        _lock(file.fileno(), part)
        with open(part, "r+b", buffering=0, opener=_no_link) as writable:
            writable.truncate()
            yield writable


@contextmanager
def _alone_in(part: Path) -> Iterator[None]:
    """Hold an empty folder that no other export writes, and none behind a link."""
    with suppress(FileExistsError):
        part.mkdir()
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(handle, part)
        if not os.path.samestat(os.fstat(handle), part.lstat()):  # the other ended, and this folder is now its export
            raise StorageError(f"another export wrote {str(part)!r} just now: try again.")
        for left in list(part.iterdir()):
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield
    finally:
        os.close(handle)


def _lock(handle: int, part: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(f"another export writes {str(part)!r}: wait until it ends.") from error
    except OSError:  # the file system has no locks
        pass


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
