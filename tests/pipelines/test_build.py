"""The build computes what is missing, exactly, and gives the same digest by every road."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from demo_corpus import ingest_demo, no_download

from featurestore.corpus.catalog import find_manifest
from featurestore.errors import BuildError, DamagedObjectError, MissingObjectError, SpecError, StorageError
from featurestore.integrity.verify import verify
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import feature_preset, override, policy
from featurestore.store import Store, open_store
from pipelines.build.report import BuildReport
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.ingest import ReadOptions, ingest
from pipelines.workers.pool import Workers

MANIFEST = """
name = "few"
title = "A few tones"
licence = "CC0"
[labels]
pattern = '(?P<speaker>[a-z])_(?P<emotion>[a-z]+)_\\d+\\.wav'
target = "emotion"
"""


def recipe(copies: int, **fields: object) -> DatasetSpec:
    return DatasetSpec(feature_preset("mathworks"), policy("mathworks"), copies, **fields)


def counts(report: BuildReport) -> tuple[int, int, int]:
    return report.computed, report.copied, report.reused


def tone(number: int, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(int(16_000 * seconds)) / 16_000
    return (0.3 * np.sin(2 * np.pi * (200 + 10 * number) * time)).astype(np.float32)


def wav(signal: np.ndarray, rate: int = 16_000, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of twelve short tones with its own manifest."""
    place = tmp_path / "few"
    place.mkdir()
    (tmp_path / "few.toml").write_text(MANIFEST)
    for number in range(12):
        name = f"{'abc'[number % 3]}_{('up', 'down')[number % 2]}_{number}.wav"
        (place / name).write_bytes(wav(tone(number)))
    return place


def build_folder(store: Store, folder: Path, wanted: DatasetSpec, cluster: str, **options: object) -> BuildReport:
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    return build(store, corpus, wanted, workers=Workers(scheduler=cluster), **options)


def test_a_build_makes_one_clean_row_and_n_copies_of_each_recording(store, cluster):
    report = build(store, ingest_demo(store), recipe(3), workers=Workers(scheduler=cluster))

    assert (report.clean, report.augmented) == (120, 360)
    assert counts(report) == (480, 0, 0)
    assert report.rejected == ()
    assert verify(store).damaged == []


def test_the_same_build_again_computes_and_writes_nothing(store, folder, cluster):
    first = build_folder(store, folder, recipe(5), cluster)
    before = sorted(store.storage.walk())

    second = build_folder(open_store(store.uri), folder, recipe(5), cluster)

    assert counts(second) == (0, 0, 72)
    assert second.digest == first.digest
    assert second.bytes_written == 0
    assert sorted(store.storage.walk()) == before


def test_growing_from_75_to_100_copies_computes_exactly_25_rows_a_file(store, folder, cluster):
    build_folder(store, folder, recipe(75), cluster)

    report = build_folder(store, folder, recipe(100), cluster)

    assert counts(report) == (12 * 25, 0, 12 * 76)


def test_a_name_that_stands_for_another_dataset_now_says_what_it_stood_for(store, folder, cluster):
    first = build_folder(store, folder, recipe(1), cluster)
    again = build_folder(store, folder, recipe(1), cluster)
    grown = build_folder(store, folder, recipe(2), cluster)

    assert first.notes == again.notes == ()
    assert grown.notes == (f"few was dataset {first.digest[:12]} before, which is kept too: 'featurestore ls'",)
    assert store.view(first.digest[:12]).digest == first.digest


def test_one_more_file_computes_exactly_its_own_rows(store, folder, cluster):
    build_folder(store, folder, recipe(30), cluster)
    (folder / "a_up_99.wav").write_bytes(wav(tone(99)))

    report = build_folder(store, folder, recipe(30), cluster)

    assert report.computed == 1 + 30
    assert report.copied + report.reused == 12 * 31


def test_one_file_less_computes_and_copies_nothing(store, folder, cluster):
    build_folder(store, folder, recipe(30), cluster)
    next(folder.iterdir()).unlink()

    report = build_folder(store, folder, recipe(30), cluster)

    assert counts(report) == (0, 0, 11 * 31)


def test_fewer_copies_refer_to_the_rows_that_stand(store, folder, cluster):
    build_folder(store, folder, recipe(100), cluster)

    assert counts(build_folder(store, folder, recipe(80), cluster)) == (0, 0, 12 * 81)


