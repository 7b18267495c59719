"""A copy keeps half of the energy of its clean row, and what the store says of it is what was done."""

from __future__ import annotations

import numpy as np
import pytest
from perturbations.sounds import RATE, content, tone, wav, white
from tiny_corpus import MANIFEST, build_here, recipe

from featurestore.errors import AudioError, SpecError
from featurestore.integrity.verify import recompute, verify
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import LEAST_KEPT, RowEngine
from featurestore.shards.record import record_key
from featurestore.signal.audio import Recording
from featurestore.specs.augmentation import AugmentationSpec, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import policy
from featurestore.store import open_store

FEATURES = FeatureSpec(kind="waveform", rate=RATE, dtype="float32")
POLICY = policy("mathworks")
NAME = content(b"a recording")
WORD = (0.3 * np.sin(2 * np.pi * 180 * np.arange(3600) / RATE) * np.hanning(3600)).astype(np.float32)


def word_in(samples, at):
    signal = np.zeros(samples, np.float32)
    signal[at : at + len(WORD)] = WORD
    return signal


def engine_and_source(signal, augmentation=POLICY, **fields):
    engine = RowEngine(FeatureSpec(kind="waveform", rate=RATE, dtype="float32", **fields), augmentation)
    return engine, engine.prepare_recording(Recording(signal, RATE))


@pytest.mark.parametrize("at", [0, 6_000, 16_000 - len(WORD)])
def test_every_copy_of_a_word_between_zeros_holds_at_least_half_of_its_energy(at):
    engine, source = engine_and_source(
        word_in(16_000, at), AugmentationSpec(shift_seconds=Distribution(uniform=(-0.3, 0.3)))
    )

    drawn = [engine.draw_perturbation(source, NAME, copy) for copy in range(1, 201)]

    kept = [np.sum(np.square(engine.waveform(source, found), dtype=np.float64)) for found, _ in drawn]
    assert min(kept) >= LEAST_KEPT * np.sum(np.square(WORD, dtype=np.float64)) * (1 - 1e-12)
    assert len({found.shift_seconds for found, _ in drawn}) == 200
    again = [not first for _, first in drawn]
    assert any(again) == (at != 6_000)
    for copy, (found, first) in enumerate(drawn, 1):
        assert (found == draw(engine.augmentation, NAME, copy)) == first


def test_a_copy_that_keeps_its_speech_is_the_one_that_was_drawn_first():
    engine, source = engine_and_source(white(20_000))

    assert all(
        engine.draw_perturbation(source, NAME, copy) == (draw(POLICY, NAME, copy), True) for copy in range(1, 100)
    )


def test_a_shift_in_a_circle_loses_nothing_and_is_never_drawn_again():
    circular = AugmentationSpec(shift_seconds=Distribution(uniform=(-3, 3)), shift_fill="circular")
    engine, source = engine_and_source(word_in(16_000, 0), circular)

    for copy in range(1, 40):
        found, first = engine.draw_perturbation(source, NAME, copy)
        assert first
        moved = np.roll(source.signal, round(found.shift_seconds * RATE))
        np.testing.assert_array_equal(engine.waveform(source, found), moved)


@pytest.mark.parametrize("fill", ["zero", "circular"])
def test_a_stretch_or_a_shift_that_moves_speech_beyond_the_seconds_of_a_row_is_drawn_again(fill):
    moving = AugmentationSpec(
        stretch=Distribution(uniform=(0.5, 2.0)), shift_seconds=Distribution(uniform=(-1, 1)), shift_fill=fill
    )
    engine, source = engine_and_source(word_in(16_000, 10_000), moving, seconds=1.0)

    drawn = [engine.draw_perturbation(source, NAME, copy) for copy in range(1, 60)]

    energies, places = np.square(source.signal, dtype=np.float64), np.arange(16_000)
    for found, _ in drawn:
        samples, by = round(16_000 * found.stretch), round(found.shift_seconds * RATE)
        moved = places * found.stretch + by
        moved = moved % samples if fill == "circular" else moved
        inside = (moved >= 0) & (moved < min(16_000, samples))
        assert energies[inside].sum() > (LEAST_KEPT - 0.01) * energies.sum()
        assert len(engine.waveform(source, found)) == 16_000
    assert not all(first for _, first in drawn)


