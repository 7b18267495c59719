"""A decoder that hangs, crashes or eats memory costs one file and nothing else.

Real files that do so to the libraries of one year are mended in the next, so some tests give the child process a task
that does.
"""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from odd_files import wav, written

from featurestore.errors import AudioError
from featurestore.signal import guarded
from featurestore.signal.audio import decode
from featurestore.signal.guarded import GuardedDecoder


@pytest.fixture(scope="module")
def flac():
    return written((0.3 * np.sin(np.arange(16_000) * 0.05)).astype(np.float32), container="FLAC", subtype="PCM_16")


@pytest.fixture
def hostile_tasks(monkeypatch):
    """Children that know tasks which behave as bad decoders do."""
    start = (
        "import os, time\n"
        "from featurestore.signal import guarded as d\n"
        "d.CPU_SECONDS = 1\n"
        "def hang(data, max_seconds):\n    while True: pass\n"
        "def wait(data, max_seconds): time.sleep(3600)\n"
        "def crash(data, max_seconds): os.kill(os.getpid(), 11)\n"
        "def eat(data, max_seconds): return {'held': len(bytearray(4 * 2**30))}, b''\n"
        "def work(data, max_seconds):\n"
        "    while time.process_time() < end: pass\n"
        "    return {}, b''\n"
        "end = time.process_time() + 0.8\n"
        "d.hang, d.wait, d.crash, d.eat, d.work = hang, wait, crash, eat, work\n"
        "d.serve()"
    )
    monkeypatch.setattr(guarded, "_START", start)


def test_a_compressed_file_comes_out_of_the_child_with_the_same_bits(flac):
    there, here = GuardedDecoder().decode(flac), decode(flac)

    np.testing.assert_array_equal(there.signal, here.signal)
    assert (there.rate, there.channels) == (here.rate, here.channels)


def test_plain_wav_starts_no_process(monkeypatch):
    monkeypatch.setattr(guarded, "_START", "raise SystemExit(1)")

    assert len(GuardedDecoder().decode(wav(bytes(4_000))).signal) == 2_000


@pytest.mark.parametrize(
    ("task", "reason"),
    [("hang", "did not end"), ("wait", "did not end"), ("crash", "SIGSEGV"), ("eat", "more memory")],
)
def test_a_bad_decoder_is_stopped_and_the_next_file_is_decoded(hostile_tasks, flac, task, reason):
    decoder = GuardedDecoder(patience=2 if task == "wait" else 60)

    with pytest.raises(AudioError, match=reason):
        decoder.call(f"featurestore.signal.guarded:{task}", flac)

    decoder._patience = 60
    assert len(decoder.decode(flac).signal) == 16_000


def test_a_decoder_that_computes_is_not_stopped_however_slow_the_machine(hostile_tasks, flac):
    assert GuardedDecoder(patience=0.2).call("featurestore.signal.guarded:work", flac) == ({"bytes": 0}, b"")


def test_a_child_that_somebody_kills_is_replaced_and_no_file_is_rejected_for_it(flac):
    decoder = GuardedDecoder()
    decoder.decode(flac)
    child = decoder._idle[0].process

    os.kill(child.pid, signal.SIGKILL)
    child.wait()

    assert len(decoder.decode(flac).signal) == 16_000


def test_threads_that_share_a_decoder_get_their_own_answers():
    files = [written(np.full(1_000 + 100 * k, 0.1, np.float32), container="FLAC", subtype="PCM_16") for k in range(8)]
    decoder, lengths = GuardedDecoder(), {}

    def work(k):
        lengths[k] = [len(decoder.decode(files[k]).signal) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert lengths == {k: [1_000 + 100 * k] * 5 for k in range(8)}


def test_children_end_with_their_parent(flac):
    script = (
        "import os, sys; from featurestore.signal.guarded import GuardedDecoder\n"
        "decoder = GuardedDecoder(); decoder.decode(sys.stdin.buffer.read())\n"
        "print(decoder._idle[0].process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], input=flac, capture_output=True, check=False)
    pid = int(done.stdout)

    for _ in range(100):
        if not _runs(pid):
            break
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as status:  # noqa: PTH123
            return status.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_limits_of_the_child_let_the_longest_recording_pass():
    assert guarded.MEMORY > 4 * 57_600_000
