"""A store and a dictionary go through the same random history; whatever happens, a row is right or an error."""

from __future__ import annotations

import hashlib
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from injuries import flip, foreign, lengthen, remove, swap, truncate
from scale import LONG
from tiny_corpus import build_here, file_name, recipe, tone, tree, write_corpus

from featurestore.errors import DamagedObjectError, FeatureStoreError
from featurestore.integrity.collect import collect
from featurestore.integrity.verify import verify
from featurestore.store import Store, open_store
from pipelines.compact import compact
from pipelines.repair import repair

NUMBERS = st.integers(1, 9)
COPIES = st.sampled_from([0, 2, 26, 28])
MELS = st.sampled_from([6, 8])


class StoreMachine(RuleBasedStateMachine):
    """The model: which tones the corpus has under which names, what was built, and the right bytes of each row."""

    @initialize()
    def begin(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="chaos-"))
        self.folder = write_corpus(self.place / "tiny", [1, 2, 3])
        self.files = {file_name(number): number for number in (1, 2, 3)}
        self.wanted = (2, 8)
        self.built: dict[str, str] | None = None
        self.standing: set[tuple[int, int, int]] = set()
        self.right: dict[tuple[int, int, int], bytes] = {}
        self.damaged = False
        self.sound: dict[str, bytes] = {}
        """The files before the first of the injuries that stand."""
        self.forgotten = False
        """A name was deleted; if its dataset has another one, that is what forgetting looks like."""

    def teardown(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    @property
    def store(self) -> Store:
        return open_store(self.place / "store")

    def rows(self) -> set[tuple[int, int, int]]:
        """The rows (mels, tone, copy) that a build of the present recipe has."""
        copies, mels = self.wanted
        return {(mels, number, copy) for number in self.files.values() for copy in range(copies + 1)}

    @rule(number=NUMBERS)
    def add_file(self, number: int) -> None:
        if file_name(number) not in self.files:
            (self.folder / file_name(number)).write_bytes(tone(number))
            self.files[file_name(number)] = number

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def remove_file(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / name).unlink()
        del self.files[name]

    @rule(data=st.data(), speaker=st.sampled_from("xyz"), label=st.sampled_from(["up", "down", "calm"]))
    def rename_or_relabel(self, data: st.DataObject, speaker: str, label: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        new = f"{speaker}_{label}_{self.files[name]}.wav"
        if new not in self.files:
            (self.folder / name).rename(self.folder / new)
            self.files[new] = self.files.pop(name)

    @rule(copies=COPIES)
    def grow_or_shrink(self, copies: int) -> None:
        self.wanted = (copies, self.wanted[1])

    @rule(mels=MELS)
    def change_features(self, mels: int) -> None:
        self.wanted = (self.wanted[0], mels)

    @rule(second=st.booleans())
    def build(self, second: bool) -> None:
        copies, mels = self.wanted
        try:
            digest, computed = build_here(self.store, self.folder, recipe(copies, mels))
        except FeatureStoreError:
            assert self.damaged
            return
        missing = self.rows() - self.standing
        if not self.damaged:
            assert computed == len(missing)
        if second:
            again = build_here(self.store, self.folder, recipe(copies, mels), name="second")
            assert (again[0], again[1] if not self.damaged else 0) == (digest, 0)
        self.standing |= self.rows()
        self.built = {name: str(number) for name, number in self.files.items()}
        self.learn(mels)

    def learn(self, mels: int) -> None:
        """Take the right bytes of new rows from a store that only ever built this."""
        copies, _ = self.wanted
        if any(row not in self.right for row in self.rows()):
            fresh = open_store(self.place / "fresh")
            build_here(fresh, self.folder, recipe(copies, mels))
            view = fresh.view("tiny")
            for position in range(len(view)):
                number = int(view.paths[position].rpartition("_")[2].removesuffix(".wav"))
                self.right[mels, number, int(view.copies[position])] = view[position][0].tobytes()

    @precondition(lambda self: self.built)
    @rule(seed=st.integers(0, 1 << 30), injury=st.sampled_from([flip, truncate, lengthen, remove, swap, foreign]))
    def injure(self, seed: int, injury) -> None:
        root = self.place / "store"
        files = sorted(path for path in root.rglob("*") if path.is_file())
        before = tree(self.store)
        if not self.damaged:
            self.sound = before
        injured = injury(random.Random(seed), root, files).split(" ")
        after = tree(self.store)
        keys = [key for key in injured if after.get(key) != self.sound.get(key)]
        if not keys:
            return  # the same bit flipped twice is no injury
        found = [key for key, _ in verify(self.store).damaged]
        if not (injury is remove and self.is_garbage(keys[0], before)):
            assert any(key.startswith(tuple(found)) for key in keys) if found else False, (injury.__name__, keys)
        self.damaged = True
        self.forgotten = self.forgotten or (keys == ["refs/tiny.json"] and injury is remove)

    def is_garbage(self, key: str, before: dict[str, bytes]) -> bool:
        """Tell whether nothing needed an object: its loss is no damage."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        for name, data in before.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(data)
        try:
            garbage = {name for name, _ in collect(open_store(copy), grace=0).objects}
        except DamagedObjectError:
            return True  # a root was damaged before, so nobody can tell
        return key in garbage or key.startswith("refs/")

    @precondition(lambda self: self.built)
    @rule()
    def mend(self) -> None:
        """Repair, and put right by a fresh start what repair says it cannot mend."""
        report = repair(self.store, source=self.folder)
        assert [key for key, _ in report.left] == [key for key, _ in verify(self.store).damaged]
        if report.left or (self.forgotten and "tiny" not in self.store.names()):
            shutil.rmtree(self.place / "store")
            self.standing, self.built = set(), None
        else:
            self.count_standing()
        self.damaged = self.forgotten = False

    def count_standing(self) -> None:
        """Find out which rows stand: a repair may have removed damaged shards that nothing needed."""
        numbers = {hashlib.sha256(tone(number)).hexdigest(): number for number in range(10)}
        self.standing = set()
        store = self.store
        for spec in store.storage.children("shards"):
            for name in store.storage.children(f"shards/{spec}"):
                record = store.record(f"shards/{spec}/{name}")
                mels = record.spec.features.mels
                self.standing |= {(mels, numbers[content], copy) for content, copy in record.row_keys()}

    @precondition(lambda self: self.built and not self.damaged)
    @rule()
    def forget_old_and_collect(self) -> None:
        """Afterwards the store is that of a fresh build of the named dataset."""
        store = self.store
        if "second" in store.names():
            store.forget("second")
        keep = store.reference("tiny").dataset
        for dataset in store.dataset_ids():
            if dataset != keep:
                store.forget(dataset)
        compact(self.store)
        collect(self.store, grace=0, delete=True)
        view = self.store.view("tiny")
        self.count_standing()
        assert len(self.standing) == len(set(zip(view.contents, view.copies.tolist(), strict=True)))
        assert verify(self.store).damaged == []

    @invariant()
    def every_row_is_right_or_an_error(self) -> None:
        if not getattr(self, "built", None):
            return
        for name in ("tiny", "second"):
            try:
                view = self.store.view(name)
            except FeatureStoreError:
                assert self.damaged or name == "second"
                continue
            for position in range(len(view)):
                number = int(view.paths[position].rpartition("_")[2].removesuffix(".wav"))
                try:
                    row, label = view[position]
                except DamagedObjectError:
                    assert self.damaged
                    continue
                assert row.tobytes() == self.right[view.features.mels, number, int(view.copies[position])]
                assert label == view.paths[position].split("_")[1]


StoreMachine.TestCase.settings = settings(
    max_examples=100 if LONG else 6,
    stateful_step_count=30 if LONG else 12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),  # shrinking such histories takes longer than reading them
    print_blob=True,
)
TestAStoreAndADictionaryThroughTheSameHistory = StoreMachine.TestCase
