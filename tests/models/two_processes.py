"""A training in two processes: one import for all, then forks, so that a test can afford it.

Each process is told where it stands as `torchrun` tells it, but nobody ends one when the other died.
"""

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

import torch._dynamo  # noqa: E402, F401 (an optimiser imports it, which takes longer than the training)
from small_training import small_config, small_sides  # noqa: E402

from models.optimisation.distributed import joined  # noqa: E402
from models.training import train  # noqa: E402
from models.training_loop import SilentTraining  # noqa: E402

SPEC = {
    "checkpoint_minutes": 1e-9,
    "gradient_norms": True,
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "optimiser": "sgd",
    "learning_rate": 1e-3,
}
"""Steps that are short and in proportion to the gradient, so that rounding stays what it is."""
SECONDS = 200
"""A process that hangs is ended after this."""


class Die(SilentTraining):
    """Progress that ends the process without a word at the end of the second epoch, past a checkpoint within it."""

    def step(self, report):
        if report.epoch == 2 and report.step == report.steps:
            os._exit(7)


def train_and_die(ranks, sides, config, folder):
    train(sides, config, folder / "run", device="cpu", progress=Die(), ranks=ranks)


def train_and_go_on(ranks, sides, config, folder):
    result = train(sides, config, folder / "whole", device="cpu", ranks=ranks)
    (folder / f"result-{ranks.rank}").write_text(repr(result))
    train(sides, config, folder / "run", device="cpu", resume=True, ranks=ranks)


def in_two(scene, folder):
    """Run a scene in two processes; return their exit codes and what went wrong in each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    processes = [os.fork() or be_rank(rank, place, scene, folder) for rank in (0, 1)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    notes = [folder / f"error-{rank}" for rank in (0, 1)]
    return {"codes": codes, "errors": [note.read_text() if note.exists() else "" for note in notes]}


def be_rank(rank, place, scene, folder):
    signal.alarm(SECONDS)
    os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank), GLOO_SOCKET_IFNAME="lo")
    sides, code = small_sides(), 1
    try:
        with joined("cpu") as ranks:
            scene(ranks, sides, small_config(sides, **SPEC), folder)
        code = 0
    except Exception:
        (folder / f"error-{rank}").write_text(traceback.format_exc())
    os._exit(code)


def main(folder):
    died = in_two(train_and_die, folder)
    died["files"] = sorted(path.name for path in (folder / "run").iterdir())
    (folder / "checkpoint.safetensors").write_bytes((folder / "run" / "checkpoint.safetensors").read_bytes())
    (folder / "told.json").write_text(json.dumps({"died": died, "whole": in_two(train_and_go_on, folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