def test_a_renamed_file_and_new_labels_compute_nothing(store, folder, cluster):
    first = build_folder(store, folder, recipe(5), cluster)
    (folder / "a_up_0.wav").rename(folder / "c_down_77.wav")

    report = build_folder(store, folder, recipe(5), cluster)

    assert counts(report) == (0, 0, 72)
    assert report.digest == first.digest
    assert "c_down_77.wav" in store.view("few").paths


def test_one_side_of_a_split_of_a_full_build_writes_nothing(store, cluster):
    corpus = ingest_demo(store)
    build(store, corpus, recipe(4), workers=Workers(scheduler=cluster))

    report = build(store, corpus, recipe(4, split="shuffled"), workers=Workers(scheduler=cluster))

    trained = len(recipe(4, split="shuffled").augmented_paths(corpus))
    assert 0 < trained < 120
    assert counts(report) == (0, 0, 120 + 4 * trained)


def test_a_full_build_after_one_side_of_a_split_computes_the_other_side_only(store, cluster):
    corpus = ingest_demo(store)
    build(store, corpus, recipe(4, split="shuffled"), workers=Workers(scheduler=cluster))
    trained = len(recipe(4, split="shuffled").augmented_paths(corpus))

    report = build(store, corpus, recipe(4), workers=Workers(scheduler=cluster))

    assert report.computed == 4 * (120 - trained)


def test_clean_rows_are_shared_by_all_policies(store, folder, cluster):
    build_folder(store, folder, recipe(2), cluster)
    features, other = override(feature_preset("mathworks"), policy("mathworks"), ["snr_db=0,10"])

    report = build_folder(store, folder, DatasetSpec(features, other, 2), cluster)

    assert counts(report) == (24, 0, 12)


def test_the_digest_is_the_same_for_a_grown_and_a_fresh_build_in_two_folders(tmp_path, folder, cluster):
    grown, fresh = open_store(tmp_path / "grown"), open_store(tmp_path / "other" / "fresh")
    for copies in (3, 26, 30):
        report = build_folder(grown, folder, recipe(copies), cluster)

    assert build_folder(fresh, folder, recipe(30), cluster).digest == report.digest


def test_one_and_two_local_workers_give_the_same_shards_to_the_bit(tmp_path, folder):
    trees = []
    for jobs in (1, 2):
        store = open_store(tmp_path / f"jobs-{jobs}")
        corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
        build(store, corpus, recipe(30), workers=Workers(jobs))
        trees.append({key: store.storage.get(key) for key, _ in store.storage.walk("shards")})

    assert trees[0] == trees[1]
    assert len(trees[0]) >= 6


def test_a_dry_run_tells_what_a_build_then_does_and_writes_nothing(store, folder, cluster):
    build_folder(store, folder, recipe(20), cluster)
    before = sorted(store.storage.walk())

    told = build_folder(store, folder, recipe(40), cluster, dry_run=True)

    assert sorted(store.storage.walk()) == before
    assert told.dry
    assert told.to_compute == 12 * 20
    assert counts(build_folder(store, folder, recipe(40), cluster)) == counts(told)


def test_a_dry_run_of_an_empty_store_makes_no_folder(tmp_path, folder):
    store = open_store(tmp_path / "nothing")
    corpus = ingest(
        store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download, ReadOptions(write=False)
    )

    report = build(store, corpus, recipe(10), dry_run=True)

    assert report.to_compute == 132
    assert not (tmp_path / "nothing").exists()


BAD_AUDIO = {
    "empty": (b"", "empty"),
    "text": (b"this is no audio at all", "not"),
    "truncated": (wav(tone(1))[:4000], "truncated"),
    "not finite": (wav(np.full(8000, np.nan, np.float32), subtype="FLOAT"), "finite|NaN"),
    "shorter than a window": (wav(tone(1, 0.05)), "short"),
}


@pytest.mark.parametrize("kind", BAD_AUDIO)
def test_one_bad_file_is_rejected_with_its_reason_and_the_rest_is_built(store, folder, cluster, kind):
    data, reason = BAD_AUDIO[kind]
    (folder / "b_up_50.wav").write_bytes(data)

    report = build_folder(store, folder, recipe(2), cluster)

    assert [one.path for one in report.rejected] == ["b_up_50.wav"]
    assert re.search(reason, report.rejected[0].reason), report.rejected[0].reason
    assert (report.clean, report.augmented) == (12, 24)
    assert verify(store).damaged == []


