"""What is done once for a corpus or a shard is not done again for each group or row: counted, not timed."""

import dataclasses

import numpy as np
from demo_corpus import no_download
from tiny_corpus import recipe, write_corpus

from featurestore.corpus.manifest.catalog import find_manifest
from featurestore.shards.reader import _starts
from featurestore.store import open_store
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


class Record:
    """A shard's record that counts how often its offsets are asked for."""

    def __init__(self, rows):
        self.rows, self.asked = rows, 0

    @property
    def offsets(self):
        self.asked += 1
        return np.arange(self.rows + 1) * 10


def test_the_places_of_rows_are_found_with_one_look_at_each_shard():
    generator = np.random.default_rng(0)
    records = [Record(int(rows)) for rows in generator.integers(1, 40, 200)]
    shards = generator.integers(0, 200, 5000)
    rows = np.array([generator.integers(0, records[shard].rows) for shard in shards])
    starts, frames = _starts(shards, rows, records)

    assert np.array_equal(starts, rows * 10)
    assert set(frames.tolist()) == {10}
    assert {record.asked for record in records} == {1}
