"""eGeMAPS against the openSMILE package itself; where it is not installed, what is said."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
from real_recordings import emodb_files, voice, wav

from featurestore.errors import AudioError, MissingPackageError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.specs import row_spec
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.presets import feature_preset
from featurestore.specs.row_spec import RowSpec

EGEMAPS = feature_preset("egemaps")
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("opensmile") is None,
    reason="needs the package opensmile, an extra: its licence is non-commercial",
)


@pytest.fixture(scope="module")
def package():
    opensmile = pytest.importorskip("opensmile", reason="needs the package opensmile, an extra")
    level = opensmile.FeatureLevel.LowLevelDescriptors
    return opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)


def test_the_25_descriptors_of_system_e_equal_the_package_on_five_real_files(shared, package, tmp_path):
    engine = RowEngine(EGEMAPS)
    for number, data in enumerate(emodb_files(shared)):
        file = tmp_path / f"{number}.wav"
        file.write_bytes(data)
        expected = package.process_file(str(file)).to_numpy()
        row = engine.clean(engine.load(data))
        assert row.shape == (len(expected), 25)
        np.testing.assert_array_equal(row, expected)


@needs_package
@pytest.mark.parametrize(("name", "its_own"), [("egemaps", "eGeMAPSv02"), ("compare", "ComParE_2016")])
def test_functionals_equal_the_package_on_a_real_file_in_one_frame(shared, tmp_path, name, its_own):
    import opensmile

    package = opensmile.Smile(feature_set=its_own, feature_level=opensmile.FeatureLevel.Functionals)
    features = feature_preset(f"{name}-functionals")
    engine, data = RowEngine(features), emodb_files(shared)[0]
    (tmp_path / "one.wav").write_bytes(data)

    row = engine.clean(engine.load(data))

    assert row.shape == (1, features.width)
    np.testing.assert_array_equal(row, package.process_file(str(tmp_path / "one.wav")).to_numpy())


def test_there_are_100_frames_a_second(package):
    engine = RowEngine(EGEMAPS)
    rows = [engine.clean(engine.load(voice(samples))) for samples in (16_000, 24_000)]

    assert len(rows[1]) - len(rows[0]) == 50
    assert rows[0].shape[1] == package.num_features


def test_samples_at_full_scale_keep_their_sign(package):
    time = np.arange(8000) / 16_000
    tone = np.sin(2 * np.pi * 200 * time)
    engine = RowEngine(EGEMAPS, AugmentationSpec(peak=Distribution(listed=(1.0,))))
    source = engine.load(wav(0.5 * tone))

    loud = engine.augmented(source, Perturbation(peak=1.0))
    almost = engine.augmented(source, Perturbation(peak=0.9999))

    np.testing.assert_allclose(loud[:, 0], almost[:, 0], rtol=1e-3)  # loudness; a turned sign would be a loud click
    assert np.all(np.isfinite(loud))


@needs_package
def test_a_recording_shorter_than_60_ms_is_refused_and_one_of_60_ms_has_a_frame():
    engine = RowEngine(EGEMAPS)

    with pytest.raises(AudioError, match="959 samples, openSMILE needs 960"):
        engine.load(voice(959))
    assert len(engine.clean(engine.load(voice(960)))) >= 1


@needs_package
def test_the_version_of_the_package_is_in_the_versions_of_rows():
    spec = RowSpec.current(EGEMAPS, None)

    assert dict(spec.versions)["opensmile"] == ".".join(version("opensmile").split(".")[:2])
    assert spec.computable


def test_without_the_package_one_line_says_what_to_install_and_its_licence(monkeypatch):
    def others_only(name):
        if name == "opensmile":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(row_spec, "version", others_only)
    row_spec._major_minor.cache_clear()

    with pytest.raises(MissingPackageError) as refused:
        RowSpec.current(EGEMAPS, None)
    text = str(refused.value)
    assert "pip install 'featurestore[egemaps]'" in text
    assert "non-commercial" in text
    assert "\n" not in text
    assert not RowSpec(EGEMAPS, None, (("egemaps", 1),)).computable
