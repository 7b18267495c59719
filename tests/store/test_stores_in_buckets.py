"""A store in a bucket through its life: built, grown, collected, mended, borrowed from, and left by the killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bucket_server import use
from faulty_proxy import faulty
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import StoreBusyError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.pages.show import png, show
from featurestore.storage import bucket_holders, bucket_listings
from featurestore.storage.bucket_requests import Requests
from featurestore.store import Store, open_store
from pipelines.experiments import baseline, report
from pipelines.exports import export
from pipelines.repair import repair


@pytest.fixture(autouse=True)
def short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_holders, "PERIOD", 0.3)
    monkeypatch.setattr(bucket_holders, "LOOK", 0.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", range(1, 9))


def objects(store: Store) -> dict[str, bytes]:
    return {key: store.storage.get(key) for key, _ in store.storage.walk()}


def test_a_store_in_a_bucket_holds_the_very_objects_of_one_in_a_folder(place, corpus, tmp_path):
    for store in (open_store(place), open_store(tmp_path / "local")):
        build_here(store, corpus, recipe(2))
        write_corpus(corpus, range(9, 11))
        build_here(store, corpus, recipe(3))
        write_corpus(corpus, range(1, 9))
        for number in (9, 10):
            next(corpus.glob(f"*_{number}.wav")).unlink()

    assert objects(open_store(place)) == objects(open_store(tmp_path / "local"))


def test_a_build_that_finds_all_rows_standing_asks_for_little(place, corpus, s3_server, monkeypatch, tmp_path):
    build_here(open_store(place), corpus, recipe(2))
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        assert build_here(open_store(place), corpus, recipe(2))[1] == 0
        after_a_build = proxy.requests.total()
        use(monkeypatch, proxy.address, tmp_path / "elsewhere")
        assert build_here(open_store(place), corpus, recipe(2))[1] == 0

    assert after_a_build < 60
    assert proxy.requests.total() - after_a_build < 60


def test_an_epoch_asks_once_for_each_shard_and_its_record_however_long_it_takes(
    place, corpus, s3_server, monkeypatch, tmp_path
):
    build_here(open_store(place), corpus, recipe(2))
    monkeypatch.setattr(bucket_listings._Listing, "is_young", False)  # as if a second had passed before each request
    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        asked: list[str] = []
        proxy.choose = lambda method, path, headers: asked.append(path)
        for again in range(2):
            view = open_store(place).view("tiny")
            shards = len(set(view.shards.tolist()))
            asked.clear()
            view.expect(range(len(view)))
            for row in range(len(view)):
                view[row]
            objects = sorted(path for path in asked if "list-type" not in path)
            assert len(objects) == len(set(objects)) == (0 if again else 2 * shards)
            assert len(asked) <= 2 * shards + 4

    assert shards > 2


def test_what_is_forgotten_is_collected_and_the_rest_stays(place, corpus, s3_server, monkeypatch, tmp_path):
    store = open_store(place)
    build_here(store, corpus, recipe(2), "one")
    build_here(store, corpus, recipe(2, mels=9), "two")
    store.forget("two")

    with faulty(s3_server) as proxy:
        use(monkeypatch, proxy.address, tmp_path / "cache")
        asked: list[tuple[str, str]] = []
        proxy.choose = lambda method, path, headers: asked.append((method, path))
        found = collect(open_store(place), grace=0, delete=True)
        use(monkeypatch, s3_server, tmp_path / "cache")

    assert len(found.objects) > 5
    removals = [number for number, (method, _) in enumerate(asked) if method == "POST"]  # at last its own sign of life
    since = asked[removals[-len(found.objects) - 1] :]
    assert not [path for _, path in since if "list-type" in path]  # one look at the names is enough
    assert collect(open_store(place), grace=0).objects == ()
    assert verify(open_store(place)).damaged == []
    assert open_store(place).names() == ["one"]


def test_nothing_is_collected_or_mended_while_another_process_builds(place, corpus):
    store = open_store(place)
    build_here(store, corpus, recipe(1))
    with bucket_holders.Holders(Requests(place)).hold(exclusive=False):
        with pytest.raises(StoreBusyError, match="in use by a running build"):
            collect(store, grace=0, delete=True)
        with pytest.raises(StoreBusyError, match="in use by a running build"):
            repair(store)


def test_damage_in_a_bucket_is_found_and_mended_though_copies_of_sound_objects_are_kept(place, corpus):
    store = open_store(place)
    build_here(store, corpus, recipe(2))
    before = objects(store)
    view = open_store(place).view("tiny")
    rows = [view[row][0].tobytes() for row in range(len(view))]
    requests = Requests(place)
    shards = sorted(key for key in before if key.startswith("shards/"))
    injured = [shards[0], shards[-1]]  # the data of one, the record of another
    injured.append(next(key for key in before if key.startswith("tables/")))
    for key in injured:
        flipped = bytearray(before[key])
        flipped[len(flipped) // 2] ^= 1
        requests.put(key, flipped)

    assert {key for key, _ in verify(open_store(place)).damaged} >= set(injured)
    assert [key for key, _ in repair(open_store(place)).left] == injured[2:]  # a table is the next build's
    build_here(open_store(place), corpus, recipe(2))
    assert objects(open_store(place)) == before
    view = open_store(place).view("tiny")
    assert [view[row][0].tobytes() for row in range(len(view))] == rows


def test_a_folder_on_top_of_a_bucket_writes_only_what_the_bucket_lacks(place, corpus, tmp_path):
    build_here(open_store(place), corpus, recipe(2))
    before = objects(open_store(place))

    layered = open_store(tmp_path / "own", place)
    digest, computed = build_here(layered, corpus, recipe(3), "more")

    assert computed == 8
    assert objects(open_store(place)) == before
    assert digest == build_here(open_store(tmp_path / "local"), corpus, recipe(3))[0]
    view = open_store(tmp_path / "own", place).view("more")
    assert sum(view[row][0].nbytes > 0 for row in range(len(view))) == 8 * 4


TELLING = {"config.json", "crossval.json", "summary.json"}
"""Files of a run that say where and how long it ran."""


def test_what_commands_make_of_a_dataset_is_the_same_from_a_bucket_and_from_a_folder(place, corpus, tmp_path):
    made = []
    for number, store in enumerate((open_store(place), open_store(tmp_path / "local"))):
        out = tmp_path / f"made-{number}"
        out.mkdir()
        build_here(store, corpus, recipe(2))
        view = store.view("tiny")
        for name in ("csv", "wav", "webdataset"):
            export(view, name, out / name)
        (out / "show.png").write_bytes(png(show(view, copies=(1,))))
        baseline("tiny", model="logistic", regularisation=1.0, store=store, folder=out / "baseline")
        report("tiny", store=store, out=out / "page.html", audio=True)
        files = (path for path in out.rglob("*") if path.is_file() and path.name not in TELLING)
        made.append({path.relative_to(out).as_posix(): path.read_bytes() for path in files})

    assert {name.partition("/")[0] for name in made[0]} == {
        "baseline",
        "csv",
        "page.html",
        "show.png",
        "wav",
        "webdataset",
    }
    assert made[0] == made[1]


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[4].split(":")
from featurestore.pages.show import png, show
from featurestore.storage import bucket_holders
bucket_holders.PERIOD, bucket_holders.SILENCE = 1.0, float(sys.argv[5])
from tiny_corpus import build_here, recipe
from featurestore.store import open_store
import pipelines.build.tasks as tasks
commit, left = tasks.commit_shard, [int(sys.argv[3])]
def dying(*arguments):
    left[0] -= 1
    if left[0] < 0:
        print("at it", flush=True)
        import time; time.sleep(600)
    return commit(*arguments)
tasks.commit_shard = dying
print(build_here(open_store(sys.argv[1]), Path(sys.argv[2]), recipe(2)), flush=True)
"""


