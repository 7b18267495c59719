"""One training in two processes, which talk over the loopback device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_training import MODEL, SETTINGS, history_of, small_config, small_sides
from two_processes import SPEC

from models.errors import CheckpointError, TrainingError
from models.networks import build_model
from models.optimisation.distributed import ALONE, Ranks
from models.optimisation.losses import Losses
from models.runs.run import load_run
from models.training import train

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run that died in two processes and was gone on with, and one that was not disturbed."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run((sys.executable, SCRIPT, folder), env=environment, check=True, timeout=280)
    return folder


def test_a_process_that_dies_ends_the_others_and_leaves_a_checkpoint(trained):
    told = json.loads((trained / "told.json").read_text())

    assert told["died"]["codes"] == [7, 1]
    assert "another process of this training ended or did not answer" in told["died"]["errors"][1]
    assert told["died"]["files"] == ["checkpoint.safetensors", "config.json", "metrics.jsonl"]
    assert told["whole"]["codes"] == [0, 0], told["whole"]["errors"]


def test_two_processes_learn_what_one_does_with_the_same_batches(trained, tmp_path):
    sides = small_sides()
    train(sides, small_config(sides, **SPEC), tmp_path / "one", device="cpu")
    one, two = history_of(tmp_path / "one"), history_of(trained / "whole")

    for alone, together in zip(one, two, strict=True):
        assert together["train"]["loss"] == pytest.approx(alone["train"]["loss"], rel=1e-4)
        assert together["validation"]["loss"] == pytest.approx(alone["validation"]["loss"], rel=1e-4)
        assert [step for step, _ in together["losses"]] == [step for step, _ in alone["losses"]]
        assert [loss for _, loss in together["losses"]] == pytest.approx(
            [loss for _, loss in alone["losses"]], rel=1e-3
        )
        assert together["gradient_norms"] == pytest.approx(alone["gradient_norms"], rel=1e-3)
    start = build_model(MODEL, 3, 16, seed=0, **SETTINGS).state_dict()
    weights = [load_run(folder).model.state_dict() for folder in (tmp_path / "one", trained / "whole")]
    for name, first in start.items():
        alone, together = (found[name] - first for found in weights)
        assert float((together - alone).abs().max()) <= 0.05 * float(alone.abs().max()), name


def test_both_processes_know_the_result_and_one_folder_holds_it(trained):
    results = [(trained / f"result-{rank}").read_text() for rank in (0, 1)]

    assert results[0] == results[1] == repr(load_run(trained / "whole").summary["result"])
    assert "2 x cpu" in results[0]
    assert not list(trained.glob("whole/.*"))


def test_two_processes_go_on_exactly_from_their_checkpoint(trained):
    whole, resumed = history_of(trained / "whole"), history_of(trained / "run")
    for record in (*whole, *resumed):
        del record["seconds"], record["clips_per_second"]

    assert resumed == whole
    assert (trained / "run" / "model.safetensors").read_bytes() == (
        trained / "whole" / "model.safetensors"
    ).read_bytes()


def test_a_checkpoint_of_two_processes_is_not_gone_on_with_by_one(trained, tmp_path):
    (tmp_path / "run").mkdir()
    for name in ("checkpoint.safetensors", "whole/config.json"):
        (tmp_path / "run" / Path(name).name).write_bytes((trained / name).read_bytes())
    sides = small_sides()

    with pytest.raises(CheckpointError, match="by 2 processes, not 1: continue with 'torchrun --nproc-per-node 2'"):
        train(sides, small_config(sides, **SPEC), tmp_path / "run", device="cpu", resume=True)


@pytest.mark.parametrize("rows", [range(8), range(7), [5], [3, 4]])
def test_ranks_share_a_batch_and_count_each_row_once(rows):
    several = [Ranks(rank, 3) for rank in range(3)]
    counted = [ranks.share(list(rows))[: ranks.counted(list(rows))] for ranks in several]

    assert sorted(row for share in counted for row in share) == sorted(rows)
    assert all(ranks.share(list(rows)) for ranks in several)
    assert ALONE.share(list(rows)) == list(rows)


def test_a_process_by_itself_hears_and_adds_nothing():
    weights = torch.nn.Linear(2, 1)
    objective = weights(torch.ones(1, 2)).sum()
    loss = ALONE.backward(Losses(objective, torch.tensor(1.0), objective.detach()), 1, weights)

    assert loss == objective.detach()
    assert torch.equal(weights.weight.grad, torch.ones(1, 2))
    assert ALONE.broadcast(lambda: {"a": 1}) == {"a": 1}
    assert ALONE.device("auto") == "auto"


def test_a_command_for_one_process_refuses_several(monkeypatch, tmp_path):
    sides = small_sides()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")

    with pytest.raises(TrainingError, match="this command runs in one process: start it without torchrun"):
        train(sides, small_config(sides), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
