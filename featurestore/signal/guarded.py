"""Decoding in a process of its own, so that a file which traps or crashes the decoder costs that file alone.

libsndfile and the libraries under it read many formats with much code, and files have been found that make them run
for ever (a malformed list of texts in a WAV file), ask for gigabytes, or crash. Plain WAV files never reach that code:
their samples get a header of our own. Everything else is decoded in a child process under limits of processor time
and memory; when it ends in any way but an answer, the file is rejected and the next one gets a new process.

A question is a line of JSON and the bytes of a file; an answer is a line of JSON and bytes. The first half of this file
asks, the second (`serve` and what it calls) answers, in the child.
"""

from __future__ import annotations

import json
import math
import os
import pkgutil
import resource
import signal
import subprocess
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.child_process import activity, parent_socket, start_child
from featurestore.errors import AudioError, TooLongError
from featurestore.segments import SECOND, WHOLE, Segment
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.audio import Recording, decode_segments
from featurestore.signal.containers.wav import is_plain_wav

PATIENCE = 60.0
"""Seconds without computing after which a decoder that waits for something is stopped; `CPU_SECONDS` stops what
computes, so that a busy machine rejects no file."""
CPU_SECONDS = 4
"""Processor time for `MAX_SECONDS` of sound; of 48 kHz Opus, the slowest, they take about two seconds."""
SLOWEST_BYTES = 1_000
"""Bytes of a second of sound: 8 kbit/s, below which no speech is coded."""
MEMORY = 400 * 2**20
"""Bytes that may be taken for `MAX_SECONDS` of a file, 230 MB of samples at most, beside three times its size."""
_START = "from featurestore.signal.guarded import serve; serve()"

Question = dict[str, Any]
Answer = tuple[dict[str, Any], bytes | memoryview]


