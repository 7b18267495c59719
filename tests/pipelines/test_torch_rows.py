"""The torch engine computes what the processor's own engine computes, whatever stands beside a row."""

from __future__ import annotations

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from demo_corpus import ingest_demo

from featurestore.errors import AudioError
from featurestore.row_engine import RowEngine
from featurestore.signal import noise as own_noise
from featurestore.signal.noise import philox as own_philox
from featurestore.specs.augmentation import draw
from featurestore.specs.presets import feature_preset, override, policy
from pipelines.torch_rows import TOLERANCE, UNEQUAL
from pipelines.torch_rows.engine import TorchEngine
from pipelines.torch_rows.signals import key_words, philox, standard_normal

PROCESSOR = torch.device("cpu")
KEY = 0x0123_4567_89AB_CDEF
pytestmark = pytest.mark.usefixtures("one_torch_thread")


def engines(features, augmentation, *settings, device=PROCESSOR):
    specs = override(feature_preset(features), policy(augmentation), settings)
    return RowEngine(*specs), TorchEngine(*specs, device)


def voice(number: int = 0, samples: int = 9_000, rate: int = 16_000) -> bytes:
    """Return a WAV file with a gliding tone over weak noise."""
    rng = np.random.default_rng(number)
    time = np.arange(samples) / rate
    signal = 0.3 * np.sin(2 * np.pi * (150 + 20 * number + 80 * time) * time) * (1 + np.sin(8 * time)) / 2
    file = io.BytesIO()
    soundfile.write(file, signal + 0.003 * rng.standard_normal(samples), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def both(own, other, recordings, copies):
    """Return the rows of clean and augmented copies of recordings from both engines."""
    rows = []
    for engine in (own, other):
        wanted = []
        for data in recordings:
            source = engine.load(data)
            content = hashlib.sha256(data).hexdigest()
            wanted.append((source, None))
            wanted += [(source, draw(own.augmentation, content, copy)) for copy in range(1, copies + 1)]
        rows.append(engine.rows(wanted))
    assert [row.shape for row in rows[0]] == [row.shape for row in rows[1]]
    assert {row.dtype for row in rows[0]} == {row.dtype for row in rows[1]}
    return rows


def flat(rows):
    return np.concatenate([row.reshape(-1) for row in rows])


def assert_within_tolerance(own, other):
    assert float(np.max(np.abs(flat(own) - flat(other)))) <= TOLERANCE


def assert_nearly_all_halves_equal(own, other):
    ours, theirs = flat(own), flat(other)
    apart = np.abs(ours.astype(np.float32) - theirs.astype(np.float32))
    assert np.all(apart <= np.maximum(TOLERANCE, np.abs(np.spacing(ours)).astype(np.float32)))
    assert np.mean(apart > 0) < UNEQUAL


def test_the_random_words_are_those_of_the_processor():
    words = np.empty((4, 512), np.int32)
    own_philox(0, own_noise.key_words(KEY), words)

    found = philox(torch.arange(512), key_words([KEY, 0]))

    np.testing.assert_array_equal(
        np.stack([word[0].numpy() for word in found]).astype(np.uint32), words.view(np.uint32)
    )
    assert not torch.equal(found[0][0], found[0][1])


def test_the_noise_is_that_of_the_processor_to_rounding():
    keys = [KEY, 2**64 - 1, 0]
    expected = np.empty((3, 2_500), np.float32)
    for key, row in zip(keys, expected, strict=True):
        own_noise.standard_normal(own_noise.key_words(key), row)

    found = standard_normal(key_words(keys), 2_500).numpy()

    np.testing.assert_allclose(found, expected, atol=3e-6, rtol=0)


SPECS = {
    "mathworks": ("mathworks", "mathworks", "dtype=float32"),
    "an octave, circular, centred": ("logmel", "mathworks", "dtype=float32", "semitones=-12,12", "shift_fill=circular"),
    "pitch alone": ("mathworks", "none", "dtype=float32", "semitones=-3,3"),
    "a long shift alone": ("mathworks", "none", "dtype=float32", "shift_seconds=-2,2"),
    "weak noise": ("mathworks", "none", "dtype=float32", "snr_db=61,90", "peak=0.5"),
    "warps": ("mathworks", "vtlp", "dtype=float32", "snr_db=5,20"),
    "a transform of no power of two": (
        *("mathworks", "mathworks", "dtype=float32"),
        *("window_length=800", "fft_length=1000", "hop_length=300", "mels=40", "rate=22050"),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_rows_agree_with_those_of_the_processor(name):
    own, other = both(*engines(*SPECS[name]), [voice(1), voice(2, 12_345)], 4)

    assert_within_tolerance(own, other)


def test_rows_of_half_precision_differ_in_few_last_places():
    assert_nearly_all_halves_equal(*both(*engines("mathworks", "mathworks"), [voice(1), voice(2, 12_345)], 6))


def test_rows_of_the_demo_corpus_agree(store):
    utterances = ingest_demo(store).utterances[::40]
    recordings = [store.original(utterance.content) for utterance in utterances]

    assert_within_tolerance(*both(*engines("mathworks", "mathworks", "dtype=float32"), recordings, 1))


def test_rows_of_real_speech_agree(emodb_zip):
    with zipfile.ZipFile(emodb_zip) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".wav"))[::200]
        recordings = [archive.read(name) for name in names]

    assert_within_tolerance(*both(*engines("mathworks", "mathworks", "dtype=float32"), recordings, 4))
    assert_nearly_all_halves_equal(*both(*engines("mathworks", "mathworks"), recordings, 4))


def test_a_row_is_the_same_to_the_bit_alone_and_among_others():
    _, engine = engines("mathworks", "mathworks", "dtype=float32")
    wanted = []
    for number, samples in enumerate((9_000, 3_000, 20_001)):
        source = engine.load(voice(number, samples))
        wanted += [(source, None), *((source, draw(engine.augmentation, f"{number}", copy)) for copy in range(1, 9))]

    together = engine.rows(wanted)

    for place in (0, 4, 11, 18, 26):
        np.testing.assert_array_equal(engine.rows([wanted[place]])[0], together[place])


def test_threads_may_share_an_engine():
    _, engine = engines("mathworks", "mathworks")
    source = engine.load(voice())
    wanted = [(source, draw(engine.augmentation, "x", copy)) for copy in range(1, 6)]
    expected = engine.rows(wanted)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(engine.rows, [wanted] * 8))

    assert all(np.array_equal(a, b) for rows in found for a, b in zip(rows, expected, strict=True))


