"""The networks of Keren and Schuller against plain loops over their equations."""

import numpy as np
import pytest
import torch
from model_cases import padded, unsettled
from torch import nn

from models import build_model
from models.layers.frames import RealFrames
from models.layers.recurrent import (
    ConvolutionalLstm,
    PeepholeLstm,
    PeepholeRecurrence,
    WindowConvolution,
    Windows,
    advance,
    pool_windows,
)
from models.networks.keren import frames_needed, mean_log_softmax

EXACT = {"rtol": 1e-9, "atol": 1e-11}


def noise(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def numpy_lstm(frames, lstm):
    """Equations 3 to 7 over one sequence, frame by frame: hidden and cell states."""
    inputs, recurrent, peepholes, bias = (
        values.detach().numpy() for values in (lstm.weight_input, lstm.weight_recurrent, lstm.peepholes, lstm.bias)
    )
    units = lstm.units
    gate = {name: slice(number * units, (number + 1) * units) for number, name in enumerate("ifco")}
    hidden, cell, hiddens, cells = np.zeros(units), np.zeros(units), [], []
    for position, frame in enumerate(frames):
        own = inputs[position] if inputs.ndim == 3 else inputs
        term = {name: own[rows] @ frame + recurrent[rows] @ hidden + bias[rows] for name, rows in gate.items()}
        enter = sigmoid(term["i"] + np.diag(peepholes[0]) @ cell)
        forget = sigmoid(term["f"] + np.diag(peepholes[1]) @ cell)
        cell = forget * cell + enter * np.tanh(term["c"])
        hidden = sigmoid(term["o"] + np.diag(peepholes[2]) @ cell) * np.tanh(cell)
        hiddens.append(hidden)
        cells.append(cell)
    return np.array(hiddens), np.array(cells)


def one_step(past=True):
    """Preactivations, peepholes and the cell before, and what `advance` makes of them."""
    gates, peepholes, before = noise(2, 3, 20), noise(3, 5, seed=2), noise(2, 3, 5, seed=3)
    opened, cell, hidden = gates.clone(), torch.empty(2, 3, 5).double(), torch.empty(2, 3, 5).double()
    advance(opened, peepholes, before if past else None, cell, hidden)
    split = [part.numpy() for part in gates.chunk(4, -1)]
    made = [part.numpy() for part in opened.chunk(4, -1)]
    return split, peepholes.numpy(), before.numpy(), made, cell.numpy(), hidden.numpy()


def test_keren_equation_3_the_input_gate_sees_the_cell_before():
    terms, peepholes, before, made, _, _ = one_step()

    np.testing.assert_allclose(made[0], sigmoid(terms[0] + peepholes[0] * before), **EXACT)
    assert not np.allclose(made[0], sigmoid(terms[0]))


def test_keren_equation_4_the_forget_gate_sees_the_cell_before():
    terms, peepholes, before, made, _, _ = one_step()

    np.testing.assert_allclose(made[1], sigmoid(terms[1] + peepholes[1] * before), **EXACT)
    assert not np.allclose(made[1], sigmoid(terms[1]))


def test_keren_equation_5_the_cell_keeps_and_takes_in():
    terms, _, before, made, cell, _ = one_step()

    np.testing.assert_allclose(cell, made[1] * before + made[0] * np.tanh(terms[2]), **EXACT)
    _, _, _, first, from_zero, _ = one_step(past=False)
    np.testing.assert_allclose(from_zero, first[0] * np.tanh(terms[2]), **EXACT)
    assert np.abs(cell - from_zero).min() > 1e-6


def test_keren_equation_6_the_output_gate_sees_the_new_cell():
    terms, peepholes, before, made, cell, _ = one_step()

    np.testing.assert_allclose(made[3], sigmoid(terms[3] + peepholes[2] * cell), **EXACT)
    assert not np.allclose(made[3], sigmoid(terms[3] + peepholes[2] * before))


def test_keren_equation_7_the_hidden_state_is_the_gated_cell():
    _, _, _, made, cell, hidden = one_step()

    np.testing.assert_allclose(hidden, made[3] * np.tanh(cell), **EXACT)
    assert np.abs(hidden).max() < 1


def test_keren_equations_3_to_7_over_a_whole_sequence():
    lstm = unsettled(PeepholeLstm(3, 4)).double()
    steps = noise(2, 6, 3)

    hidden, cells = lstm(steps)

    for number in range(2):
        expected = numpy_lstm(steps[number].numpy(), lstm)
        np.testing.assert_allclose(hidden[number].detach().numpy(), expected[0], **EXACT)
        np.testing.assert_allclose(cells[number].detach().numpy(), expected[1], **EXACT)
    assert hidden.shape == cells.shape == (2, 6, 4)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("size", "shift"), [(3, 2), (1, 1), (2, 3)])
def test_the_gradient_of_the_recurrence_is_that_of_finite_differences(size, shift, backwards):
    inputs = [values.requires_grad_() for values in (noise(2, 7, 8), noise(8, 2, seed=2), noise(3, 2, seed=3))]

    assert torch.autograd.gradcheck(
        lambda *values: PeepholeRecurrence.apply(*values, Windows(size, shift, backwards)), inputs
    )


