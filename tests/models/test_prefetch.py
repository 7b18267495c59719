"""Batches that a thread makes ahead: the same ones, in order, and no thread left behind."""

import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import torch
from array_view import some_view

from featurestore.errors import DamagedObjectError
from models.batches.loader import PadCollate, ViewDataset, ahead, batches
from models.batches.samplers import BatchSampler

CPU = torch.device("cpu")

INTERRUPTED = """
import sys, threading
sys.path.insert(0, {root!r})
from contextlib import closing
from models.batches.loader import ahead

def endless():
    yield 0
    while True:
        print("waiting", flush=True)
        threading.Event().wait(0.2)
        yield 1

try:
    with closing(ahead(endless())) as items:
        for item in items:
            pass
except KeyboardInterrupt:
    print([thread.name for thread in threading.enumerate()], flush=True)
    sys.exit(130)
"""


def prefetching():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_prefetched_batches_are_those_that_are_read_here(side, dtype):
    view = some_view(60)
    view.features = view.features.__class__(rate=16_000, mels=128, dtype=dtype)
    view.rows = [row.astype(dtype) for row in view.rows]
    dataset = ViewDataset(view, view.classes)
    order = list(BatchSampler(view.frames, 4, seed=1))

    count = 0
    read = batches(dataset, order, PadCollate(side, 16))
    prepared = (batch.to(CPU) for batch in ahead(batches(dataset, order, PadCollate(side, 16))))
    for found, made in zip(prepared, read, strict=True):
        expected = made.to(CPU)
        assert torch.equal(found.features, expected.features)
        assert found.features.dtype == torch.float32
        assert torch.equal(found.starts, expected.starts)
        assert torch.equal(found.lengths, expected.lengths)
        assert torch.equal(found.labels, expected.labels)
        count += 1

    assert count == 15
    assert prefetching() == []


def test_never_more_items_are_made_than_are_to_wait():
    made, taken = [], 0

    def items():
        for item in range(50):
            made.append(item)
            yield item

    for item in ahead(items(), depth=3):
        assert item == taken
        taken += 1
        assert len(made) <= taken + 3 + 1

    assert taken == 50


def test_an_error_in_the_thread_is_raised_at_its_own_batch():
    def items():
        yield from range(4)
        raise DamagedObjectError("shards/a/b/c/0/0", "checksum of chunk 3 does not match")

    taken = []
    with pytest.raises(DamagedObjectError, match=r"^shards/a/b/c/0/0 is damaged .* Run 'featurestore repair'"):
        taken.extend(ahead(items()))

    assert prefetching() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_no_thread_outlives_a_loop_that_ends_early(error):
    def loop():
        with closing(ahead(range(1000))) as items:
            for item in items:
                if item == 2:
                    raise error

    with pytest.raises(error):
        loop()

    assert prefetching() == []


@pytest.fixture
def heeds_ctrl_c():
    """Let this process heed interrupts: a shell in the background ignores them, and its children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_while_the_thread_begins_leaves_no_thread():
    main = threading.main_thread().ident

    def interrupting():
        signal.pthread_kill(main, signal.SIGINT)
        yield from range(1000)

    for _ in range(100):
        with pytest.raises(KeyboardInterrupt), closing(ahead(interrupting())) as items:
            for _ in items:
                pass

        assert prefetching() == []


def test_ctrl_c_while_waiting_for_a_batch_ends_the_process_at_once():
    script = INTERRUPTED.format(root=str(Path(__file__).parents[2]))
    # a shell in the background ignores interrupts, and its children inherit that
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with child:
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().splitlines()

    assert child.returncode == 130
    assert rest[-1] == "['MainThread']"
