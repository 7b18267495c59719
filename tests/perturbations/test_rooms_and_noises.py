"""Rooms, recorded noises and volume against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import RATE, content, decibels, engine, held, perturbed, response, tone, wav, white
from scipy import signal as scipy_signal

from featurestore.errors import AudioError, SpecError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording, resample
from featurestore.signal.reverberation import Noise, Room, noise_start
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw

HUM = wav(tone(100.0, 4.0))
ROOM = wav(response())


def in_room(samples, share=1.0, sound=ROOM, rate=RATE):
    data, rirs = held(sound)
    own = engine(data, reverb=Distribution(listed=(1.0,)), rirs=rirs)
    return perturbed(own, samples, Perturbation(reverb=share, rir=rirs.contents[0]))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_room_is_the_convolution_with_its_response_from_the_direct_path_on_at_the_energy_of_the_signal(share):
    signal, recorded = white(9_000), response().astype(np.float64)
    recorded /= np.sqrt(np.sum(recorded**2))

    expected = scipy_signal.convolve(signal.astype(np.float64), recorded, method="direct")[40 : 40 + len(signal)]

    mixed = share * expected + (1 - share) * signal
    np.testing.assert_allclose(
        in_room(signal, share), mixed * np.linalg.norm(signal) / np.linalg.norm(mixed), atol=2e-7
    )


def test_a_click_in_a_room_stays_where_it_is_and_what_the_room_adds_comes_after():
    click = np.zeros(6_000, np.float32)
    click[2_500] = 0.5

    found = in_room(click)

    assert len(found) == 6_000
    assert np.argmax(np.abs(found)) == 2_500
    assert np.max(np.abs(found[:2_500])) < 1e-7
    assert np.sum(np.square(found[2_501:])) > 0


@pytest.mark.parametrize("signal", [white(20_000), tone(), tone(3000.0), tone() * np.float32(1e-3)])
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_a_room_keeps_the_energy_of_a_signal_whatever_its_spectrum(signal, share):
    assert abs(decibels(in_room(signal, share), signal)) < 0.001


def test_a_response_of_another_rate_is_resampled():
    recorded = wav(response(2400, 80), 32_000)
    expected = Room.of(resample(Recording(response(2400, 80), 32_000), RATE).signal)

    found = in_room(np.eye(1, 4000, 0, dtype=np.float32)[0], sound=recorded)

    heard = expected.response[expected.direct :]
    np.testing.assert_allclose(found[:1000], heard[:1000] / np.linalg.norm(heard), atol=1e-7)


@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 12.5, 40.0])
@pytest.mark.parametrize("position", [0.0, 0.37, 0.999999])
def test_the_ratio_of_a_recorded_noise_is_exact(snr_db, position):
    data, noises = held(wav(white(50_000, seed=5)))
    own = engine(data, recorded_snr_db=Distribution(uniform=(-20, 40)), noises=noises)
    signal = tone()

    noisy = perturbed(
        own, signal, Perturbation(recorded_snr_db=snr_db, noise=noises.contents[0], noise_position=position)
    )

    assert abs(decibels(signal, noisy - signal) - snr_db) < 0.01
    assert 0 <= noise_start(position, 50_000, len(signal)) <= 50_000 - len(signal)


def test_a_recorded_noise_is_the_piece_that_was_drawn():
    noise = white(50_000, seed=5)
    data, noises = held(wav(noise))
    own = engine(data, recorded_snr_db=Distribution(uniform=(-20, 40)), noises=noises)
    signal = tone()
    start = noise_start(0.37, 50_000, len(signal))

    added = (
        perturbed(
            own,
            signal,
            Perturbation(recorded_snr_db=0.0, noise=noises.contents[0], noise_position=0.37),
        )
        - signal
    )

    piece = noise[start : start + len(signal)].astype(np.float64)
    np.testing.assert_allclose(added, piece * np.linalg.norm(signal) / np.linalg.norm(piece), atol=1e-6)


def test_a_noise_that_is_too_short_is_repeated():
    piece = np.empty(10, np.float32)

    Noise(np.arange(4, dtype=np.float32)).cut(0.5, piece)

    assert piece.tolist() == [2, 3, 0, 1, 2, 3, 0, 1, 2, 3]


def test_every_start_of_a_piece_can_be_drawn_and_none_lies_outside():
    starts = {noise_start(position, 12, 9) for position in np.linspace(0, 1, 1000, endpoint=False)}

    assert starts == {0, 1, 2, 3}
    assert noise_start(1 - 2**-53, 9, 9) == 0


@pytest.mark.parametrize("before", [0, 40_000, 150_000])
def test_a_piece_that_would_be_silent_is_moved_to_where_the_noise_sounds_and_recorded_so(before):
    noise = np.concatenate([np.zeros(before), white(40_000), np.zeros(60_000)]).astype(np.float32)
    data, noises = held(wav(noise))
    own = engine(data, recorded_snr_db=Distribution(uniform=(0, 5)), noises=noises)
    source = own.prepare_recording(Recording(tone(), RATE))

    drawn = [own.draw_perturbation(source, content(b"speech"), copy) for copy in range(1, 101)]

    for found, first in drawn:
        added = own.waveform(source, found).astype(np.float64) - tone()
        assert abs(decibels(tone(), added) - found.recorded_snr_db) < 0.01
        start = noise_start(found.noise_position, len(noise), len(tone()))
        sounding = np.sum(noise[start : start + len(tone())].astype(np.float64) ** 2) / len(tone())
        assert sounding >= 0.0099 * np.mean(noise.astype(np.float64) ** 2)
        assert first == (found == draw(own.augmentation, content(b"speech"), drawn.index((found, first)) + 1))
    assert not all(first for _, first in drawn)


def test_a_piece_of_silence_that_is_asked_for_is_refused():
    data, noises = held(wav(np.concatenate([np.zeros(40_000, np.float32), white(40_000)])))
    own = engine(data, recorded_snr_db=Distribution(uniform=(0, 1)), noises=noises)

    with pytest.raises(AudioError, match="piece of the noise is silent"):
        perturbed(own, tone(), Perturbation(recorded_snr_db=0.0, noise=noises.contents[0]))


@pytest.mark.parametrize("gain_db", [-30.0, -6.0, 0.0, 3.0, 20.0])
def test_a_gain_multiplies_each_sample_by_its_factor_exactly(gain_db):
    signal = white(5_000)

    found = perturbed(engine(gain_db=Distribution(uniform=(-30, 20))), signal, Perturbation(gain_db=gain_db))

    np.testing.assert_array_equal(found.astype(np.float32), signal * np.float32(10 ** (gain_db / 20)))


def test_a_peak_after_a_gain_is_the_peak():
    own = engine(
        gain_db=Distribution(listed=(6.0,)), peak=Distribution(listed=(0.8,)), snr_db=Distribution(listed=(10.0,))
    )

    for wanted in (Perturbation(gain_db=6.0, peak=0.8), Perturbation(gain_db=6.0, snr_db=10.0, noise_key=2, peak=0.8)):
        assert np.max(np.abs(perturbed(own, white(5_000), wanted))) == pytest.approx(0.8, rel=1e-6)


def everything(data, noises, rirs):
    return AugmentationSpec(
        semitones=Distribution(0.5, (-2, 2)),
        stretch=Distribution(0.7, (0.8, 1.2)),
        shift_seconds=Distribution(1.0, (-0.1, 0.1)),
        reverb=Distribution(0.6, (0.2, 1.0)),
        rirs=rirs,
        recorded_snr_db=Distribution(0.7, (0, 30)),
        noises=noises,
        snr_db=Distribution(0.5, (20, 60)),
        gain_db=Distribution(0.8, (-6, 6)),
        vtlp_alpha=Distribution(0.5, (0.9, 1.1)),
        peak=Distribution(0.5, listed=(1.0,)),
    )


def test_the_order_is_shift_room_recorded_noise_white_noise_gain_peak():
    data, noises = held(HUM)
    more, rirs = held(ROOM)
    own = RowEngine(engine().features, everything(data, noises, rirs), (data | more).__getitem__)
    signal = tone()
    steps = {
        "shift_seconds": 0.05,
        "reverb": 0.7,
        "recorded_snr_db": 5.0,
        "snr_db": 10.0,
        "gain_db": -3.0,
        "peak": 0.9,
    }
    named = {"rir": rirs.contents[0], "noise": noises.contents[0], "noise_position": 0.2, "noise_key": 7}

    expected = signal
    for name, value in steps.items():
        expected = perturbed(own, expected.astype(np.float32), Perturbation(**{name: value}, **named))

    np.testing.assert_allclose(perturbed(own, signal, Perturbation(**steps, **named)), expected, atol=2e-6)


def test_a_row_with_everything_does_not_depend_on_the_rows_before_it():
    noises_data, noises = held(HUM, wav(white(3_000, 8)))
    rooms_data, rirs = held(ROOM, wav(response(500, 9, 4)))
    data = noises_data | rooms_data
    policy = everything(data, noises, rirs)
    signals = {"first": white(12_000), "second": tone(seconds=0.4)}
    keys = [(name, copy) for name in signals for copy in range(1, 9)]

    def alone(name, copy):
        own = RowEngine(engine().features, policy, data.__getitem__)
        return own.augmented(own.prepare_recording(Recording(signals[name], RATE)), draw(policy, name, copy)).tobytes()

    reused = RowEngine(engine().features, policy, data.__getitem__)
    sources = {name: reused.prepare_recording(Recording(signal, RATE)) for name, signal in signals.items()}
    order = [keys[place] for place in np.random.default_rng(1).permutation(len(keys))]
    together = {
        (name, copy): reused.augmented(sources[name], draw(policy, name, copy)).tobytes() for name, copy in order
    }

    assert all(together[key] == alone(*key) for key in keys)


def test_a_silent_recording_is_refused_where_a_recorded_noise_is_asked_for():
    data, noises = held(HUM)
    own = engine(data, recorded_snr_db=Distribution(uniform=(0, 1)), noises=noises)

    with pytest.raises(AudioError, match="silent"):
        own.check(own.prepare_recording(Recording(np.zeros(4_000, np.float32), RATE)))


def test_an_engine_without_a_store_says_that_it_needs_one_and_a_lost_recording_is_named():
    data, rirs = held(b"no audio at all")
    wanted = Perturbation(reverb=1.0, rir=rirs.contents[0])

    with pytest.raises(SpecError, match="needs the store's sources"):
        perturbed(
            RowEngine(engine().features, AugmentationSpec(reverb=Distribution(listed=(1,)), rirs=rirs)), tone(), wanted
        )
    with pytest.raises(SpecError, match=f"{content(b'no audio at all')[:12]}.*cannot be used"):
        perturbed(engine(data, reverb=Distribution(listed=(1,)), rirs=rirs), tone(), wanted)


def test_a_silent_response_is_an_error_that_names_it():
    data, rirs = held(wav(np.zeros(100)))

    with pytest.raises(SpecError, match="silent impulse response"):
        perturbed(
            engine(data, reverb=Distribution(listed=(1,)), rirs=rirs),
            tone(),
            Perturbation(reverb=1.0, rir=rirs.contents[0]),
        )
