"""A corpus of a few very short tones, and builds of it in this process, so that hundreds of them take seconds."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from demo_corpus import no_download

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.manifest import Manifest
from featurestore.specs.presets import feature_preset, override, policy
from featurestore.store import Store
from pipelines.build.plan import BuildPlan, bundles_of, plan_build
from pipelines.build.rejects import remember_length, remember_reject
from pipelines.build.report import SilentBuild, wait_for_leases
from pipelines.build.run import publish_plan
from pipelines.build.spec import DatasetSpec
from pipelines.build.tasks import run_bundle
from pipelines.ingest.ingest import ingest

MANIFEST = """
name = "tiny"
title = "A few tones"
licence = "CC0"
[labels]
pattern = '(?P<speaker>[a-z])_(?P<emotion>[a-z]+)_\\d+\\.wav'
target = "emotion"
"""
RATE = 16_000


@lru_cache
def tone(number: int, seconds: float = 0.15) -> bytes:
    """A short tone as a WAV file; number 0 is silent and cannot have augmented rows."""
    time = np.arange(int(RATE * (seconds + 0.01 * (number % 5)))) / RATE
    file = io.BytesIO()
    signal = 0.3 * np.sin(2 * np.pi * (200 + 10 * number) * time) * bool(number)
    soundfile.write(file, signal, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def file_name(number: int) -> str:
    return f"{'abc'[number % 3]}_{('up', 'down')[number % 2]}_{number}.wav"


def write_corpus(folder: Path, numbers: Iterable[int]) -> Path:
    """Write tones to a folder and their manifest beside it; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.with_suffix(".toml").write_text(MANIFEST)
    for number in numbers:
        (folder / file_name(number)).write_bytes(tone(number))
    return folder


def recipe(copies: int, mels: int = 8) -> DatasetSpec:
    features, augmentation = override(feature_preset("mathworks"), policy("mathworks"), (f"mels={mels}",))
    return DatasetSpec(features, augmentation, copies)


def build_here(
    store: Store, folder: Path, wanted: DatasetSpec, name: str = "tiny", manifest: Manifest | None = None
) -> tuple[str, int]:
    """Build without Dask; return the digest and the number of computed rows.

    It goes through the same steps as `pipelines.build.run.build`: sweep, plan, bundles, leases, plan again, publish.
    """
    computed = 0
    corpus = ingest(store, manifest or find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    with store.storage.hold(exclusive=False):
        store.storage.sweep()
        plan: BuildPlan = plan_build(store, corpus, wanted)
        while bundles := bundles_of(store, plan):
            for bundle in bundles:
                receipt = run_bundle(bundle, store=store)
                computed += receipt.computed
                for content, reason in receipt.rejected:
                    remember_reject(store, bundle.spec, content, reason)
                for content, seconds in receipt.long:
                    remember_length(store, bundle.spec, content, seconds)
                wait_for_leases(store, receipt.leased, SilentBuild())
            plan = plan_build(store, corpus, wanted)
        digest = publish_plan(store, plan, name).digest
        store.storage.sweep()
    return digest, computed


def tree(store: Store) -> dict[str, bytes]:
    """Every file below a store's folder, temporary ones too."""
    root = Path(store.uri)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
