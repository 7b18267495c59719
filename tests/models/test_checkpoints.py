"""What is loaded, and what is refused."""

import errno
import json
import os
import pickle
import shutil

import pytest
import torch

from featurestore.errors import SpecError, StorageError
from featurestore.files import write_atomically
from models.errors import CheckpointError, DamagedCheckpointError, RunError
from models.prediction import predict
from models.runs.checkpoint import read_tensors, write_tensors
from models.runs.run import load_run


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "copied")


def test_a_loaded_model_gives_identical_outputs(finished, copied, sides):
    clips = [sides.test[row][0] for row in range(4)]

    assert predict(load_run(copied), clips, "cpu") == predict(finished[2], clips, "cpu")


def test_a_prediction_is_the_likeliest_class_with_all_probabilities(finished, sides):
    answers = predict(finished[2], [sides.test[0][0]], "cpu")

    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    assert max(answers[0]["probabilities"], key=answers[0]["probabilities"].get) == answers[0]["label"]
    assert tuple(answers[0]["probabilities"]) == sides.test.classes


def test_features_of_another_shape_are_refused(finished, sides):
    with pytest.raises(SpecError, match=r"reads \[frames, 128\] features, not an array of shape \[40, 64\]"):
        predict(finished[2], [sides.test[0][0][:40, :64]], "cpu")


def test_a_changed_byte_in_the_weights_is_found(copied):
    path = copied / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)

    with pytest.raises(DamagedCheckpointError, match="not those that the run wrote") as caught:
        load_run(copied)
    assert caught.value.exit_code == 4


def test_a_changed_configuration_is_found(copied):
    document = json.loads((copied / "config.json").read_text())
    document["classes"].reverse()
    (copied / "config.json").write_text(json.dumps(document))

    with pytest.raises(DamagedCheckpointError, match="belongs to another config"):
        load_run(copied)


def test_weights_of_another_model_are_refused(copied):
    tensors, metadata = read_tensors(copied / "model.safetensors")
    sha256 = write_tensors(copied / "model.safetensors", tensors, {**metadata, "model": "keren-clstm"})
    summary = json.loads((copied / "summary.json").read_text())
    (copied / "summary.json").write_text(json.dumps({**summary, "model_sha256": sha256}))

    with pytest.raises(CheckpointError, match="weights of 'keren-clstm', not of 'mathworks-cnn-lstm'"):
        load_run(copied)


def test_equal_tensors_give_equal_bytes(tmp_path):
    tensors, metadata = {"b": torch.ones(3), "a": torch.zeros(2, 2)}, {str(key): "x" for key in range(9)}
    digests = {write_tensors(tmp_path / "some.safetensors", tensors, metadata) for _ in range(10)}

    assert len(digests) == 1
    assert read_tensors(tmp_path / "some.safetensors")[1] == metadata


def test_a_pickle_is_never_opened(tmp_path):
    trap = tmp_path / "opened"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(trap),)

    (tmp_path / "model.pt").write_bytes(pickle.dumps(Trap()))

    for place in (tmp_path / "model.pt", tmp_path):
        with pytest.raises(CheckpointError, match="a pickle could run any code and is never opened"):
            load_run(place)
    assert not trap.exists()


def test_a_pickle_under_the_right_name_is_refused(copied):
    torch.save({"a": torch.zeros(3)}, copied / "model.safetensors")

    with pytest.raises(CheckpointError, match="a pickle could run any code"):
        load_run(copied)


def test_a_file_or_folder_that_is_no_run_is_named(tmp_path, copied):
    with pytest.raises(RunError, match="is no run folder"):
        load_run(tmp_path / "nothing")
    with pytest.raises(RunError, match="is a file: give the run folder"):
        load_run(copied / "summary.json")


def test_an_unfinished_run_says_how_to_go_on(copied):
    (copied / "summary.json").unlink()

    with pytest.raises(RunError, match="not finished: resume it with 'featurestore train --resume"):
        load_run(copied)


def test_a_configuration_that_is_no_json_is_named(copied):
    (copied / "config.json").write_text("[" * 100_000)

    with pytest.raises(CheckpointError, match=r"config\.json: not a readable JSON file"):
        load_run(copied)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["model.safetensors"]


def of_header_length(length):
    """Returns a safetensors file of one tensor whose header has so many bytes."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": {"x": ""}})
    padded = header.replace('"x": ""', f'"x": "{"y" * (length - len(header))}"')
    return length.to_bytes(8, "little") + padded.encode() + bytes(4)


@pytest.mark.parametrize("head", [b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK", b"\x80\x05\x95"])
def test_a_header_whose_length_has_the_bytes_of_a_pickle_is_read(tmp_path, head):
    path = tmp_path / "model.safetensors"
    path.write_bytes(of_header_length(int.from_bytes(head, "little")))

    assert path.read_bytes().startswith(head)
    assert read_tensors(path)[0]["a"].tolist() == [0.0]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_is_refused_under_any_name(tmp_path, protocol):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"a": [1.0] * 99}, protocol=protocol))

    with pytest.raises(CheckpointError, match="a pickle could run any code"):
        read_tensors(path)


@pytest.mark.parametrize("body", [b"[1]", b"no json", b"[" * 1408, b""])
def test_a_length_without_a_header_behind_it_is_still_taken_for_a_pickle(tmp_path, body):
    path = tmp_path / "model.safetensors"
    path.write_bytes((0x0580).to_bytes(8, "little") + body.ljust(0x0580 if body else 0) + bytes(4))

    with pytest.raises(CheckpointError, match="a pickle could run any code"):
        read_tensors(path)
