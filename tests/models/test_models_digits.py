"""The networks for spoken digits: every shape that the source prints, and what their blocks compute."""

import pytest
import torch
from model_cases import unsettled
from torch import nn
from torch.nn import functional

from models import build_model, count_parameters
from models.layers.convolution import LocalFeatureBlock
from models.layers.frames import clips_of_length

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
CLIP, LENGTH = torch.randn(1, 44, 128, generator=torch.Generator().manual_seed(2)), torch.tensor([44])

# parameters of the convolution, its shape and the pooled shape, as the source lists them
LISTINGS = {
    "digits-base": [
        (160, (16, 130, 46), (16, 65, 23)),
        (4_640, (32, 67, 25), (32, 33, 12)),
        (18_496, (64, 35, 14), (64, 17, 7)),
        (73_856, (128, 19, 9), (128, 9, 4)),
    ],
    "digits-crnn": [
        (82_048, (128, 44), (128, 22)),
        (82_048, (128, 22), (128, 11)),
        (164_096, (256, 11), (256, 5)),
    ],
    "digits-parallel": [
        (64, (16, 126, 44), (16, 63, 22)),
        (1_568, (32, 61, 22), (32, 30, 11)),
        (6_208, (64, 28, 11), (64, 14, 5)),
        (12_352, (64, 12, 5), (64, 3, 1)),
    ],
}


def shapes_of(model, layers):
    """Run a clip and return the output shapes of layers, without the batch axis."""
    seen = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, layer in layers.items()
    ]
    logits = model(CLIP, LENGTH)
    for hook in hooks:
        hook.remove()
    return {name: tuple((out[0] if isinstance(out, tuple) else out).shape[1:]) for name, out in seen.items()}, logits


@pytest.mark.parametrize("name", list(LISTINGS))
def test_every_block_has_the_shapes_and_parameters_that_the_source_lists(name):
    model = build_model(name, 10, 128)
    images = CLIP.transpose(1, 2) if name == "digits-crnn" else CLIP.transpose(1, 2)[:, None]

    for block, (parameters, convolved, pooled) in zip(model.blocks, LISTINGS[name], strict=True):
        assert count_parameters(block.conv) == parameters
        assert tuple(block.conv(images).shape[1:]) == convolved
        images = block(images)
        assert tuple(images.shape[1:]) == pooled
    if name != "digits-base":
        norms = [count_parameters(block.norm) for block in model.blocks]
        assert norms == [2 * convolved[0] for _, convolved, _ in LISTINGS[name]]


def test_the_rest_of_the_base_model_is_as_listed():
    model = build_model("digits-base", 10, 128)
    shapes, logits = shapes_of(model, {"blocks": model.blocks, "linear": model.classify})

    assert shapes == {"blocks": (128, 9, 4), "linear": (10,)}
    assert model.classify.in_features == 4_608
    assert count_parameters(model.classify) == 46_090
    assert logits.shape == (1, 10)


def test_the_rest_of_the_crnn_is_as_listed():
    model = build_model("digits-crnn", 10, 128)
    shapes, _ = shapes_of(model, {"lstm": model.lstm, "dense": model.dense, "linear": model.classify})

    assert shapes == {"lstm": (256, 96), "dense": (64,), "linear": (10,)}
    assert model.dense.in_features == 24_576
    assert [count_parameters(layer) for layer in (model.lstm, model.dense, model.classify)] == [39_552, 1_572_928, 650]


def test_the_rest_of_the_parallel_network_is_as_listed():
    model = build_model("digits-parallel", 10, 128)
    shapes, _ = shapes_of(model, {"pool": model.pool, "lstm": model.lstm, "linear": model.classify})

    assert shapes == {"pool": (1, 32, 22), "lstm": (32, 256), "linear": (10,)}
    assert model.classify.in_features == 192 + 8_192
    assert [count_parameters(layer) for layer in (model.lstm, model.classify)] == [155_648, 83_850]


@pytest.mark.parametrize("name", list(LISTINGS))
def test_softmax_gives_the_probabilities_that_the_source_hands_to_its_loss(name):
    logits = build_model(name, 10, 128).eval()(CLIP, LENGTH)
    shares = build_model(name, 10, 128, softmax=True).eval()(CLIP, LENGTH)

    torch.testing.assert_close(shares, logits.softmax(1))
    assert shares.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [functional.relu, functional.elu])
@pytest.mark.parametrize(("axes", "channels"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_a_local_feature_block_computes_what_torchs_own_layers_compute(axes, channels, activation, training):
    block = LocalFeatureBlock(channels, 5, (3,) * axes, (2,) * axes, padding=(1,) * axes, activation=activation)
    unsettled(block).train(training)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d)[axes - 1](5)
    norm.load_state_dict({k: v for k, v in block.norm.state_dict().items() if k != "seen"}, strict=False)
    norm.train(training)
    images = torch.randn(4, channels, *(9, 7)[:axes], generator=torch.Generator().manual_seed(1))
    pool = (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](2)

    expected = pool(activation(norm(block.conv(images))))

    torch.testing.assert_close(block(images), expected, **TOLERANCE)
    torch.testing.assert_close(block.norm.running_var, norm.running_var, **TOLERANCE)
    assert (block.norm.weight < 0).any()  # the case that pooling first has to get right


def test_long_clips_are_cut_and_short_ones_end_in_their_own_noise_floor():
    features = torch.arange(24.0).reshape(2, 6, 2) - 7
    clips = clips_of_length(features, torch.tensor([6, 2]), torch.tensor([0, 3]), 4)

    assert clips[0].tolist() == features[0, :4].tolist()
    assert clips[1].tolist() == [*features[1, 3:5].tolist(), [11, 11], [11, 11]]


def test_a_wave_that_is_short_ends_in_zeros():
    waves = torch.full((1, 3, 1), -0.5)

    assert clips_of_length(waves, torch.tensor([3]), None, 5, silence=0.0).flatten().tolist() == [-0.5] * 3 + [0] * 2
