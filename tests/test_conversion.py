"""A view in NumPy, Dask, pandas, xarray and scikit-learn: the same values, and one line where something is missing."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, write_corpus

import featurestore
from featurestore.corpus.types import Corpus
from featurestore.errors import FeatureStoreError, MissingPackageError, SpecError, UnknownNameError
from featurestore.store import open_store
from featurestore.view import DatasetView

COPIES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("conversion")


@pytest.fixture(scope="module")
def corpus(view, folder) -> Corpus:
    return featurestore.load_corpus(str(folder / "tiny.toml"), source=folder / "tiny")


@pytest.fixture(scope="module")
def view(folder) -> DatasetView:
    store = open_store(folder / "store")
    build_here(store, write_corpus(folder / "tiny", range(1, 10)), recipe(COPIES))
    return store.view("tiny")


@pytest.mark.parametrize("pad", ["right", "left"])
def test_an_array_of_all_rows_holds_each_row_and_its_padding(view, pad):
    array = view.to_numpy(pad=pad, fill=-5)

    assert array.shape == (len(view), view.frames.max(), 8)
    assert array.dtype == np.float16
    for row, (values, length) in enumerate(zip(array, view.frames, strict=True)):
        real, padding = (values[:length], values[length:]) if pad == "right" else (values[-length:], values[:-length])
        np.testing.assert_array_equal(real, view[row][0])
        assert (padding == -5).all()


def test_rows_of_several_lengths_need_padding_and_rows_of_one_length_none(view):
    with pytest.raises(SpecError, match="frames and no common shape: give pad='right'"):
        view.to_numpy()
    with pytest.raises(UnknownNameError, match="did you mean 'right'"):
        view.to_numpy(pad="rihgt")

    equal = view[view.frames == view.frames[0]]

    assert equal.to_numpy().shape == (len(equal), view.frames[0], 8)
    assert view[:0].to_numpy().shape == (0, 0, 8)


def test_slices_masks_and_positions_choose_rows(view):
    clean = view[view.copies == 0]

    assert len(clean) == 9
    assert [len(view[2:7]), len(view[::-1]), len(view[-3:]), len(view[[5, 1]]), len(view[[]])] == [5, 36, 3, 2, 0]
    np.testing.assert_array_equal(view[::-1][0][0], view[-1][0])
    np.testing.assert_array_equal(view[[5, 1]][1][0], view[np.int64(1)][0])
    assert view[2:7].paths == view.paths[2:7]


@pytest.mark.parametrize("wrong", ["a", 1.5, (0, 1, 2.5), [[0, 1]], [0.5]])
def test_what_chooses_no_rows_is_a_type_error(view, wrong):
    with pytest.raises(TypeError, match="rows are chosen by a slice, a mask"):
        view[wrong]


def test_a_mask_of_another_length_is_an_index_error(view):
    with pytest.raises(IndexError):
        view[[True, False]]


def test_dask_reads_the_same_values_in_parts(view, monkeypatch):
    monkeypatch.setattr("featurestore.conversion.CHUNK_BYTES", 5 * int(view.frames.max()) * 8 * 2)
    lazy = view.to_dask(pad="left", fill=1)

    assert lazy.numblocks == (8, 1, 1)
    assert lazy.name == view.to_dask(pad="left", fill=1).name != view[1:].to_dask(pad="left", fill=1).name
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), view.to_numpy(pad="left", fill=1))
    np.testing.assert_array_equal(lazy[7, 2:].compute(scheduler="sync"), view.to_numpy(pad="left", fill=1)[7, 2:])


def test_functionals_are_the_statistics_of_each_band_over_time(view):
    X, y, groups = view.to_sklearn(functionals=["mean", "std", "max"])  # noqa: N806 (as scikit-learn calls it)

    assert X.shape == (len(view), 24)
    frames = view[4][0].astype(np.float64)
    np.testing.assert_allclose(X[4], [*frames.mean(0), *frames.std(0), *frames.max(0)], rtol=1e-6)
    assert y.tolist() == view.labels.tolist()
    assert groups.tolist() == list(view.speakers)


def test_a_classifier_is_cross_validated_by_speaker(view):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_score

    X, y, groups = view.to_sklearn(pad="right", fill=-36)  # noqa: N806

    scores = cross_val_score(LogisticRegression(max_iter=20, tol=1), X, y, groups=groups, cv=LeaveOneGroupOut())

    assert len(scores) == 3


def test_groups_are_none_where_a_speaker_is_unknown(view):
    unknown = view[:]
    unknown.__dict__["speakers"] = (None, *view.speakers[1:])

    assert unknown.to_sklearn()[2] is None


def test_one_text_in_place_of_several_is_one_clear_line(view):
    with pytest.raises(SpecError, match=r"functionals is a list, as in functionals=\['mean', 'std'\], not the text"):
        view.to_sklearn(functionals="mean")
    with pytest.raises(UnknownNameError, match="did you mean 'median'"):
        view.to_sklearn(functionals=["medain"])
    for call in (featurestore.build, featurestore.train, featurestore.crossval):
        with pytest.raises(SpecError, match=r"settings is a list, as in settings=\['.*'\], not the text 'mels=64'"):
            call("tiny", settings="mels=64", store=view.store.uri)
    with pytest.raises(SpecError, match="allow_leak is a list"):
        featurestore.train("tiny", allow_leak="speaker", store=view.store.uri)


def test_a_data_frame_holds_metadata_and_drawn_parameters_and_its_masks_choose_rows(view):
    pytest.importorskip("pandas")
    table = view.to_pandas()

    assert len(table) == len(view)
    assert table["path"].tolist() == list(view.paths)
    assert table["field.emotion"].tolist() == view.labels.tolist()
    assert table["content"].tolist() == list(view.contents)
    for row in range(len(view)):
        applied = view.perturbation(row)
        values = applied.values if applied else {}
        for name in view.augmentation.distributions:
            drawn = table[f"perturbation.{name}"][row]
            assert drawn == values[name] if name in values else drawn != drawn
        if "snr_db" in values:
            assert int(table["perturbation.noise_key"][row]) == applied.noise_key
    loud = view[table["perturbation.snr_db"] > 10]
    assert 0 < len(loud) == (table["perturbation.snr_db"] > 10).sum()
    assert "perturbation.snr_db" not in view.to_pandas(perturbations=False)


def test_a_mask_of_pandas_chooses_rows_by_its_index(view):
    pandas = pytest.importorskip("pandas")
    table = view.to_pandas()
    loud = table["label"] == view.labels[0]

    for order in ("label", "frames", "copy"):
        assert view[loud.loc[table.sort_values(order, ascending=False).index]].paths == view[loud.to_numpy()].paths
    for mask in (loud.iloc[1:], loud.set_axis(range(1, 1 + len(loud))), loud.set_axis(table["path"])):
        with pytest.raises(TypeError, match="index of the mask"):
            view[mask]
    assert len(view[pandas.Series([3, 1])]) == 2


def test_an_xarray_has_named_axes_in_seconds_and_hertz(view):
    pytest.importorskip("xarray")
    found = view.to_xarray()

    assert dict(found.sizes) == {"row": len(view), "frame": view.frames.max(), "band": 8}
    assert found.attrs["digest"] == view.digest
    assert np.isfinite(found.features[3].values).sum() == view.frames[3] * 8
    np.testing.assert_allclose(np.diff(found.time), 512 / 16_000)
    assert 0 < found.hertz[0] < found.hertz[-1] < 8000
    assert found.label.values.tolist() == view.labels.tolist()


@pytest.mark.parametrize(("package", "method"), [("pandas", "to_pandas"), ("xarray", "to_xarray")])
def test_a_missing_package_is_one_line_that_says_how_to_get_it(view, monkeypatch, package, method):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingPackageError, match=rf"^this needs the package {package}: pip install 'featurestore\["):
        getattr(view, method)()


def test_objects_say_what_they_are_in_one_line(view, corpus):
    shown = repr(view)

    assert shown == "DatasetView('tiny': 36 rows, 9 recordings, 2 classes, logmel [frames, 8] float16)"
    assert repr(view.store) == f"Store({view.store.uri!r})"
    assert repr(corpus) == "Corpus('tiny': 9 utterances, 2 classes, 3 speakers)"


def test_notebooks_get_tables_in_which_nothing_of_a_corpus_is_markup(view, corpus):
    hostile = view[:]
    hostile.name = "<script>alert(1)</script>"
    hostile.table = dataclasses.replace(view.table, licence="<img src=x onerror=alert(1)>\x1b[2J", citation="\"&'")

    for html in (hostile._repr_html_(), view.store._repr_html_(), corpus._repr_html_()):
        assert html.startswith("<table>")
        assert "<script" not in html
        assert "<img" not in html
        assert "\x1b" not in html
    assert "&lt;script&gt;" in hostile._repr_html_()
    assert "tiny" in view.store._repr_html_()


def test_a_notebook_shows_a_store_that_is_not_there(tmp_path):
    assert open_store(tmp_path / "none")._repr_html_().startswith("<table>")


def test_a_store_may_be_given_by_its_place(view, folder, tmp_path):
    manifest, source = str(folder / "tiny.toml"), folder / "tiny"

    report = featurestore.build(manifest, source=source, store=view.store.uri, settings=["mels=8"], dry_run=True)

    assert (report.to_dict()["to_compute"], report.to_dict()["reused"]) == (0, 9)
    with pytest.raises(FeatureStoreError, match="no store at"):
        featurestore.train("nothing", store=tmp_path / "store")
