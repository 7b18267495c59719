"""Run folders that somebody has edited: other values, tables, weights and kinds of files than a training writes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from hostile_records import HOSTILE, dumped, tampered

from models.training_state import seal

RECORDS = (".json", ".jsonl", ".csv", ".safetensors")
"""What a folder's files that are read end in."""
CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 30,
    "\x1b[31mred",
    "\u202edrowssap",
    "../../outside",
    "x" * 200_000,
    '"',
)


def tamper(chance: random.Random, root: Path) -> list[str]:
    """Change one or two files of a run folder or of those inside it; tell which and how."""
    files = sorted(path for path in root.rglob("*") if path.suffix in RECORDS and path.name != "crossval.json")
    told = []
    for file in chance.sample(files, chance.choice([1, 1, 2])):
        deed = chance.choice(DEEDS) if chance.random() < 0.3 else BY_KIND[file.suffix]
        deed(chance, file)
        told.append(f"{deed.__name__} {file.relative_to(root)}")
    return told


def json_value(chance: random.Random, file: Path) -> None:
    """Replace, remove or add a value somewhere inside."""
    file.write_bytes(dumped(tampered(chance, json.loads(file.read_bytes()))))


def json_line(chance: random.Random, file: Path) -> None:
    """Do so in one line."""
    lines = file.read_bytes().splitlines()
    place = chance.randrange(len(lines))
    lines[place] = dumped(tampered(chance, json.loads(lines[place])))
    file.write_bytes(b"\n".join(lines) + b"\n")


def table_cell(chance: random.Random, file: Path) -> None:
    """Replace a cell of a table, often one of its head, or remove or double it, or its line."""
    rows = list(csv.reader(io.StringIO(file.read_text("utf-8"), newline="")))
    row = rows[0 if chance.random() < 0.3 else chance.randrange(len(rows))]
    place, way = chance.randrange(len(row)), chance.random()
    if way < 0.6:
        row[place] = chance.choice([*CELLS, *chance.choice(rows)])
    elif way < 0.8:
        rows.append(list(row)) if way < 0.7 else rows.remove(row)
    else:
        row.insert(place, row[place]) if way < 0.9 else row.pop(place)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    file.write_bytes(text.getvalue().encode("utf-8", "surrogatepass"))


def tensors(chance: random.Random, file: Path) -> None:
    """Change a tensor or the text beside the tensors, and let the summary name the weights as they are now."""
    with safetensors.safe_open(file, "pt") as opened:
        named, beside = {name: opened.get_tensor(name) for name in opened.keys()}, dict(opened.metadata())  # noqa: SIM118
    name, way = chance.choice(sorted(named)), chance.random()
    sealed = file.name == "checkpoint.safetensors" and chance.random() < 0.7
    if way < 0.4:
        text = tampered(chance, json.loads(beside["featurestore"]))
        beside["featurestore"] = chance.choice([dumped(text).decode(), "[", "{}", "3", ""])
    elif way < 0.6:
        named[name] = torch.full_like(named[name], chance.choice([float("nan"), float("inf"), 1e38]) if named[name].is_floating_point() else -1)  # fmt: skip  # noqa: E501
    elif way < 0.8:
        other = [torch.zeros(0), named[name].to(torch.int8), named[name].reshape(-1)[:1], named[name][None]]
        named[name] = chance.choice(other).contiguous()
    elif way < 0.9:
        del named[name]
    else:
        named[chance.choice(["", "x", "normalisation.x", "model/", "optimiser/\x1b[31m"])] = torch.zeros(2)
    if sealed:
        with suppress(ValueError, TypeError, AttributeError):  # the text beside is none that can be sealed
            text = json.loads(beside["featurestore"])
            text.pop("seal", None)
            beside["featurestore"] = dumped({**text, "seal": seal(named, text)}).decode()
    _write_weights(file, safetensors.torch.save(named, beside))


def _write_weights(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    summary = file.with_name("summary.json")
    if file.name == "model.safetensors" and summary.is_file():
        with suppress(ValueError, TypeError):  # it is another file's by now
            body = {**json.loads(summary.read_bytes()), "model_sha256": hashlib.sha256(data).hexdigest()}
            summary.write_bytes(dumped(body))


def cut(chance: random.Random, file: Path) -> None:
    _write_weights(file, file.read_bytes()[: chance.choice([0, 1, 7, 100, file.stat().st_size - 1])])


def noise(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 3, 50])):
        data[chance.randrange(min(len(data), chance.choice([20, 2_000, len(data)])))] = chance.randrange(256)
    _write_weights(file, bytes(data))


def other_bytes(chance: random.Random, file: Path) -> None:
    texts = (b"\x00" * 64, b"\xff\xfe", b"[" * 50_000, b"null", b'"text"', b"[]", b"{}", b"9" * 5_000,
             b"\xef\xbb\xbf{}", b"\n\n\n", b"NaN", b"\x80\x04K\x01.")  # fmt: skip
    file.write_bytes(chance.choice([*texts, dumped(chance.choice(HOSTILE)())]))


def missing(_: random.Random, file: Path) -> None:
    file.unlink()


def folder(_: random.Random, file: Path) -> None:
    file.unlink()
    file.mkdir()


def pipe(_: random.Random, file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def endless(_: random.Random, file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def circle(_: random.Random, file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def sibling(chance: random.Random, file: Path) -> None:
    """Put another file of the folder in its place."""
    others = sorted(path for path in file.parent.iterdir() if path.is_file() and path != file)
    shutil.copyfile(chance.choice(others), file) if others else file.unlink()


DEEDS = (cut, noise, other_bytes, missing, folder, pipe, endless, circle, sibling)
BY_KIND = {".json": json_value, ".jsonl": json_line, ".csv": table_cell, ".safetensors": tensors}