def test_listed_values_are_taken_in_turn_until_one_keeps_the_speech_and_none_refuses_the_recording():
    listed = AugmentationSpec(shift_seconds=Distribution(listed=(-0.5, -0.4, 0.1)))
    engine, source = engine_and_source(word_in(16_000, 0), listed)

    assert [engine.draw_perturbation(source, NAME, copy)[0].shift_seconds for copy in (1, 2, 3)] == [0.1, 0.1, 0.1]
    engine, source = engine_and_source(word_in(16_000, 0), AugmentationSpec(shift_seconds=Distribution(listed=(-0.5,))))
    with pytest.raises(AudioError, match="copy 1 loses its speech in each of 100 draws"):
        engine.draw_perturbation(source, NAME, 1)


def test_a_decision_hangs_on_sums_in_one_order():
    signal = white(50_000)
    _, source = engine_and_source(signal)

    total = 0.0
    for value in signal[:1000].astype(np.float64):
        total += value * value
    assert source.energy(0, 1000) == total
    assert source.energy(-5, 0) == source.energy(50_000, 60_000) == source.energy(9, 3) == 0


@pytest.fixture
def words(tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    folder.with_suffix(".toml").write_text(MANIFEST)
    (folder / "a_up_1.wav").write_bytes(wav(word_in(16_000, 0)))
    (folder / "b_down_2.wav").write_bytes(wav(word_in(16_000, 16_000 - len(WORD))))
    (folder / "c_up_3.wav").write_bytes(wav(tone()))
    return folder


def test_a_view_tells_what_a_build_did_without_the_recordings_and_hears_it_with_them(tmp_path, words):
    store = open_store(tmp_path / "store")
    build_here(store, words, recipe(60))
    view = store.view("tiny")

    copies = [row for row in range(len(view)) if view.copies[row]]
    engine = RowEngine(view.features, view.augmentation)
    sources = {name: engine.load(store.original(name)) for name in set(view.contents)}
    told = {row: view.perturbation(row) for row in copies}

    drawn = {
        row: engine.draw_perturbation(sources[view.contents[row]], view.contents[row], int(view.copies[row]))
        for row in copies
    }
    assert told == {row: found for row, (found, _) in drawn.items()}
    assert 5 < sum(not first for _, first in drawn.values()) < 60
    for row in copies:
        assert np.ptp(view[row][0].astype(float)) > 0
        assert np.array_equal(engine.augmented(sources[view.contents[row]], told[row]), view[row][0])
    odd = next(row for row in copies if not drawn[row][1])
    np.testing.assert_array_equal(view.waveform(odd), engine.waveform(sources[view.contents[odd]], told[odd]))
    assert verify(store).damaged == []
    assert recompute(store, 400).drifted == ()


def test_rows_that_are_copied_from_a_donor_keep_what_is_told_of_them(tmp_path, words):
    store, other = open_store(tmp_path / "store"), open_store(tmp_path / "other")
    build_here(store, words, recipe(30))
    build_here(store, words, recipe(20), "fewer")
    build_here(other, words, recipe(20))

    here, there = store.view("fewer"), other.view("tiny")
    assert [here.perturbation(row) for row in range(len(here))] == [
        there.perturbation(row) for row in range(len(there))
    ]
    assert here.digest == there.digest


def test_what_another_version_drew_is_not_told_as_if_it_were_ours(tmp_path, words, monkeypatch):
    store = open_store(tmp_path / "store")
    build_here(store, words, recipe(1))
    view = open_store(tmp_path / "store").view("tiny")
    monkeypatch.setitem(__import__("featurestore.registry", fromlist=["x"]).OPERATIONS, "draw", (99, ()))

    with pytest.raises(SpecError, match=r"draw 2 \(here 99\)"):
        view.perturbation(int(np.flatnonzero(view.copies)[0]))
    with pytest.raises(SpecError, match="build the dataset again"):
        view.waveform(int(np.flatnonzero(view.copies)[0]))


def test_a_recording_without_remarks_has_a_record_as_before(tmp_path, words):
    store = open_store(tmp_path / "store")
    build_here(store, words, recipe(0))

    (address,) = store.dataset(store.reference("tiny").dataset).addresses
    assert b"remarks" not in store.storage.get(record_key(address))
