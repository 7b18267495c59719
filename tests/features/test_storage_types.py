"""A row is finite in its storage type, or its recording is refused with the reason."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from perturbations.sounds import wav

from featurestore.errors import AudioError, DamagedObjectError, SpecError
from featurestore.integrity.verify import check_shard
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.shards.commit import commit_shard
from featurestore.shards.parts import PlannedShard
from featurestore.signal.arrays import is_finite
from featurestore.signal.kernels.rounding import stored
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from featurestore.trusted_code import VARIABLE

MODULE = """
import numpy as np
def energy(signal, rate):
    frames = signal[: len(signal) // 160 * 160].reshape(-1, 160).astype(np.float64) * 32768
    return np.stack([(frames ** 2).sum(1), np.abs(frames).sum(1)], 1)
"""


def waveform(**fields):
    return RowEngine(FeatureSpec(kind="waveform", **fields))


def loud(level):
    return wav(np.full(800, level))


@pytest.mark.parametrize("level", [65_519, 65_504, 1.0, 2.0**-24, 0.0])
def test_what_fits_half_precision_is_stored_as_numpy_rounds_it(level):
    row = np.array([[-level], [level / 2]], np.float32)

    np.testing.assert_array_equal(stored(row, "float16"), row.astype(np.float16))


@pytest.mark.parametrize(
    ("level", "reason"),
    [(65_520, r"up to 65,520 do not fit float16: dtype=float32"), (7e5, "700,000"), (1e-9, r"1e-09 vanish in float16")],
)
def test_what_does_not_fit_half_precision_is_refused_and_float32_holds_it(level, reason):
    row = np.array([[0.0], [-level]], np.float32)

    with pytest.raises(AudioError, match=reason):
        stored(row, "float16")
    np.testing.assert_array_equal(stored(row, "float32"), row)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_no_storage_type_takes_a_number_that_is_none(value, dtype):
    row = np.array([[1.0, value]], np.float32)

    with pytest.raises(AudioError, match="not finite"):
        stored(row, dtype)
    assert not is_finite(row.astype(dtype))
    assert is_finite(np.ones((3, 2), dtype))


def test_a_loud_waveform_is_refused_in_half_precision_and_kept_in_single():
    data = loud(80_000)
    single = waveform(dtype="float32")

    with pytest.raises(AudioError, match="values up to 80,000 do not fit float16"):
        waveform().clean(waveform().load(data))
    assert np.all(single.clean(single.load(data)) == 80_000)


def test_a_volume_that_lifts_samples_beyond_half_precision_is_refused_for_that_copy():
    engine = RowEngine(FeatureSpec(kind="waveform"), AugmentationSpec(gain_db=Distribution(listed=(100.0,))))
    source = engine.load(loud(0.9))

    assert engine.clean(source).max() == np.float16(0.9)
    with pytest.raises(AudioError, match="values up to 90,000"):
        engine.augmented(source, Perturbation(gain_db=100.0))


def test_a_feature_of_ones_own_that_overflows_is_refused(tmp_path, monkeypatch):
    (tmp_path / "energies_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "energies_of_mine")
    spec = {"kind": "function", "function": "energies_of_mine:energy", "version": 1, "bands": 2}
    engine = RowEngine(FeatureSpec.from_dict(spec))

    with pytest.raises(AudioError, match=r"do not fit float16: dtype=float32 stores them"):
        engine.clean(engine.load(loud(0.5)))
    wide = RowEngine(FeatureSpec.from_dict({**spec, "dtype": "float32"}))
    assert np.isfinite(wide.clean(wide.load(loud(0.5)))).all()


def test_verification_finds_numbers_that_an_earlier_version_stored_as_infinite(tmp_path):
    store = open_store(str(tmp_path / "store"))
    shard = PlannedShard(RowSpec.current(FeatureSpec(kind="waveform"), None), 0, 1, (hashlib.sha256(b"").hexdigest(),))
    commit_shard(store.storage, shard, [np.array([[1.0], [np.inf]], np.float16)])

    with pytest.raises(DamagedObjectError, match="did not fit float16"):
        check_shard(store, shard.address)


@pytest.mark.parametrize(
    ("alpha", "share", "sound"), [(1.1, 0.9, True), (1.1, 0.95, False), (1.5, 0.6, True), (2, 0.5, False)]
)
def test_a_warp_that_would_fold_the_frequency_axis_is_computed_no_more_and_read_still(alpha, share, sound):
    spec = AugmentationSpec(vtlp_alpha=Distribution(uniform=(0.9, alpha)), vtlp_f0=share)
    stored = {**RowSpec.current(FeatureSpec(), None).document, "augmentation": spec.to_dict()}

    assert RowSpec.from_document(stored).augmentation == spec
    if sound:
        assert RowSpec.current(FeatureSpec(), spec).augmentation == spec
        return
    assert not RowSpec.from_document(stored).computable
    with pytest.raises(SpecError, match="fold"):
        RowSpec.current(FeatureSpec(), spec)
    with pytest.raises(SpecError, match="fold"):
        RowEngine(FeatureSpec(), spec)
