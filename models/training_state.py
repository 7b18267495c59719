"""The state of a training between two steps: all that an exact resumption needs, in one file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurestore.checksummed_json import canonical_json, parsed
from featurestore.errors import FeatureStoreError
from featurestore.typed_values import check_fields
from models.errors import CheckpointError
from models.figures.running_metrics import GradientNorms, RunningConcordance, RunningMetrics
from models.optimisation.distributed import ALONE, Ranks
from models.optimisation.optimisers import optimiser_tensors, restore_optimiser
from models.runs.checkpoint import read_tensors, write_tensors
from models.runs.records import check_epoch

CHECKPOINT = "checkpoint.safetensors"
FORM = "2"
"""Validation figures of earlier checkpoints judged other batch-norm statistics than those that are delivered."""


@dataclass
class Counters:
    """The state of a training; every field is a JSON value."""

    epoch: int = 1
    """The epoch under way."""
    step: int = 0
    """Steps done in it."""
    rate: float = 0.0
    """Learning rate of the last step."""
    seconds: float = 0.0
    """Spent in all epochs before the last checkpoint, validation included."""
    step_seconds: float = 0.0
    """Spent in steps alone."""
    clips: int = 0
    """Clips that went through a step."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """Step and loss of its batch, every few steps of the epoch under way."""
    norms: list[tuple[int, list[float]]] = field(default_factory=list)
    """Step and gradient norm of each layer, as often, where they are recorded."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The line of each finished epoch."""

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Counters:
        """Read the JSON form; raises some error if it makes no sense."""
        counters = cls(**document)
        check_fields(counters, "its counters")
        if counters.step < 0 or len(list(map(check_epoch, counters.history))) != counters.epoch - 1:
            raise ValueError("the number of epochs does not match its history")
        return counters


@dataclass
class TrainingState:
    """All that changes during a training."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    running_metrics: RunningMetrics | RunningConcordance
    """Of the epoch under way."""
    counters: Counters = field(default_factory=Counters)
    best: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the best epoch, if the run keeps those."""
    norms: GradientNorms | None = None
    """Of the epoch under way, if they are recorded."""

    def keep_as_best(self) -> None:
        """Remember the weights as they are now."""
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def begin_epoch(self) -> None:
        """Go on to the next epoch, with nothing counted in it."""
        counters = self.counters
        counters.epoch, counters.step, counters.losses, counters.norms = counters.epoch + 1, 0, [], []
        self.running_metrics = self.running_metrics.cleared()
        if self.norms:
            self.norms.clear()

    def save(self, folder: Path, config: str, ranks: Ranks = ALONE) -> None:
        """Write the state of all ranks into a run folder, atomically; the first rank does."""
        own = self.running_metrics.tensors(), random_state(next(self.model.parameters()).device)
        by_rank = [ranks.gather(named) for named in own]  # every rank takes part, and only the first one writes
        if not ranks.first:
            return
        groups = {
            "model": self.model.state_dict(),
            "optimiser": optimiser_tensors(self.model, self.optimiser),
            "best": self.best,
            "norms": self.norms.tensors() if self.norms else {},
        }
        for rank, (running, random) in enumerate(zip(*by_rank, strict=True)):
            groups |= {of_rank("tally", rank): running, of_rank("random", rank): random}
        tensors = {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        counters = json.dumps(dataclasses.asdict(self.counters))
        metadata = {"form": FORM, "config": config, "counters": counters, "ranks": str(ranks.count)}
        write_tensors(folder / CHECKPOINT, tensors, {**metadata, "seal": seal(tensors, metadata)})

    def load(self, folder: Path, config: str, ranks: Ranks = ALONE) -> bool:
        """Restore the state in a run folder; False if there is none yet.

        Raises
        ------
        CheckpointError
            If the file is damaged or belongs to another configuration or number of ranks.
        """
        path = folder / CHECKPOINT
        if not path.exists():
            return False
        tensors, metadata = read_tensors(path)
        found = metadata.pop("seal", "")
        if metadata.get("form") != FORM:
            raise CheckpointError(f"{path}: was written by another version. Remove it to start this run over.")
        if metadata.get("config") != config:
            raise CheckpointError(f"{path}: belongs to another configuration. Remove it to start this run over.")
        if found != seal(tensors, metadata):
            raise CheckpointError(f"{path}: its bytes are not those that the training wrote. Remove it to start over.")
        written_by = metadata.get("ranks")
        if written_by != str(ranks.count):
            raise CheckpointError(
                f"{path}: was written by {written_by} processes, not {ranks.count}: continue with "
                f"'torchrun --nproc-per-node {written_by}' or remove it to start this run over."
            )
        try:
            self._restore(tensors, Counters.from_dict(parsed(metadata["counters"].encode())), ranks.rank)
        except (FeatureStoreError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{path}: does not fit this run. Remove it to start this run over.") from error
        return True

    def _restore(self, tensors: dict[str, Tensor], counters: Counters, rank: int) -> None:
        groups: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            groups.setdefault(group, {})[name] = tensor
        self.model.load_state_dict(groups["model"])
        restore_optimiser(self.model, self.optimiser, groups.get("optimiser", {}))
        self.running_metrics.restore(groups[of_rank("tally", rank)])
        self.best = groups.get("best", {})
        if self.norms and "norms" in groups:
            self.norms.restore(groups["norms"])
        restore_random_state(groups[of_rank("random", rank)])
        self.counters = counters


def seal(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Return the sha256 of named tensors and of the text beside them."""
    found = hashlib.sha256(canonical_json(dict(metadata)).encode())
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        found.update(canonical_json([name, str(values.dtype), list(values.shape)]).encode())
        found.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def of_rank(group: str, rank: int) -> str:
    """Return the name of what each rank has of its own; the first one's is that of a training in one process."""
    return f"{group}-{rank}" if rank else group


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
