"""Which fields a kind of features has, what stands in its address, and what is refused."""

import numpy as np
import pytest
from real_recordings import voice

from featurestore.checksummed_json import digest
from featurestore.errors import AudioError, SpecError, UnknownNameError
from featurestore.features import FEATURES
from featurestore.perturbations.policy_tables import Distribution
from featurestore.row_engine import RowEngine
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, override, preset_names
from featurestore.specs.row_spec import check_together, row_versions
from pipelines.workers.engines import device_of_rows

OWN = {"kind": "function", "function": "module:name", "version": 1, "bands": 3}
COMPUTED = [name for name in preset_names("features") if not FEATURES[feature_preset(name).kind].foreign]


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (FeatureSpec(), "d9eee045a10314c2"),
        (feature_preset("mathworks"), "0f0fb111917cc783"),
        (feature_preset("logmel"), "0123c2c9bc6a2e26"),
        (FeatureSpec(trim_db=30), "936abfa78ad05570"),
    ],
    ids=["default", "mathworks", "logmel", "trim"],
)
def test_what_stood_before_there_were_kinds_keeps_its_canonical_form(features, expected):
    assert digest(features.to_dict())[:16] == expected


@pytest.mark.parametrize("kind", FEATURES)
def test_every_kind_names_a_class_that_computes_it(kind):
    features = FeatureSpec.from_dict(OWN if kind == "function" else {"kind": kind})

    transform = FEATURES[kind].transform(features, 16_000)

    transform.check(16_000)
    with pytest.raises(AudioError):
        transform.check(0)


@pytest.mark.parametrize("name", preset_names("features"))
def test_a_preset_comes_back_from_its_canonical_form_which_holds_the_fields_of_its_kind_alone(name):
    features = feature_preset(name)
    document = features.to_dict()

    assert FeatureSpec.from_dict(document) == features
    assert set(document) <= set(FEATURES[features.kind].all_fields)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("mels", 64, "waveform"),
        ("coefficients", 13, "logmel"),
        ("mel_scale", "slaney", "spectrogram"),
        ("hop_length", 160, "egemaps"),
        ("bands", 3, "logmel"),
        ("settings", {"a": 1}, "mfcc"),
        ("window", "hann", "waveform"),
    ],
)
def test_a_field_of_another_kind_is_refused_and_its_owners_are_named(field, value, kind):
    owner = next(name for name, known in FEATURES.items() if field in known.all_fields)

    with pytest.raises(SpecError, match=rf"'{field}' does not belong to kind '{kind}', but to .*{owner}"):
        FeatureSpec(**{"kind": kind, field: value})
    with pytest.raises(SpecError, match=f"'{field}' does not belong"):
        FeatureSpec.from_dict({"kind": kind, field: getattr(FeatureSpec(), field)})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"seconds": 0.0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"range_db": 80.0}, "needs decibels"),
        ({"decibels": "absolute", "range_db": -1.0}, "range_db"),
        ({"kind": "mfcc", "coefficients": 129}, "coefficients"),
        ({"kind": "spectrogram", "high_hz": 4000.0}, "needs a rate"),
        ({"kind": "spectrogram", "rate": 16_000, "low_hz": 1.0, "high_hz": 2.0}, "no bin"),
        ({"kind": "spectrogram", "rate": 16_000, "high_hz": float("inf")}, "high_hz"),
        ({**OWN, "function": "import os"}, "module:function"),
        ({**OWN, "version": 0}, "version"),
        ({**OWN, "version": True}, "version"),
        ({**OWN, "bands": None}, "bands"),
        ({**OWN, "settings": {"a": [1]}}, "'a'"),
        ({**OWN, "settings": {"a": float("inf")}}, "'a'"),
        ({**OWN, "settings": 3}, "wrong type"),
        ({"kind": ["logmel"]}, "wrong type"),
        ({"kind": "functionals", "feature_set": "gemaps"}, "feature_set must be egemaps or compare"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_reason(fields, reason):
    with pytest.raises(SpecError, match=reason):
        FeatureSpec.from_dict(fields)


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("rate", 16_000.0, 16_000),
        ("mels", 64.0, 64),
        ("hop_length", 256.0, 256),
        ("window_length", 1024.0, 1024),
        ("fft_length", np.float32(4096), 4096),
        ("mels", np.int64(64), 64),
        ("coefficients", 13.0, 13),
        ("low_hz", -0.0, 0.0),
        ("high_hz", 4000, 4000.0),
        ("eps", np.float64(1e-10), 1e-10),
    ],
)
def test_a_number_that_means_the_same_has_the_same_address(field, given, kept):
    first, second = (FeatureSpec.from_dict({"kind": "mfcc", "rate": 22_050, field: one}) for one in (given, kept))

    assert digest(first.to_dict()) == digest(second.to_dict())
    assert type(getattr(first, field)) is type(kept)


