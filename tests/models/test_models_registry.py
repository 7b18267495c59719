"""What holds for every registered model."""

import numpy as np
import pytest
import torch
from model_cases import (
    CASES,
    CLASSES,
    TOLERANCE,
    assert_learns,
    assert_same_lesson,
    padded,
    small_model,
    some_clips,
    unsettled,
)
from torch.overrides import TorchFunctionMode

from featurestore.errors import FeatureStoreError, UnknownNameError
from models import MODELS, build_model, count_parameters, models_table, networks
from models.networks import ModelCard, bands_note, published
from models.runs.checkpoint import read_tensors, write_tensors

each_model = pytest.mark.parametrize("name", list(MODELS))

PEEPHOLE_256 = 4 * 256 * (100 + 256) + 4 * 256 + 3 * 256  # inputs and recurrence, biases, peepholes
EMOTION_DENSE = 256 * 400 + 400 + 400 * 5 + 5
PARAMETERS = {
    "mathworks-cnn-lstm": 655_815 + 1_024,  # the source's, and torch's second LSTM bias
    "digits-base": 143_242,  # these three are printed in the source
    "digits-crnn": 1_942_346,
    "digits-parallel": 260_042,
    # 5 x 5 filters; two directions of 128 over 48 x 17 values, two biases each; 4 classes
    "etienne-cnn-blstm": (25 * 16 + 16) + (25 * 16 * 24 + 24) + (25 * 24 * 32 + 32) + (25 * 32 * 48 + 48)
    + 2 * (4 * 128 * (48 * 17 + 128) + 2 * 4 * 128) + 256 * 4 + 4,
    # four 3 x 3 convolutions, batch norms, LSTM with two biases, 7 classes
    "zhao-2d": 640 + 36_928 + 73_856 + 147_584 + 2 * 384 + 4 * 256 * (128 + 256) + 2_048 + 1_799,
    "zhao-2d-dense": 640 + 36_928 + 73_856 + 147_584 + 2 * 384 + (128 * 256 + 256) + (256 * 256 + 256) + 1_799,
    "zhao-2d-modified": 640 + 36_928 + 73_856 + 147_584 + 2 * 384 + 4 * 256 * (128 + 256) + 2_048 + 1_799,
    # four convolutions of 3 samples: 1 -> 64 -> 64 -> 128 -> 128 channels
    "zhao-1d": 256 + 12_352 + 24_704 + 49_280 + 2 * 384 + 4 * 256 * (128 + 256) + 2_048 + 1_799,
    # LSTM of 256 on 26 bands with one bias and three peepholes a unit; 400; 5 classes
    "keren-baseline": 4 * 256 * (26 + 256) + 4 * 256 + 3 * 256 + EMOTION_DENSE,
    "keren-standard": (5 * 26 * 100 + 100) + (5 * 100 * 100 + 100) + PEEPHOLE_256 + EMOTION_DENSE,
    "keren-clstm": (400 * (26 + 100) + 700) + (400 * (100 + 100) + 700) + PEEPHOLE_256 + EMOTION_DENSE,
    # five input matrices a layer
    "keren-extended-clstm": (400 * (5 * 26 + 100) + 700) + (400 * (5 * 100 + 100) + 700) + PEEPHOLE_256
    + EMOTION_DENSE,
    # one layer of two LSTMs and the matrices of equation 9; two LSTMs of 256; 400; 4 classes
    "keren-cblstm": 2 * (400 * (26 + 100) + 700) + (200 * 100 + 100) + 2 * PEEPHOLE_256 + (512 * 400 + 400)
    + 400 * 4 + 4,
    # convolutions of 5 and of 3 x 3 frames with batch norms, attention of 64 units, mean and deviation to 7 classes
    "tdnn": (5 * 64 * 128 + 128) + 3 * (3 * 128 * 128 + 128) + 4 * 2 * 128 + (128 * 64 + 64) + (64 * 128 + 128)
    + 256 * 7 + 7,
}  # fmt: skip


UNREACHED = {"zhao-2d": ["lstm.weight_hh_l0"]}
"""Four blocks leave the LSTM of the original network one step, so it never recurs: the source's own remark."""


class TorchCalls(TorchFunctionMode):
    """Counts calls of torch's functions, without which no layer is made."""

    count = 0

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        self.count += 1
        return function(*arguments, **keywords or {})


def batch_of(name, seed=5, **padding):
    case = CASES[name]
    multiple = 1 if case.anywhere else MODELS[name].time_stride
    return padded(some_clips(name, seed), multiple=multiple, **padding)


