"""A dataset as models see it: rows with labels, to be selected, split and read."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from featurestore import conversion
from featurestore.corpus import protocols
from featurestore.corpus.labels.schemes import soft_labels, under_scheme
from featurestore.corpus.protocols import labelled_under
from featurestore.corpus.speakers import sexes_of
from featurestore.corpus.splits.types import SIDE_BITS
from featurestore.datasets import DatasetRecord, Reference, corpora_of
from featurestore.dimensions import numbers_of
from featurestore.errors import SpecError
from featurestore.row_index import RowIndex, locate_rows
from featurestore.segments import segment_of
from featurestore.signal.arrays import LARGEST_MAX_SECONDS
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.features import FeatureSpec
from featurestore.tables import Table, Utterances

if TYPE_CHECKING:
    from featurestore.corpus.manifest import Scheme
    from featurestore.corpus.splits.types import Split
    from featurestore.datasets import ReadableStore
    from featurestore.row_engine import RowEngine
    from featurestore.signal.recordings import DecodedRecording

Triple = tuple["DatasetView", "DatasetView", "DatasetView"]


class DatasetView:
    """Rows with labels; selecting and splitting read nothing and copy nothing but indices.

    Rows are ordered by path, then by copy. Labels, speakers and splits live here and in the table alone, so that
    changing them computes nothing.
    """

    def __init__(self, store: ReadableStore, name: str, record: DatasetRecord, table: Table) -> None:
        self.store = store
        self.name = name
        self.digest = record.digest
        self.table = self._stored = table
        self.features: FeatureSpec = record.parts[0].spec.features
        self.augmentation: AugmentationSpec | None = next(
            (part.spec.augmentation for part in record.parts if part.spec.augmentation), None
        )
        self.bands = self.features.width
        """Values of a frame."""
        self._shards, self._index = locate_rows(store, record, table)
        self._whole = self._index

    _decoded: tuple[str, DecodedRecording] | None = None
    votes: Scheme | None = None
    """The scheme that made the labels of raters' votes, where these are learnt; see `featurestore.soft_labels`."""

    @classmethod
    def open(cls, store: ReadableStore, reference: Reference) -> DatasetView:
        """Open the dataset that a reference names."""
        return cls(store, reference.name, store.dataset(reference.dataset), store.table(reference.table))

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, row: int) -> tuple[NDArray[Any], str]: ...
    @overload
    def __getitem__(self, row: slice | Sequence[int] | Sequence[bool] | NDArray[Any]) -> DatasetView: ...
    def __getitem__(self, row: Any) -> tuple[NDArray[Any], str] | DatasetView:
        """Return the features of a row, `array [frames, bands]`, and its label; of several rows a view.

        Several rows are a slice, a mask `[rows]` of truth values, or positions: `view[view.copies == 0]`.
        """
        try:
            row = operator.index(row)
        except TypeError:
            return self.select(np.arange(len(self))[row] if isinstance(row, slice) else row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        features = np.empty((int(self.frames[row]), self.bands), self.features.dtype)
        self._shards[self.shards[row]].read_into(int(self._index.start[row]), features)
        return features, str(self.labels[row])

    def __repr__(self) -> str:
        return conversion.one_line(self)

    def _repr_html_(self) -> str:
        return conversion.notebook_table(self)

    def read(
        self, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool = False, fill: float = 0.0
    ) -> NDArray[np.int32]:
        """Read rows into a padded buffer and return their numbers of frames, `array [batch]`.

        Parameters
        ----------
        rows : array [batch]
            Positions in this view.
        out : array [batch, longest, bands]
            Of the storage type, overwritten; `longest` must be at least the frames of the longest row.
        left : bool
            Pad before the row instead of after it.
        fill : float
            Value of the padding.

        Raises
        ------
        ValueError
            If a row is longer than `out` has room for.
        DamagedObjectError
            If the bytes of a row are not sound; nothing wrong is ever returned.
        """
        lengths, longest = self.frames[rows], out.shape[1]
        if len(rows) and int(lengths.max()) > longest:
            raise ValueError(f"a row of {int(lengths.max())} frames does not fit into {longest}")
        shards, starts = self.shards[rows].tolist(), self._index.start[rows].tolist()
        for target, shard, start, length in zip(out, shards, starts, lengths.tolist(), strict=False):
            row = target
            if length < longest:
                split = longest - length if left else length
                padding, row = (target[:split], target[split:]) if left else (target[split:], target[:split])
                padding.fill(fill)
            self._shards[shard].read_into(start, row)
        return lengths

    @property
    def table_id(self) -> str:
        """Id of the table in the store that the view was opened with; a split's own labels do not change it."""
        return self._stored.id

    @property
    def copies(self) -> NDArray[np.int32]:
        """Copy index of each row; 0 is clean."""
        return self._index.copy

    @property
    def frames(self) -> NDArray[np.int32]:
        """Number of frames of each row."""
        return self._index.frames

    @property
    def shards(self) -> NDArray[np.int32]:
        """Number of the shard that holds each row."""
        return self._index.shard

    @property
    def row_index(self) -> RowIndex:
        """Where each row is, in the table and in the shards."""
        return self._index

    def expect(self, rows: Iterable[int]) -> None:
        """Tell a storage that fetches whole shards which rows are read next, in this order, so that it can begin."""
        if not self.random_access:
            numbers, first = np.unique(self.shards[np.fromiter(rows, np.int64)], return_index=True)
            self._shards.expect(numbers[np.argsort(first)].tolist())

    @property
    def random_access(self) -> bool:
        """Whether each row is read by itself; otherwise a whole shard is fetched for the first of its rows."""
        return self.store.storage.random_access

    @cached_property
    def _recordings(self) -> tuple[str, ...]:
        """Path of each recording in the table, whether rows of it are in the view or not."""
        return tuple(self.table.utterances.paths)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Path of each row's recording."""
        return tuple(map(self.table.utterances.paths.__getitem__, self._index.utterance.tolist()))

    @cached_property
    def contents(self) -> tuple[str, ...]:
        """The sha256 of each row's recording; of a segment with what it is of it (see `featurestore.segments`)."""
        return tuple(map(self.table.utterances.contents.__getitem__, self._index.utterance.tolist()))

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """Label of each row."""
        return np.array(self.table.utterances.labels, dtype=np.str_)[self._index.utterance]

    @cached_property
    def speakers(self) -> tuple[str | None, ...]:
        """Speaker of each row; None where it is unknown."""
        return tuple(map(self.table.utterances.speakers.__getitem__, self._index.utterance.tolist()))

    @cached_property
    def sexes(self) -> dict[str, str]:
        """The sex of each speaker of whom the corpus says it, such as `female` or `male`."""
        utterances = self.table.utterances
        return sexes_of(corpora_of(self.table.corpus), utterances.speakers, utterances.fields)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return what a dimension such as `valence` is of each row, `array [rows]`; see `featurestore.dimensions`."""
        return numbers_of(self.table, name)[self._index.utterance]

    def vote_shares(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """Return the share of the raters' voices that each class got, `array [rows, classes]`; each row sums to 1."""
        if self.votes is None:
            raise SpecError(f"dataset {self.name}: its votes are not counted: see 'featurestore.soft_labels'.")
        places, rows = np.unique(self._index.utterance, return_inverse=True)
        return soft_labels([self.table.utterances[place] for place in places], self.votes, classes)[rows]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of all labels in the table, sorted; equal on every side of a split."""
        return tuple(sorted(set(self.table.utterances.labels)))

    @cached_property
    def sounds(self) -> Mapping[str, str]:
        """The checksum of each recording's clean row, by content.

        It is equal for equal samples in any container, and for audio that the features do not distinguish, such as a
        copy with its sign changed: for a model that is the same leak.
        """
        clean = np.unique(self._whole.shard[self._whole.copy == 0]).tolist()
        self._shards.expect(clean, data=False)
        return {
            content: checksum
            for record in (self._shards[number].record for number in clean)
            for (content, copy), checksum in zip(record.row_keys(), record.checksums, strict=True)
            if copy == 0
        }

    def describe(self) -> dict[str, Any]:
        """Return what the dataset is made of, as JSON values; labels and speakers are counted over recordings."""
        return conversion.describe(self)

    def perturbation(self, row: int) -> Perturbation | None:
        """Return what was done to a row, None for a clean one; `SpecError` if another version drew it."""
        copy, record = int(self._index.copy[row]), self._shards[self.shards[row]].record
        if copy == 0 or record.spec.augmentation is None:
            return None
        record.spec.check_same_versions(("draw",))
        remark = record.remark_of.get(record.row_index(self.contents[row], copy), {})
        return draw(record.spec.augmentation, self.contents[row], copy).changed(remark)

    def waveform(self, row: int) -> NDArray[np.float32]:
        """Return the exact signal that a row was computed from, `array [time]`, synthesised again from its recording.

        It has the length that the features give every clip, if they give one. A VTLP warp acts on the spectrogram and
        is not in the signal. `SpecError` if this installation has other versions of what computed the row.
        """
        self._shards[self.shards[row]].record.spec.check_same_versions()
        return self._engine.waveform(self._recording(row), self.perturbation(row))

    def rate(self, row: int) -> int:
        """Return the samples a second of a row's signal."""
        return self.features.rate or self._recording(row).rate

    def _recording(self, row: int) -> DecodedRecording:
        """Return a row's recording, decoded; the last one is kept, as the copies of a recording follow each other."""
        content = self.contents[row]
        if self._decoded is None or self._decoded[0] != content:
            loaded = self._engine.load(self.store.original(content), segment_of(content), LARGEST_MAX_SECONDS)
            self._decoded = content, loaded
        return self._decoded[1]

    @cached_property
    def _engine(self) -> RowEngine:
        from featurestore.row_engine import RowEngine

        return RowEngine(self.features, self.augmentation, self.store.original)

    def select(self, rows: NDArray[Any]) -> DatasetView:
        """Return the view of some rows, given by position or by a mask `array [rows]` of truth values."""
        chosen = conversion.in_order_of_rows(rows, len(self))
        if chosen.ndim != 1 or (chosen.dtype.kind not in "biu" and chosen.size):
            raise TypeError(
                f"rows are chosen by a slice, a mask [{len(self)}] or positions, not by an array of {chosen.dtype} "
                f"{list(chosen.shape)}"
            )
        view = object.__new__(DatasetView)
        kept = ["store", "name", "digest", "table", "_stored", "features", "augmentation", "bands", "_shards", "_whole"]
        view.__dict__.update({name: getattr(self, name) for name in (*kept, "votes")})
        view._index = self._index.take(chosen if chosen.size else chosen.astype(np.int64))
        return view

    def split(self, name: str, *, seed: int = 0, clean_in_training: bool = False) -> Triple:
        """Return the training, validation and test views of a split such as `mathworks` or `shuffled`.

        Training takes the augmented copies if there are any (and copy 0 too with `clean_in_training`); validation
        and test take copy 0.
        """
        view = self.under(name)
        return view.sides(protocols.split(view.table.utterances, name, seed=seed), clean_in_training=clean_in_training)

    def folds(self, name: str, *, seed: int = 0, clean_in_training: bool = False) -> Iterator[Triple]:
        """Yield the three views of each fold of a protocol such as `loso`."""
        view = self.under(name)
        for fold in protocols.folds(view.table.utterances, name, seed=seed):
            yield view.sides(fold, clean_in_training=clean_in_training)

    def under(self, name: str) -> DatasetView:
        """Return the rows that take part in a split or protocol, with the labels that its scheme gives them.

        `SplitError` if it is a protocol of another corpus, or its scheme leaves nothing.
        """
        return self.taking(Utterances.of(labelled_under(name, self.table.utterances, self.table.corpus)))

    def under_scheme(self, scheme: Scheme) -> DatasetView:
        """Return the rows that take part in a label scheme, with its classes; `SplitError` if it leaves nothing."""
        return self.taking(Utterances.of(under_scheme(self.table.utterances, scheme)))

    def taking(self, chosen: Utterances) -> DatasetView:
        """Return the rows of some utterances of the table, with the labels that these have."""
        if chosen == self.table.utterances:
            return self
        places = {path: place for place, path in enumerate(chosen.paths)}
        moved = np.array([places.get(path, -1) for path in self.table.utterances.paths], np.int32)
        view = self.select(moved[self._index.utterance] >= 0)
        view.table = dataclasses.replace(self.table, utterances=chosen)
        view._index = dataclasses.replace(view._index, utterance=moved[view._index.utterance])
        return view

    def sides(self, split: Split, *, clean_in_training: bool = False, validation_copy: int = 0) -> Triple:
        """Return the three views of a split given by paths; `validation_copy` is the copy that validates."""
        side_bits = split.bits_of(self._recordings)[self._index.utterance]
        train, validation, test = (side_bits & bit > 0 for bit in SIDE_BITS.values())
        clean, augmented = self.copies == 0, self.copies > 0
        wanted = train & augmented if (train & augmented).any() else train & clean
        wanted |= train & clean & clean_in_training
        validates = validation & (self.copies == validation_copy)
        return self.select(wanted), self.select(validates), self.select(test & clean)

    def to_numpy(self, *, pad: str | None = None, fill: float = 0.0) -> NDArray[Any]:
        """Return the features of all rows as one array `[rows, frames, bands]` of the storage type, read at once.

        `view.frames` says how many frames of each row are real.

        Parameters
        ----------
        pad : str, optional
            `right` puts the padding behind each row, `left` before it; without it all rows must be equally long.
        fill : float
            Value of the padding.

        Raises
        ------
        SpecError
            If rows differ in length and `pad` is missing.
        """
        return conversion.to_numpy(self, pad, fill)

    def to_dask(self, *, pad: str | None = None, fill: float = 0.0) -> Any:  # noqa: ANN401 (a Dask array)
        """Return the array of `to_numpy` as one of Dask, read in parts of at most 32 MiB when they are needed."""
        return conversion.to_dask(self, pad, fill)

    def to_pandas(self, *, perturbations: bool = True) -> Any:  # noqa: ANN401 (a data frame)
        """Return what is known of each row as a data frame with a line a row, see `featurestore.conversion.metadata`.

        Its masks select rows: `view[table["perturbation.snr_db"] < 10]`. `MissingPackageError` without pandas.
        """
        return conversion.to_pandas(self, perturbations=perturbations)

    def to_xarray(self, *, pad: str = "right", fill: float = float("nan")) -> Any:  # noqa: ANN401 (a data set)
        """Return an `xarray.Dataset`: `features [row, frame, band]`, with what is known of rows, times and bands.

        Features are read when they are needed, as by `to_dask`; `.load()` reads all. `MissingPackageError` without
        xarray.
        """
        return conversion.to_xarray(self, pad=pad, fill=fill)

    def to_sklearn(
        self, *, functionals: Sequence[str] = ("mean", "std"), pad: str | None = None, fill: float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_] | None]:
        """Return `X, y, groups` for scikit-learn: values `[rows, values]`, labels and speakers.

        With `groups` a cross-validation such as `LeaveOneGroupOut` keeps the speakers of its sides apart, and with them
        the copies of a recording. It is None if the speaker of any row is unknown.

        Parameters
        ----------
        functionals : sequence of str
            Statistics over the frames of a row, computed in float64: `mean`, `std` (of the population), `min`, `max`,
            `median`. X holds all bands of the first, then those of the next.
        pad : str, optional
            `right` or `left`: no functionals, but the padded frames of each row behind one another, as of `to_numpy`.
        """
        return conversion.to_sklearn(self, functionals, pad, fill)

    def copies_of(self, paths: Collection[str]) -> DatasetView:
        """Return the view of all augmented copies of some recordings."""
        chosen = set(paths)
        known = np.array([path in chosen for path in self.table.utterances.paths], dtype=bool)
        return self.select(known[self._index.utterance] & (self.copies > 0))
