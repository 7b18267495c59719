"""Datasets for Lhotse and Hugging Face, opened with these libraries: the same values, the same sides."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.corpus.corpus_spec import find_corpus_spec
from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.presets import feature_preset, override
from featurestore.store import open_store
from featurestore.view import DatasetView
from pipelines.build.spec import DatasetSpec
from pipelines.exports import export, leak_note
from pipelines.exports.rows import row_names

CENTRED = ("rate=16000", "mels=8", "centred=true")


@pytest.fixture(scope="module")
def views(tmp_path_factory) -> dict[str, DatasetView]:
    """Twelve recordings of three speakers: with two copies each, with centred frames, and as waveforms."""
    folder = tmp_path_factory.mktemp("manifests")
    corpus = write_corpus(folder / "tiny", range(1, 13))
    store = open_store(folder / "store")
    centred, _ = override(feature_preset("mathworks"), None, CENTRED)
    kinds = {
        "tiny": recipe(2),
        "centred": DatasetSpec(centred, None, 0),
        "waveform": DatasetSpec(feature_preset("waveform"), None, 0),
    }
    for name, wanted in kinds.items():
        build_here(store, corpus, wanted, name)
    return {name: store.view(name) for name in kinds}


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Open a folder as `datasets` does it, without network and without a cache of the user's."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return lambda folder: datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def test_datasets_reads_each_row_with_the_names_of_its_classes(views, tmp_path, monkeypatch, loaded):
    view = views["tiny"]
    monkeypatch.setattr("pipelines.exports.huggingface.SHARD", 1000)
    monkeypatch.setattr("pipelines.exports.huggingface.GROUP", 300)
    assert export(view, "huggingface", tmp_path / "x") == len(view) == 36

    assert len(list((tmp_path / "x" / "data").iterdir())) > 1
    found = loaded(tmp_path / "x")
    assert list(found) == ["train"]
    found = found["train"]
    assert found.features["features"].feature.feature.dtype == "float16"
    assert found.features["label"].int2str(found["label"]) == view.labels.tolist()
    assert found["path"] == list(view.paths)
    assert found["copy"] == view.copies.tolist()
    assert found["perturbation.noise_key"] == [
        None if one is None else one.noise_key for one in map(view.perturbation, range(len(view)))
    ]
    for row, features in enumerate(found.with_format("numpy")["features"]):
        np.testing.assert_array_equal(features, view[row][0])


def test_sides_of_a_split_are_those_that_training_takes(views, tmp_path, loaded):
    view = views["tiny"]
    out = tmp_path / "x"
    rows = export(view, "huggingface", out, "loso/a")

    found = loaded(out)
    expected = dict(zip(("train", "validation", "test"), view.split("loso/a"), strict=True))
    assert list(found) == list(expected)
    for side, of_side in expected.items():
        assert found[side]["path"] == list(of_side.paths)
        assert found[side]["copy"] == of_side.copies.tolist()
    assert rows == sum(map(len, expected.values()))
    assert json.loads((out / "dataset.json").read_text())["sides"] == {side: len(one) for side, one in expected.items()}
    assert export(view, "huggingface", out, "loso/a") == rows


def test_a_split_that_leaks_is_written_and_said_to(views, tmp_path):
    view = views["tiny"]
    export(view, "lhotse", tmp_path / "x", "shuffled")

    assert "speakers (" in leak_note(view, "shuffled")
    assert leak_note(view, "loso/a") == ""
    assert json.loads((tmp_path / "x" / "dataset.json").read_text())["leaks"] == leak_note(view, "shuffled")


def test_a_split_is_refused_where_a_format_has_no_sides(views, tmp_path):
    with pytest.raises(SpecError, match="has no sides: leave --split out, or export to huggingface or lhotse"):
        export(views["tiny"], "csv", tmp_path / "x", "shuffled")
    with pytest.raises(UnknownNameError, match="loso"):
        export(views["tiny"], "lhotse", tmp_path / "x", "loso/z")
    assert list(tmp_path.iterdir()) == []


def test_lhotse_reads_each_cut_with_its_features_and_each_recording(views, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    view, out = views["tiny"], tmp_path / "x"
    export(view, "lhotse", out, "loso/a")

    cuts = lhotse.load_manifest(out / "cuts.jsonl")
    recordings = lhotse.load_manifest(out / "recordings.jsonl")
    supervisions = lhotse.load_manifest(out / "supervisions.jsonl")
    lhotse.validate(cuts, read_data=True)
    lhotse.validate_recordings_and_supervisions(recordings, supervisions, read_data=True)
    assert [cut.id for cut in cuts] == row_names(view)
    for row, cut in enumerate(cuts):
        features = cut.load_features()
        assert features.dtype == np.float16
        np.testing.assert_array_equal(features, view[row][0])
        (said,) = cut.supervisions
        assert (said.custom["label"], said.speaker) == (view.labels[row], view.speakers[row])
        assert cut.has_recording == (view.copies[row] == 0)
        if cut.has_recording:
            np.testing.assert_array_equal(recordings[cut.id].load_audio()[0], view.waveform(row))
    for side, expected in zip(("train", "validation", "test"), view.split("loso/a"), strict=True):
        assert [cut.id for cut in lhotse.load_manifest(out / f"cuts_{side}.jsonl")] == row_names(expected)


def test_centred_frames_reach_behind_the_recording_and_come_without_it(views, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    view, out = views["centred"], tmp_path / "x"
    export(view, "lhotse", out)

    cuts = lhotse.load_manifest(out / "cuts.jsonl")
    lhotse.validate(cuts, read_data=True)
    for row, cut in enumerate(cuts):
        np.testing.assert_array_equal(cut.load_features(), view[row][0])
        assert not cut.has_recording


def test_features_without_a_step_between_frames_are_refused_by_lhotse(views, tmp_path):
    with pytest.raises(SpecError, match="constant step between frames, which waveform does not have"):
        export(views["waveform"], "lhotse", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_lhotse_export_is_a_corpus_with_the_same_labels_and_rows(views, tmp_path):
    view = views["tiny"]
    export(view, "lhotse", tmp_path / "x")
    (manifest,) = find_corpus_spec(str(tmp_path / "x")).manifests
    store = open_store(tmp_path / "store")
    build_here(store, tmp_path / "x", recipe(0), "again", manifest)

    again, clean = store.view("again"), view[view.copies == 0]
    assert len(again) == len(clean) == 12
    place = {Path(path).name: row for row, path in enumerate(again.paths)}
    for row, path in enumerate(clean.paths):
        features, label = again[place[path]]
        assert label == clean.labels[row]
        np.testing.assert_array_equal(features, clean[row][0])
