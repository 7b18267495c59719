"""Any bytes at any entry give verified data or one of our errors, in bounded time.

A second or two each; FEATURESTORE_CHAOS=long (`make chaos`) tries a hundred times as much.
"""

import io
import json
import struct

import numpy as np
import pytest
import soundfile
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from featurestore.corpus.catalog import find_manifest, manifest_names
from featurestore.corpus.labels.assign import label
from featurestore.corpus.types import ListedFile
from featurestore.datasets import CorpusReference, DatasetRecord, parse_listing
from featurestore.errors import AudioError, DamagedObjectError, FeatureStoreError
from featurestore.perturbations.policy_tables import Distribution
from featurestore.quality.measures import measure
from featurestore.shards.commit import commit_shard
from featurestore.shards.parts import PlannedShard
from featurestore.shards.reader import ShardReader
from featurestore.shards.record import ShardRecord, data_key
from featurestore.signal.guarded import GuardedDecoder
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.store import open_store
from featurestore.tables import Table


def _file(container, subtype):
    sound = (0.2 * np.sin(np.arange(3_000) * 0.07)).astype(np.float32)
    target = io.BytesIO()
    soundfile.write(target, sound, 16_000, format=container, subtype=subtype)
    return target.getvalue()


SEEDS = [
    _file(container, subtype)
    for container, subtype in (
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "GSM610"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AIFF", "IMA_ADPCM"),
        ("AU", "ULAW"),
        ("CAF", "PCM_16"),
        ("CAF", "ALAC_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
        ("NIST", "PCM_16"),
    )
]
WORDS = [
    bytes(4),
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    struct.pack("<I", 2**31),
    b"\x01\0\0\0",
    b"data",
]
CHANGES = st.lists(
    st.tuples(st.integers(0, 400) | st.integers(0, 10_000), st.binary(min_size=1, max_size=4) | st.sampled_from(WORDS)),
    max_size=6,
)


@pytest.fixture(scope="module")
def decoder():
    return GuardedDecoder()


@fuzzed(250)
@given(seed=st.sampled_from(SEEDS), changes=CHANGES, cut=st.none() | st.integers(0, 3_000))
def test_any_damaged_recording_is_decoded_to_sane_samples_or_refused(decoder, seed, changes, cut):
    data = bytearray(seed[:cut])
    for place, value in changes:
        data[place : place + len(value)] = value

    try:
        recording = decoder.decode(bytes(data))
    except AudioError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return

    assert 1_000 <= recording.rate <= 384_000
    assert len(recording.signal) >= 1
    assert np.isfinite(recording.signal).all()
    assert measure(recording).seconds <= 600


@fuzzed(200)
@given(head=st.sampled_from([seed[:12] for seed in SEEDS] + [b""]), data=st.binary(max_size=300))
def test_any_bytes_as_a_recording_are_decoded_or_refused(decoder, head, data):
    try:
        samples = len(decoder.decode(head + data).signal)
    except AudioError:
        samples = 0

    assert samples <= 8 * 312 * 64


MANIFESTS = {name: find_manifest(name) for name in manifest_names()}
PATHS = st.text(alphabet="0123456789abcFMWLNTSesino_-./ \x1b\x00é\udcff", max_size=60) | st.text(max_size=300)


@fuzzed(150)
@given(name=st.sampled_from(sorted(MANIFESTS)), paths=st.lists(PATHS, max_size=8), texts=st.binary(max_size=200))
def test_any_names_and_label_files_are_labelled_or_set_aside_or_refused(name, paths, texts):
    listing = tuple(ListedFile(path, f"{number:064x}", 10) for number, path in enumerate(sorted(set(paths))))

    try:
        corpus = label(MANIFESTS[name], listing, lambda content: texts)
    except FeatureStoreError:
        return

    assert {one.content for one in corpus.utterances} <= {file.content for file in listing}


PARSERS = {
    "a shard's record": lambda data: ShardRecord.from_bytes("shards/0/0", data),
    "a dataset's record": lambda data: DatasetRecord.from_bytes("datasets/0.json", data),
    "a table": lambda data: Table.from_bytes("tables/0.json", data),
    "a listing": lambda data: parse_listing("listings/0.json", data),
    "a reference": lambda data: CorpusReference.from_bytes("refs/corpora/x.json", data),
}
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.booleans() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["format", "seal", "spec", "members", "attributes", "featurestore", "files", "parts"]),
            inner,
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", PARSERS)
@fuzzed(60)
@given(data=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_a_stored_object_are_one_of_our_errors(kind, data):
    with pytest.raises(FeatureStoreError):
        PARSERS[kind](data)


SHARD = PlannedShard(
    RowSpec(FeatureSpec(mels=8), AugmentationSpec(peak=Distribution(listed=(1.0,))), (("log", 1),)),
    1,
    3,
    ("a" * 64, "b" * 64),
)


@fuzzed(60)
@given(
    changes=st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=3)), max_size=3),
    cut=st.none() | st.integers(0),
)
def test_a_damaged_shard_gives_its_rows_or_an_error_and_never_other_values(tmp_path_factory, changes, cut):
    store = open_store(tmp_path_factory.mktemp("store"))
    rows = [np.full((300, 8), number, np.float16) for number in range(SHARD.rows)]
    commit_shard(store.storage, SHARD, rows)
    reader = ShardReader(store.storage, store.record(SHARD.address))
    key = data_key(SHARD.address)
    data = bytearray(store.storage.get(key))[:cut]
    for place, value in changes:
        data[place : place + len(value)] = value
    store.storage.replace(key, bytes(data))

    for number, row in enumerate(rows):
        try:
            found = reader.row(number)
        except DamagedObjectError:
            continue
        np.testing.assert_array_equal(found, row)
    assert len(rows) == SHARD.rows
