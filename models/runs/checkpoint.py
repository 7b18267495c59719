"""Tensors and text on disk: safetensors and JSON, written whole or not at all, never anything that is executed."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from featurestore.checksummed_json import canonical_json, parsed
from featurestore.files import write_atomically
from models.errors import CheckpointError

METADATA = "featurestore"
"""The metadata entry of our safetensors files."""

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib")
PICKLE_HEADS = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""What pickles begin with: torch packs them into a zip, others name their protocol."""
LONGEST_HEADER = 100_000_000
"""Bytes of a header that safetensors reads at most."""
LEFTOVER = re.compile(r"\..+\.[0-9a-f]{32}")
"""The temporary names of `featurestore.files.write_atomically`."""


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed writes left in a folder, known by the form of their names."""
    for path in folder.iterdir():
        if LEFTOVER.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def regular(path: Path) -> Path:
    """Return the path of a regular file; `OSError` for a pipe, which may have no writer, or a device without end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file", str(path))
    return path


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, atomically."""
    write_atomically(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of finite numbers; `CheckpointError` if the file is not one."""
    try:
        return parsed(regular(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a readable JSON file ({error}). Restore it or train again.") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write named tensors with text beside them, atomically; return the sha256 of the file.

    The text is one entry of canonical JSON: safetensors writes several entries in random order, and equal tensors
    are to give equal bytes.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    data = safetensors.torch.save(plain, {METADATA: canonical_json(dict(metadata))})
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what `write_tensors` wrote.

    Raises
    ------
    CheckpointError
        If the file is missing, a pickle, or no sound safetensors file.
    """
    refuse_pickle(path)
    try:
        with safe_open(regular(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, parsed((file.metadata() or {}).get(METADATA, "{}").encode())
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: no sound safetensors file ({error}).") from error


def refuse_pickle(path: Path) -> None:
    """Raise `CheckpointError` for a pickle: reading one would run code of whoever wrote it.

    A safetensors file begins with the length of its header in eight bytes, the first of which may be those of a pickle
    (1,408 is 80 05): a file that does have a JSON object of that length there is no pickle.
    """
    suspicious = path.suffix in PICKLES
    if not suspicious and _head(path, 2) in PICKLE_HEADS:
        length = int.from_bytes(_head(path, 8), "little")
        try:
            fits = length <= min(LONGEST_HEADER, path.stat().st_size - 8)
            suspicious = not (fits and isinstance(json.loads(_head(path, 8 + length)[8:]), dict))
        except (ValueError, RecursionError):
            suspicious = True
    if suspicious:
        raise CheckpointError(
            f"{path}: a pickle could run any code and is never opened. Give a run folder with 'model.safetensors'."
        )


def _head(path: Path, count: int) -> bytes:
    """Return the first bytes of a regular file; none if there is no such file or it cannot be read."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:  # the reader of the whole file reports it
        return b""


def file_digest(path: Path) -> str:
    """Return the sha256 of a file; `CheckpointError` if there is none."""
    try:
        return hashlib.sha256(regular(path).read_bytes()).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}.") from error
