"""The network of system A: sizes, gradients, and independence of padding."""

import math

import pytest
import torch
from mathworks_cases import NAME, clips, padded, unsettled_model
from model_cases import TOLERANCE, assert_learns, assert_same_lesson
from torch import nn
from torch.nn import functional

from featurestore.errors import FeatureStoreError, UnknownNameError
from models import MODELS, build_model, count_parameters, models_table
from models.layers.convolution import population_statistics
from models.layers.frames import RealFrames


def test_the_network_has_the_sources_parameters_and_pytorchs_second_lstm_bias():
    assert count_parameters(build_model(NAME, 7, 128)) == 655_815 + 1_024


@pytest.mark.parametrize(
    ("block", "shape"), [(0, (64, 48, 64)), (1, (64, 24, 16)), (2, (128, 12, 4)), (3, (128, 6, 1))]
)
def test_each_block_has_the_sources_output_shape(block, shape):
    model = build_model(NAME, 7, 128)
    images, real = torch.randn(2, 1, 97, 128), RealFrames.everything(2, 97)

    for layer in model.blocks[: block + 1]:
        images, real = layer(images, real, None)

    assert images.shape == (2, *shape)
    assert real.lengths.tolist() == [shape[1], shape[1]]


@pytest.mark.parametrize("training", [True, False])
def test_the_blocks_compute_what_torchs_own_layers_compute(training):
    model = unsettled_model().train(training)
    layers = []
    for block in model.blocks:
        norm = nn.BatchNorm2d(block.conv.out_channels)
        norm.load_state_dict({k: v for k, v in block.norm.state_dict().items() if k != "seen"}, strict=False)
        layers += [block.conv, norm, nn.ReLU(), nn.MaxPool2d(block.pool)]
    plain = nn.Sequential(*layers).train(training)
    features = torch.stack(clips([99, 99, 99]))

    images = plain(features[:, None])
    expected = model.classify(model.lstm(images.permute(0, 2, 1, 3).flatten(2))[0][:, -1])
    found = model(features, torch.tensor([99, 99, 99]))

    torch.testing.assert_close(found, expected, **TOLERANCE)
    for index, block in enumerate(model.blocks):
        torch.testing.assert_close(block.norm.running_var, layers[4 * index + 1].running_var, **TOLERANCE)
    assert found.shape == (3, 7)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("left", "extra"), [(False, 1), (False, 23), (True, 0), (True, 37)])
def test_padding_on_either_side_and_of_any_amount_changes_nothing(training, left, extra):
    drawings = (clips([35, 47, 96, 7, 64, 16], seed) for seed in range(5, 9))
    pairs = ((padded(rows), padded(rows, left=left, extra=extra)) for rows in drawings)

    assert_same_lesson(lambda: unsettled_model().train(training), pairs, gradients=2e-4)


@pytest.mark.parametrize("left", [True, False])
def test_batch_mates_change_nothing_once_statistics_are_stored(left):
    model = unsettled_model().eval()
    rows = clips([5, 16, 31, 33, 90])

    together = model(*padded(rows, left=left))
    alone = torch.cat([model(row[None], torch.tensor([len(row)])) for row in rows])

    torch.testing.assert_close(together, alone, **TOLERANCE)
    assert together.std(0).min() > 0


def test_frames_after_the_last_full_step_of_16_reach_the_convolutions_only():
    model = unsettled_model().eval()
    row = clips([95])[0]

    whole, shorter = (model(row[None, :frames], torch.tensor([frames])) for frames in (95, 80))

    assert not torch.allclose(whole, shorter)
    assert RealFrames.of(torch.tensor([95, 80])).pooled(16).lengths.tolist() == [5, 5]


