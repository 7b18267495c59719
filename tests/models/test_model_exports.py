"""Models in other formats answer as the run does, on real recordings, and those that cannot be exported are refused."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
import torch
from demo_corpus import ROOT

from featurestore.errors import MissingPackageError, SpecError, StorageError, UnknownNameError
from featurestore.row_engine import RowEngine
from featurestore.specs.presets import feature_preset
from models.batches.normalisation import Normalisation
from models.exports import MOST_DIFFERENCE, export_model, formats, original
from models.exports.plain import NAMES, plain
from models.layers.convolution import MaskedBatchNorm
from models.networks import MODELS, build_model
from models.runs.run import Run, RunConfig
from models.training_spec import TrainingSpec

CLASSES = ("anger", "fear", "joy")
FEATURES = feature_preset("mathworks")


def trained(name, kind="training", **settings) -> Run:
    """A run whose weights and statistics are drawn: no two layers could be exchanged unseen."""
    model, draws = build_model(name, len(CLASSES), 128, seed=3, **settings), torch.Generator().manual_seed(5)
    for norm in model.modules():
        if isinstance(norm, MaskedBatchNorm):
            for tensor, low, high in (
                (norm.running_mean, -1, 1),
                (norm.running_var, 0.2, 3),
                (norm.weight.data, -1, 1),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=draws) * (high - low) + low)
    groups = 0 if kind == "utterance" else 1
    spread = torch.rand(2, groups, 128, generator=draws, dtype=torch.float64)
    known = None if kind == "none" else Normalisation(kind, kind == "everything", spread[0] - 8, spread[1] + 2)
    dataset = {"name": "x", "digest": "0" * 64, "features": FEATURES.to_dict(), "augmentation": None}
    training = TrainingSpec.from_dict({"normalisation": kind})
    return Run(None, RunConfig(name, settings, training, CLASSES, 128, dataset), {}, model.eval(), known)


@pytest.fixture(scope="module")
def clips(emodb_zip) -> list[np.ndarray]:
    """The features of ten real recordings, and the first frames of one."""
    engine = RowEngine(FEATURES)
    with zipfile.ZipFile(emodb_zip) as archive:
        files = sorted(name for name in archive.namelist() if name.endswith(".wav"))[::53][:10]
        rows = [engine.clean(engine.load(archive.read(name))) for name in files]
    return [row[None].astype(np.float32) for row in (*rows, rows[0][:5])]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_in_standard_layers_answers_as_the_network(name, clips):
    for kind in ("training", "everything", "utterance", "none"):
        run = trained(name, kind)
        network = plain(run)
        for clip in clips[:: 1 if kind == "training" else 5]:
            with torch.no_grad():
                found = network(torch.from_numpy(clip)).numpy()
            np.testing.assert_allclose(found, original(run, clip), rtol=0, atol=MOST_DIFFERENCE / 10)


@pytest.mark.parametrize("name", NAMES)
def test_torchscript_answers_as_the_run(name, clips, tmp_path):
    run = trained(name)
    answer = formats()["torchscript"].read(export_model(run, "torchscript", tmp_path / "x.pt"))

    for clip in clips:
        np.testing.assert_allclose(answer(clip), original(run, clip), rtol=0, atol=MOST_DIFFERENCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mathworks-cnn-lstm", "zhao-2d", "digits-base"])
def test_onnxruntime_answers_as_the_run(name, clips, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    run = trained(name)

    session = onnxruntime.InferenceSession(str(export_model(run, "onnx", tmp_path / "x.onnx")))

    for clip in clips:
        found = session.run(None, {"features": clip})[0]
        np.testing.assert_allclose(found, original(run, clip), rtol=0, atol=MOST_DIFFERENCE)
    known = session.get_modelmeta().custom_metadata_map
    assert json.loads(known["classes"]) == list(CLASSES)
    assert json.loads(known["features"]) == FEATURES.to_dict()


@pytest.mark.slow
def test_the_example_needs_numpy_and_onnxruntime_alone(emodb_zip, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    run = trained("tdnn")
    export_model(run, "onnx", tmp_path / "emotion.onnx")
    engine = RowEngine(FEATURES)
    with zipfile.ZipFile(emodb_zip) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".wav"))
        (tmp_path / "speech.wav").write_bytes(archive.read(name))
        row = engine.clean(engine.load(archive.read(name))).astype(np.float32)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    assert "featurestore" not in re.sub(r'""".*?"""', "", code)
    monkeypatch.chdir(tmp_path)
    said: dict = {}

    exec(code, said)  # noqa: S102 (our own documentation)

    features = said["log_mel"](said["signal"])
    np.testing.assert_allclose(features, row, rtol=2**-10, atol=2e-4)  # rows are float16
    np.testing.assert_allclose(said["probabilities"], original(run, features[None])[0], rtol=0, atol=MOST_DIFFERENCE)


@pytest.mark.parametrize("name", sorted({*MODELS} - {*NAMES, "zhao-1d"}))
def test_other_networks_are_refused_by_name(name, tmp_path):
    run = trained("digits-base")
    other = Run(
        None, RunConfig(name, {}, run.config.training, CLASSES, 128, run.config.dataset), {}, torch.nn.Linear(1, 1)
    )

    with pytest.raises(SpecError, match=f"^{name} cannot be exported; these networks can: mathworks"):
        export_model(other, "onnx", tmp_path / "x.onnx")


def test_what_cannot_be_exported_is_one_line(tmp_path, monkeypatch):
    run = trained("digits-base")
    with pytest.raises(UnknownNameError, match="did you mean 'onnx'"):
        export_model(run, "onxx", tmp_path / "x.onnx")
    (tmp_path / "mine.pt").write_text("mine")
    with pytest.raises(StorageError, match="exists: give --out another path"):
        export_model(run, "torchscript", tmp_path / "mine.pt")
    speaker = Run(
        None, run.config, {}, run.model, Normalisation("speaker", False, torch.zeros(1, 128), torch.ones(1, 128))
    )
    with pytest.raises(SpecError, match="normalises each speaker cannot be exported"):
        export_model(speaker, "torchscript", tmp_path / "x.pt")
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'featurestore\[export\]'"):
        export_model(run, "onnx", tmp_path / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pt"]