def begun(place: str, corpus: Path, shards: int, silence: float = bucket_holders.SILENCE) -> subprocess.Popen[str]:
    """Start a build in a process of its own that stops at the write of a shard, and takes who is silent for gone."""
    command = [sys.executable, "-c", KILLED, place, corpus, str(shards), ":".join(sys.path), str(silence)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_build_whose_process_is_killed_is_ended_by_another_once_its_leases_lapse(place, corpus, tmp_path):
    wanted = build_here(open_store(tmp_path / "local"), corpus, recipe(2))
    for shards in (0, 1):
        child = begun(place, corpus, shards, silence=15)
        assert child.stdout.readline() == "at it\n"
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    child = begun(place, corpus, 1000, silence=15)
    told, _ = child.communicate(timeout=240)

    assert wanted[0] in told
    assert verify(open_store(place)).damaged == []
    assert objects(open_store(place)) == objects(open_store(tmp_path / "local"))
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in repr(objects(open_store(place)))


def test_builders_at_once_in_a_bucket_end_with_one_digest_and_the_objects_of_one(place, corpus, tmp_path):
    wanted, rows = build_here(open_store(tmp_path / "local"), corpus, recipe(2))
    told = [child.communicate(timeout=240)[0] for child in [begun(place, corpus, 1000) for _ in range(3)]]

    found = [re.search(r"'([0-9a-f]{64})', (\d+)", text) for text in told]
    assert [match and match[1] for match in found] == [wanted] * 3
    assert sum(int(match[2]) for match in found if match) >= rows
    assert objects(open_store(place)) == objects(open_store(tmp_path / "local"))
    assert Requests(place).entries("tmp") == {}
