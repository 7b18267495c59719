"""The state of a training between two steps: all that an exact resumption needs, in one file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.checkpoint import read_tensors, write_tensors
from models.errors import CheckpointError
from models.optimisation import optimiser_tensors, restore_optimiser
from models.tally import Tally

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Counters:
    """Where a training stands; every field is a JSON value."""

    epoch: int = 1
    """The epoch under way."""
    step: int = 0
    """Steps done in it."""
    best_epoch: int = 0
    best_value: float | None = None
    stale: int = 0
    """Epochs since the best one."""
    seconds: float = 0.0
    """Spent in all epochs before the last checkpoint, validation included."""
    step_seconds: float = 0.0
    """Spent in steps alone."""
    clips: int = 0
    """Clips that went through a step."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """Step and loss of its batch, every few steps of the epoch under way."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The line of each finished epoch."""


@dataclass
class TrainingState:
    """All that changes while a model is trained."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    tally: Tally
    """Of the epoch under way."""
    counters: Counters = field(default_factory=Counters)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the best epoch, if those are to be kept."""

    def keep_as_best(self) -> None:
        """Remember the weights as they are now."""
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def save(self, folder: Path, config: str) -> None:
        """Write the state into a run folder, atomically."""
        groups = {
            "model": self.model.state_dict(),
            "optimiser": optimiser_tensors(self.model, self.optimiser),
            "tally": self.tally.tensors(),
            "best": self.best,
            "random": random_state(self.tally.loss.device),
        }
        tensors = {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        metadata = {"config": config, "counters": json.dumps(dataclasses.asdict(self.counters))}
        write_tensors(folder / CHECKPOINT, tensors, metadata)

    def load(self, folder: Path, config: str) -> bool:
        """Go on from the state in a run folder; False if there is none yet.

        Raises
        ------
        CheckpointError
            If the file is damaged or belongs to another configuration.
        """
        path = folder / CHECKPOINT
        if not path.exists():
            return False
        tensors, metadata = read_tensors(path)
        if metadata.get("config") != config:
            raise CheckpointError(f"{path}: belongs to another configuration. Remove it to start this run over.")
        try:
            self._restore(tensors, json.loads(metadata["counters"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path}: does not fit this run. Remove it to start this run over.") from error
        return True

    def _restore(self, tensors: dict[str, Tensor], counters: dict[str, Any]) -> None:
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = tensor
        self.model.load_state_dict(groups["model"])
        restore_optimiser(self.model, self.optimiser, groups.get("optimiser", {}))
        self.tally.restore(groups["tally"])
        self.best = groups.get("best", {})
        restore_random_state(groups["random"])
        self.counters = Counters(**counters)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of torch's generators, which dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    """Set torch's generators to a state of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