def test_a_rejected_file_is_remembered_and_reported_again_without_work(store, folder, cluster):
    (folder / "b_up_50.wav").write_bytes(b"no audio")
    build_folder(store, folder, recipe(2), cluster)

    report = build_folder(store, folder, recipe(2), cluster)

    assert counts(report) == (0, 0, 36)
    assert [one.path for one in report.rejected] == ["b_up_50.wav"]


def test_a_silent_file_keeps_its_clean_row_and_gets_no_copies(store, folder, cluster):
    (folder / "b_up_50.wav").write_bytes(wav(np.zeros(8000, np.float32)))

    report = build_folder(store, folder, recipe(2), cluster)

    assert (report.clean, report.augmented) == (13, 24)
    assert "silent" in report.rejected[0].reason


def test_a_corpus_of_bad_files_alone_is_an_error(store, folder, cluster):
    for file in folder.iterdir():
        file.write_bytes(file.name.encode())

    with pytest.raises(BuildError, match="every recording"):
        build_folder(store, folder, recipe(2), cluster)


def test_identical_recordings_share_their_rows_and_are_two_utterances(store, folder, cluster):
    (folder / "b_up_50.wav").write_bytes((folder / "a_up_0.wav").read_bytes())

    report = build_folder(store, folder, recipe(2), cluster)

    view = store.view("few")
    assert report.utterances == 13
    assert (report.clean, report.augmented) == (12, 24)
    assert len(view) == 13 * 3


def test_a_damaged_donor_is_computed_anew_and_gives_the_same_digest(tmp_path, store, folder, cluster):
    build_folder(store, folder, recipe(5), cluster)
    for key, _ in store.storage.walk("shards"):
        if key.endswith("c/0/0"):
            file = Path(store.uri) / key
            data = bytearray(file.read_bytes())
            data[100] ^= 1
            file.write_bytes(data)
    other = open_store(tmp_path / "other")

    report = build_folder(open_store(store.uri), folder, recipe(30), cluster)

    clean = build_folder(other, folder, recipe(30), cluster)
    assert report.digest == clean.digest
    assert 0 < report.copied < 12 * 5


def test_a_damaged_record_that_the_build_needs_is_named(store, folder, cluster):
    build_folder(store, folder, recipe(5), cluster)
    for key, _ in list(store.storage.walk("shards")):
        if key.endswith("zarr.json"):
            (Path(store.uri) / key).write_text("{}")

    with pytest.raises(DamagedObjectError, match="zarr"):
        build_folder(open_store(store.uri), folder, recipe(5), cluster)


def test_a_damaged_original_is_named_and_never_becomes_rows(store, folder, cluster):
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    content = corpus.utterances[0].content
    original = Path(store.uri) / "sources" / content
    original.unlink()
    original.write_bytes(b"other bytes")

    with pytest.raises(DamagedObjectError, match=content):
        build(store, corpus, recipe(1), workers=Workers(scheduler=cluster))


def test_a_missing_original_is_named(store, folder, cluster):
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    content = corpus.utterances[0].content
    (Path(store.uri) / "sources" / content).unlink()

    with pytest.raises(MissingObjectError, match=content):
        build(store, corpus, recipe(1), workers=Workers(scheduler=cluster))


def test_a_build_that_does_not_fit_on_the_disk_is_refused_before_it_writes(store, folder):
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    huge = dataclasses.replace(
        recipe(100_000), features=FeatureSpec(rate=16_000, hop_length=1, mels=1024, dtype="float32")
    )

    with pytest.raises(StorageError, match=r"has [\d.]+ .B free and the build needs about [\d.]+ .B"):
        build(store, corpus, huge)
    assert list(store.storage.walk("shards")) == []


def test_copies_without_a_policy_are_refused():
    with pytest.raises(SpecError, match="policy"):
        DatasetSpec(feature_preset("mathworks"), None, 5)


def test_a_scheduler_on_another_machine_needs_encryption(store, folder):
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)

    with pytest.raises(BuildError, match="use tls"):
        build(store, corpus, recipe(1), workers=Workers(scheduler="tcp://192.0.2.1:8786"))


def test_a_store_that_has_seen_a_corpus_needs_no_source_again(store, folder, cluster):
    first = build_folder(store, folder, recipe(1), cluster)
    manifest = find_manifest(str(folder.with_suffix(".toml")))

    corpus = ingest(store, manifest, None, no_download)

    assert build(store, corpus, recipe(1), workers=Workers(scheduler=cluster)).digest == first.digest
