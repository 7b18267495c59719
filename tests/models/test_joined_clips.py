"""Clips that are joined on one time axis: the network says of them what it says of padded ones."""

import itertools

import numpy as np
import pytest
import torch
from mathworks_cases import clips, padded, unsettled_model
from model_cases import TOLERANCE, assert_same_lesson
from torch.nn import functional

from models.batches.loader import JOINED_STEP, Padding
from models.layers.convolution import PIECE, convolve_long
from models.layers.frames import RealFrames

STRIDE = 16
LENGTHS = {
    "random": (35, 47, 96, 64, 20),
    "short": (1, 15, 16, 17, 31, 2, 33),
    "equal": (48, 48, 48),
    "alone": (70,),
}


def joined(rows, rubbish=50.0):
    """Clips one after the other, with rubbish between them."""
    lengths = np.array([len(row) for row in rows])
    starts, frames = Padding("joined", STRIDE).layout(lengths)
    batch = torch.full((1, frames, 128), rubbish)
    for start, row in zip(starts.tolist(), rows, strict=True):
        batch[0, start : start + len(row)] = row
    return batch, torch.from_numpy(lengths), torch.from_numpy(starts)


def test_between_two_clips_lies_a_zero_step_wherever_a_convolution_looks():
    residues = range(1, 4 * STRIDE)
    for first, second in itertools.product(residues, residues[:STRIDE]):
        (start, following), _ = Padding("joined", STRIDE).layout(np.array([first, second]))
        assert start == 0
        assert following % STRIDE == 0
        for pooled in (1, 2, 4, 8):
            end = max(first, STRIDE) // pooled
            assert following // pooled >= end + 1, (first, pooled)


def test_joined_clips_take_no_more_room_than_they_need():
    for first in range(1, 4 * STRIDE):
        (_, following), frames = Padding("joined", STRIDE).layout(np.array([first, 9]))
        earlier = following - STRIDE
        assert earlier // 8 <= max(first, STRIDE) // 8  # one stride earlier some convolution would see both
        assert frames % JOINED_STEP == 0
        assert 0 <= frames - (following + STRIDE) < JOINED_STEP


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", list(LENGTHS))
def test_joined_clips_give_the_outputs_gradients_and_statistics_of_padded_ones(kind, training):
    drawings = (clips(LENGTHS[kind], seed) for seed in range(5, 9))
    pairs = ((padded(rows, left=True), joined(rows)) for rows in drawings)

    assert_same_lesson(lambda: unsettled_model().train(training), pairs, gradients=2e-4)


def test_the_order_of_joined_clips_does_not_matter():
    model, rows = unsettled_model().eval(), clips(LENGTHS["random"])
    order = [3, 0, 4, 2, 1]

    torch.testing.assert_close(model(*joined([rows[slot] for slot in order])), model(*joined(rows))[order], **TOLERANCE)


@pytest.mark.parametrize("changed", [0, 2, 4])
def test_what_a_neighbour_says_changes_no_bit(changed):
    model, rows = unsettled_model().eval(), clips(LENGTHS["random"])
    before = model(*joined(rows))
    rows[changed] = rows[changed] * -30 + 1000
    after = model(*joined(rows, rubbish=float("1e9")))

    others = [slot for slot in range(len(rows)) if slot != changed]
    assert torch.equal(after[others], before[others])
    assert not torch.allclose(after[changed], before[changed])


def test_joined_clips_in_bfloat16_and_channels_last_are_those_of_padded_ones_to_its_rounding():
    rows = clips(LENGTHS["random"])
    model = unsettled_model().to(memory_format=torch.channels_last).eval()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = model(*padded(rows)).float(), model(*joined(rows)).float()

    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("frames", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_a_long_image_in_pieces_is_convolved_as_a_whole(frames):
    generator = torch.Generator().manual_seed(frames)
    images = torch.randn(1, 3, frames, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(4, 3, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 4, frames, 6, generator=generator, dtype=torch.float64)

    found, expected = convolve_long(images, filters), functional.conv2d(images, filters, padding=1)

    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), (images, filters)),
        torch.autograd.grad((expected * weights).sum(), (images, filters)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_clips_that_share_a_row_are_told_apart():
    real = RealFrames.of(torch.tensor([2, 3]), torch.tensor([0, 4]), shared=True)
    values = torch.tensor([1.0, 2, 0, 0, 10, 20, 30, 0])[None, :, None]

    assert real.mask(8).int().tolist() == [[1, 1, 0, 0, 1, 1, 1, 0]]
    assert real.sums(values)[:, 0].tolist() == [3, 60]
    assert real.spread(torch.tensor([[5.0], [6.0]]), 8)[0, :, 0].tolist() == [5, 5, 5, 5, 6, 6, 6, 6]
    assert not real.fill(8)
    assert real.apart().tolist() == [[0, 1, 1], [4, 5, 6]]
    assert not real.from_zero().shared
