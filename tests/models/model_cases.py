"""Every model of the registry at a size that a test can afford."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch.nn import functional

from models import MODELS, build_model

CLASSES = 3
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Of logits and statistics that differ by the order of float32 sums alone."""


@dataclass(frozen=True)
class Case:
    """Sizes of a small model and of the clips that it is given."""

    bands: int
    frames: tuple[int, ...] = (47, 33, 21)
    settings: dict = field(default_factory=dict)
    anywhere: bool = True
    """Clips may begin at any frame; False: at multiples of the time stride, as the loader pads them."""


KEREN = Case(6)
SMALL = {
    "mathworks-cnn-lstm": Case(128, (35, 20, 17), anywhere=False),
    "digits-base": Case(128, (44, 30, 51)),
    "digits-crnn": Case(128, (44, 30, 51)),
    "digits-parallel": Case(128, (44, 30, 51)),
    "etienne-cnn-blstm": Case(32, (23, 16, 6), {"hidden": 16}),
    "zhao-2d": Case(128, (130, 90), {"hidden": 24, "frames": 128}),
    "zhao-2d-dense": Case(128, (130, 90), {"hidden": 24, "frames": 128}),
    "zhao-2d-modified": Case(128, (40, 30, 32), {"hidden": 24, "frames": 32}),
    "zhao-1d": Case(1, (1100, 700, 1024), {"hidden": 24, "samples": 1024}),
    "tdnn": Case(6, (47, 33, 21), {"width": 12, "attention": 8}),
    "keren-baseline": Case(6, (17, 9, 3)),
    "keren-standard": KEREN,
    "keren-clstm": KEREN,
    "keren-extended-clstm": KEREN,
    "keren-cblstm": Case(6, (26, 15, 5)),
}
CASES = {name: SMALL.get(name, Case(card.bands)) for name, card in MODELS.items()}


def small_model(name, seed=0):
    return build_model(name, CLASSES, CASES[name].bands, seed=seed, **CASES[name].settings)


def some_clips(name, seed=5):
    """Random clips whose level in some bands tells their class."""
    generator = torch.Generator().manual_seed(seed)
    case = CASES[name]
    clips = [torch.randn(length, case.bands, generator=generator) for length in case.frames]
    for number, clip in enumerate(clips):
        clip[:, number * case.bands // CLASSES :] += 2 * number
    return clips


def padded(clips, *, left=False, extra=0, multiple=1, rubbish=50.0):
    """Batch clips with padding that holds rubbish: features, lengths and starts."""
    lengths = [len(clip) for clip in clips]
    longest = max(lengths) + extra
    starts = [-(-(longest - length) // multiple) * multiple if left else 0 for length in lengths]
    frames = max(longest, *(start + length for start, length in zip(starts, lengths, strict=True)))
    batch = torch.full((len(clips), frames, clips[0].shape[1]), rubbish)
    for slot, (start, clip) in enumerate(zip(starts, clips, strict=True)):
        batch[slot, start : start + len(clip)] = clip
    return batch, torch.tensor(lengths), torch.tensor(starts)


def unsettled(model, seed=3):
    """Move every weight and statistic of a model away from where it started: signs, shifts, peepholes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.parameters():
            values += 0.3 * (torch.rand(values.shape, generator=generator) - 0.5) * (1 if values.ndim < 2 else 0.3)
        for module in model.modules():
            if hasattr(module, "running_var"):
                module.weight *= torch.sign(torch.rand(module.weight.shape, generator=generator) - 0.3)
                module.running_mean.uniform_(-1, 1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
    return model


def assert_same_lesson(fresh_model, pairs, *, gradients, least=0.0):
    """Assert that a model makes and learns the same of the two batches of each pair: logits, statistics and gradients.

    A gradient may differ by the share `gradients` of its parameter's largest, which counts as `least` if it is smaller.
    One pair whose gradients agree is enough: where two values of a pooling window are equal but for rounding (one
    drawing in eight has such a window) the gradient goes to one or the other, and the arithmetic decides to which.
    """
    worst = []
    for batches in pairs:
        (expected, first), (found, second) = (_lesson(fresh_model(), batch) for batch in batches)
        torch.testing.assert_close(found, expected, **TOLERANCE)
        for a, b in zip(first.buffers(), second.buffers(), strict=True):
            torch.testing.assert_close(b, a, **TOLERANCE)
        worst.append(
            max(
                (float((a.grad - b.grad).abs().max()) / max(float(a.grad.abs().max()), least, 1e-30), name)
                for (name, a), (_, b) in zip(first.named_parameters(), second.named_parameters(), strict=True)
            )
        )
        if worst[-1][0] <= gradients:
            return
    pytest.fail(f"gradients differ in every pair: {worst}")


def _lesson(model, batch):
    logits = model(*batch)
    logits.square().sum().backward()
    return logits, model


def assert_learns(model, batch, labels, steps=3):
    """Assert that steps against the gradient lower the loss by a good part of what the gradient promises.

    If the gradient is right some step is short enough for that, in any arithmetic (Armijo's rule).
    """
    parameters = list(model.parameters())
    for _ in range(steps):
        loss = functional.cross_entropy(model(*batch), labels)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        before, slope = loss.item(), float(sum(gradient.square().sum() for gradient in gradients))
        starts = [values.detach().clone() for values in parameters]
        for promised in (before / 2**halvings for halvings in range(1, 12)):
            with torch.no_grad():
                for values, start, gradient in zip(parameters, starts, gradients, strict=True):
                    values.copy_(start - promised / slope * gradient)
                lowered = before - float(functional.cross_entropy(model(*batch), labels))
            if lowered > 0.3 * promised:
                break
        else:
            pytest.fail("no step against the gradient lowers the loss")
