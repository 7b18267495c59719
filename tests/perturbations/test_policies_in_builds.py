"""Builds whose copies last longer, stand in rooms and hold recorded noises: rows, addresses, repairs, garbage."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
from demo_corpus import no_download
from perturbations.sounds import content, response, wav, white
from tiny_corpus import build_here, recipe, tone, write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.errors import MissingObjectError, SpecError
from featurestore.integrity.collect import collect
from featurestore.integrity.explain import compare_datasets, explain_build
from featurestore.integrity.verify import recompute, verify
from featurestore.shards.record import data_key
from featurestore.specs.presets import override, policy
from featurestore.store import open_store
from pipelines.build.plan import plan_build
from pipelines.build.policy_inputs import with_inputs
from pipelines.build.run import build
from pipelines.build.spec import DatasetSpec
from pipelines.ingest.ingest import ingest
from pipelines.repair import repair
from pipelines.workers.pool import Workers

NUMBERS = range(1, 6)
COPIES = 3
POLICY = """
[stretch]
uniform = [0.9, 1.6]

[reverb]
probability = 0.5

[rirs]
source = "sounds/rooms.zip"

[recorded_snr_db]
uniform = [0, 20]

[noises]
source = "sounds"
files = "noise/*"

[gain_db]
uniform = [-6, 6]
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a policy, its noises and its rooms."""
    noises = tmp_path / "policies" / "sounds" / "noise"
    noises.mkdir(parents=True)
    for number in range(3):
        (noises / f"noise{number}.wav").write_bytes(wav(white(3_000, number), subtype="PCM_16"))
    (noises / "notes.txt").write_text("no audio")
    with zipfile.ZipFile(tmp_path / "policies" / "sounds" / "rooms.zip", "w") as archive:
        archive.writestr("small/room.wav", wav(response(400)))
    (tmp_path / "policies" / "noisy.toml").write_text(POLICY)
    return tmp_path / "policies"


@pytest.fixture
def folder(tmp_path):
    return write_corpus(tmp_path / "tiny", NUMBERS)


def noisy(store, place, *settings, copies=COPIES):
    """Return the recipe of the policy, with its recordings in the store."""
    features, augmentation = override(recipe(0).features, policy(str(place / "noisy.toml")), settings)
    return with_inputs(store, DatasetSpec(features, augmentation, copies))


def test_stretched_copies_have_rows_of_their_own_length_that_are_read_and_padded(store, folder, place):
    build_here(store, folder, noisy(store, place))
    view = store.view("tiny")

    rows = [view[row][0] for row in range(len(view))]

    assert [len(row) for row in rows] == view.frames.tolist()
    assert view.frames.tolist() == [1 + (len(view.waveform(row)) - 2048) // 512 for row in range(len(view))]
    by_path = [set(view.frames[np.array(view.paths) == path]) for path in set(view.paths)]
    assert any(len(frames) > 1 for frames in by_path)
    out = np.empty((len(view), view.frames.max() + 2, 8), np.float16)
    lengths = view.read(np.arange(len(view)), out, left=True, fill=-1)
    assert all(np.array_equal(padded[-length:], row) for padded, length, row in zip(out, lengths, rows, strict=True))
    assert all((padded[:-length] == -1).all() for padded, length in zip(out, lengths, strict=True))


def test_rows_are_the_same_for_one_process_and_for_workers_in_any_order(store, folder, place, tmp_path, cluster):
    digest, computed = build_here(store, folder, noisy(store, place))
    other = open_store(tmp_path / "other")
    corpus = ingest(other, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)

    report = build(other, corpus, noisy(other, place), workers=Workers(scheduler=cluster))

    assert report.digest == digest
    assert report.computed == computed == len(NUMBERS) * (1 + COPIES)


def test_more_copies_compute_only_themselves(store, folder, place):
    build_here(store, folder, noisy(store, place))

    grown, computed = build_here(store, folder, noisy(store, place, copies=5))

    assert computed == 2 * len(NUMBERS)
    shutil.rmtree(store.uri)
    assert build_here(open_store(store.uri), folder, noisy(open_store(store.uri), place, copies=5))[0] == grown


def test_moving_the_folder_and_renaming_its_files_changes_nothing(store, folder, place, tmp_path):
    digest, _ = build_here(store, folder, noisy(store, place))
    moved = tmp_path / "elsewhere"
    place.rename(moved)
    (moved / "sounds" / "noise" / "noise0.wav").rename(moved / "sounds" / "noise" / "zzz.WAV")

    assert build_here(store, folder, noisy(store, moved)) == (digest, 0)


def test_a_noise_more_computes_the_augmented_rows_alone_and_why_says_so(store, folder, place):
    build_here(store, folder, noisy(store, place), "three")
    added = wav(white(3_000, 9))
    (place / "sounds" / "noise" / "one_more.wav").write_bytes(added)

    assert build_here(store, folder, noisy(store, place), "four")[1] == COPIES * len(NUMBERS)
    assert [one.to_dict() for one in compare_datasets(store, "three", "four")] == [
        {"field": "augmentation.noises recordings", "old": 3, "new": 4},
        {"field": "augmentation.noises changed", "old": "", "new": content(added)[:12]},
    ]


@pytest.mark.parametrize(
    ("setting", "field", "old", "new"),
    [
        ("gain_db=-6,3", "augmentation.gain_db.uniform", [-6, 6], [-6, 3]),
        ("stretch.probability=0.5", "augmentation.stretch.probability", 1, 0.5),
        ("noises.per=turn", "augmentation.noises.per", "row", "turn"),
        ("reverb.probability=0", "augmentation.reverb.probability", 0.5, 0),
    ],
)
def test_changing_one_policy_field_computes_the_augmented_rows_alone_and_why_names_it(
    store, folder, place, setting, field, old, new
):
    build_here(store, folder, noisy(store, place), "before")

    assert build_here(store, folder, noisy(store, place, setting), "after")[1] == COPIES * len(NUMBERS)
    assert [one.to_dict() for one in compare_datasets(store, "before", "after")] == [
        {"field": field, "old": old, "new": new}
    ]


def test_without_its_folder_a_dataset_is_verified_recomputed_heard_and_repaired(store, folder, place):
    digest, _ = build_here(store, folder, noisy(store, place))
    shutil.rmtree(place)
    fresh = open_store(store.uri)
    view = fresh.view("tiny")
    row = int(np.flatnonzero([one is not None and one.rir is not None for one in map(view.perturbation, range(20))])[0])
    heard = view.waveform(row)

    assert np.isfinite(heard).all()
    assert recompute(fresh, 100).drifted == ()
    assert explain_build(fresh, "tiny", None) == []
    for address in fresh.dataset(fresh.reference("tiny").dataset).addresses:
        fresh.storage.delete(data_key(address))
    assert repair(fresh).left == ()
    assert open_store(store.uri).view("tiny").digest == digest
    assert verify(open_store(store.uri)).damaged == []


def test_noises_stay_as_long_as_a_dataset_needs_them(store, folder, place):
    wanted = noisy(store, place)
    build_here(store, folder, wanted)
    inputs = {f"sources/{one}" for one in wanted.augmentation.inputs}

    assert len(inputs) == 4
    assert collect(store, grace=0, delete=True).objects == ()
    store.forget("tiny")
    assert inputs <= {key for key, _ in collect(store, grace=0, delete=True).objects}


def test_a_lost_noise_is_found_and_comes_back_from_its_folder(store, folder, place):
    wanted = noisy(store, place)
    build_here(store, folder, wanted)
    key = f"sources/{wanted.augmentation.noises.contents[0]}"
    store.storage.delete(key)

    assert [name for name, _ in verify(store).damaged] == [key]
    assert [name for name, _ in verify(store, "tiny").damaged] == [key]
    assert [name for name, _ in repair(store).left] == [key]
    assert repair(store, source=place / "sounds").repaired == (key,)
    with pytest.raises(MissingObjectError):
        store.original("0" * 64)


def test_a_policy_whose_recordings_the_store_lost_says_how_to_name_them(store, place, tmp_path):
    known = noisy(store, place)

    with pytest.raises(SpecError, match=r"rirs: .* does not hold recording .* --set rirs=PATH"):
        with_inputs(open_store(tmp_path / "empty"), known)


def test_a_dry_run_keeps_nothing(tmp_path, place):
    empty = open_store(tmp_path / "empty")
    features, augmentation = recipe(0).features, policy(str(place / "noisy.toml"))

    found = with_inputs(empty, DatasetSpec(features, augmentation, 1), write=False)

    assert len(found.augmentation.inputs) == 4
    assert with_inputs(empty, found, write=False) == found
    assert list(empty.storage.walk()) == []


def test_the_recordings_of_a_corpus_that_the_store_knows_can_be_noises(store, folder):
    build_here(store, folder, recipe(0))
    _, augmentation = override(recipe(0).features, None, ["recorded_snr_db=0,10", "noises.corpus=tiny"])

    found = with_inputs(store, DatasetSpec(recipe(0).features, augmentation, 1)).augmentation

    assert found.noises.contents == tuple(sorted(content(tone(number)) for number in NUMBERS))


FAULTS = {
    "no such folder": (["noises=nowhere"], "noises: source 'nowhere' does not exist: give a folder or an archive"),
    "no such corpus": (["noises.corpus=musan"], "noises: the store does not know corpus 'musan'"),
    "neither folder nor archive": (["noises={notes}"], "noises of the policy: .*notes.txt"),
    "no audio": (["noises.files=*.txt"], r"noises: no audio file '\*.txt' in"),
    "no place": (["noises=none"], "the policy names no noises"),
}


@pytest.mark.parametrize(("settings", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_policy_without_usable_recordings_is_one_line_before_anything_is_computed(store, place, settings, reason):
    notes = place / "sounds" / "noise" / "notes.txt"
    with pytest.raises(SpecError, match=reason) as caught:
        noisy(store, place, *(setting.format(notes=notes) for setting in settings))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("data", "reason"), [(b"RIFF", "cannot be used"), (wav(np.zeros(100)), "it is silent")])
def test_a_noise_that_cannot_be_used_is_named_before_anything_is_computed(store, place, data, reason):
    (place / "sounds" / "noise" / "bad.wav").write_bytes(data)

    with pytest.raises(SpecError, match=rf"noises: 'noise/bad.wav' .*{reason}"):
        noisy(store, place)


def test_a_policy_file_that_names_a_missing_folder_is_refused_when_it_is_read(place):
    (place / "noisy.toml").write_text(POLICY.replace("sounds/rooms.zip", "gone"))

    with pytest.raises(SpecError, match=r"rirs: source '.*/policies/gone' does not exist"):
        policy(str(place / "noisy.toml"))


def test_a_recording_too_short_for_its_shortest_copy_is_rejected_for_augmented_rows_and_keeps_its_clean_one(
    store, folder, place
):
    build_here(store, folder, noisy(store, place, "stretch=0.8,1.6"))
    view = store.view("tiny")

    short = {file.path: file.reason for file in view.table.rejected}
    assert short
    assert all("shorter than one window" in reason for reason in short.values())
    assert {view.paths[row] for row in range(len(view)) if view.copies[row] == 0} >= set(short)
    assert not {view.paths[row] for row in range(len(view)) if view.copies[row] > 0} & set(short)


def test_the_estimate_grows_with_the_stretch(store, folder):
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
    sizes = []
    for setting in ("stretch=1", "stretch=2,4"):
        features, augmentation = override(recipe(0).features, None, [setting])
        sizes.append(plan_build(store, corpus, DatasetSpec(features, augmentation, 10)).bytes_to_write)

    assert sizes[1] == pytest.approx(sizes[0] * 31 / 11, rel=0.01)
