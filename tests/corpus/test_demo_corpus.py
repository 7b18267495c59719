"""The synthesised corpus: the same bytes every time, told apart by more than loudness."""

import hashlib
import io

import numpy as np
import pytest
import soundfile

from featurestore.corpus.synthetic import MOODS, VOICES, demo_files, generate
from featurestore.errors import UnknownNameError

GOLDEN = "e8447d3cc2c46961d712d4d1712336a6e945b8a98ed5600646a85291808faef3"


@pytest.fixture(scope="module")
def files():
    return demo_files()


@pytest.fixture(scope="module")
def signals(files):
    return {name: soundfile.read(io.BytesIO(data))[0] for name, data in files.items()}


def of_mood(signals, mood):
    return [signal for name, signal in signals.items() if name.endswith(f"_{mood}.wav")]


def test_the_demo_corpus_has_thirty_clips_of_each_mood_and_twenty_of_each_voice(demo):
    assert set(demo.label_counts().values()) == {30}
    assert set(demo.speaker_counts().values()) == {20}
    assert (demo.rejected, demo.unlabelled, demo.notes) == ((), (), ())


def test_the_bytes_are_the_same_in_every_run_and_on_every_machine(files):
    together = hashlib.sha256("".join(hashlib.sha256(files[name]).hexdigest() for name in sorted(files)).encode())

    assert together.hexdigest() == GOLDEN


def test_the_global_random_state_is_neither_used_nor_moved(files):
    np.random.seed(1)  # noqa: NPY002 (the global state is what is watched)
    before = np.random.get_state()[1].copy()  # noqa: NPY002

    again = demo_files()

    assert again == files
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_clips_are_sixteen_kilohertz_mono_and_one_to_two_seconds_long(files):
    for data in files.values():
        info = soundfile.info(io.BytesIO(data))
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert 1.0 <= info.duration <= 1.85


def test_no_clip_is_clipped_or_nearly_silent(signals):
    for signal in signals.values():
        assert 0.02 < np.abs(signal).max() < 1.0


def test_moods_differ_in_tempo_and_level_on_average_and_overlap_in_level(signals):
    seconds = {mood: np.mean([len(one) / 16_000 for one in of_mood(signals, mood)]) for mood in MOODS}
    levels = {mood: [10 * np.log10(np.mean(one**2)) for one in of_mood(signals, mood)] for mood in MOODS}

    assert seconds["sad"] > seconds["neu"] > seconds["hap"] > seconds["ang"]
    assert np.mean(levels["ang"]) > np.mean(levels["neu"]) > np.mean(levels["sad"])
    assert max(levels["sad"]) > min(levels["ang"])


def test_sad_voices_are_darker_and_angry_ones_brighter_than_calm_ones(signals):
    def centroid(signal):
        power = np.abs(np.fft.rfft(signal)) ** 2
        return np.sum(power * np.fft.rfftfreq(len(signal), 1 / 16_000)) / np.sum(power)

    means = {mood: np.mean([centroid(one) for one in of_mood(signals, mood)]) for mood in MOODS}

    assert means["ang"] > 1.1 * means["neu"] > 1.1 * 1.1 * means["sad"]


@pytest.mark.parametrize("voice", sorted(VOICES))
def test_a_calm_voice_has_the_pitch_that_it_is_given(signals, voice):
    signal = signals[f"{voice}_s1_neu.wav"]
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 1 << 17)) ** 2
    lags = np.fft.irfft(spectrum)
    low, high = (int(16_000 / (VOICES[voice].pitch_hz * factor)) for factor in (1.3, 0.77))

    found = 16_000 / (low + int(np.argmax(lags[low:high])))

    assert abs(12 * np.log2(found / VOICES[voice].pitch_hz)) < 3


def test_an_unknown_generator_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'formants'"):
        generate("formant")