@each_model
def test_a_model_has_the_published_number_of_parameters(name):
    card = MODELS[name]

    assert count_parameters(build_model(name, card.classes, card.bands)) == card.parameters
    assert card.parameters == PARAMETERS.get(name, card.parameters)


def test_all_models_are_listed_without_building_one():
    with TorchCalls() as calls:
        table = models_table()

    assert calls.count == 0
    with TorchCalls() as calls:
        build_model("digits-base", 10, 128)
    assert calls.count > 0
    assert PARAMETERS.items() <= {row["name"]: row["parameters"] for row in table}.items()
    assert all(row["input"] and row["source"] for row in table)


def test_a_file_without_networks_is_named(tmp_path, monkeypatch):
    (tmp_path / "nothing_here.py").write_text("")
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path)])

    with pytest.raises(AttributeError, match=r"models\.networks\.nothing_here"):
        published()


@each_model
def test_a_network_has_nothing_to_say_about_the_bands_that_it_was_published_for(name):
    card = MODELS[name]

    assert [bands_note(name, bands) for bands in (card.bands, *card.other_bands)] == [""] * (1 + len(card.other_bands))


def test_a_network_tells_which_bands_it_was_published_for():
    assert bands_note("keren-clstm", 25) == ""
    assert bands_note("keren-clstm", 128).startswith("keren-clstm was published for 26 or 25 bands; with 128 ")
    assert "513 bands; with 128" in bands_note("etienne-cnn-blstm", 128)


@each_model
def test_a_model_gives_logits_of_every_class(name):
    model = small_model(name)

    assert model(*batch_of(name)).shape == (len(CASES[name].frames), CLASSES)
    assert model.eval()(*batch_of(name)).isfinite().all()


@each_model
@pytest.mark.parametrize(("left", "extra"), [(False, 7), (True, 19)])
def test_padding_on_either_side_changes_neither_outputs_nor_gradients(name, left, extra):
    pairs = ((batch_of(name, seed), batch_of(name, seed, left=left, extra=extra)) for seed in range(5, 9))

    assert_same_lesson(lambda: unsettled(small_model(name)), pairs, gradients=1e-3, least=1e-3)


@each_model
def test_batch_mates_change_nothing_in_evaluation(name):
    model = unsettled(small_model(name)).eval()
    alone = [model(clip[None], torch.tensor([len(clip)])) for clip in some_clips(name)]

    together = model(*batch_of(name))

    torch.testing.assert_close(together, torch.cat(alone), **TOLERANCE)
    assert together.std(0).min() > 0


@each_model
def test_the_gradient_reaches_every_parameter(name):
    model = unsettled(small_model(name)).eval()  # batch statistics would take away the biases before them

    model(*batch_of(name)).square().sum().backward()

    silent = [key for key, values in model.named_parameters() if not values.grad.abs().max() > 0]
    assert silent == UNREACHED.get(name, [])


@each_model
def test_a_model_learns_from_a_batch(name):
    assert_learns(small_model(name), batch_of(name), torch.arange(len(CASES[name].frames)))


@each_model
def test_saved_weights_give_identical_outputs(name, tmp_path):
    model = unsettled(small_model(name)).eval()
    write_tensors(tmp_path / "model.safetensors", model.state_dict(), {"model": name})
    other = small_model(name, seed=9)

    other.load_state_dict(read_tensors(tmp_path / "model.safetensors")[0])

    assert torch.equal(other.eval()(*batch_of(name)), model(*batch_of(name)))


@each_model
def test_first_weights_come_from_the_seed_alone(name):
    torch.manual_seed(1)
    first, state = small_model(name, seed=4), torch.get_rng_state()
    torch.manual_seed(2)
    second, other = small_model(name, seed=4), small_model(name, seed=5)
    torch.manual_seed(1)

    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert torch.equal(state, torch.get_rng_state())


class Careless(torch.nn.Module):
    """A network that draws its weights and ignores the generator that it is given."""

    def __init__(self, classes, bands, *, generator):
        super().__init__()
        self.classify = torch.nn.Linear(bands, classes)
        self.register_buffer("noise", torch.randn(3))


def test_a_network_that_ignores_its_generator_is_seeded_all_the_same(monkeypatch):
    monkeypatch.setitem(MODELS, "careless", ModelCard(Careless, "any", "-", 0))

    def drawn(state, seed):
        torch.manual_seed(state)
        return torch.cat(
            [values.flatten() for values in build_model("careless", 2, 3, seed=seed).state_dict().values()]
        )

    assert torch.equal(drawn(1, seed=0), drawn(2, seed=0))
    assert not torch.isclose(drawn(1, seed=0), drawn(1, seed=5)).any()


