"""What a build reports adds up, also where recordings turn out bad on the way and the rest is planned again."""

from __future__ import annotations

from demo_corpus import no_download
from tiny_corpus import recipe, write_corpus

from featurestore.corpus.catalog import find_manifest
from pipelines.build.run import build
from pipelines.ingest.ingest import ingest
from pipelines.workers.pool import Workers


def test_rows_of_a_fresh_store_are_all_computed_although_some_recordings_are_cut(store, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 97))
    for path in sorted(folder.iterdir())[::4]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    corpus = ingest(store, find_manifest(str(folder.with_suffix(".toml"))), folder, no_download)

    report = build(store, corpus, recipe(1), workers=Workers(1))

    assert len(report.rejected) == 24
    assert (report.clean, report.augmented) == (72, 72)
    assert (report.computed, report.copied, report.reused) == (144, 0, 0)
    again = build(store, corpus, recipe(1), workers=Workers(1))
    assert (again.computed, again.copied, again.reused) == (0, 0, 144)
