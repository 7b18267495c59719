"""A training step never reads from the device: on the meta device, which holds no values, any such read fails."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from models.execution import arithmetic
from models.figures.running_metrics import RunningMetrics
from models.layers.frames import RealFrames
from models.networks import build_model
from models.optimisation.optimisers import make_optimiser
from models.training_spec import TrainingSpec

META = torch.device("meta")


class Crossings(TorchDispatchMode):
    """Counts copies from the CPU to the device."""

    def __init__(self):
        super().__init__()
        self.sent = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        tensors = [value for value in arguments if isinstance(value, torch.Tensor)]
        if isinstance(result, torch.Tensor) and result.device == META and "copy" in operation.__name__:
            self.sent += any(tensor.device.type == "cpu" for tensor in tensors)
        return result


def a_step_on(device, lengths=(96, 40, 7), starts=(0, 48, 80)):
    model = build_model("mathworks-cnn-lstm", 7, 128).to(device).train()
    spec = TrainingSpec(clip_norm=1.0)
    optimiser, tally = make_optimiser(model, spec), RunningMetrics(7, device)
    features, labels = torch.zeros(3, 96, 128, device=device), torch.zeros(3, dtype=torch.int64, device=device)

    def step():
        logits = model(features, torch.tensor(lengths), torch.tensor(starts))
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), spec.clip_norm)
        tally.add(loss, logits, labels)
        return loss

    return step, optimiser


def test_forward_backward_clipping_and_tally_read_nothing_from_the_device():
    step, _ = a_step_on(META)

    assert step().device == META


def test_a_step_sends_the_places_of_the_clips_once():
    step, _ = a_step_on(META)

    with Crossings() as crossings:
        step()

    assert crossings.sent == 1


def test_masks_are_made_where_the_images_are():
    real = RealFrames.of(torch.tensor([5, 3]), torch.tensor([0, 2]), META)

    assert real.pooled(2).mask(4).device == META
    assert real.at_least(4).from_zero().placed.device == META


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
def test_a_whole_step_on_a_gpu_never_waits_for_it():
    step, optimiser = a_step_on(torch.device("cuda"))
    step()
    optimiser.step()

    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = step()
        optimiser.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert bool(loss.isfinite())


@pytest.mark.parametrize(("precision", "expected"), [("auto", "high"), ("float32", "highest")])
def test_arithmetic_settings_last_as_long_as_the_training(precision, expected):
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark

    with arithmetic(torch.device("cuda"), precision):
        inside = torch.get_float32_matmul_precision()

    assert inside == expected
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before
