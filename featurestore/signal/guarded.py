"""Decoding in a process of its own, so that a file which traps or crashes the decoder costs that file alone.

libsndfile and the libraries under it read many formats with much code, and files have been found that make them run
for ever (a malformed list of texts in a WAV file), ask for gigabytes, or crash. Plain WAV files never reach that code:
their samples get a header of our own. Everything else is decoded in a child process under limits of processor time
and memory; when it ends in any way but an answer, the file is rejected and the next one gets a new process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from featurestore.child_process import start_child
from featurestore.errors import AudioError, TooLongError
from featurestore.segments import WHOLE, Segment
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.audio import Recording, decode_segments
from featurestore.signal.containers.wav import is_plain_wav

PATIENCE = 60.0
"""Seconds on the clock after which a decoder that waits for something is stopped; see `decoder_process` for those
that compute."""
_START = "from featurestore.signal.decoder_process import serve; serve()"


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
        fields, body = self.call("decode", data, max_seconds, segments)
        found: list[Recording | AudioError] = []
        samples, done = np.frombuffer(body, np.float32), 0
        for told in fields["found"]:
            if isinstance(told, dict):
                found.append(_error(told, max_seconds))
            else:
                found.append(Recording(samples[done : done + told], fields["rate"], fields["channels"]))
                done += told
        return found

    def call(
        self, task: str, data: bytes, max_seconds: float = MAX_SECONDS, segments: Sequence[Segment] = (WHOLE,)
    ) -> tuple[dict[str, Any], bytearray]:
        """Run one task of `decoder_process.TASKS` on segments of a file in a child; return its fields and bytes.

        A child that crashes is replaced once, since it may have been killed by somebody else for another reason.

        Raises
        ------
        AudioError
            With the reason that the task gives, or saying how the child ended.
        """
        parts = [(one.start, one.end, one.channel) for one in segments]
        question = {"task": task, "bytes": len(data), "max_seconds": max_seconds, "segments": parts}
        for last in (False, True):
            child = self._child()
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

    def _child(self) -> _Child:
        if self._process != os.getpid():  # a fork shares no pipes with the process that it comes from
            self._inherited += self._idle
            self._begin()
        try:
            return self._idle.pop()
        except IndexError:
            return _Child()


def _error(told: dict[str, Any], max_seconds: float) -> AudioError:
    """Return an error of the child as it was raised there."""
    return AudioError(told["error"]) if told["seconds"] is None else TooLongError(told["seconds"], max_seconds)


class _Ended(Exception):  # noqa: N818  # not an error of ours, but news
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
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.process.kill()

        timer = threading.Timer(patience, stop)
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(question, data)
        except (OSError, EOFError, ValueError):
            raise _Ended(self.end(kill=True), late=late.is_set()) from None
        except BaseException:
            self.end(kill=True)
            raise
        finally:
            timer.cancel()

    def _exchange(self, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytearray]:
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
        return fields, body

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
