"""Datasets in the formats of other tools, read with those tools: the same values, under names that are safe."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_corpus import RATE, build_here, recipe, write_corpus

from featurestore.conversion import metadata
from featurestore.errors import SpecError, StorageError, UnknownNameError
from featurestore.store import open_store
from featurestore.tables import Utterances
from featurestore.view import DatasetView
from pipelines import exports
from pipelines.exports import FolderFormat, export, formats, licence_note, rows

FOLDERS = tuple(name for name, one in formats().items() if isinstance(one, FolderFormat))
NEEDS = {"parquet": "pyarrow", "huggingface": "pyarrow"}
"""Packages without which a format cannot be written."""


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> DatasetView:
    """Six recordings with two copies each; one is in a folder, and its name has a dot and a space."""
    folder = tmp_path_factory.mktemp("formats")
    corpus = write_corpus(folder / "tiny", range(1, 7))
    store = open_store(folder / "store")
    build_here(store, corpus, recipe(2))
    return renamed(store.view("tiny"), {"a_up_6.wav": "day 2/a.up 6.wav"})


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def renamed(view: DatasetView, names: dict[str, str]) -> DatasetView:
    """Return the view as a table with other paths would have it."""
    table = view.table
    changed = [dataclasses.replace(one, path=names.get(one.path, one.path)) for one in table.utterances]
    other = view[:]
    other.table = dataclasses.replace(table, utterances=Utterances.of(changed))
    return other


def test_an_unknown_format_is_told_those_that_there_are(view, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown export format 'cvs': known: csv, hdf5, "):
        export(view, "cvs", tmp_path / "x")


def test_wav_files_are_the_signals_that_rows_were_computed_from(view, tmp_path):
    out = tmp_path / "copies"
    assert export(view, "wav", out) == len(view) == 18

    assert {"b_down_1.wav", "b_down_1_aug1.wav", "day 2/a.up 6_aug2.wav"} <= files_in(out)
    for row, name in enumerate(rows.row_names(view)):
        signal, rate = soundfile.read(out / f"{name}.wav", dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(signal, view.waveform(row))
    original, _ = soundfile.read(out / "b_down_1.wav")
    np.testing.assert_array_equal(original, soundfile.read(Path(view.store.uri).parent / "tiny" / "b_down_1.wav")[0])


def test_each_recording_is_decoded_once_for_its_copies(view, monkeypatch):
    from featurestore.row_engine import RowEngine

    loads = []
    load = RowEngine.load
    monkeypatch.setattr(RowEngine, "load", lambda *given: loads.append(0) or load(*given))
    fresh = view[:]
    for row in range(len(fresh)):
        fresh.waveform(row)

    assert len(loads) == 6


def test_csv_is_the_table_that_pandas_has(view, tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr(rows, "BLOCK", 5)
    export(view, "csv", tmp_path / "x.csv")

    found = pandas.read_csv(tmp_path / "x.csv", dtype={"perturbation.noise_key": "UInt64"})
    expected = view.to_pandas()

    assert list(found) == list(expected)
    assert {"label", "speaker", "perturbation.snr_db", "perturbation.noise_key"} <= set(found)
    for name in expected:
        assert [None if pandas.isna(one) else one for one in found[name]] == [
            None if pandas.isna(one) else one for one in expected[name]
        ], name


@pytest.mark.parametrize("to", FOLDERS)
def test_a_folder_that_stands_is_done_and_any_other_is_not_touched(view, tmp_path, to):
    pytest.importorskip(NEEDS.get(to, "numpy"))
    out = tmp_path / "x"
    export(view, to, out)
    before = {name: (out / name).stat().st_mtime_ns for name in files_in(out)}

    assert export(view, to, out) == len(view)
    assert {name: (out / name).stat().st_mtime_ns for name in files_in(out)} == before
    (out / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="does not hold this dataset"):
        export(view, to, out)
    (out / "notes.txt").unlink()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    for other in ("file", "empty"):
        with pytest.raises(StorageError, match="does not hold this dataset"):
            export(view, to, tmp_path / other)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("to", sorted(set(formats()) - {"hdf5"}))
def test_every_changed_byte_that_means_something_is_seen(view, tmp_path, to):
    pytest.importorskip(NEEDS.get(to, "numpy"))
    out = tmp_path / "x"
    export(view, to, out)
    for name in sorted(files_in(out))[:6] if out.is_dir() else [""]:
        file = out / name if name else out
        data = file.read_bytes()
        for changed in (data[:-1], data[:-2] + bytes([data[-2] ^ 1]) + data[-1:], b"", b"RIFF"):
            file.write_bytes(changed)
            with pytest.raises(StorageError, match="does not hold this dataset"):
                export(view, to, out)
        file.write_bytes(data)
    assert export(view, to, out) == len(view)


def test_a_folder_that_does_not_read_as_written_is_not_kept(view, tmp_path):
    calls = []

    def other_each_time(view: DatasetView, out: Path) -> exports.Files:
        calls.append(0)
        yield "file", (b"read", bytes([len(calls)]))

    with pytest.raises(StorageError, match="did not read back as written"):
        exports._publish(view, FolderFormat("x", other_each_time), tmp_path / "x")
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_in_its_folder_is_not_in_the_next(view, tmp_path):
    part = exports._unfinished(tmp_path / "x")
    (part / "old").mkdir(parents=True)
    (part / "old" / "left.wav").write_bytes(b"RIFF")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (part / "link").symlink_to(tmp_path / "mine")
    export(view, "wav", tmp_path / "x")

    assert len(files_in(tmp_path / "x")) == len(view) + 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    assert not part.exists()


def test_a_folder_is_written_behind_no_link_and_by_one_export_alone(view, tmp_path):
    out, part = tmp_path / "x", exports._unfinished(tmp_path / "x")
    (tmp_path / "mine").mkdir()
    part.symlink_to(tmp_path / "mine")
    with pytest.raises(StorageError, match="cannot write"):
        export(view, "wav", out)
    assert not list((tmp_path / "mine").iterdir())
    part.unlink()
    with exports._alone_in(part), pytest.raises(StorageError, match="another export"):
        export(view, "wav", out)
    assert not out.exists()


@pytest.mark.parametrize("path", ["../b_down_1.wav", "/elsewhere/b.wav", "a/../b.wav", "a//b.wav", "a\nb.wav"])
def test_no_name_leads_out_of_the_folder(view, tmp_path, path):
    inner = tmp_path / "inner"
    inner.mkdir()

    with pytest.raises(SpecError, match="cannot be that of a file"):
        export(renamed(view, {"b_down_1.wav": path}), "wav", inner / "x")
    assert list(tmp_path.rglob("*")) == [inner]


@pytest.mark.parametrize("path", ["b_down_1.flac", "b_down_1_aug2.wav"])
def test_two_rows_of_one_name_are_refused(view, tmp_path, path):
    with pytest.raises(SpecError, match="would both be written as 'b_down_1"):
        export(renamed(view, {"c_up_2.wav": path}), "wav", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_text_is_a_line(view, tmp_path):
    with pytest.raises(StorageError, match="is no text in UTF-8"):
        export(renamed(view, {"b_down_1.wav": "b\udc80.wav"}), "csv", tmp_path / "x.csv")


def test_only_sound_of_a_licence_that_is_not_open_has_a_note(view):
    other = view[:]
    other.table = dataclasses.replace(view.table, licence="research only, on request")

    assert licence_note(view, "wav") == licence_note(other, "csv") == ""
    assert "does not say that its recordings may be passed on" in licence_note(other, "wav")


def test_parquet_is_the_table_with_types(view, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(rows, "BLOCK", 5)
    export(view, "parquet", tmp_path / "x.parquet")
    found = parquet.read_table(tmp_path / "x.parquet")

    assert found.to_pydict() == metadata(view)
    assert [str(found.schema.field(f"perturbation.{name}").type) for name in ("noise_key", "snr_db")] == [
        "uint64",
        "double",
    ]
    assert found.schema.metadata[b"digest"].decode() == view.digest


def test_kaldiio_reads_each_row_and_kaldi_finds_its_files_sorted(view, tmp_path):
    kaldiio = pytest.importorskip("kaldiio")
    out = tmp_path / "data"
    export(view, "kaldi", out)

    found = kaldiio.load_scp(str(out / "feats.scp"))
    assert len(found) == len(view)
    for row, name in enumerate(rows.row_names(view)):
        key = f"{view.speakers[row]}-{name}".replace("/", "_").replace(" ", "_")
        assert found[key].dtype == np.float32
        np.testing.assert_array_equal(found[key], view[row][0].astype(np.float32))
    lines = {path.name: path.read_text().splitlines() for path in out.iterdir() if path.suffix not in (".ark", ".json")}
    keys = [line.split()[0] for line in lines["feats.scp"]]
    assert keys == sorted(keys, key=str.encode)
    assert all([line.split()[0] for line in lines[name]] == keys for name in ("utt2spk", "utt2label", "utt2num_frames"))
    speakers = [line.split()[1] for line in lines["utt2spk"]]
    assert speakers == sorted(speakers)
    assert [key for line in lines["spk2utt"] for key in line.split()[1:]] == keys
    assert "text" not in lines


def test_speakers_that_kaldi_could_not_tell_apart_are_refused(view, tmp_path):
    other = view[:]
    speakers = {"a": "x 1", "b": "x-1", "c": "c"}
    changed = [dataclasses.replace(one, speaker=speakers[one.speaker]) for one in view.table.utterances]
    other.table = dataclasses.replace(view.table, utterances=Utterances.of(changed))

    with pytest.raises(SpecError, match="would both be the speaker 'x_1'"):
        export(other, "kaldi", tmp_path / "x")


def test_webdataset_reads_each_row_from_its_shards(view, tmp_path, monkeypatch):
    pytest.importorskip("webdataset")
    from webdataset.tariterators import group_by_keys, tar_file_expander

    monkeypatch.setattr("pipelines.exports.webdataset.SHARD", 30_000)
    out = tmp_path / "shards"
    export(view, "webdataset", out)
    shards = sorted(out.glob("*.tar"))
    assert len(shards) > 1

    files = [shard.open("rb") for shard in shards]
    opened = ({"url": file.name, "stream": file} for file in files)
    found = list(group_by_keys(tar_file_expander(opened)))
    for file in files:
        file.close()
    assert len(found) == len(view)
    columns = metadata(view)
    for row, sample in enumerate(found):
        np.testing.assert_array_equal(np.load(io.BytesIO(sample["npy"])), view[row][0])
        assert json.loads(sample["json"]) == {name: column[row] for name, column in columns.items()}
    assert "day 2/a_up 6_aug1" in {sample["__key__"] for sample in found}