@pytest.mark.parametrize(
    "name", sorted(MODELS.keys() - {"zhao-2d", "zhao-2d-dense"})
)  # the modified one stands for them
def test_a_model_runs_in_bfloat16_close_to_float32(name):
    model, batch = small_model(name).eval(), padded(some_clips(name)[:1])
    with torch.autocast("cpu", torch.bfloat16):
        found = model(*batch).float()

    torch.testing.assert_close(found, model(*batch), rtol=0.05, atol=0.05)
    assert found.isfinite().all()


@each_model
def test_one_class_is_one_clear_line(name):
    with pytest.raises(FeatureStoreError, match=rf"^{name} needs 2 classes or more .*[^\n]*\.$") as refused:
        build_model(name, 1, MODELS[name].bands)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "bands", "wanted"),
    [
        ("digits-base", 40, "needs 2 classes or more and 128 bands, not 10 and 40"),
        ("digits-crnn", 64, "128 bands"),
        ("digits-parallel", 129, "128 bands"),
        ("etienne-cnn-blstm", 8, "16 bands or more"),
        ("zhao-2d", 26, "a multiple of 128 bands"),
        ("zhao-2d-dense", 0, "a multiple of 128 bands"),
        ("zhao-2d-modified", 200, "a multiple of 128 bands"),
        ("zhao-1d", 128, "a waveform"),
        ("keren-clstm", 0, "1 band or more"),
    ],
)
def test_bands_that_do_not_fit_are_one_clear_line(name, bands, wanted):
    with pytest.raises(FeatureStoreError, match=wanted):
        build_model(name, 10, bands)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("digits-base", {"sofmax": True}, "did you mean 'softmax'"),
        ("etienne-cnn-blstm", {"convolutions": 7}, "1 to 6 convolutions"),
        ("etienne-cnn-blstm", {"recurrent": 5}, "1 to 4 recurrent layers"),
        ("etienne-cnn-blstm", {"hidden": "many"}, "etienne-cnn-blstm: "),
        ("zhao-2d", {"frames": 127}, "zhao-2d needs 128 frames or more, not 127"),
        ("zhao-2d-modified", {"hidden": 0}, "zhao-2d-modified needs at least 1 hidden unit"),
        ("zhao-1d", {"samples": 255}, "zhao-1d needs 256 samples or more"),
        ("keren-clstm", {"task": "emotions"}, "did you mean 'emotion'"),
        ("keren-clstm", {"sequence": "cells"}, "did you mean 'cell'"),
        ("keren-clstm", {"window": "first"}, "unknown window 'first'"),
        ("keren-cblstm", {"output_of": "output"}, "unknown output_of 'output'"),
        ("keren-standard", {"layers": 9}, "1 to 3 front-end layers"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_clear_line(name, settings, message):
    with pytest.raises(FeatureStoreError, match=message) as refused:
        build_model(name, 5, MODELS[name].bands, **settings)

    assert "\n" not in str(refused.value)


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'zhao-2d-dense'"):
        build_model("zhao-2d-dence", 7, 128)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")
@each_model
def test_cpu_and_gpu_agree(name):
    model = unsettled(small_model(name)).eval()
    features, lengths, starts = batch_of(name, left=True)

    expected = model(features, lengths, starts)
    found = model.cuda()(features.cuda(), lengths, starts).cpu()

    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert found.isfinite().all()


def test_without_attention_a_clip_is_pooled_to_mean_and_deviation_of_its_own_frames():
    network = build_model("tdnn", CLASSES, 6, width=12, attention=0)
    spans, real = [7, 9], [3, 5]
    frames = torch.randn(sum(spans), 12, generator=torch.Generator().manual_seed(1))
    of_clip = torch.zeros(2, len(frames))
    of_clip[0, : real[0]] = of_clip[1, spans[0] : spans[0] + real[1]] = 1

    pooled = network.pool(frames, of_clip, spans).numpy()

    clips = np.split(frames.numpy(), spans[:1])
    expected = [np.r_[clip[:count].mean(0), clip[:count].std(0)] for clip, count in zip(clips, real, strict=True)]
    assert sum(one.numel() for one in network.attend.parameters()) == 0
    np.testing.assert_allclose(pooled, expected, atol=1e-4)
