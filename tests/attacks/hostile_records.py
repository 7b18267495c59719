"""Stores whose records somebody has written by hand: other values, sealed and named as if they were sound."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HOSTILE: tuple[Callable[[], Any], ...] = (
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: -float("inf"),
    lambda: 10**400,
    lambda: 2**63,
    lambda: -1,
    lambda: 0,
    lambda: 1.5,
    lambda: True,
    lambda: None,
    lambda: "",
    lambda: "\ud800",
    lambda: "\x1b[31mred\x1b]0;title\x07\r\nerror: forged",
    lambda: "\u202edrowssap",
    lambda: "../../outside",
    lambda: "/etc/passwd",
    lambda: "x" * 100_000,
    lambda: "%s{0}{name!r}",
    list,
    dict,
    lambda: [None],
    lambda: [[]],
    lambda: [[["a", "b"]]],
    lambda: {"": {"": ""}},
    lambda: {"a": [1, {"b": float("nan")}]},
    lambda: nested(200),
)
"""Values that no field of a record has, or only another one."""


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside a JSON value, the outermost first."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in inside:
        yield from places(inner, (*at, name))


def tampered(chance: random.Random, body: Any) -> Any:
    """Return a JSON value with one place that is replaced, removed, doubled, or added to."""
    body = json.loads(json.dumps(body))
    every = list(places(body))
    shallow = [place for place in every if len(place) < 3]
    way = chance.choice(shallow if chance.random() < 0.5 else every)
    if not way:
        return chance.choice(HOSTILE)()
    holder = body
    for name in way[:-1]:
        holder = holder[name]
    deed = chance.random()
    if deed < 0.75:
        holder[way[-1]] = chance.choice(HOSTILE)()
    elif deed < 0.85:
        del holder[way[-1]]
    elif isinstance(holder, dict):
        holder[chance.choice(["", "x", "\ud800", "seal2"])] = chance.choice(HOSTILE)()
    else:
        holder.insert(0, chance.choice([holder[way[-1]], *[value() for value in HOSTILE]]))
    return body


def _sealed(body: Any) -> bytes:
    if not isinstance(body, dict):
        return dumped(body)
    return dumped({**body, "seal": hashlib.sha256(dumped(body)).hexdigest()})


def tamper(chance: random.Random, root: Path) -> str:
    """Change one record of a store, seal it, and let what names it name it as it is now; tell which."""
    kind = chance.choice(["refs", "refs/datasets", "refs/corpora", "datasets", "tables", "tables", "listings", "shards",
                          "rejects", "featurestore.json"])  # fmt: skip
    files = [root / kind] if kind == "featurestore.json" else sorted(path for path in (root / kind).rglob("*.json"))
    if not files:
        return "nothing"
    file = chance.choice(files)
    document = json.loads(file.read_bytes())
    if kind == "shards":
        inner = document["attributes"]["featurestore"]
        del inner["seal"]
        changed = tampered(chance, inner)
        if isinstance(changed, dict):
            changed = {**changed, "seal": hashlib.sha256(dumped(changed)).hexdigest()}
        document["attributes"]["featurestore"] = changed
        file.write_bytes(dumped(document if chance.random() < 0.9 else tampered(chance, document)))
    elif kind in ("tables", "listings"):
        _rename(root, file, kind, dumped(tampered(chance, document)))
    else:
        document.pop("seal", None)
        file.write_bytes(_sealed(tampered(chance, document)))
    return file.relative_to(root).as_posix()


def _rename(root: Path, file: Path, kind: str, data: bytes) -> None:
    """Put a table or listing under its checksum and let every name refer to that."""
    new = hashlib.sha256(data).hexdigest()
    (root / kind / f"{new}.json").write_bytes(data)
    for name in (root / "refs").rglob("*.json"):
        body = json.loads(name.read_bytes())
        field = kind.removesuffix("s").replace("listing", "listing")
        if isinstance(body, dict) and body.get(field) == file.stem:
            del body["seal"]
            name.write_bytes(_sealed({**body, field: new}))
    file.unlink()
