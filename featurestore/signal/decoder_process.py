"""The child process of a `GuardedDecoder`: decodes the files that its parent sends.

A question is a line of JSON and the bytes of a file; an answer is a line of JSON and bytes. Processor time and memory
are limited before each file; the system ends the process that goes beyond.
"""

from __future__ import annotations

import json
import math
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.child_process import parent_socket
from featurestore.errors import AudioError, TooLongError
from featurestore.quality.measures import measure
from featurestore.segments import SECOND, Segment
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.audio import Recording, decode, decode_segments

CPU_SECONDS = 4
"""Processor time for `MAX_SECONDS` of sound; of 48 kHz Opus, the slowest, they take about two seconds."""
SLOWEST_BYTES = 1_000
"""Bytes of a second of sound: 8 kbit/s, below which no speech is coded."""
MEMORY = 400 * 2**20
"""Bytes that may be taken for `MAX_SECONDS` of a file, 230 MB of samples at most, beside three times its size."""

Question = dict[str, Any]
Answer = tuple[dict[str, Any], bytes | memoryview]


def decoded(data: bytes, question: Question) -> Answer:
    """Decode segments of a file: rate, channels, the samples of each or the reason why not, and them as float32."""
    found = decode_segments(data, _segments(question), question["max_seconds"])
    sound = [one for one in found if isinstance(one, Recording)]
    told = [len(one.signal) if isinstance(one, Recording) else _told(one) for one in found]
    form = {"rate": sound[0].rate, "channels": sound[0].channels} if sound else {}
    samples = (
        sound[0].signal if len(sound) == 1 else np.concatenate([np.empty(0, np.float32), *(s.signal for s in sound)])
    )
    return {**form, "found": told}, samples.data.cast("B") if len(samples) else b""


def measured(data: bytes, question: Question) -> Answer:
    """Decode a segment of a file and describe its sound."""
    (segment,) = _segments(question)
    return measure(decode(data, question["max_seconds"], segment)).to_dict(), b""


def _segments(question: Question) -> list[Segment]:
    return [Segment(*one) for one in question["segments"]]


TASKS: dict[str, Callable[[bytes, Question], Answer]] = {"decode": decoded, "measure": measured}
"""What can be asked for."""


def serve() -> None:
    """Answer questions until the parent closes the socket."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    baseline = _data_bytes()
    with parent_socket() as parent, parent.makefile("rwb") as channel:
        while line := channel.readline():
            question = json.loads(line)
            data = channel.read(question["bytes"])
            memory = math.ceil(MEMORY * max(1.0, question["max_seconds"] / MAX_SECONDS))
            _limit(baseline + memory + 3 * len(data), _processor_seconds(question, len(data)))
            fields, body = _answer(question, data)
            channel.write(json.dumps({**fields, "bytes": len(body)}).encode() + b"\n")
            channel.write(body)
            channel.flush()


def _answer(question: dict[str, Any], data: bytes) -> Answer:
    try:
        return TASKS[question["task"]](data, question)
    except AudioError as error:
        return _told(error), b""
    except MemoryError:
        return _told(AudioError("decoding it takes more memory than its length explains.")), b""


def _told(error: AudioError) -> dict[str, Any]:
    return {"error": str(error), "seconds": error.seconds if isinstance(error, TooLongError) else None}


def _processor_seconds(question: Question, size: int) -> int:
    """Return the limit of a file: codecs read from its start up to the last segment, which can lie hours behind."""
    longest: float = max(question["max_seconds"], size / SLOWEST_BYTES)
    ends = [longest if segment.end is None else segment.end / SECOND for segment in _segments(question)]
    return math.ceil(CPU_SECONDS * max(1.0, min(longest, max(ends)) / MAX_SECONDS))


def _limit(memory: int, processor_seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + processor_seconds
    for kind, soft in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _data_bytes() -> int:
    """Return the bytes of private memory that the process has now; 0 where the system does not tell."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[5]) * resource.getpagesize() if status.exists() else 0
