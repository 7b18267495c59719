"""Datasets of segments: the rows of the same audio cut out by hand, through verify, repair, gc, export and growth."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from data_folders import write
from segmented import PARTS, RATE, WAYS, Part, audio, cut, encoded, metadata_csv, path_of, samples
from tiny_corpus import build_here, recipe, tree

from featurestore.corpus.corpus_spec import folder_manifest
from featurestore.corpus.protocols import folds, split
from featurestore.corpus.splits.leakage import check_leaks
from featurestore.corpus.splits.types import Split
from featurestore.errors import DamagedObjectError, LeakError
from featurestore.integrity.collect import collect
from featurestore.integrity.explain import compare_datasets
from featurestore.integrity.verify import recompute, verify
from featurestore.row_engine import RowEngine
from featurestore.segments import Segment, recording_of
from featurestore.shards.record import record_key
from featurestore.store import open_store
from featurestore.tables import Table
from pipelines.compact import compact
from pipelines.experiments.evaluation import learnt
from pipelines.exports import export
from pipelines.repair import repair


def build(store, folder, copies=1, name="calls"):
    return build_here(store, folder, recipe(copies), name, manifest=folder_manifest(folder))


@pytest.fixture
def built(tmp_path, store):
    folder = metadata_csv(tmp_path / "calls")
    build(store, folder, copies=2)
    return store


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_those_of_the_same_audio_cut_out_by_hand(tmp_path, store, way):
    build(store, WAYS[way](tmp_path / "calls"))

    view = store.view("calls")
    engine = RowEngine(view.features, view.augmentation)
    parts = {path_of(part): part for part in PARTS}
    assert set(view.paths) == set(parts)
    for row, path in enumerate(view.paths):
        by_hand = engine.load(encoded(cut(parts[path])))
        drawn = view.perturbation(row)
        values = engine.clean(by_hand) if drawn is None else engine.augmented(by_hand, drawn)
        np.testing.assert_array_equal(view[row][0], values)
        np.testing.assert_array_equal(view.waveform(row), engine.waveform(by_hand, drawn))
        assert view.labels[row] == parts[path].emotion


CONTAINERS = [("WAV", None), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("AIFF", None)]


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_segments_of_every_container_are_those_samples_of_its_decoded_file(tmp_path, store, container, subtype):
    """A codec remembers what came before, so the whole file is decoded, and the parts of it compared."""
    name = f"a.{container.lower()}"
    data = encoded(samples(1, 5.0), container, subtype=subtype)
    times = [(0.0, 1.0, 0), (3.0, 4.0, 1), (3.5, 4.75, None), (0.5, 0.75, None)]
    rows = "".join(f"{name},{a},{b},{'' if c is None else c},{'xy'[n % 2]}\n" for n, (a, b, c) in enumerate(times))
    build(
        store, write(tmp_path / "calls", {"metadata.csv": f"file_name,start,end,channel,emotion\n{rows}", name: data})
    )

    view = store.view("calls").select(store.view("calls").copies == 0)
    engine = RowEngine(view.features)
    whole = {channel: engine.load(data, Segment(channel=channel)).signal for channel in (None, 0, 1)}
    expected = {f"t={a:g},{b:g}": whole[c][int(a * RATE) : int(b * RATE)] for a, b, c in times}
    for row, path in enumerate(view.paths):
        time = path.partition("#")[2].partition("&")[0]
        np.testing.assert_array_equal(view.waveform(row), expected[time])


def test_a_store_of_segments_is_sound_and_its_rows_come_out_again(built):
    found = verify(built)
    again = recompute(built, 100)

    assert found.damaged == []
    assert found.rows == len(PARTS) * 3
    assert (again.recomputed, again.drifted) == (len(PARTS) * 3, ())


def test_only_the_recordings_are_kept_and_gc_leaves_them(built):
    before = tree(built)

    collected = collect(built, grace=0, delete=True)

    originals = {key for key in before if key.startswith("sources/")}
    assert {f"sources/{recording_of(content)}" for content in built.view("calls").contents} < originals
    assert len(originals) == 3  # two recordings and the labels
    assert collected.objects == ()
    assert tree(built) == before


def test_what_is_lost_is_made_again_from_the_recordings_without_the_folder(built):
    before = tree(built)
    view = built.view("calls")
    reference = built.reference("calls")
    for address in built.dataset(reference.dataset).addresses:
        built.storage.delete(record_key(address))

    done = repair(open_store(built.uri))

    assert done.left == ()
    assert tree(built) == before
    assert verify(open_store(built.uri), "calls").damaged == []
    assert len(open_store(built.uri).view("calls")) == len(view)


def test_a_lost_recording_comes_back_from_the_folder(tmp_path, built):
    content = recording_of(built.view("calls").contents[0])
    built.storage.delete(f"sources/{content}")

    assert dict(verify(built).damaged).keys() == {f"sources/{content}"}
    assert repair(built, source=tmp_path / "calls").left == ()
    assert verify(built).damaged == []


def test_one_more_segment_computes_its_own_rows_alone(tmp_path, built):
    more = Part("calls/b.wav", 1.0, 1.75, 1, "cleo", "sadness")

    _, computed = build(built, metadata_csv(tmp_path / "calls", (*PARTS, more)), copies=2)

    assert computed == 3
    assert len(built.view("calls")) == 3 * (len(PARTS) + 1)
    fresh = open_store(tmp_path / "fresh")
    digest, _ = build(fresh, tmp_path / "calls", copies=2)
    assert built.view("calls").digest == digest
    compact(built)
    collect(built, grace=0, delete=True)
    assert verify(built).damaged == []
    assert {key for key in tree(built) if key.startswith("shards/")} == {
        key for key in tree(fresh) if key.startswith("shards/")
    }


def test_a_change_of_one_label_computes_nothing_and_one_of_a_time_one_segment(tmp_path, built):
    file = tmp_path / "calls" / "metadata.csv"
    file.write_text(file.read_text().replace("ann,anger", "ann,sadness"))
    _, relabelled = build(built, tmp_path / "calls", copies=2, name="relabelled")
    file.write_text(file.read_text().replace("0.25,1.0", "0.25,1.125"))
    _, moved = build(built, tmp_path / "calls", copies=2, name="moved")

    assert (relabelled, moved) == (0, 3)
    changed = {(one.field, one.new) for one in compare_datasets(built, "relabelled", "moved")}
    assert {("recordings added", 1), ("recordings removed", 1)} <= changed


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2.5,3.5,", "the segment ends at 3.5 s, 0.500 s after the end of its recording of 3.000 s"),
        ("500,1500,", "times are read in seconds from the start of the file"),
        ("3.5,,", "has no samples in its recording of 3.000 s"),
        ("0,1,2", "there is no channel 2: the recording has 2, and 0 is the first"),
        ("0,0.001,", "shorter than one window"),
    ],
)
def test_a_segment_that_its_recording_does_not_have_is_rejected_alone_with_the_reason(tmp_path, store, row, reason):
    folder = metadata_csv(tmp_path / "calls")
    text = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(f"{text}calls/a.wav,{row},ann,anger\n")

    build(store, folder)

    table = store.table(store.reference("calls").table)
    assert len(store.view("calls")) == 2 * len(PARTS)
    assert len(table.rejected) == 1
    assert table.rejected[0].path.startswith("calls/a.wav#t=")
    assert reason in table.rejected[0].reason
    assert build(store, folder)[1] == 0
    assert verify(store).damaged == []


def test_a_segment_that_ends_within_rounding_behind_its_recording_ends_with_it(tmp_path, store):
    text = "file_name,start,end,emotion\ncalls/a.wav,1,3.01,joy\ncalls/b.wav,1,3,calm\n"
    build(store, write(tmp_path / "calls", {"metadata.csv": text, **audio()}))

    assert {len(store.view("calls").waveform(row)) for row in (0, 2)} == {2 * RATE}


def test_segments_of_a_recording_that_is_too_long_as_a_whole_are_read(tmp_path, store):
    sound = np.zeros(601 * 8_000, np.int16)
    sound[-8_000:] = np.random.default_rng(0).integers(-900, 900, 8_000)
    text = "file_name,start,end,emotion\na.flac,600,601,joy\na.flac,599.5,600.5,calm\na.flac,0,601,joy\n"
    build(store, write(tmp_path / "calls", {"metadata.csv": text, "a.flac": encoded(sound, "FLAC", rate=8_000)}))

    view = store.view("calls")
    last = view.paths.index("a.flac#t=600,601")
    by_hand = RowEngine(view.features).load(encoded(sound[-8_000:], rate=8_000))
    np.testing.assert_array_equal(view.waveform(last), by_hand.signal)
    assert [one.reason for one in view.table.rejected] == [
        "too long: 601.0 s; at most 600 s are read. Raise it with --max-duration 601, or cut the recording."
    ]


def test_an_export_names_the_segments(tmp_path, built):
    export(built.view("calls"), "hdf5", tmp_path / "calls.h5")

    with h5py.File(tmp_path / "calls.h5") as file:
        paths = {text.decode() for text in file["paths"][:]}
        contents = {text.decode() for text in file["contents"][:]}
    assert paths == {path_of(part) for part in PARTS}
    assert contents == set(built.view("calls").contents)


def test_parts_of_one_recording_on_two_sides_are_a_leak_of_their_own_kind(built):
    view = built.view("calls")
    paths = sorted(set(view.paths))
    of_a, of_b = (tuple(path for path in paths if path.startswith(f"calls/{name}")) for name in "ab")
    apart = Split("own", of_a, (), of_b)
    mixed = Split("own", of_a[:1], (), of_a[1:])
    accepted = ("speaker", "recording")

    assert check_leaks(apart, view.table.utterances, ["speaker"]).shared_recordings == ()
    with pytest.raises(LeakError, match=r"recording \(calls/a\.wav\).*--allow-leak recording"):
        check_leaks(mixed, view.table.utterances, ["speaker"])
    assert check_leaks(mixed, view.table.utterances, accepted).shared_recordings == ("calls/a.wav",)


def test_a_split_by_recordings_keeps_their_parts_together(built):
    utterances = built.view("calls").table.utterances

    for fold in folds(utterances, "leave-one-recording-out"):
        assert check_leaks(fold, utterances, ["speaker"]).shared_recordings == ()


def test_a_recording_that_is_a_noise_of_the_policy_is_told_where_its_segments_are_tested(built):
    view = built.view("calls")
    paths = sorted(set(view.paths))
    split = Split("own", paths[:1], (), paths[-1:])

    with pytest.raises(LeakError, match="a noise of the policy"):
        check_leaks(split, view.table.utterances, mixed_in=[recording_of(view.contents[-1])])


def test_the_sides_that_a_run_keeps_are_a_split_of_segments(tmp_path, built):
    from models.runs.records import read_sides, recordings_of, write_sides

    view = built.view("calls")
    paths = sorted(set(view.paths))
    sides = {
        "train": view.copies_of(paths[:2]),
        "validation": view.copies_of(paths[2:3]),
        "test": view.copies_of(paths[3:]),
    }

    write_sides(tmp_path, sides)

    again = split(view.table.utterances, str(tmp_path / "sides.csv"))
    assert (again.train, again.validation, again.test) == (tuple(paths[:2]), tuple(paths[2:3]), tuple(paths[3:]))
    assert read_sides(tmp_path) == {side: recordings_of(one) for side, one in sides.items()}


@pytest.mark.parametrize(("declared", "expected"), [((), 2), (("recording",), 0)])
def test_another_segment_of_a_recording_that_a_run_learnt_from_is_known_as_learnt(built, declared, expected):
    from models.runs.records import recordings_of

    view = built.view("calls")
    of_a = sorted({path for path in view.paths if path.startswith("calls/a")})
    run = SimpleNamespace(config=SimpleNamespace(leaks={"declared": declared}, features=view.features))
    sides = {"train": recordings_of(view.copies_of(of_a[:1])), "validation": {}}

    found, count = learnt(run, view.copies_of(of_a[1:]), "test", sides, same_corpus=True)

    assert (len(found), count) == (expected, 2)


@pytest.mark.parametrize("behind", [".t5-4", ".t0-x", ".c1.t0-5", "./../x", ".t" + "9" * 400 + "-"])
def test_a_table_that_names_no_possible_segment_is_damaged(built, behind):
    table = built.table(built.reference("calls").table)
    wrong = replace(
        table, utterances=(replace(table.utterances[0], content=table.utterances[0].content[:64] + behind),)
    )

    with pytest.raises(DamagedObjectError, match="not a table"):
        Table.from_bytes(wrong.key, wrong.to_bytes())


def test_two_channels_of_one_recording_are_two_sounds_and_one_recording(tmp_path, store):
    text = "file_name,channel,speaker,emotion\ncalls/a.wav,0,ann,joy\ncalls/a.wav,1,ben,calm\ncalls/b.wav,0,cleo,joy\n"
    build(store, write(tmp_path / "calls", {"metadata.csv": text, **audio()}))
    view = store.view("calls")

    assert len(set(view.sounds.values())) == 3
    for fold in folds(view.table.utterances, "loso"):
        shared = check_leaks(fold, view.table.utterances, ["recording"], sounds=view.sounds).shared_recordings
        assert shared == ("calls/a.wav",)