def test_version_and_bands_of_an_own_function_are_kept_as_whole_numbers():
    given = FeatureSpec.from_dict({**OWN, "version": 1.0, "bands": 3.0})

    assert digest(given.to_dict()) == digest(FeatureSpec.from_dict(OWN).to_dict())


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("rate", 16_000.5, "a whole number"),
        ("rate", "16000", "a whole number"),
        ("rate", True, "a whole number"),
        ("mels", None, "a whole number"),
        ("mels", float("nan"), "a whole number"),
        ("hop_length", float("inf"), "a whole number"),
        ("coefficients", "20", "a whole number"),
        ("centred", 1, "true or false"),
        ("centred", 0, "true or false"),
        ("centred", "no", "true or false"),
        ("centred", None, "true or false"),
        ("low_hz", "20", "a number"),
        ("low_hz", None, "a number"),
        ("high_hz", True, "a number"),
        ("eps", 1 + 0j, "a number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_field_and_value_in_one_line(field, value, wanted):
    for described in (FeatureSpec.from_dict, lambda fields: FeatureSpec(**fields)):
        with pytest.raises(SpecError) as refused:
            described({"kind": "mfcc", field: value})
        assert str(refused.value) == f"feature spec: {field} must be {wanted}, not {value!r}."


def test_a_list_and_a_number_that_is_too_large_are_refused_without_writing_them_out():
    with pytest.raises(SpecError, match="window_length must be a whole number, not a list"):
        FeatureSpec(window_length=[2048])
    with pytest.raises(SpecError, match="trim_db is a number of more than 64 bits"):
        FeatureSpec(trim_db=10**400)


def test_a_setting_on_the_command_line_that_is_no_truth_value_is_refused():
    with pytest.raises(SpecError, match="centred must be true or false, not 1"):
        override(feature_preset("logmel"), None, ["centred=1"])


def test_an_unknown_kind_field_or_scale_offers_the_nearest():
    for fields, near in (({"kind": "mfc"}, "mfcc"), ({"second": 1}, "seconds"), ({"decibels": "relativ"}, "relative")):
        with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
            FeatureSpec.from_dict(fields)


def test_settings_change_fields_together_so_that_their_order_does_not_matter():
    for settings in (["kind=mfcc", "coefficients=13"], ["coefficients=13", "kind=mfcc"]):
        features, _ = override(feature_preset("logmel"), None, settings)
        assert features.to_dict() == {**feature_preset("logmel").to_dict(), "kind": "mfcc", "coefficients": 13}
    assert override(feature_preset("etienne"), None, ["high_hz=4000"])[0].width == 257
    assert override(feature_preset("digits"), None, ["seconds=none"])[0].seconds is None
    assert dict(override(FeatureSpec.from_dict(OWN), None, ["settings.layer=3"])[0].settings) == {"layer": 3}
    with pytest.raises(UnknownNameError, match="did you mean 'range_db'"):
        override(feature_preset("zhao"), None, ["range_bd=60"])


@pytest.mark.parametrize(
    "setting", ["policy.mels=8", "features.seed=9", "features.policy.seed=5", "policy.settings.a=1"]
)
def test_a_field_of_another_table_than_the_one_that_is_named_is_unknown(setting):
    with pytest.raises(UnknownNameError, match="unknown field"):
        override(feature_preset("logmel"), None, [setting])
    assert override(feature_preset("logmel"), None, ["features.mels=8", "policy.seed=9"])[1].seed == 9


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mathworks", {"stft", "mel", "log", "resample"}),
        ("logmel", {"stft", "mel", "log"}),
        ("digits", {"stft", "mel", "log", "resample", "length"}),
        ("etienne", {"stft", "bins", "log", "resample"}),
        ("zhao", {"stft", "mel", "log", "resample", "length", "decibels"}),
        ("keren", {"stft", "mel", "log", "resample"}),
        ("mfcc", {"stft", "mel", "log", "dct", "decibels"}),
        ("waveform", {"waveform", "resample"}),
    ],
)
def test_versions_name_the_operations_of_the_kind_alone(name, own):
    versions = row_versions(feature_preset(name), None)

    assert {operation for operation, number in versions.items() if isinstance(number, int)} == {"decode", *own}
    assert ("numba" in versions) == ("stft" in own)


