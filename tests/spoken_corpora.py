"""Small corpora of emotions that can be told apart, but not always: tones in noise, said by several speakers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import soundfile
from tiny_corpus import RATE, build_here

from featurestore.corpus.catalog import find_manifest
from featurestore.specs.presets import feature_preset, policy
from featurestore.store import Store
from pipelines.build.spec import DatasetSpec

HERTZ = {"joy": 500, "happy": 520, "sad": 380, "sadness": 370, "fear": 1500}


def spoken(store: Store, folder: Path, name: str, speakers: str, words: tuple[str, ...], seed: int, copies=0) -> None:
    """Build a corpus: four clips a speaker and word, whose pitch is that of the word and whose level the speaker's."""
    generator, place = np.random.default_rng(seed), folder / name
    place.mkdir(parents=True)
    for speaker in speakers:
        level = generator.uniform(0.02, 0.07)
        for word in words:
            for take in range(4):
                pitch = HERTZ[word] * generator.uniform(0.7, 1.4)
                tone = np.sin(2 * np.pi * pitch * np.arange(RATE // 5) / RATE) + generator.normal(0, 0.5, RATE // 5)
                soundfile.write(place / f"{speaker}_{word}_{take}.wav", level * tone, RATE)
    (folder / f"{name}.toml").write_text(
        f"name = '{name}'\ntitle = '{name}'\nlicence = 'CC0'\n[labels]\ntarget = 'emotion'\n"
        "pattern = '(?P<speaker>[a-z])_(?P<emotion>[a-z]+)_\\d+\\.wav'\n"
    )
    built(store, folder, name, name, copies=copies)


def built(store: Store, folder: Path, corpus: str, name: str, mels: int = 8, copies: int = 0) -> None:
    """Build a dataset of such a corpus."""
    features = dataclasses.replace(feature_preset("keren"), mels=mels)
    wanted = DatasetSpec(features, policy("mathworks") if copies else None, copies)
    build_here(store, folder / corpus, wanted, name, find_manifest(str(folder / f"{corpus}.toml")))