class GuardedDecoder:
    """Decodes audio files; whatever could trap a decoder runs in a child process.

    Children are started when they are needed, kept for the next file, and end with their parent. Threads may share a
    decoder: each call has a child of its own.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._inherited: list[_Child] = []
        self._begin()

    def _begin(self) -> None:
        """Start without children, which end when the decoder is no longer used."""
        self._idle: list[_Child] = []
        self._process = os.getpid()
        weakref.finalize(self, _end_all, self._idle, self._process)

    def decode(self, data: bytes, max_seconds: float = MAX_SECONDS) -> Recording:
        """Decode an audio file held in memory; parameters and errors as in `featurestore.signal.audio.decode`.

        Raises
        ------
        AudioError
            Also if the decoder crashes or does not end.
        """
        (found,) = self.decode_segments(data, (WHOLE,), max_seconds)
        if isinstance(found, AudioError):
            raise found
        return found

    def decode_segments(
        self, data: bytes, segments: Sequence[Segment], max_seconds: float = MAX_SECONDS
    ) -> list[Recording | AudioError]:
        """Decode segments of a file in one pass, as `signal.audio.decode_segments` does; errors as in `decode`."""
        if is_plain_wav(data):
            return decode_segments(data, segments, max_seconds)
        fields, body = self.call(f"{__name__}:decoded", data, max_seconds, segments)
        found: list[Recording | AudioError] = []
        samples, done = np.frombuffer(body, np.float32), 0
        for one in fields["found"]:
            if isinstance(one, dict):
                found.append(_error(one, max_seconds))
            else:
                found.append(Recording(samples[done : done + one], fields["rate"], fields["channels"]))
                done += one
        return found

    def call(
        self, task: str, data: bytes, max_seconds: float = MAX_SECONDS, segments: Sequence[Segment] = (WHOLE,)
    ) -> tuple[dict[str, Any], bytearray]:
        """Run a task on segments of a file in a child; return its fields and bytes.

        `task` is `module:function`, such as `decoded` below: it takes the file's bytes and the question. The process
        that asks does not import its module.

        A child that crashes is replaced once, since it may have been killed by somebody else for another reason.

        Raises
        ------
        AudioError
            With the reason that the task gives, or how the child ended.
        """
        parts = [(one.start, one.end, one.channel) for one in segments]
        question = {"task": task, "bytes": len(data), "max_seconds": max_seconds, "segments": parts}
        for last in (False, True):
            if self._process != os.getpid():  # a fork shares no pipes with the process that it comes from
                self._inherited += self._idle
                self._begin()
            try:
                child = self._idle.pop()
            except IndexError:
                child = _Child()
            try:
                fields, body = child.ask(question, data, self._patience * max(1.0, max_seconds / MAX_SECONDS))
            except _Ended as end:
                if last or end.timed_out:
                    raise AudioError(end.reason) from None
                continue
            self._idle.append(child)
            if "error" in fields:
                raise _error(fields, max_seconds)
            return fields, body
        raise AudioError("the decoder cannot be started.")


def _error(fields: dict[str, Any], max_seconds: float) -> AudioError:
    """Return an error of the child as it was raised there."""
    seconds = fields["seconds"]
    return AudioError(fields["error"]) if seconds is None else TooLongError(seconds, max_seconds)


class _Ended(Exception):  # noqa: N818  # caught here: it becomes an AudioError only at the second time
    """A child ended without an answer."""

    def __init__(self, code: int, *, late: bool) -> None:
        self.timed_out = late or code == -signal.SIGXCPU
        if self.timed_out:
            self.reason = "the decoder did not end: it was stopped."
        else:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.reason = f"the decoder crashed ({name})."
        super().__init__(self.reason)


class _Child:
    """One decoder process."""

    def __init__(self) -> None:
        self.process, self._socket = start_child(
            _START,
            stderr=subprocess.DEVNULL,
            cwd="/",  # libsndfile looks for companions of a file in the current folder, even of one in memory
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the socket
        )
        self._channel = self._socket.makefile("rwb")

    def ask(self, question: dict[str, Any], data: bytes, patience: float) -> tuple[dict[str, Any], bytearray]:
        """Send a question with its file, and return the answer; `_Ended` if there is none."""
        late, answered = threading.Event(), threading.Event()

        def watch() -> None:
            """End the child once it has computed nothing for so long."""
            before = activity(self.process.pid)[1]
            while not answered.wait(patience):
                state, spent = activity(self.process.pid)
                if state != "R" and spent in (before, None):
                    late.set()
                    self.process.kill()
                    return
                before = spent

        threading.Thread(target=watch, name="decoder", daemon=True).start()
        try:
            self._channel.write(json.dumps(question).encode() + b"\n")
            self._channel.write(data)
            self._channel.flush()
            fields: dict[str, Any] = json.loads(self._channel.readline())
            body = bytearray(fields.get("bytes", 0))
            view, done = memoryview(body), 0
            while done < len(body):
                count = self._channel.readinto(view[done:])
                if not count:
                    raise EOFError
                done += count
        except (OSError, EOFError, ValueError):
            raise _Ended(self.end(kill=True), late=late.is_set()) from None
        except BaseException:
            self.end(kill=True)
            raise
        else:
            return fields, body
        finally:
            answered.set()

    def end(self, *, kill: bool = False) -> int:
        """Close the socket, which ends the process, and return its exit code."""
        if kill:
            self.process.kill()
        with suppress(OSError):  # what could not be written any more is of no use
            self._channel.close()
        self._socket.close()
        return self.process.wait()


def _end_all(children: list[_Child], process: int) -> None:
    """End the idle children of a decoder that is no longer used, in the process that started them."""
    if process == os.getpid():
        for child in children:
            child.end()


def decoded(data: bytes, question: Question) -> Answer:
    """Decode segments of a file: rate, channels, the samples of each or the reason why not, and them as float32."""
    found = decode_segments(data, segments_of(question), question["max_seconds"])
    sound = [one for one in found if isinstance(one, Recording)]
    fields: dict[str, Any] = {
        "found": [len(one.signal) if isinstance(one, Recording) else _error_fields(one) for one in found]
    }
    if not sound:
        return fields, b""
    fields |= {"rate": sound[0].rate, "channels": sound[0].channels}
    samples = sound[0].signal if len(sound) == 1 else np.concatenate([one.signal for one in sound])
    return fields, samples.data.cast("B")


def segments_of(question: Question) -> list[Segment]:
    """Return the segments that a question asks for."""
    return [Segment(*one) for one in question["segments"]]


def serve() -> None:
    """Answer questions until the parent closes the socket; the system ends a process that goes beyond its limits."""
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    status = Path("/proc/self/statm")
    held = int(status.read_text().split()[5]) * resource.getpagesize() if status.exists() else 0  # private memory
    with parent_socket() as parent, parent.makefile("rwb") as channel:
        while line := channel.readline():
            question = json.loads(line)
            data = channel.read(question["bytes"])
            memory = math.ceil(MEMORY * max(1.0, question["max_seconds"] / MAX_SECONDS))
            _limit(held + memory + 3 * len(data), _processor_seconds(question, len(data)))
            try:
                fields, body = pkgutil.resolve_name(question["task"])(data, question)
            except AudioError as error:
                fields, body = _error_fields(error), b""
            except MemoryError:
                fields, body = _error_fields(AudioError("decoding it takes more memory than its length explains.")), b""
            channel.write(json.dumps({**fields, "bytes": len(body)}).encode() + b"\n")
            channel.write(body)
            channel.flush()


def _error_fields(error: AudioError) -> dict[str, Any]:
    return {"error": str(error), "seconds": error.seconds if isinstance(error, TooLongError) else None}


def _processor_seconds(question: Question, size: int) -> int:
    """Return the limit of a file: codecs read from its start up to the last segment, which can lie hours behind."""
    longest: float = max(question["max_seconds"], size / SLOWEST_BYTES)
    ends = [longest if segment.end is None else segment.end / SECOND for segment in segments_of(question)]
    return math.ceil(CPU_SECONDS * max(1.0, min(longest, max(ends)) / MAX_SECONDS))


def _limit(memory: int, processor_seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + processor_seconds
    for kind, soft in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_DATA, memory)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
