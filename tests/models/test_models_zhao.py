"""The networks after Zhao, Mao and Chen: shapes of the listing, and what the variants change."""

import pytest
import torch

from models import build_model

SHAPES = {
    "zhao-2d": [(64, 64, 125), (64, 16, 31), (128, 4, 7), (128, 1, 1)],
    "zhao-2d-dense": [(64, 64, 125), (64, 16, 31), (128, 4, 7), (128, 1, 1)],
    "zhao-2d-modified": [(64, 64, 125), (64, 16, 62), (128, 4, 31), (128, 1, 15)],
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_an_image_of_128_bands_and_251_frames_shrinks_as_published(name):
    model = build_model(name, 7, 128).eval()
    images, shapes = torch.randn(1, 1, 128, 251), []

    with torch.no_grad():
        for block in model.blocks:
            assert block.conv.kernel_size == (3, 3)
            images = block(images)
            shapes.append(tuple(images.shape[1:]))

    assert shapes == SHAPES[name]
    assert model.frames == 251


def test_a_waveform_is_pooled_by_four_in_each_of_four_blocks():
    model = build_model("zhao-1d", 7, 1, samples=1030).eval()
    waves, shapes = torch.randn(1, 1, 1030), []

    for block in model.blocks:
        waves = block(waves)
        shapes.append(tuple(waves.shape[1:]))

    assert shapes == [(64, 257), (64, 64), (128, 16), (128, 4)]
    assert build_model("zhao-1d", 7, 1).samples == 8 * 16_000


def test_the_original_lstm_reads_one_step_and_that_of_the_modified_network_a_sequence():
    lengths = {}
    for name in ("zhao-2d", "zhao-2d-modified"):
        model = build_model(name, 7, 128).eval()
        model.lstm.register_forward_pre_hook(lambda _, given, name=name: lengths.update({name: given[0].shape[1]}))
        with torch.no_grad():
            model(torch.randn(1, 251, 128), torch.tensor([251]))

    assert lengths == {"zhao-2d": 1, "zhao-2d-modified": 15}


def test_the_dense_variant_has_two_dense_layers_and_no_lstm():
    model = build_model("zhao-2d-dense", 7, 128, hidden=32)

    assert model.lstm is None
    assert [layer.out_features for layer in model.dense if isinstance(layer, torch.nn.Linear)] == [32, 32]


def test_the_hidden_size_is_a_setting():
    model = build_model("zhao-2d", 7, 128, hidden=100)

    assert model.lstm.hidden_size == 100
    assert model.classify.in_features == 100


def test_only_the_first_eight_seconds_count():
    model = build_model("zhao-1d", 3, 1, samples=512).eval()
    wave = torch.randn(1, 900, 1, generator=torch.Generator().manual_seed(1))

    whole, cut = model(wave, torch.tensor([900])), model(wave[:, :512], torch.tensor([512]))

    assert torch.equal(whole, cut)
    assert not torch.allclose(cut, model(wave[:, :500], torch.tensor([500])), atol=1e-6)


def test_batch_norm_has_the_constants_of_keras_where_it_is_asked_for_and_those_of_pytorch_elsewhere():
    images, moved = torch.randn(2, 128, 128, generator=torch.Generator().manual_seed(1)), {}
    for keras in (False, True):
        model = build_model("zhao-2d", 7, 128, frames=128, keras_batch_norm=keras).train()
        model(images, torch.tensor([128, 128]))
        norms = [block.norm for block in model.blocks]
        moved[keras] = norms[0].running_mean
        assert {norm.eps for norm in norms} == {1e-3 if keras else 1e-5}

    torch.testing.assert_close(moved[False], 10 * moved[True])  # a batch weighs 1 - 0.9, and 1 - 0.99
