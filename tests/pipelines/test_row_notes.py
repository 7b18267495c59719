"""Builds say of which rows the sound is missing, and which bands hold none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from demo_corpus import no_download
from perturbations.sounds import wav
from tiny_corpus import file_name, recipe, tone, write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.signal.mel import mel_triangles
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import override
from featurestore.store import open_store
from pipelines.build.report import empty_bands
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.ingest import ingest
from pipelines.workers.pool import Workers


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    ("mels", "length", "low", "high", "rate"),
    [
        (1024, 512, 0, None, 16_000),
        (128, 2048, 0, None, 16_000),
        (128, 512, 0, None, 16_000),
        (40, 256, 20, 3800, 8_000),
        (128, 1024, 50, 500, 22_050),
    ],
)
def test_the_empty_bands_are_those_of_which_no_triangle_holds_a_bin(scale, mels, length, low, high, rate):
    features = FeatureSpec(
        mels=mels,
        fft_length=length,
        window_length=length,
        hop_length=length,
        low_hz=low,
        high_hz=high,
        mel_scale=scale,
    )

    triangles = mel_triangles(rate, length, mels, scale, low, high or rate / 2)

    assert empty_bands(features, rate) == np.sum(triangles.max(axis=1) == 0)


def built(store, folder, *settings):
    features, _ = override(dataclasses.replace(recipe(0).features), None, settings)
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    return build(store, corpus, DatasetSpec(features, None, 0), name="tiny", workers=Workers(1)).notes


def test_a_build_names_empty_bands_silent_recordings_and_rates_below_the_features_each_time(tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(4))
    slow = 0.3 * np.sin(np.arange(1_600) / 3)
    (folder / file_name(7)).write_bytes(wav(slow, rate=8_000))
    store = open_store(tmp_path / "store")

    first = built(store, folder)
    again = built(store, folder)

    assert first == again
    silent, rates = first
    assert silent.startswith(f"1 recording ({file_name(0)}) whose rows hold no sound")
    assert rates.startswith(f"1 recording ({file_name(7)}) recorded at less than the features' 16,000 Hz")
    assert "above 4,000 Hz" in rates
    assert "--set rate=8000" in rates
    only, *_ = built(store, folder, "high_hz=4000")
    assert only == silent
    assert not any("recorded at" in note for note in built(store, folder, "high_hz=4000"))
    empty = int(np.sum(mel_triangles(16_000, 512, 400, "htk", 0, 8000).max(axis=1) == 0))
    narrow = built(store, folder, "mels=400", "fft_length=512", "window_length=512")[0]
    assert narrow.startswith(f"{empty} of 400 mel bands")


def test_a_corpus_with_nothing_to_say_has_no_note(tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 4))

    assert tone(1) != tone(2)
    assert built(open_store(tmp_path / "store"), folder) == ()
