"""Identical audio on two sides: also where the files differ, in another container or with another chunk."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
import soundfile
from command_line import error_line, featurestore
from tiny_corpus import RATE, build_here, recipe

from featurestore.corpus import check_leaks, leaks
from featurestore.corpus.splits.types import Split
from featurestore.errors import LeakError
from featurestore.store import open_store

MANIFEST = """
name = "tiny"
title = "The same sound in several files"
[audio]
include = ["*.wav", "*.flac"]
[labels]
pattern = '(?P<speaker>[a-z]+)_(?P<emotion>[a-z]+)\\.(wav|flac)'
target = "emotion"
"""
SIDES = {"train": ("anna_up.wav",), "validation": ("carl_up.wav",), "test": ("ben_up.flac", "dora_up.wav")}


def sound(seed, channels=1):
    signal = np.random.default_rng(seed).integers(-9000, 9000, RATE // 5).astype(np.int16)
    return np.repeat(signal[:, None], channels, axis=1)


def encoded(samples, kind):
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind, subtype="PCM_16")
    return file.getvalue()


def with_another_chunk(wav):
    chunk = b"note" + struct.pack("<I", 6) + b"take 2"
    return wav[:4] + struct.pack("<I", len(wav) - 8 + len(chunk)) + wav[8:] + chunk


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with one sound as WAV, as WAV with a chunk more, as FLAC and in stereo, and another sound."""
    folder = tmp_path_factory.mktemp("identical") / "tiny"
    folder.mkdir()
    folder.with_suffix(".toml").write_text(MANIFEST)
    wav = encoded(sound(1), "WAV")
    files = {
        "anna_up.wav": wav,
        "ben_up.flac": encoded(sound(1), "FLAC"),
        "carl_up.wav": encoded(sound(2), "WAV"),
        "dora_up.wav": with_another_chunk(wav),
        "emil_down.wav": encoded(sound(1, channels=2), "WAV"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    build_here(open_store(folder.parent / "store"), folder, recipe(1))
    rows = "".join(f"{path}\t{side}\n" for side, paths in SIDES.items() for path in paths)
    (folder.parent / "sides.tsv").write_text(rows)
    return folder.parent


@pytest.fixture
def view(place):
    return open_store(place / "store").view("tiny")


def test_files_that_differ_with_equal_samples_sound_the_same(view):
    sounds = {one.path: view.sounds[one.content] for one in view.table.utterances}

    same = {path for path, name in sounds.items() if name == sounds["anna_up.wav"]}
    assert same == {"anna_up.wav", "ben_up.flac", "dora_up.wav", "emil_down.wav"}
    assert len({one.content for one in view.table.utterances}) == 5


def test_equal_samples_in_another_container_are_refused_on_two_sides(view):
    split = Split("own", **SIDES)

    with pytest.raises(LeakError, match=r"audio \(anna_up\.wav = ben_up\.flac = dora_up\.wav\).*--allow-leak audio"):
        check_leaks(split, view.table.utterances, sounds=view.sounds)
    assert check_leaks(split, view.table.utterances, ["audio"], sounds=view.sounds).by_kind["audio"]


def test_equal_samples_on_one_side_are_no_leak(view):
    split = Split("own", train=("anna_up.wav", "ben_up.flac"), validation=(), test=("carl_up.wav",))

    assert check_leaks(split, view.table.utterances, sounds=view.sounds).shared_audio == ()


def test_a_verdict_without_the_samples_says_that_bytes_were_compared(view):
    split = Split("own", **SIDES)

    by_bytes = leaks(split, view.table.utterances)
    by_samples = leaks(split, view.table.utterances, view.sounds)

    assert by_bytes.shared_audio == ()
    assert "by the bytes of the files" in by_bytes.verdict
    assert "by the bytes" not in by_samples.verdict
    assert "anna_up.wav = ben_up.flac = dora_up.wav" in by_samples.verdict


def test_a_selection_of_a_dataset_knows_its_sounds_too(view):
    part = view.select(view.copies > 0)

    assert part.sounds == view.sounds


def test_splits_of_a_manifest_knows_the_sounds_of_its_corpus_once_it_is_built(place, tmp_path):
    options = (place / "tiny.toml", "--source", place / "tiny", "--split", place / "sides.tsv", "--json")

    before = featurestore("splits", *options, store=tmp_path / "store")
    after = featurestore("splits", *options, store=place / "store")

    assert json.loads(before.stdout)["shared_audio"] == []
    assert len(json.loads(after.stdout)["shared_audio"]) == 1


def test_training_refuses_equal_samples_on_two_sides_and_splits_shows_them(place):
    options = ("--split", place / "sides.tsv")

    shown = json.loads(featurestore("splits", "tiny", *options, "--json", store=place / "store").stdout)
    model = ("--model", "keren-standard")
    refused = featurestore("train", "tiny", *options, *model, "--run", place / "run", store=place / "store")

    assert len(shown["shared_audio"]) == 1
    assert refused.returncode == 1
    assert "anna_up.wav = ben_up.flac = dora_up.wav" in error_line(refused)
    assert not (place / "run").exists()
