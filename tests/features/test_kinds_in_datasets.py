"""Datasets of every kind: built, read, described, compared, trained on and predicted with."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from command_line import ENVIRONMENT, error_line, featurestore
from demo_corpus import ROOT
from real_recordings import voice
from tiny_corpus import build_here, file_name, tone, write_corpus

from featurestore.errors import AudioError, SpecError
from featurestore.integrity.explain import compare_datasets
from featurestore.row_engine import RowEngine
from featurestore.specs.presets import feature_preset, policy
from featurestore.trusted_code import VARIABLE
from pipelines.build.spec import DatasetSpec

EXAMPLES = ROOT / "docs" / "examples"
EMBEDDING = EXAMPLES / "embedding.toml"
SMALL = {"etienne": {"high_hz": 4000.0}, "zhao": {"seconds": 0.5}, "waveform": {"rate": 4000}}


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "tones", range(1, 5))


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A tiny encoder's checkpoint, trusted code to read it, and the features that name it."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 1, 10), (8, 8, 8), (16, 8, 4), (16, 16, 4)]
    weights = {f"conv.{n}.weight": torch.randn(shape, generator=generator) / 4 for n, shape in enumerate(shapes)}
    for n, (channels, _, _) in enumerate(shapes):
        weights[f"conv.{n}.bias"] = weights[f"norm.{n}.bias"] = torch.zeros(channels)
        weights[f"norm.{n}.weight"] = torch.ones(channels)
    place = tmp_path / "encoder.safetensors"
    save_file({name: weight.clone() for name, weight in weights.items()}, place)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    monkeypatch.setenv("EMBEDDING_CHECKPOINT", str(place))
    monkeypatch.setenv(VARIABLE, "embedding")
    told = feature_preset(str(EMBEDDING))
    sha256 = hashlib.sha256(place.read_bytes()).hexdigest()
    return place, dataclasses.replace(told, settings=(*told.settings, ("sha256", sha256)))


@pytest.mark.parametrize("name", ["etienne", "zhao", "keren", "mfcc", "waveform", "egemaps", "egemaps-functionals"])
def test_a_dataset_of_a_kind_gives_the_rows_and_waveforms_of_its_engine(store, corpus, name):
    if name.startswith("egemaps"):
        pytest.importorskip("opensmile", reason="needs the package opensmile, an extra")
    features = dataclasses.replace(feature_preset(name), **SMALL.get(name, {}))
    augmentation = policy("mathworks")
    _, computed = build_here(store, corpus, DatasetSpec(features, augmentation, 2))
    _, again = build_here(store, corpus, DatasetSpec(features, augmentation, 2))
    view, engine = store.view("tiny"), RowEngine(features, augmentation)

    assert (computed, again) == (4 * 3, 0)
    assert view.bands == features.width
    for row in range(len(view)):
        source, drawn = engine.load(store.original(view.contents[row])), view.perturbation(row)
        expected = engine.clean(source) if drawn is None else engine.augmented(source, drawn)
        np.testing.assert_array_equal(view[row][0], expected)
        np.testing.assert_array_equal(view.waveform(row), engine.waveform(source, drawn))


def test_info_and_why_describe_datasets_of_new_kinds(store, corpus):
    for name in ("mfcc", "etienne"):
        build_here(store, corpus, DatasetSpec(feature_preset(name)), name)

    info = json.loads(featurestore("info", "mfcc", "--json", store=store.uri).stdout)
    why = compare_datasets(store, "mfcc", "etienne")

    assert info["features"] == feature_preset("mfcc").to_dict()
    fields = {one.field: (one.old, one.new) for one in why}
    assert fields["features.kind"] == ("mfcc", "spectrogram")
    assert fields["features.coefficients"] == (20, None)
    assert fields["versions.bins"] == (None, 1)


def test_a_model_of_a_new_kind_labels_files(store, corpus, tmp_path):
    from models.batches.loader import Sides
    from models.prediction import predict_files
    from models.runs.run import load_run
    from models.training import configure, train
    from models.training_spec import TrainingSpec

    features = dataclasses.replace(
        feature_preset("etienne"), window_length=254, fft_length=254, hop_length=64, high_hz=None
    )
    build_here(store, corpus, DatasetSpec(features))
    view = store.view("tiny")
    spec = TrainingSpec.from_dict({"epochs": 1, "batch_size": 4})
    sides = Sides(view, view, view)
    train(sides, configure(sides, "mathworks-cnn-lstm", spec, split="made-up"), tmp_path / "run", device="cpu")
    (tmp_path / file_name(1)).write_bytes(tone(1))

    answers = predict_files(load_run(tmp_path / "run"), [tmp_path / file_name(1)], "cpu")

    assert view.bands == 128
    assert answers[0]["label"] in view.classes


def test_the_embedding_example_equals_its_encoder_and_is_cached(store, corpus, checkpoint):
    place, features = checkpoint
    _, computed = build_here(store, corpus, DatasetSpec(features))
    place.unlink()
    _, again = build_here(store, corpus, DatasetSpec(features))
    view = store.view("tiny")

    assert (computed, again) == (4, 0)
    assert view.bands == 16
    assert np.all(np.isfinite(view[0][0]))


def test_the_embedding_example_computes_the_convolutions_of_its_checkpoint(checkpoint):
    import torch
    from safetensors.torch import load_file

    place, features = checkpoint
    engine, weights = RowEngine(features), load_file(place)
    source = engine.load(voice())
    frames = torch.from_numpy((source.signal - source.signal.mean()) / source.signal.std())[None, None]
    for n, stride in enumerate((5, 4, 4, 4)):
        frames = torch.conv1d(frames, weights[f"conv.{n}.weight"], weights[f"conv.{n}.bias"], stride)
        centred = frames - frames.mean(1, keepdim=True)
        frames = torch.nn.functional.gelu(centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt())

    np.testing.assert_allclose(engine.clean(source), frames[0].T.numpy(), atol=2e-3)


def test_the_embedding_example_refuses_another_checkpoint_and_a_clip_shorter_than_its_window(checkpoint):
    place, features = checkpoint
    source = RowEngine(features).load(voice())
    with pytest.raises(AudioError, match="shorter than the encoder's window"):
        RowEngine(features).clean(dataclasses.replace(source, signal=source.signal[:300]))
    other = RowEngine(dataclasses.replace(features, settings=(("sha256", "0" * 64), ("strides", "5,4,4,4"))))
    with pytest.raises(SpecError, match=r"has sha256 \w{64}, not 0000"):
        other.clean(source)
    place.unlink()
    with pytest.raises(SpecError, match="no checkpoint at"):
        other.clean(source)


OWN = """
import numpy as np
from featurestore.errors import AudioError

