import io
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from featurestore import presets
from featurestore.errors import AudioError, SpecError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import row_versions

SHARED = Path(os.environ.get("FEATURESTORE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FOLDER = Path(presets.__file__).parent


def preset(kind, name):
    return tomllib.loads((FOLDER / kind / f"{name}.toml").read_text())


MATHWORKS = FeatureSpec.from_dict(preset("features", "mathworks"))
LOGMEL = FeatureSpec.from_dict(preset("features", "logmel") | {"dtype": "float32"})
POLICY = AugmentationSpec.from_dict(preset("policies", "mathworks"))
VTLP = AugmentationSpec.from_dict(preset("policies", "vtlp"))


@pytest.fixture(scope="module")
def emodb():
    archive = SHARED / "data" / "emodb" / "download.zip"
    if not archive.exists():
        pytest.skip("needs the Emo-DB recordings in ../shared/data/emodb")
    with zipfile.ZipFile(archive) as source:
        return {name: source.read(f"wav/{name}.wav") for name in ("03a01Fa", "16b10Wb", "11a02Nc")}


def wav(signal, rate=16_000):
    target = io.BytesIO()
    soundfile.write(target, signal, rate, format="WAV", subtype="PCM_16")
    return target.getvalue()


def voice(samples=12_000, seed=0):
    """Return harmonics with a wandering pitch and some breath, as a file."""
    rng = np.random.default_rng(seed)
    phase = np.cumsum(2 * np.pi * (120 + 20 * np.sin(np.arange(samples) / 3000)) / 16_000)
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    return wav(0.1 * tones + 0.003 * rng.standard_normal(samples))


def independent_log_mel(signal, rate, features):
    """Return the log-mel of a signal, written plainly in float64."""
    librosa = pytest.importorskip("librosa")
    signal = signal.astype(np.float64)
    if features.centred:
        signal = np.pad(signal, features.fft_length // 2)
    n = np.arange(features.window_length)
    a = {"hamming": 0.54, "hann": 0.5}[features.window]
    window = a - (1 - a) * np.cos(2 * np.pi * n / len(n))
    starts = range(0, len(signal) - features.fft_length + 1, features.hop_length)
    frames = np.stack([signal[start : start + features.fft_length] * window for start in starts])
    power = np.abs(np.fft.rfft(frames)) ** 2
    bands = librosa.filters.mel(
        sr=rate, n_fft=features.fft_length, n_mels=features.mels, htk=features.mel_scale == "htk", dtype=np.float64
    )
    return np.log(power @ bands.T + features.eps)


def half_step(values):
    """Return half the distance to the next float16."""
    return 0.5 * np.spacing(np.abs(values).astype(np.float16)).astype(np.float64)


def test_the_mathworks_preset_gives_56_frames_of_128_bands(emodb):
    engine = RowEngine(MATHWORKS)

    row = engine.clean(engine.load(emodb["03a01Fa"]))

    assert row.shape == (56, 128)
    assert row.dtype == np.float16


def test_the_logmel_preset_equals_librosa_clean_and_noisy(emodb):
    librosa = pytest.importorskip("librosa")
    engine = RowEngine(LOGMEL, POLICY)
    for content, data in emodb.items():
        source = engine.load(data)
        perturbations = [None, *(draw(POLICY, content, copy) for copy in range(1, 6))]
        for perturbation in perturbations:
            row = engine.clean(source) if perturbation is None else engine.augmented(source, perturbation)
            signal = engine.waveform(source, perturbation)
            for dtype in (np.float32, np.float64):
                expected = np.log(librosa.feature.melspectrogram(y=signal.astype(dtype), sr=source.rate) + 1e-10).T
                assert np.max(np.abs(row - expected)) < 1e-4


@pytest.mark.parametrize("features", [MATHWORKS, LOGMEL])
def test_the_log_mel_of_the_waveform_equals_the_row(features):
    pytest.importorskip("librosa")
    engine = RowEngine(features, POLICY)
    source = engine.load(voice(30_000))
    for perturbation in [
        None,
        *(draw(POLICY, "ab", copy) for copy in range(1, 9)),
        Perturbation(semitones=0.7, shift_seconds=0.1, peak=0.9),
    ]:
        row = engine.clean(source) if perturbation is None else engine.augmented(source, perturbation)
        expected = independent_log_mel(engine.waveform(source, perturbation), source.rate, features)
        rounding = half_step(expected) if features.dtype == "float16" else 0
        assert np.all(np.abs(row.astype(np.float64) - expected) <= rounding + 1e-4)


def test_a_row_does_not_depend_on_the_rows_computed_before_it():
    first, second = voice(30_000), voice(9_000, seed=5)
    keys = [(name, copy) for name in ("first", "second") for copy in range(1, 13)]
    data = {"first": first, "second": second}

    def alone(name, copy):
        engine = RowEngine(MATHWORKS, POLICY)
        return engine.augmented(engine.load(data[name]), draw(POLICY, name, copy)).tobytes()

    reused = RowEngine(MATHWORKS, POLICY)
    sources = {name: reused.load(content) for name, content in data.items()}
    shuffled = np.random.default_rng(3).permutation(len(keys))
    together = {}
    for index in [*shuffled, *shuffled[::-1]]:
        name, copy = keys[index]
        together[name, copy] = reused.augmented(sources[name], draw(POLICY, name, copy)).tobytes()
        reused.clean(sources["first"])

    assert all(together[key] == alone(*key) for key in keys)


def test_another_process_computes_the_same_bits(tmp_path):
    (tmp_path / "voice.wav").write_bytes(voice())
    program = (
        "import sys, hashlib, pathlib\n"
        "from tests.test_row_engine import MATHWORKS, POLICY, RowEngine, draw\n"
        "engine = RowEngine(MATHWORKS, POLICY)\n"
        "source = engine.load(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "rows = [engine.augmented(source, draw(POLICY, 'x', copy)).tobytes() for copy in (3, 1, 2)]\n"
        "print(hashlib.sha256(b''.join(rows)).hexdigest())\n"
    )
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", program, str(tmp_path / "voice.wav")]

    digests = {subprocess.run(command, cwd=root, check=True, capture_output=True).stdout for _ in range(2)}

    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_the_ratio_of_a_copy_is_exact_against_the_shifted_clip():
    engine = RowEngine(MATHWORKS, POLICY)
    source = engine.load(voice(30_000))
    for snr_db in (-20.0, 3.0, 40.0):
        noisy = engine.waveform(
            source, Perturbation(semitones=1.0, shift_seconds=0.25, snr_db=snr_db, noise_key=99)
        ).astype(np.float64)
        plain = engine.waveform(source, Perturbation(semitones=1.0, shift_seconds=0.25)).astype(np.float64)
        measured = 10 * np.log10(np.sum(plain**2) / np.sum((noisy - plain) ** 2))
        assert abs(measured - snr_db) < 0.01


def test_the_peak_of_a_copy_is_the_one_asked_for():
    engine = RowEngine(MATHWORKS, POLICY)
    source = engine.load(voice())

    for perturbation in (Perturbation(peak=0.8), Perturbation(snr_db=5.0, peak=0.8, noise_key=3)):
        assert np.max(np.abs(engine.waveform(source, perturbation))) == pytest.approx(0.8, rel=1e-6)


def test_vtlp_warps_the_row_and_leaves_the_waveform():
    engine = RowEngine(MATHWORKS, VTLP)
    source = engine.load(voice())

    row = engine.augmented(source, Perturbation(vtlp_alpha=1.1))

    assert not np.array_equal(row, engine.clean(source))
    np.testing.assert_array_equal(engine.augmented(source, Perturbation(vtlp_alpha=1.0)), engine.clean(source))
    np.testing.assert_array_equal(engine.waveform(source, Perturbation(vtlp_alpha=1.1)), source.signal)


def test_a_silent_recording_has_a_clean_row_and_is_refused_where_a_ratio_is_asked_for():
    engine = RowEngine(MATHWORKS, POLICY)
    source = engine.load(wav(np.zeros(5_000)))

    assert np.all(engine.clean(source) == np.float16(np.log(MATHWORKS.eps)))
    with pytest.raises(AudioError, match="silent"):
        engine.augmented(source, draw(POLICY, "x", 1))


def test_a_signal_that_was_shifted_away_is_refused():
    impulse = np.zeros(6_000)
    impulse[-10] = 0.5
    engine = RowEngine(MATHWORKS, POLICY)

    with pytest.raises(AudioError, match="no signal is left"):
        engine.augmented(engine.load(wav(impulse)), Perturbation(shift_seconds=0.3, snr_db=10.0, peak=1.0))


def test_a_recording_shorter_than_a_window_is_refused_unless_centred():
    data = wav(np.ones(2_000) * 0.1)

    with pytest.raises(AudioError, match="shorter than one window"):
        RowEngine(MATHWORKS).load(data)
    centred = RowEngine(LOGMEL)
    assert centred.clean(centred.load(data)).shape == (4, 128)


def test_a_rate_too_low_for_the_bands_is_refused():
    features = FeatureSpec(rate=None, high_hz=8000.0, centred=True)

    with pytest.raises(AudioError, match="8000 Hz is too low"):
        RowEngine(features).load(wav(np.ones(9_000) * 0.1, rate=8_000))


def test_augmented_rows_need_an_augmentation_spec():
    engine = RowEngine(MATHWORKS)

    with pytest.raises(SpecError, match="augmentation"):
        engine.augmented(engine.load(voice()), Perturbation(peak=1.0))


def test_recordings_of_other_rates_are_resampled_or_kept():
    data = wav(0.1 * np.sin(np.arange(48_000) / 20), rate=48_000)
    resampling, keeping = RowEngine(MATHWORKS), RowEngine(LOGMEL)

    assert len(resampling.load(data).signal) == 16_000
    assert keeping.load(data).rate == 48_000
    assert len(keeping.clean(keeping.load(data))) == 94


def test_versions_name_only_the_operations_that_a_spec_uses():
    clean, noisy = (
        row_versions(LOGMEL, None),
        row_versions(MATHWORKS, AugmentationSpec(snr_db=Distribution(1.0, (0, 10)))),
    )

    assert "noise" in noisy
    assert "resample" in noisy
    assert not {"noise", "pitch", "resample", "soxr"} & set(clean)
    assert {"decode", "stft", "mel", "log", "numba", "numpy", "soundfile"} <= set(clean)
    assert clean["numpy"] == ".".join(np.__version__.split(".")[:2])


def test_versions_are_told_without_importing_the_libraries():
    program = (
        "import sys; import featurestore.specs.row_spec as v; from featurestore.specs.features import FeatureSpec\n"
    )
    program += (
        "v.row_versions(FeatureSpec(), None); print(sorted({'numba', 'scipy', 'librosa', 'numpy'} & set(sys.modules)))"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, cwd=Path(__file__).parents[1]
    )

    assert told.stdout.strip() == b"[]"
