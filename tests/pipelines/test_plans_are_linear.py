"""What is done once for a corpus or a shard is not done again for each group or row: counted, not timed."""

import dataclasses
import hashlib
import json
import shutil
from collections import Counter

from demo_corpus import no_download
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.corpus.catalog import find_manifest
from featurestore.corpus.types import Utterance
from featurestore.integrity.verify import verify
from featurestore.shards.parts import Part, canonical_shards, plan_part
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import CPU, RowSpec
from featurestore.storage import writers
from featurestore.storage.local import LocalStorage
from featurestore.store import open_store
from featurestore.tables import Table
from pipelines.build.plan import bundles_of, plan_build
from pipelines.ingest.ingest import ingest


class Counted(tuple):
    """A tuple that counts how often somebody walks through it."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


def test_a_plan_walks_through_its_corpus_as_often_for_many_groups_as_for_few(tmp_path):
    passes = {}
    for files in (4, 120):
        folder, store = (
            write_corpus(tmp_path / f"corpus-{files}", range(1, files + 1)),
            open_store(tmp_path / str(files)),
        )
        corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)
        plan = plan_build(store, corpus, recipe(60))
        counted = Counted(corpus.utterances)
        bundles = bundles_of(store, dataclasses.replace(plan, corpus=dataclasses.replace(corpus, utterances=counted)))
        passes[files] = (counted.passes, len(bundles))

    assert passes[120][1] > passes[4][1]
    assert passes[120][0] == passes[4][0]


class StandingShard:
    """A planned shard that stands, and counts how often somebody asks for its members."""

    def __init__(self, shard):
        self.shard, self.asked = shard, 0
        self.address, self.first, self.stop = shard.address, shard.first, shard.stop

    @property
    def members(self):
        self.asked += 1
        return self.shard.members


def test_many_originals_take_no_more_heartbeats_than_few(tmp_path, monkeypatch):
    made, new_writer = [], writers.new_writer
    monkeypatch.setattr(writers, "new_writer", lambda: made.append(new_writer()) or made[-1])
    counts = {}
    for files in (2, 40):
        made.clear()
        folder, store = write_corpus(tmp_path / f"c{files}", range(1, files + 1)), open_store(tmp_path / str(files))
        archive = shutil.make_archive(str(folder), "zip", folder)
        ingest(store, find_manifest(str(folder.with_suffix(".toml"))), archive, no_download)
        assert len(store.storage.children("sources")) == files
        counts[files] = len(made)

    assert counts[40] == counts[2]


def test_originals_are_kept_while_a_collection_has_the_store(tmp_path):
    folder, store = write_corpus(tmp_path / "corpus", (1, 2)), open_store(tmp_path / "store")
    archive = shutil.make_archive(str(folder), "zip", folder)

    with store.storage.hold(exclusive=True):
        corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), archive, no_download)

    assert [len(store.original(one.content)) for one in corpus.utterances] == [one.size for one in corpus.utterances]


def test_shards_that_stand_as_planned_are_known_by_their_address_alone():
    spec = RowSpec.current(FeatureSpec(), None, CPU)
    contents = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(1000)]
    shards = canonical_shards(Part.clean(spec, contents))
    standing = [StandingShard(shard) for shard in shards]

    whole, grown = plan_part(Part.clean(spec, contents), standing), plan_part(Part.clean(spec, contents[1:]), standing)

    assert (whole.reused, whole.tasks) == (1000, ())
    assert (grown.reused, grown.tasks) == (999, ())  # a shard that holds more rows than are wanted serves as well
    assert {one.asked for one in standing} == {1}


def test_a_table_is_written_as_json_once():
    table = Table("demo", (Utterance("a.wav", "ab" * 32, 10, (("emotion", "joy"),), "joy", None),))

    assert table.to_bytes() is table.to_bytes()
    written = dataclasses.asdict(table.utterances[0]) | {"labels": [["emotion", "joy"]]}
    del written["fields"]
    assert json.loads(table.to_bytes())["utterances"] == [written]


def test_verify_looks_once_for_an_original_that_many_datasets_need(tmp_path, monkeypatch):
    folder, store, asked = write_corpus(tmp_path / "corpus", range(1, 9)), open_store(tmp_path / "store"), Counter()
    for mels in (8, 9, 10):
        build_here(store, folder, recipe(1, mels), f"of-{mels}")
    exists = LocalStorage.exists
    monkeypatch.setattr(LocalStorage, "exists", lambda storage, key: asked.update([key]) or exists(storage, key))

    assert verify(store).damaged == []

    assert {asked[f"sources/{content}"] for content in store.storage.children("sources")} == {1}
