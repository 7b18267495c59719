"""What is not the store's: folders of the user, links out of a store, names that lead out of it, pipes and devices."""

from __future__ import annotations

import json
import os
import resource
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tiny_corpus import build_here, recipe, tree, write_corpus

from cli.main import run
from featurestore.datasets import Reference
from featurestore.errors import DamagedObjectError, FeatureStoreError, StorageError
from featurestore.files import read_regular
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.storage import open_storage
from featurestore.store import Store, open_store
from pipelines.repair import repair

OLD = time.time() - 3 * 86_400
CONTENT = "ab" * 32
PROJECTS = {
    "its own tmp": {"tmp/thesis.txt": "thesis"},
    "folders called as the store's": {
        "tmp/thesis.txt": "thesis",
        "sources/main.c": "int main;",
        "tables/results.csv": "a,b",
        "refs/library.json": "{}",
        "refs/corpora/list.json": "{}",
        "shards/1/a": "",
    },
    "a temporary file's name elsewhere": {"host-12-34.0": "text"},
    "a marker of somebody else": {"featurestore.json": "{}"},
    "a link for tmp": {},
}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built_once(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("built")
    build_here(open_store(place / "store"), write_corpus(place / "tiny", range(1, 4)), recipe(2))
    return place


@pytest.fixture
def built(built_once, tmp_path) -> tuple[Store, Path]:
    """A store and the folder of its corpus, both the test's own."""
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    return open_store(tmp_path / "store"), tmp_path / "tiny"


@pytest.mark.parametrize("project", PROJECTS)
@pytest.mark.parametrize("command", ["build", "gc", "repair", "verify"])
def test_a_folder_of_the_users_own_is_refused_and_left_as_it_is(tmp_path, capsys, project, command):
    folder = write_corpus(tmp_path / "tiny", range(1, 3))
    place = tmp_path / "project"
    place.mkdir()
    for name, text in PROJECTS[project].items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
        os.utime(place / name, (OLD, OLD))
    if project == "a link for tmp":
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "letter.txt").write_text("letter")
        os.utime(tmp_path / "victim" / "letter.txt", (OLD, OLD))
        (place / "tmp").symlink_to("../victim")
    before = files_of(tmp_path)
    arguments = {
        "build": ["build", str(folder.with_suffix(".toml")), "--source", str(folder), "--jobs", "1"],
        "gc": ["gc", "--delete", "--grace", "0"],
    }

    code = run([*arguments.get(command, [command]), "--store", str(place)])

    line = capsys.readouterr().err.strip()
    assert code == 1
    assert line.startswith("error:")
    assert "no store" in line
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("command", [["verify"], ["repair"], ["gc"], ["gc", "--delete"], ["gc", "--compact"]])
@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
def test_a_place_that_is_no_store_is_called_so_and_nothing_is_made(tmp_path, capsys, command, there):
    if there == "an empty folder":
        (tmp_path / "place").mkdir()
    before = sorted(tmp_path.rglob("*"))

    code = run([*command, "--store", str(tmp_path / "place")])

    assert code == 1
    assert "no store at" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dataset_of_no_store_is_not_just_unknown(tmp_path, capsys):
    assert run(["info", "emodb", "--store", str(tmp_path / "unmounted")]) == 1
    assert "no store at" in capsys.readouterr().err


def test_a_store_from_before_the_marker_is_known_by_its_objects_and_marked(built):
    store, folder = built
    marker = Path(store.uri) / "featurestore.json"
    before = tree(store)
    marker.unlink()

    assert verify(open_store(store.uri)).damaged == []
    assert not marker.exists()
    build_here(open_store(store.uri), folder, recipe(2))
    assert tree(store) == before


def test_what_a_killed_first_build_left_is_a_place_for_a_store(tmp_path):
    (tmp_path / "store" / "tmp").mkdir(parents=True)
    (tmp_path / "store" / "tmp" / "host-1-0123456789ab.3").write_bytes(b"{")
    (tmp_path / "store" / "sources").mkdir()

    assert open_storage(tmp_path / "store").put_if_absent(f"sources/{CONTENT}", b"1")


