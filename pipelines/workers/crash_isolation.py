"""Which recording of a task killed its worker: a process of its own loads them, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from featurestore.errors import BuildError, FeatureStoreError
from featurestore.segments import segment_of
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from pipelines.build.rejects import remember_reject
from pipelines.build.tasks import Bundle
from pipelines.workers.engines import kept_engine

REASON = "it crashes the process that reads it."
PATIENCE = 120
"""Seconds for the recordings of one task, about sixteen."""
_ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from pipelines.workers.crash_isolation import probe; probe()"


def isolate_culprits(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Find the recordings of a bundle that kill the process which reads them, and remember them as rejected.

    Decoders run in processes of their own (`featurestore.signal.guarded`), so this is the second line, for what brings
    a worker down after decoding. The workers are left out of it, since each death may cost one for good.

    Returns
    -------
    tuple of (content, reason)
        Empty if no recording does it alone.

    Raises
    ------
    BuildError
        If functions of the user's own compute the rows: rather they than the recordings end the process, and a
        recording that is remembered as rejected would stay so after they are mended.
    """
    functions = _functions(bundle.spec)
    if functions:
        raise BuildError(
            f"workers die over {bundle.rows:,} rows from {' and '.join(functions)}, which may end or crash its "
            "process (os._exit, memory?): mend it, then run the same command again; no recording was rejected."
        )
    culprits: list[tuple[str, str]] = []
    waiting = bundle.members
    while waiting:
        survived = _load_in_a_process(bundle, waiting)
        if survived < len(waiting):
            remember_reject(open_store(bundle.store_uri), bundle.spec, waiting[survived], REASON)
            culprits.append((waiting[survived], REASON))
        waiting = waiting[survived + 1 :]
    return tuple(culprits)


def _functions(spec: RowSpec) -> tuple[str, ...]:
    """Return the functions of the user's own that rows come from, such as `module:function`."""
    feature = (spec.features.function,) if spec.features.function else ()
    own = spec.augmentation.own if spec.augmentation else ()
    return tuple(dict.fromkeys((*feature, *(one.function for one in own))))


def _load_in_a_process(bundle: Bundle, contents: tuple[str, ...]) -> int:
    """Return how many recordings a process got through before it died or was stopped."""
    question = {
        "store": bundle.store_uri,
        "spec": bundle.spec.document,
        "contents": contents,
        "max_seconds": bundle.max_seconds,
    }
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and our own module
            [sys.executable, "-P", "-c", _START, str(_ROOT)],
            input=json.dumps(question).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").count(b"\n")
    return done.stdout.count(b"\n")


def probe() -> None:
    """Be that process: print a line for each recording that has been loaded and made a row of."""
    question = json.loads(sys.stdin.buffer.read())
    engine = kept_engine(RowSpec.from_document(question["spec"]), question["store"])
    store = open_store(question["store"])
    for content in question["contents"]:
        with suppress(FeatureStoreError):  # one that is merely bad is rejected by the task itself
            source = engine.load(store.source(content), segment_of(content), question["max_seconds"])
            engine.rows([(source, None)])
        sys.stdout.write(f"{content}\n")
        sys.stdout.flush()