def long_ones(signal, rate, *, least):
    if len(signal) < least:
        raise AudioError(f"only {len(signal)} samples")
    return signal[: len(signal) // 400 * 400].reshape(-1, 400)[:, :2]
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a module of the user's own that nobody has allowed, and a TOML file that names it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "long_features.py").write_text(OWN)
    toml = tmp_path / "long.toml"
    toml.write_text(
        'kind = "function"\nfunction = "long_features:long_ones"\nversion = 1\nbands = 2\nsettings.least = 0'
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.delenv(VARIABLE, raising=False)
    return toml


def test_a_recording_that_an_own_function_refuses_is_listed_and_the_rest_is_built(store, corpus, own, monkeypatch):
    monkeypatch.setenv(VARIABLE, "long_features")
    features = dataclasses.replace(feature_preset(str(own)), settings=(("least", 2700),))
    build_here(store, corpus, DatasetSpec(features))
    view = store.view("tiny")

    assert [len(view[row][0]) for row in range(len(view))] == [7, 7, 6]  # of 0.19, 0.18 and 0.17 s
    assert [one.reason for one in view.table.rejected] == ["only 2560 samples"]


def test_rows_that_stand_are_read_and_built_upon_without_the_code(store, corpus, own, monkeypatch):
    features = feature_preset(str(own))
    monkeypatch.setenv(VARIABLE, "long_features")
    build_here(store, corpus, DatasetSpec(features))
    monkeypatch.delenv(VARIABLE)
    own.with_name("code").rename(own.with_name("gone"))

    _, again = build_here(store, corpus, DatasetSpec(features))

    assert again == 0
    assert store.view("tiny")[0][0].shape[1] == 2
    assert len(store.view("tiny").waveform(0)) > 0


def test_the_command_line_builds_an_own_feature_only_where_its_module_is_allowed(corpus, own, tmp_path):
    environment = {name: value for name, value in ENVIRONMENT.items() if name != VARIABLE}
    environment |= {"PYTHONPATH": str(own.with_name("code")), "FEATURESTORE_HOME": str(tmp_path / "home")}
    build = ["build", corpus.with_suffix(".toml"), "--source", corpus, "--features", own, "--jobs", 1, "--json"]

    def run(*options):
        command = [sys.executable, "-m", "cli", *map(str, (*build, *options))]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    refused, allowed = run(), run("--trust-code", "long_features")

    assert refused.returncode == 1
    assert "--trust-code long_features" in error_line(refused)
    assert json.loads(allowed.stdout)["computed"] == 4, allowed.stderr