def windows_of(steps):
    """Windows of 5 frames, every 2, of one clip."""
    return [steps[first : first + 5] for first in range(0, len(steps) - 4, 2)]


WINDOW = {"last": lambda states: states[-1], "mean": lambda states: states.mean(0), "max": lambda s: s.max(0)}


@pytest.mark.parametrize("window", list(WINDOW))
@pytest.mark.parametrize("sequence", ["hidden", "cell", "output"])
@pytest.mark.parametrize("extended", [False, True])
def test_a_clstm_layer_reads_every_window_as_a_sequence_of_its_own(sequence, window, extended):
    layer = ConvolutionalLstm(3, 4, sequence=sequence, window=window, extended=extended)
    unsettled(layer).double()
    steps = noise(2, 12, 3)

    found = layer(steps).detach().numpy()

    for number in range(2):
        for place, frames in enumerate(windows_of(steps[number].numpy())):
            hidden, cells = numpy_lstm(frames, layer.forwards)
            states = cells if sequence == "cell" else hidden
            if sequence == "output":
                states = states @ layer.combine.weight.detach().numpy().T + layer.combine.bias.detach().numpy()
            np.testing.assert_allclose(found[number, place], WINDOW[window](states), **EXACT)
    assert found.shape == (2, 4, 4)


def test_keren_equation_1_a_simple_recurrent_network_is_the_lstm_whose_cells_are_full():
    lstm = unsettled(PeepholeLstm(3, 5)).double()
    with torch.no_grad():
        lstm.bias[:15] = 100.0  # takes everything in and forgets nothing: after 20 steps tanh of the cell is 1
        lstm.peepholes[2] = 0.0
    frames = noise(1, 40, 3)
    hidden, cell = (states[0].detach().numpy() for states in lstm(frames))
    weights, recurrent, bias = (
        values.detach().numpy()[15:] for values in (lstm.weight_input, lstm.weight_recurrent, lstm.bias)
    )

    for step in range(25, 40):
        expected = sigmoid(weights @ frames[0, step].numpy() + recurrent @ hidden[step - 1] + bias)
        np.testing.assert_allclose(hidden[step], expected, **EXACT)
    assert cell[25:].min() > 20
    assert np.std(hidden[25:]) > 0.01


def test_keren_equation_2_the_output_is_a_linear_map_of_the_hidden_state():
    layer = unsettled(ConvolutionalLstm(3, 4, sequence="output")).double()
    frames = noise(1, 5, 3)

    hidden, _ = numpy_lstm(frames[0].numpy(), layer.forwards)
    expected = layer.combine.weight.detach().numpy() @ hidden[4] + layer.combine.bias.detach().numpy()

    np.testing.assert_allclose(layer(frames)[0, 0].detach().numpy(), expected, **EXACT)
    assert np.abs(expected - hidden[4]).min() > 1e-6


def assert_two_directions_are_combined(states_of, output_of):
    layer = ConvolutionalLstm(3, 4, sequence="output", window="max", bidirectional=True, output_of=output_of)
    unsettled(layer).double()
    steps = noise(2, 9, 3)
    found = layer(steps).detach().numpy()
    weights, bias = layer.combine.weight.detach().numpy(), layer.combine.bias.detach().numpy()
    for number in range(2):
        for place, frames in enumerate(windows_of(steps[number].numpy())):
            onwards = states_of(numpy_lstm(frames, layer.forwards))
            backwards = states_of(numpy_lstm(frames[::-1], layer.backwards))[::-1]
            combined = [weights[:, :4] @ a + weights[:, 4:] @ b + bias for a, b in zip(onwards, backwards, strict=True)]
            np.testing.assert_allclose(found[number, place], np.max(combined, 0), **EXACT)
    return found


def test_keren_equation_8_combines_the_hidden_states_of_both_directions():
    found = assert_two_directions_are_combined(lambda states: states[0], "hidden")

    assert found.shape == (2, 3, 4)


def test_keren_equation_9_combines_the_cell_states_of_both_directions():
    found = assert_two_directions_are_combined(lambda states: states[1], "cell")

    assert found.shape == (2, 3, 4)


def test_keren_equation_8_over_a_clip_before_the_dense_layer():
    model = unsettled(build_model("keren-baseline", 3, 4, task="age-gender")).double()
    clips = [noise(length, 4, seed=length) for length in (6, 3)]
    batch, lengths, _ = padded(clips)

    found = model.dense(model.recur(batch.double(), RealFrames.of(lengths))).detach().numpy()

    weights, bias = model.dense.weight.detach().numpy(), model.dense.bias.detach().numpy()
    for number, clip in enumerate(clips):
        onwards, _ = numpy_lstm(batch[number, : len(clip)].double().numpy(), model.lstms[0])
        backwards = numpy_lstm(batch[number, : len(clip)].double().numpy()[::-1], model.lstms[1])[0][::-1]
        for time, (a, b) in enumerate(zip(onwards, backwards, strict=True)):
            expected = weights[:, :256] @ a + weights[:, 256:] @ b + bias
            np.testing.assert_allclose(found[number, time], expected, rtol=1e-7, atol=1e-9)
    assert found.shape == (2, 6, 400)


