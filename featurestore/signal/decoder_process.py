"""The child process of a `GuardedDecoder`: reads files from its standard input and answers on its standard output.

A question is a line of JSON and the bytes of a file; an answer is a line of JSON and bytes. Processor time and memory
are limited before each file; the system ends the process that goes beyond.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from featurestore.errors import AudioError
from featurestore.quality.measures import measure
from featurestore.signal.audio import Recording, decode

CPU_SECONDS = 4
"""Processor time for one file; ten minutes of 48 kHz Opus, the slowest, take about two seconds."""
MEMORY = 400 * 2**20
"""Bytes that may be taken for one file, beside three times its size: its samples are 230 MB at most."""

Answer = tuple[dict[str, Any], bytes | memoryview]


def decoded(data: bytes, max_seconds: float) -> Answer:
    """Decode a file: rate, channels, and samples as float32."""
    recording: Recording = decode(data, max_seconds)
    return {"rate": recording.rate, "channels": recording.channels}, recording.signal.data.cast("B")


def measured(data: bytes, max_seconds: float) -> Answer:
    """Decode a file and describe its sound."""
    return measure(decode(data, max_seconds)).to_dict(), b""


TASKS: dict[str, Callable[[bytes, float], Answer]] = {"decode": decoded, "measure": measured}
"""What can be asked for."""


def serve() -> None:
    """Answer questions until the parent closes the pipe."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries that print would garble the answers
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    baseline = _data_bytes()
    while line := sys.stdin.buffer.readline():
        question = json.loads(line)
        data = sys.stdin.buffer.read(question["bytes"])
        _limit(baseline + MEMORY + 3 * len(data))
        fields, body = _answer(question, data)
        _send(answers, {**fields, "bytes": len(body)}, body)


def _answer(question: dict[str, Any], data: bytes) -> Answer:
    try:
        return TASKS[question["task"]](data, question["max_seconds"])
    except AudioError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "decoding it takes more memory than its length explains."}, b""


def _send(answers: IO[bytes], fields: dict[str, Any], body: bytes | memoryview) -> None:
    answers.write(json.dumps(fields).encode() + b"\n")
    answers.write(body)
    answers.flush()


def _limit(memory: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    for kind, soft in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _data_bytes() -> int:
    """Return the bytes of private memory that the process has now; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[5]) * resource.getpagesize() if status.exists() else 0