def test_plain_padding_lets_the_padding_count_as_the_source_does():
    model = unsettled_model(plain_padding=True).eval()
    row = clips([48])[0]

    alone = model(row[None], torch.tensor([48]))
    with_zeros = model(functional.pad(row, (0, 0, 32, 0))[None], torch.tensor([48]), torch.tensor([32]))

    assert not torch.allclose(alone, with_zeros, atol=1e-3)
    torch.testing.assert_close(alone, _masked_twin(model)(row[None], torch.tensor([48])), **TOLERANCE)


def _masked_twin(model):
    twin = build_model(NAME, 7, 128)
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def test_the_gradient_reaches_every_parameter():
    model = unsettled_model().eval()  # with batch statistics the bias of a convolution has no effect, so no gradient

    model(*padded(clips([40, 70]))).square().sum().backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_the_bias_of_a_convolution_stays_still_under_batch_statistics():
    model = unsettled_model().train()

    model(*padded(clips([40, 70]))).square().sum().backward()

    assert [float(block.conv.bias.grad.abs().max()) for block in model.blocks] == [0.0] * 4


def test_the_network_learns_from_a_batch():
    model = build_model(NAME, 7, 128).to(memory_format=torch.channels_last)

    assert_learns(model, padded(clips([32, 40, 36, 48, 33, 35, 44])), torch.arange(7))


def test_population_statistics_are_those_of_all_values_together():
    model = build_model(NAME, 7, 128).train()
    rows = clips([64, 64, 64, 64])
    rows[2] += 5  # the batches differ in level
    both = torch.stack(rows)
    lengths = torch.tensor([64, 64])

    with torch.no_grad(), population_statistics(model):
        model(both[:2], lengths)
        model(both[2:], lengths)

    values = model.blocks[0].conv(both[:, None])
    variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(model.blocks[0].norm.running_mean, mean, **TOLERANCE)
    torch.testing.assert_close(model.blocks[0].norm.running_var, variance, **TOLERANCE)
    assert model.blocks[0].norm.momentum == 0.1


def test_the_first_weights_are_drawn_from_the_seed_alone():
    torch.manual_seed(1)
    first = build_model(NAME, 7, 128, seed=4)
    state = torch.get_rng_state()
    second = build_model(NAME, 7, 128, seed=4)
    other = build_model(NAME, 7, 128, seed=5)

    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.classify.weight, other.classify.weight)
    assert torch.equal(state, torch.get_rng_state())


def test_first_weights_follow_matlabs_rules():
    model = build_model(NAME, 7, 128)
    recurrent = model.lstm.weight_hh_l0.detach()
    bound = math.sqrt(6 / (9 * 64 + 9 * 64))

    assert torch.allclose(recurrent.T @ recurrent, torch.eye(256), atol=1e-5)
    assert 0.95 * bound < model.blocks[1].conv.weight.abs().max().item() <= bound
    assert (model.lstm.bias_ih_l0 + model.lstm.bias_hh_l0).reshape(4, 256).mean(1).tolist() == [0, 1, 0, 0]


def test_models_are_listed_with_parameters_and_source():
    table = models_table()

    assert [row["name"] for row in table] == list(MODELS)
    assert {row["name"]: row["parameters"] for row in table}[NAME] == 656_839
    assert all(row["input"] and row["source"] for row in table)


def test_a_wrong_model_setting_or_size_is_one_clear_error():
    with pytest.raises(UnknownNameError, match="did you mean 'mathworks-cnn-lstm'"):
        build_model("mathworks-cnn-lst", 7, 128)
    with pytest.raises(UnknownNameError, match="plain_padding"):
        build_model(NAME, 7, 128, plain_pading=True)
    with pytest.raises(FeatureStoreError, match="multiple of 128 bands"):
        build_model(NAME, 7, 40)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
def test_cpu_and_gpu_agree():
    model = unsettled_model().eval()
    features, lengths, starts = padded(clips([35, 96, 64]), left=True)

    expected = model(features, lengths, starts)
    found = model.cuda()(features.cuda(), lengths, starts).cpu()

    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert torch.equal(found.argmax(1), expected.argmax(1))
