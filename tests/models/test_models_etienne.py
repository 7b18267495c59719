"""The network of Etienne et al.: strides and masks, and batch norm by its equations."""

import numpy as np
import pytest
import torch
from model_cases import padded, unsettled

from models import build_model
from models.layers.convolution import population_statistics
from models.layers.frames import RealFrames
from models.layers.recurrent import BiLstm, SequenceBatchNorm

NAME = "etienne-cnn-blstm"
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def sequences(lengths, features, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, features, generator=generator) for length in lengths]


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def numpy_direction(steps, weights, norm):
    """One direction of an LSTM layer over one clip, with `norm` on the input term of each step; the last state."""
    inputs, recurrent, bias = weights
    units = recurrent.shape[1]
    hidden, cell = np.zeros(units), np.zeros(units)
    for step in steps:
        enter, forget, new, leave = np.split(recurrent @ hidden + norm(inputs @ step) + bias, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
    return hidden


def numpy_weights(lstm, suffix):
    names = (f"{name}_l0{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    inputs, recurrent, first, second = (lstm.get_parameter(name).detach().double().numpy() for name in names)
    return inputs, recurrent, first + second


def test_etienne_equation_3_normalises_by_one_mean_and_one_deviation():
    norm = SequenceBatchNorm()
    values, weights = torch.randn(11, 5) + 1, torch.randn(8, 5)

    scale, shift = norm(values, weights)
    product = (values.double() @ weights.double().T).numpy()
    expected = (product - product.mean()) / np.sqrt(product.var() + 1e-5)

    np.testing.assert_allclose((scale * (values @ weights.T) + shift).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert scale.shape == shift.shape == (1,)


def test_etienne_equation_4_takes_the_statistics_over_clips_real_steps_and_features():
    layer = BiLstm(4, 3, 1, batch_norm=True)
    unsettled(layer).train()
    clips = sequences([5, 2, 7], 4)
    batch, lengths, _ = padded(clips)
    norms = [norm.norm for norm in layer.layers[0].norms]
    for norm in norms:
        norm.momentum = 1.0  # the running statistics are then those of the batch

    layer(batch, RealFrames.of(lengths))

    for norm, suffix in zip(norms, ("", "_reverse"), strict=True):
        weights, total = layer.layers[0].lstm.get_parameter(f"weight_ih_l0{suffix}").detach().numpy(), []
        for clip in clips:
            for step in clip.numpy():
                total.extend(weights.astype(float) @ step)
        assert float(norm.running_mean) == pytest.approx(sum(total) / len(total), abs=1e-5)
        assert float(norm.running_var) == pytest.approx(np.var(total, ddof=1), rel=1e-4)
        assert len(total) == (5 + 2 + 7) * 4 * 3


@pytest.mark.parametrize("training", [True, False])
def test_etienne_equation_5_normalises_the_input_term_alone(training):
    layer = unsettled(BiLstm(4, 3, 1, batch_norm=True)).train(training)
    clips = sequences([5, 2, 7], 4)
    lstm = layer.layers[0].lstm
    norms = [(norm.norm, suffix) for norm, suffix in zip(layer.layers[0].norms, ("", "_reverse"), strict=True)]
    stored = [(float(norm.running_mean), float(norm.running_var)) for norm, _ in norms]
    found = layer(padded(clips)[0], RealFrames.of(torch.tensor([5, 2, 7]))).detach().numpy()

    for direction, (norm, suffix) in enumerate(norms):
        weights = numpy_weights(lstm, suffix)
        terms = np.concatenate([clip.double().numpy() @ weights[0].T for clip in clips])
        mean, variance = (terms.mean(), terms.var()) if training else stored[direction]
        gain, offset = float(norm.weight.detach()), float(norm.bias.detach())

        def normalise(term, mean=mean, variance=variance, gain=gain, offset=offset):
            return gain * (term - mean) / np.sqrt(variance + 1e-5) + offset

        for number, clip in enumerate(clips):
            steps = clip.double().numpy()[:: -1 if direction else 1]
            expected = numpy_direction(steps, weights, normalise)
            np.testing.assert_allclose(found[number, 3 * direction : 3 * direction + 3], expected, rtol=1e-4, atol=1e-5)
    assert found.shape == (3, 6)


def test_without_batch_norm_the_layers_are_torchs_own_on_each_clip():
    layers = unsettled(BiLstm(4, 3, 2))
    clips = sequences([5, 2, 7], 4)

    found = layers(padded(clips)[0], RealFrames.of(torch.tensor([5, 2, 7])))

    for number, clip in enumerate(clips):
        outputs, _ = layers.layers[0].lstm(clip[:, None])
        _, (states, _) = layers.layers[1].lstm(outputs)
        torch.testing.assert_close(found[number], states[:, 0].flatten(), **TOLERANCE)
    assert found.shape == (3, 6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_padding_changes_nothing_at_any_depth(batch_norm):
    clips = sequences([29, 12, 3], 40, seed=4)
    for convolutions, recurrent in ((1, 4), (2, 2), (6, 1)):
        settings = {"convolutions": convolutions, "recurrent": recurrent, "hidden": 6, "batch_norm": batch_norm}
        first, second = (unsettled(build_model(NAME, 4, 40, **settings)) for _ in range(2))

        torch.testing.assert_close(second(*padded(clips, left=True, extra=5)), first(*padded(clips)), **TOLERANCE)
        assert len(first.convolutions) == convolutions
        assert len(first.recurrent.layers) == recurrent


def test_the_mask_follows_the_strides_of_the_convolutions():
    model = build_model(NAME, 4, 513).eval()
    lengths = torch.tensor([29, 21, 4, 1])
    images, real = torch.randn(4, 1, 29, 513), RealFrames.of(lengths)

    for number, clip in enumerate(images):
        clip[:, lengths[number] :] = 0
    found, steps = model.convolve(images, real)
    alone = [model.convolve(images[i : i + 1, :, :length], RealFrames.of(torch.tensor([length])))[0]
             for i, length in enumerate(lengths.tolist())]  # fmt: skip

    assert steps.lengths.tolist() == [8, 6, 1, 1]  # two strides of 2, rounded up
    assert found.shape == (4, 48, 8, 17)
    for number, expected in enumerate(alone):
        assert expected.shape[2] == steps.lengths[number]
        torch.testing.assert_close(found[number, :, : expected.shape[2]], expected[0], **TOLERANCE)
        assert not found[number, :, expected.shape[2] :].any()


def test_population_statistics_reach_the_batch_norms_of_the_lstm():
    layers = BiLstm(4, 3, 1, batch_norm=True).train()
    clips = sequences([6, 4, 5, 3], 4)
    with torch.no_grad(), population_statistics(layers):
        for pair in (clips[:2], clips[2:]):
            batch, lengths, _ = padded(pair)
            layers(batch, RealFrames.of(lengths))

    terms = torch.cat(clips) @ layers.layers[0].lstm.weight_ih_l0.T
    norm = layers.layers[0].norms[0].norm
    torch.testing.assert_close(norm.running_mean, terms.mean().view(1), **TOLERANCE)
    torch.testing.assert_close(norm.running_var, terms.var(correction=0).view(1), **TOLERANCE)
    assert float(norm.seen) == 18 * 12
