"""The card of a copied dataset: what it is, who may use it, whom to cite, and the files that repeat its build.

Cards are for people who look into a store with nothing but an editor or a browser. They follow from the records and are
never read by a command; each file ends with its checksum, and what has lost it is written anew by the next copy.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

from featurestore.datasets import SOURCES, DatasetRecord
from featurestore.errors import DamagedObjectError
from featurestore.specs.row_spec import CPU
from featurestore.storage.protocol import CARD
from featurestore.tables import Table

README, FEATURES, POLICY = CARD
SEALS = {README: ("<!-- sha256 ", " -->\n"), FEATURES: ("# sha256 ", "\n"), POLICY: ("# sha256 ", "\n")}
"""What stands before and after the checksum of what comes before it."""


def card_files(name: str, record: DatasetRecord, table: Table, without: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of a card by their keys.

    Parameters
    ----------
    name : str
        What the dataset is called.
    record, table
        Of the dataset.
    without : tuple of str
        What the copy lacks, of `LEFT_OUT`.
    """
    features = record.parts[0].spec.features
    policy = next((part.spec.augmentation for part in record.parts if part.spec.augmentation), None)
    texts = {README: _readme(name, record, table, without), FEATURES: toml_text(features.to_dict())}
    if policy is not None:
        texts[POLICY] = toml_text(policy.to_dict())
    return {f"cards/{name}/{file}": _sealed(file, text) for file, text in texts.items()}


def check_card(key: str, data: bytes) -> None:
    """Refuse a file of a card that is not as it was written, with `DamagedObjectError`."""
    before, after = (text.encode() for text in SEALS[key.rpartition("/")[2]])
    start = len(data) - len(before) - 64 - len(after)
    body = data[: max(start, 0)]
    if data != body + before + hashlib.sha256(body).hexdigest().encode() + after:
        raise DamagedObjectError(key, "its checksum does not match")


def _sealed(file: str, text: str) -> bytes:
    body = text.encode("utf-8", "backslashreplace")
    before, after = (part.encode() for part in SEALS[file])
    return body + before + hashlib.sha256(body).hexdigest().encode() + after


def _readme(name: str, record: DatasetRecord, table: Table, without: tuple[str, ...]) -> str:
    """Write the page itself."""
    copies = max(part.stop for part in record.parts) - 1
    utterances = max(len(part.contents) for part in record.parts)
    augmented = max((len(part.contents) for part in record.parts if part.spec.augmentation), default=0)
    command = ["featurestore", "build", table.corpus, "--name", name, "--features", FEATURES]
    if copies:
        command += ["--augment", str(copies), "--policy", POLICY]
    engine = record.parts[0].spec.engine
    if engine != CPU:
        command += ["--device", "cuda"]
    lines = [
        f"# {name}",
        "",
        f"- corpus: {_line(table.corpus)}",
        f"- licence: {_line(table.licence) or 'none stated'}",
        f"- cite: {_line(table.citation) or 'nothing stated'}",
        f"- digest: `{record.digest}`",
        f"- rows: {record.rows:,}, of {utterances:,} recordings, up to {copies:,} augmented copies of each",
        f"- recordings: {'left out of this copy' if SOURCES in without else 'part of this copy'}",
        "",
        "To repeat it, in this folder, with the corpus at hand (`--source PATH`, and for a corpus of your own its",
        "manifest in place of its name); with the versions below the digest comes out again:",
        "",
        f"    {shlex.join(map(_line, command))}",
        "",
    ]
    if 0 < augmented < utterances:
        lines += [f"Only {augmented:,} recordings have copies: give the `--split` and `--side` that chose them.", ""]
    if any(part.spec.inputs for part in record.parts):
        lines += [f"Its noises or rooms are named by their sha256 in {POLICY}: name a folder that holds them.", ""]
    versions = sorted({f"{key} {value}" for part in record.parts for key, value in part.spec.versions})
    return "\n".join([*lines, f"Computed with {', '.join(map(_line, versions))}.", "", ""])


def toml_text(document: Mapping[str, Any]) -> str:
    """Write a document of texts, numbers, lists and tables as TOML; what is None is left out.

    Examples
    --------
    >>> print(toml_text({"kind": "a", "drawn": {"uniform": [-1.0, 2.0]}, "own": [{"version": 1}]}), end="")
    kind = "a"
    <BLANKLINE>
    [drawn]
    uniform = [-1.0, 2.0]
    <BLANKLINE>
    [[own]]
    version = 1
    """
    given = {key: value for key, value in document.items() if value is not None}
    plain = {key: value for key, value in given.items() if not _is_table(value)}
    text = "".join(f"{key} = {_value(value)}\n" for key, value in plain.items())
    for key, value in given.items():
        if isinstance(value, Mapping):
            text += f"\n[{key}]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in value.items() if v is not None)
        elif _is_table(value):
            for one in value:
                text += f"\n[[{key}]]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in one.items())
    return text


def _is_table(value: Any) -> bool:  # noqa: ANN401 (any TOML value)
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)
    )


def _value(value: Any) -> str:  # noqa: ANN401 (any TOML value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if isinstance(value, str)
        else json.dumps(value)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else _value(key)


def _line(text: str) -> str:
    """Return a text in one line that steers no terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