def test_the_standard_layer_is_the_logistic_of_an_affine_map_of_each_window():
    layer = unsettled(WindowConvolution(3, 4)).double()
    steps = noise(1, 12, 3)
    weights, bias = layer.conv.weight.detach().numpy(), layer.conv.bias.detach().numpy()

    found = layer(steps)[0].detach().numpy()

    for place, frames in enumerate(windows_of(steps[0].numpy())):
        expected = [sigmoid((weights[n] * frames.T).sum() + bias[n]) for n in range(4)]
        np.testing.assert_allclose(found[place], expected, **EXACT)
    assert found.shape == (4, 4)


def test_windows_are_pooled_two_by_two_and_a_single_one_is_dropped():
    steps = noise(2, 5, 3)

    assert torch.equal(pool_windows(steps), torch.stack([steps[:, :2].amax(1), steps[:, 2:4].amax(1)], 1))


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("keren-standard", [(1, 48, 100), (1, 24, 100), (1, 10, 100), (1, 5, 100)]),
        ("keren-clstm", [(1, 48, 100), (1, 24, 100), (1, 10, 100), (1, 5, 100)]),
        ("keren-extended-clstm", [(1, 48, 100), (1, 24, 100), (1, 10, 100), (1, 5, 100)]),
        ("keren-cblstm", [(1, 48, 100), (1, 24, 100)]),
    ],
)
def test_a_hundred_frames_shrink_by_windows_of_5_every_2_and_pooling_by_2(name, shapes):
    model, steps, seen = build_model(name, 4, 26), torch.randn(1, 100, 26), []

    for layer in model.front_end:
        windows = layer(steps)
        steps = pool_windows(windows)
        seen += [tuple(windows.shape), tuple(steps.shape)]

    assert seen == shapes
    assert model.extract(torch.randn(1, 100, 26), RealFrames.everything(1, 100))[1].lengths.tolist() == [shapes[-1][1]]
    assert [lstm.units for lstm in model.lstms] == [256] * (2 if name == "keren-cblstm" else 1)
    assert (model.dense.out_features, model.classify.in_features) == (400, 400)


@pytest.mark.parametrize("last", [4, 0])
def test_the_softmax_is_averaged_over_the_last_four_steps_or_over_all(last):
    logits, lengths = noise(3, 7, 5), [7, 5, 2]

    found = mean_log_softmax(logits, RealFrames.of(torch.tensor(lengths)), last).exp().numpy()

    for number, length in enumerate(lengths):
        first = max(length - last, 0) if last else 0
        shares = np.exp(logits[number, first:length].numpy())
        expected = (shares / shares.sum(1, keepdims=True)).mean(0)
        np.testing.assert_allclose(found[number], expected, rtol=1e-6)
    assert found.shape == (3, 5)


def test_the_answer_is_the_log_of_the_averaged_probabilities():
    answer = build_model("keren-clstm", 5, 26).eval()(torch.randn(2, 60, 26), torch.tensor([60, 40]))

    torch.testing.assert_close(answer.exp().sum(1), torch.ones(2))
    torch.testing.assert_close(answer.log_softmax(1), answer)
    assert (answer < 0).all()


def test_a_clip_too_short_for_one_step_is_read_as_if_zeros_followed():
    model = unsettled(build_model("keren-clstm", 3, 4)).eval()
    clip = torch.randn(1, 12, 4, generator=torch.Generator().manual_seed(1))
    long = nn.functional.pad(clip, (0, 0, 0, frames_needed(2) - 12))

    assert [frames_needed(layers) for layers in range(3)] == [1, 7, 31]
    torch.testing.assert_close(model(clip, torch.tensor([12])), model(long, torch.tensor([31])))


def test_the_choices_of_table_iv_are_settings():
    outputs = {
        (sequence, window): build_model("keren-clstm", 5, 26, sequence=sequence, window=window).eval()(
            torch.ones(1, 40, 26) * torch.linspace(-1, 1, 40)[None, :, None], torch.tensor([40])
        )
        for sequence in ("hidden", "cell")
        for window in WINDOW
    }

    answers = {tuple(round(share, 6) for share in answer[0].tolist()) for answer in outputs.values()}
    assert len(answers) == 6


def test_tasks_differ_in_layers_directions_and_what_is_averaged():
    emotion, speaker = (build_model("keren-clstm", 4, 26, task=task) for task in ("emotion", "age-gender"))

    assert [len(model.front_end) for model in (emotion, speaker)] == [2, 1]
    assert [len(model.lstms) for model in (emotion, speaker)] == [1, 2]
    assert [model.front_end[0].window for model in (emotion, speaker)] == ["last", "max"]
    assert [model.task.last for model in (emotion, speaker)] == [4, 0]
    assert len(build_model("keren-clstm", 4, 26, layers=3).front_end) == 3