def test_recordings_of_different_rates_keep_them_where_the_features_do():
    own, other = both(*engines("logmel", "mathworks", "dtype=float32"), [voice(1), voice(2, 9_000, 8_000)], 2)

    assert_within_tolerance(own, other)


def test_a_silent_recording_has_a_clean_row_and_is_refused_for_copies():
    _, engine = engines("mathworks", "mathworks")
    file = io.BytesIO()
    soundfile.write(file, np.zeros(5_000), 16_000, format="WAV")
    source = engine.load(file.getvalue())

    assert np.all(engine.rows([(source, None)])[0] == np.float16(np.log(engine.features.eps)))
    with pytest.raises(AudioError, match="silent"):
        engine.check(source)


def test_the_engine_draws_what_the_processor_draws_where_a_copy_would_lose_its_speech():
    own, engine = engines("mathworks", "mathworks")
    word = np.zeros(16_000)
    word[:2_000] = 0.3 * np.sin(np.arange(2_000) / 9)
    file = io.BytesIO()
    soundfile.write(file, word, 16_000, format="WAV")
    source = engine.load(file.getvalue())

    drawn = [engine.draw_perturbation(source, "a" * 64, copy) for copy in range(1, 60)]

    assert drawn == [own.draw_perturbation(own.load(file.getvalue()), "a" * 64, copy) for copy in range(1, 60)]
    assert {first for _, first in drawn} == {True, False}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_a_gpu_agrees_with_the_processor_and_with_itself():
    own, gpu = engines("mathworks", "mathworks", "dtype=float32", device=torch.device("cuda"))
    recordings = [voice(number, 9_000 + 1_111 * number) for number in range(6)]

    expected, found = both(own, gpu, recordings, 12)
    again = both(own, gpu, recordings, 12)[1]

    assert_within_tolerance(expected, found)
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    alone = gpu.rows([(gpu.load(recordings[3]), None)])[0]
    assert np.array_equal(alone, found[3 * 13])
