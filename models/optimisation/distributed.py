"""One training in several processes, as `torchrun` starts them: who does what, and how gradients become one.

Every process (rank) holds the whole model and the whole order of batches, takes its own rows of each batch, and adds
its gradients to those of the others before each step. So `batch_size` is that of all ranks together, and all take the
very same step. The first rank alone validates, prints and writes; it broadcasts the results to the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from featurestore.errors import FeatureStoreError
from models.errors import TrainingError
from models.optimisation.losses import Losses

Message = TypeVar("Message")
ANSWER_WITHIN = timedelta(minutes=10)
"""A rank that is silent in a step for this long ends the training."""
WAIT_WITHIN = timedelta(hours=12)
"""How long the others wait while the first rank builds a dataset, validates or writes. One that dies is noticed at
once in both cases: its connections close."""


@dataclass(frozen=True)
class Ranks:
    """The place of a process among those of a training; the default is a training in one process."""

    rank: int = 0
    count: int = 1
    local: int = 0
    """Number among the ranks of this machine: that of its GPU."""
    patient: dist.ProcessGroup | None = None
    """Connects the processors of all ranks, and waits `WAIT_WITHIN`."""

    @property
    def first(self) -> bool:
        """Whether this rank validates, prints and writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Return the device of this rank for a name that the user gave: with several ranks each has a GPU."""
        wants_gpu = name.startswith("cuda") or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local}" if self.count > 1 and wants_gpu else name

    def share(self, rows: Sequence[int]) -> list[int]:
        """Return the rows of a batch that this rank takes: every `count`-th one, so that lengths stay alike.

        A rank for which none is left takes the first row all the same, so that all go through the same layers; see
        `counted`.
        """
        return list(rows[self.rank :: self.count] or rows[:1])

    def counted(self, rows: Sequence[int]) -> int:
        """Return how many rows of a batch count on this rank; 0 if it takes one that is another's."""
        return len(rows[self.rank :: self.count])

    def backward(self, losses: Losses, clips: int, model: nn.Module) -> Tensor:
        """Compute the gradient of the whole batch's objective; return its mean plain loss, a scalar on the device.

        Several ranks add up gradients of sums in one exchange and divide by the sum of all weights: the mean over the
        batch even if ranks have unequal shares. `clips` is `counted` of the batch.
        """
        if self.count == 1:
            losses.objective.backward()  # type: ignore[no-untyped-call]
            return losses.plain
        share = losses.weight * bool(clips)
        (losses.objective * share).backward()  # type: ignore[no-untyped-call]
        sums = torch.stack([share, losses.plain * clips, torch.full_like(share, clips)])
        gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), sums])
        with communication_errors():
            dist.all_reduce(flat)
        weight, loss, rows = flat[-3:].unbind()
        pieces = torch.split(flat[:-3], [gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            torch.div(piece.view(gradient.shape), weight, out=gradient)
        return loss / rows

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors, in place, by their sums over all ranks."""
        for tensor in tensors if self.count > 1 else ():
            with communication_errors():
                dist.all_reduce(tensor)

    def broadcast(self, work: Callable[[], Message]) -> Message:
        """Let the first rank do some work and return its result, a JSON value, on every rank.

        Raises
        ------
        TrainingError
            On the other ranks, if the work failed on the first one.
        """
        if self.count == 1:
            return work()
        if not self.first:
            answer = self._from_first(b"")
            if "failed" in answer:
                raise TrainingError("the first process of this training stopped; see its own message for the reason.")
            return answer["result"]  # type: ignore[no-any-return]
        try:
            result = work()
        except FeatureStoreError:
            self._from_first(json.dumps({"failed": True}).encode())
            raise
        self._from_first(json.dumps({"result": result}).encode())
        return result

    def _from_first(self, message: bytes) -> Any:  # noqa: ANN401 (any JSON value)
        """Send a message from the first rank, or receive it on the others."""
        size = torch.tensor(len(message))
        with communication_errors():
            dist.broadcast(size, 0, group=self.patient)
            text = torch.frombuffer(bytearray(message or bytes(int(size))), dtype=torch.uint8)
            dist.broadcast(text, 0, group=self.patient)
        return json.loads(text.numpy().tobytes())

    def in_turn(self, work: Callable[[], Message]) -> Message:
        """Do some work on every rank, first on the first one, so that the others may find it done; see `broadcast`."""
        if self.first:
            found: list[Message] = []
            self.broadcast(lambda: found.append(work()))
            return found[0]
        self.broadcast(lambda: None)
        return work()

    def gather(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return the tensors of every rank, in their order, on the CPU; on any but the first rank only its own."""
        mine = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        if self.count == 1:
            return [mine]
        found: list[dict[str, Tensor]] = [{} for _ in range(self.count)] if self.first else [mine]
        for name, tensor in mine.items():
            places = [torch.empty_like(tensor) for _ in range(self.count)] if self.first else None
            with communication_errors():
                dist.gather(tensor.contiguous(), places, 0, group=self.patient)
            for rank, place in enumerate(places or ()):
                found[rank][name] = place
        return found


ALONE = Ranks()
"""A training in one process."""


@contextmanager
def joined(device: str = "auto") -> Iterator[Ranks]:
    """Join the processes that `torchrun` started with this one, if it did: NCCL between GPUs, gloo between CPUs.

    Raises
    ------
    TrainingError
        If there are fewer GPUs than processes on this machine, or the others do not answer.
    """
    count = processes_started()
    if count == 1:
        yield ALONE
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        there = torch.cuda.device_count()
        if local >= there:
            raise TrainingError(
                f"{there} GPUs for {local + 1} or more processes: start 'torchrun --nproc-per-node {there}' or add "
                "'--device cpu'."
            )
        torch.cuda.set_device(local)
    with communication_errors():
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo", timeout=ANSWER_WITHIN)
        patient = dist.new_group(backend="gloo", timeout=WAIT_WITHIN)
    yield Ranks(rank, count, local, patient)
    dist.destroy_process_group()  # not after an error: it would wait for ranks that are gone


def processes_started() -> int:
    """Return how many processes `torchrun` started, from its environment variables; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def refuse_ranks(what: str) -> None:
    """Raise `TrainingError` if this is one of several processes of `torchrun`, which `what` has no use for."""
    if processes_started() > 1:
        raise TrainingError(f"{what} runs in one process: start it without torchrun.")


@contextmanager
def communication_errors() -> Iterator[None]:
    """Turn what goes wrong between ranks into one line."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise TrainingError(
            f"another process of this training ended or did not answer ({reason}). See its own message; "
            "continue with '--resume'."
        ) from error