def test_versions_of_an_own_function_name_no_library_of_ours_beyond_decoding():
    assert set(row_versions(FeatureSpec.from_dict(OWN), None)) == {"decode", "function", "soundfile", "numpy"}


@pytest.mark.parametrize(
    "fields",
    [{"kind": "waveform"}, {"kind": "egemaps"}, {"kind": "functionals"}, OWN],
    ids=lambda fields: fields["kind"],
)
def test_a_warp_is_refused_in_one_line_where_there_is_no_frequency_axis(fields):
    features, policy = FeatureSpec.from_dict(fields), AugmentationSpec(vtlp_alpha=Distribution(uniform=(0.9, 1.1)))

    with pytest.raises(SpecError, match=r"vtlp_alpha bends .* none: choose another policy") as refused:
        row_versions(features, policy)
    assert "\n" not in str(refused.value)
    with pytest.raises(SpecError, match="vtlp_alpha"):
        RowEngine(features, policy)


@pytest.mark.parametrize("name", ["etienne", "zhao", "digits", "mfcc", "waveform"])
def test_the_torch_engine_refuses_in_one_line_what_it_does_not_compute(name):
    with pytest.raises(SpecError, match="leave --device out"):
        row_versions(feature_preset(name), None, "torch")
    check_together(feature_preset("keren"), None, "torch")


@pytest.mark.parametrize("name", ["etienne", "waveform"])
def test_an_automatic_choice_of_device_takes_the_processor_for_what_torch_does_not_compute(name):
    assert device_of_rows("auto", feature_preset(name)) == "cpu"
    assert device_of_rows("cuda", feature_preset(name)) == "cuda"


@pytest.mark.parametrize("name", COMPUTED)
def test_rows_have_the_width_and_type_that_their_spec_tells(name):
    features = feature_preset(name)
    engine = RowEngine(features)
    row = engine.clean(engine.load(voice()))

    assert row.shape[1] == features.width
    assert row.dtype == np.dtype(features.dtype)
    assert np.all(np.isfinite(row))


@pytest.mark.parametrize("name", COMPUTED)
def test_a_row_has_the_same_bits_alone_and_after_others(name):
    features = feature_preset(name)
    alone, reused = RowEngine(features), RowEngine(features)
    for other in (voice(40_000, seed=3), voice(5_000, seed=4)):
        reused.clean(reused.load(other))

    expected = alone.clean(alone.load(voice(20_001)))
    np.testing.assert_array_equal(reused.clean(reused.load(voice(20_001))), expected)