def test_foreign_files_in_a_store_are_reported_and_outlive_every_command(built):
    store, folder = built
    root = Path(store.uri)
    foreign = {"tmp/thesis.txt", "tmp/lease.notes", "sources/letter.wav", "tables/mine.csv", "refs/a b.json", "x/y/z"}
    for name in foreign:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine")
        os.utime(root / name, (OLD, OLD))

    build_here(open_store(root), folder, recipe(3))
    collect(open_store(root), grace=0, delete=True)
    report = repair(open_store(root))

    assert {key for key, _ in report.left} == {name for name in foreign if not name.startswith("tmp/")}
    assert all((root / name).read_text() == "mine" for name in foreign)


@pytest.mark.parametrize("linked", ["sources", "shards", "refs", "tmp"])
def test_nothing_is_written_or_deleted_behind_a_link(built, tmp_path, linked):
    store, folder = built
    root = Path(store.uri)
    shutil.move(root / linked, tmp_path / "elsewhere")
    (root / linked).symlink_to(tmp_path / "elsewhere")
    write_corpus(folder, [4])
    before = files_of(tmp_path / "elsewhere")

    with pytest.raises(StorageError, match="is a link"):
        build_here(open_store(root), folder, recipe(4))
    if linked != "tmp":
        found = [key for key, _ in verify(open_store(root)).damaged]
        assert linked in found
    store = open_store(root)
    store.storage.sweep()
    for key in [key for key in (f"sources/{CONTENT}", "refs/tiny.json") if key.startswith(linked)]:
        with pytest.raises(StorageError, match="is a link"):
            store.storage.delete(key)

    assert files_of(tmp_path / "elsewhere") == before
    assert len(open_store(root).view("tiny")) == 9


OUTSIDE = [
    "../outside",
    "/etc/passwd",
    "refs/../../outside",
    f"sources/../../{CONTENT}",
    f"sources/{CONTENT}/../../../x",
    f"sources/{CONTENT.upper()}",
    f"sources/{CONTENT}\n",
    "refs/../datasets/x.json",
    "refs/datasets/..json",
    "tables/x.json",
    "",
    ".",
    "tmp/host-1-0123456789ab.3",
]


@pytest.mark.parametrize("key", OUTSIDE)
@pytest.mark.parametrize("layered", [False, True])
def test_no_key_leads_out_of_a_store_in_any_operation(tmp_path, key, layered):
    open_storage(tmp_path / "base" / "store").put_if_absent(f"sources/{CONTENT}", b"1")
    storage = open_storage(tmp_path / "own" / "store")
    storage.put_if_absent(f"sources/{CONTENT}", b"1")
    if layered:
        storage = open_storage(f"{tmp_path}/own/store?base={tmp_path}/base/store")
    (tmp_path / "own" / "outside").write_text("private")
    before = files_of(tmp_path)
    operations = (
        lambda: storage.get(key),
        lambda: storage.read(key, 0, np.empty(1, np.uint8)),
        lambda: storage.size(key),
        lambda: storage.exists(key),
        lambda: storage.put_if_absent(key, b"2"),
        lambda: storage.adopt(key, tmp_path / "own" / "outside"),
        lambda: storage.replace(key, b"2"),
        lambda: storage.delete(key),
        lambda: storage.modified(key),
    )

    for operation in operations:
        with pytest.raises(DamagedObjectError, match="no object of a store"):
            operation()

    assert files_of(tmp_path) == before


def test_a_reference_that_names_a_dataset_elsewhere_deletes_nothing(built, tmp_path):
    store, _ = built
    victim = tmp_path / "victim" / "only"
    victim.mkdir(parents=True)
    (victim / "config.json").write_text("{}")
    table = store.reference("tiny").table
    evil = Reference("evil", "../../../victim/only/config", table)
    (Path(store.uri) / "refs" / "evil.json").write_bytes(evil.to_bytes())

    with pytest.raises(FeatureStoreError):
        open_store(store.uri).forget("evil")

    assert (victim / "config.json").read_text() == "{}"


