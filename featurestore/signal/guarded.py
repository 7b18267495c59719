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
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featurestore.errors import AudioError, TooLongError
from featurestore.segments import WHOLE, Segment
from featurestore.signal.arrays import MAX_SECONDS
from featurestore.signal.audio import Recording, decode_segments
from featurestore.signal.containers.wav import is_plain_wav

PATIENCE = 60.0
"""Seconds on the clock after which a decoder that waits for something is stopped; see `decoder_process` for those
that compute."""
_ROOT = Path(__file__).resolve().parents[2]
_START = "import sys; sys.path.insert(0, sys.argv[1]); from featurestore.signal.decoder_process import serve; serve()"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


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

    def __init__(self, code: int, *, stopped: bool) -> None:
        self.timed_out = stopped or code == -signal.SIGXCPU
        if self.timed_out:
            self.reason = "the decoder did not end: it was stopped."
        else:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.reason = f"the decoder crashed ({name})."
        super().__init__(self.reason)


class _Child:
    """One decoder process and its pipes."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(  # noqa: S603  # our own interpreter and our own module
            [sys.executable, "-P", "-c", _START, str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ONE_THREAD},
            cwd="/",  # libsndfile looks for companions of a file in the current folder, even of one in memory
            start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
        )

    def ask(self, question: dict[str, Any], data: bytes, patience: float) -> tuple[dict[str, Any], bytearray]:
        """Send a question with its file, and return the answer; `_Ended` if there is none."""
        stopped = threading.Event()
        timer = threading.Timer(patience, self._stop, [stopped])
        timer.daemon = True
        timer.start()
        try:
            return self._exchange(question, data)
        except (OSError, EOFError, ValueError):
            self._popen.kill()
            raise _Ended(self.end(), stopped=stopped.is_set()) from None
        except BaseException:
            self.end(kill=True)
            raise
        finally:
            timer.cancel()

    def _exchange(self, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytearray]:
        sink, well = self._popen.stdin, self._popen.stdout
        if sink is None or well is None:
            raise EOFError
        sink.write(json.dumps(question).encode() + b"\n")
        sink.write(data)
        sink.flush()
        fields: dict[str, Any] = json.loads(well.readline())
        body = bytearray(fields.get("bytes", 0))
        view, done = memoryview(body), 0
        while done < len(body):
            count = well.readinto(view[done:])  # type: ignore[attr-defined]  # a BufferedReader
            if not count:
                raise EOFError
            done += count
        return fields, body

    def _stop(self, stopped: threading.Event) -> None:
        stopped.set()
        self._popen.kill()

    def end(self, *, kill: bool = False) -> int:
        """Close the pipes, which ends the process, and return its exit code."""
        if kill:
            self._popen.kill()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what could not be written any more is of no use
                    continue
        return self._popen.wait()


def _end_all(children: list[_Child], process: int) -> None:
    """End the idle children of a decoder that is no longer used, in the process that started them."""
    if process == os.getpid():
        for child in children:
            child.end()