def test_a_root_with_a_name_elsewhere_is_never_written_there(built, tmp_path):
    store, _ = built
    reference = store.reference("tiny")
    root = Path(store.uri)
    (tmp_path / "victim").mkdir()
    for dataset, name in ((reference.dataset, "../../victim/settings"), ("0" * 32, "settings")):
        planted = Reference(name, dataset, "chosen text")
        (root / "refs" / "datasets" / f"{dataset}.json").write_bytes(planted.to_bytes())
    (root / "refs" / "tiny.json").unlink()

    repair(open_store(root))

    assert list((tmp_path / "victim").iterdir()) == []


def special_file(kind: str, place: Path) -> None:
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "loop":
        place.symlink_to(place.name)
    elif kind == "folder":
        place.mkdir()
        (place / "inside").write_text("")
    else:
        with place.open("wb") as file:
            file.truncate(1 << 40)


@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "folder", "oversized"])
@pytest.mark.parametrize("which", ["refs", "refs/datasets", "refs/corpora", "datasets", "tables", "listings",
                                   "sources", "shards record", "shards data"])  # fmt: skip
def test_pipes_devices_and_oversized_objects_are_refused_before_they_are_read(built, capsys, kind, which):
    store, _ = built
    root = Path(store.uri)
    pattern = {"shards record": "shards/*/*/zarr.json", "shards data": "shards/*/*/c/0/0"}.get(which, f"{which}/*")
    place = next(path for path in sorted(root.glob(pattern)) if path.is_file())
    special_file(kind, place)
    capsys.readouterr()

    assert run(["verify", "--store", str(root)]) == 4
    assert place.relative_to(root).as_posix() in capsys.readouterr().err
    for command in (["ls"], ["info", "tiny"], ["gc", "--grace", "0", "--delete"], ["why", "tiny"]):
        code = run([*command, "--store", str(root)])
        err = capsys.readouterr().err
        assert code in (0, 1, 4)
        assert "Traceback" not in err
    assert os.path.lexists(place)


def test_of_a_file_over_its_limit_nothing_is_read(tmp_path):
    special_file("oversized", tmp_path / "terabyte")

    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="larger than 512,000,000 bytes"):
            read_regular(tmp_path / "terabyte", 512_000_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_pipe_that_nobody_names_is_reported(built, capsys):
    store, _ = built
    os.mkfifo(Path(store.uri) / "refs" / "x.json")

    assert run(["verify", "--store", store.uri]) == 4
    assert "refs/x.json" in capsys.readouterr().err
    assert run(["ls", "--store", store.uri]) == 4
    assert "refs/x.json" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 1, 700])
def test_shards_cut_short_while_they_are_read_end_in_a_line(built, kept):
    store, _ = built
    view = open_store(store.uri).view("tiny")
    rows = [view[row][0] for row in range(len(view))]
    for file in Path(store.uri).glob("shards/*/*/c/0/0"):
        os.truncate(file, kept)

    for row, sound in enumerate(rows):
        try:
            found = view[row][0]
        except DamagedObjectError as error:
            assert "ends before" in error.reason  # noqa: PT017
        else:
            assert np.array_equal(found, sound)


def test_a_store_that_is_moved_while_it_is_read_is_called_that(built, tmp_path):
    store, folder = built
    build_here(store, folder, recipe(2))
    view = open_store(store.uri).view("tiny")
    view[0]
    shutil.move(store.uri, tmp_path / "moved")

    with pytest.raises(StorageError, match="moved or removed, or its disk is not mounted"):
        view[len(view) - 1]
    Path(store.uri).mkdir()  # what stays of a disk that is not mounted
    with pytest.raises(StorageError, match="moved or removed"):
        build_here(store, folder, recipe(4))
    assert list(Path(store.uri).iterdir()) == []


def test_files_are_not_held_open(tmp_path):
    store = open_store(tmp_path / "store")
    build_here(store, write_corpus(tmp_path / "tiny", range(1, 9)), recipe(400))
    view = store.view("tiny")
    expected = [view[row][0] for row in range(len(view))]
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = [int(handle.name) for handle in Path("/proc/self/fd").iterdir()]  # other tests may have left many
    most = max(before) + 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, usual[1]))
    try:
        view = open_store(store.uri).view("tiny")
        assert all(np.array_equal(view[row][0], sound) for row, sound in enumerate(expected))
        kept = len(list(Path("/proc/self/fd").iterdir())) - len(before)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)

    assert len(view._shards) > 20
    assert kept <= most // 8


def test_json_of_a_verification_of_no_store_is_no_verdict(tmp_path, capsys):
    assert run(["verify", "--json", "--store", str(tmp_path / "no")]) == 1
    out = capsys.readouterr().out
    assert not out or "error" in json.loads(out)


def test_a_link_out_of_a_corpus_folder_is_rejected_by_name_and_never_kept(tmp_path, capsys):
    folder = write_corpus(tmp_path / "tiny", range(1, 4))
    (tmp_path / "key").write_text("PRIVATE")
    (tmp_path / "memo.wav").write_bytes((folder / "b_down_1.wav").read_bytes() + b"PRIVATE")
    (folder / "a_up_77.wav").symlink_to("../key")
    (folder / "a_up_78.wav").symlink_to(tmp_path / "memo.wav")
    (folder / "a_up_79.wav").symlink_to("b_down_1.wav")
    arguments = ["--source", str(folder), "--jobs", "1", "--store", str(tmp_path / "store")]

    code = run(["build", str(folder.with_suffix(".toml")), *arguments])

    assert code == 3, capsys.readouterr().err
    rejected = {one.path: one.reason for one in open_store(tmp_path / "store").view("tiny").table.rejected}
    assert set(rejected) == {"a_up_77.wav", "a_up_78.wav"}
    assert all("leads out of" in reason for reason in rejected.values())
    kept = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"PRIVATE" in data for data in kept)


class CountingStorage:
    """Passes everything on to a real storage and counts the names that are read."""

    def __init__(self, storage):
        self._storage = storage
        self.names_read = 0

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def get(self, key):
        self.names_read += key.startswith("refs/")
        return self._storage.get(key)


def test_a_collection_reads_names_a_fixed_number_of_times_however_much_it_removes(built):
    store, _ = built
    reads = []
    for garbage in (5, 50):
        for number in range(garbage):
            store.storage.put_if_absent(f"sources/{number:064x}", b"x", durable=False)
        counting = CountingStorage(store.storage)
        assert len(collect(Store(counting), grace=0, delete=True).objects) == garbage
        reads.append(counting.names_read)

    assert reads[0] == reads[1]


def test_a_name_that_is_made_during_a_collection_keeps_what_it_needs(built):
    store, _ = built
    record, table = (lambda r: (store.dataset(r.dataset), store.table(r.table)))(store.reference("tiny"))
    store.forget("tiny")

    class Renaming(CountingStorage):
        """Publishes the dataset again as soon as the first object is gone."""

        def delete(self, key):
            self._storage.delete(key)
            if not store.names():
                for lost in (record, table):
                    store.storage.put_if_absent(lost.key, lost.to_bytes())
                for name in ("refs/late.json", f"refs/datasets/{record.id}.json"):
                    store.storage.replace(name, Reference("late", record.id, table.id).to_bytes())

    shard = f"shards/{'0' * 16}/{'0' * 32}/zarr.json"  # sorted before all others, so it goes first
    store.storage.put_if_absent(shard, b"{}")
    collect(Store(Renaming(store.storage)), grace=0, delete=True)

    assert verify(open_store(store.uri)).damaged == []
    assert len(open_store(store.uri).view("late")) == 9


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_store_that_may_not_be_read_is_an_error_and_never_sound(built):
    store, _ = built
    Path(store.uri).chmod(0o700)
    child = os.fork()
    if child == 0:
        try:
            os.setgid(4242)
            os.setuid(4001)
            codes = [run([*words, "--store", store.uri]) for words in (["verify"], ["ls"], ["info", "tiny"], ["gc"])]
            os._exit(0 if codes == [1, 1, 1, 1] else 9)
        except BaseException:
            os._exit(8)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
