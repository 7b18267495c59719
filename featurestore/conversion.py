"""A view as other libraries take it: NumPy, Dask, `X, y, groups` of scikit-learn, pandas, xarray, notebooks.

Rows have different numbers of frames. An array of them is padded, or holds functionals, statistics of each band over
time. None of these libraries is imported before it is asked for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from featurestore.checksummed_json import canonical_json
from featurestore.errors import MissingPackageError, SpecError, UnknownNameError
from featurestore.features import FEATURES
from featurestore.features.kind import SpectralKind
from featurestore.perturbations import PERTURBATIONS
from featurestore.showing import brief, counted, html_table, spelled_counts
from featurestore.signal.mel import mel_corners
from featurestore.typed_values import check_listed

if TYPE_CHECKING:
    from featurestore.row_index import RowIndex
    from featurestore.specs.augmentation import AugmentationSpec, Perturbation
    from featurestore.specs.features import FeatureSpec
    from featurestore.tables import Table

PADDING_SIDES = ("right", "left")
"""Where padding goes: behind a row, or before it."""
FUNCTIONALS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": lambda frames: frames.mean(0),
    "std": lambda frames: frames.std(0),
    "min": lambda frames: frames.min(0),
    "max": lambda frames: frames.max(0),
    "median": lambda frames: np.median(frames, 0),
}
"""Statistics over the frames of a row, `[frames, bands]` to `[bands]`; `std` is that of the population."""
CHUNK_BYTES = 32 * 2**20
"""Padded bytes that a task of Dask reads at most, unless one row has more."""


class View(Protocol):
    """What is converted; `featurestore.view.DatasetView` is one and describes its parts."""

    name: str
    digest: str
    table: Table
    features: FeatureSpec
    augmentation: AugmentationSpec | None
    bands: int

    def __len__(self) -> int: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Path of each row."""

    @property
    def contents(self) -> tuple[str, ...]:
        """Content id of each row."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each row."""

    @property
    def speakers(self) -> tuple[str | None, ...]:
        """Speaker of each row."""

    @property
    def copies(self) -> NDArray[np.int32]:
        """Copy of each row."""

    @property
    def frames(self) -> NDArray[np.int32]:
        """Frames of each row."""

    @property
    def row_index(self) -> RowIndex:
        """Where each row is."""

    def read(
        self, rows: NDArray[np.int64], out: NDArray[Any], *, left: bool = False, fill: float = 0.0
    ) -> NDArray[np.int32]:
        """Read rows into a padded buffer."""

    def perturbation(self, row: int) -> Perturbation | None:
        """Return what was drawn for a row."""


def library(name: str, extra: str = "") -> Any:  # noqa: ANN401 (a module)
    """Import a package that is not always installed; `MissingPackageError` says how to get it.

    Parameters
    ----------
    name : str
        The module, such as `pandas` or `dask.array`.
    extra : str
        The extra of this package that installs it; its own name if it has none.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        wanted = f"'featurestore[{extra}]'" if extra else name.partition(".")[0]
        package = name.partition(".")[0]
        raise MissingPackageError(f"this needs the package {package}: pip install {wanted}.") from error


def metadata(view: View, *, perturbations: bool = True) -> dict[str, list[Any]]:
    """Return what is known of each row of a view, a list of `[rows]` for each column.

    Parameters
    ----------
    perturbations : bool
        Take the parameters that were drawn for each copy too.

    Returns
    -------
    dict
        `path, copy, label, speaker, text, content, frames`; the fields of the corpus as `field.NAME`; and the
        parameters as `perturbation.NAME`, for what the dataset's policy has. None is what a row does not have.

    Raises
    ------
    SpecError
        If another version drew the parameters: leave them out, or build the dataset again.
    """
    known = view.table.utterances
    places = view.row_index.utterance.tolist()
    columns: dict[str, list[Any]] = {
        "path": list(view.paths),
        "copy": view.copies.tolist(),
        "label": view.labels.tolist(),
        "speaker": list(view.speakers),
        "text": [known.texts[place] for place in places],
        "content": list(view.contents),
        "frames": view.frames.tolist(),
    }
    fields = [dict(pairs) for pairs in known.fields]
    for name in dict.fromkeys(name for one in fields for name in one):
        columns[f"field.{name}"] = [fields[place].get(name) for place in places]
    return columns | (_drawn(view) if perturbations else {})


def _drawn(view: View) -> dict[str, list[Any]]:
    """Return the drawn parameters of each row by column; copies that a parameter is not applied to have None."""
    spec = view.augmentation
    if spec is None:
        return {}
    applied = [view.perturbation(row) for row in range(len(view))]
    columns: dict[str, list[Any]] = {}
    for name in spec.distributions:
        for field in (name, *(detail for detail, _ in PERTURBATIONS[name].details)):
            columns[field] = [getattr(one, field) if one and name in one.values else None for one in applied]
    for place, own in enumerate(spec.own):
        columns[own.function] = [one.own[place] if one else None for one in applied]
    return {f"perturbation.{name}": column for name, column in columns.items()}


def describe(view: View) -> dict[str, Any]:
    """Return what a dataset is made of, as JSON values; labels and speakers are counted over clean rows."""
    clean = view.copies == 0
    return {
        "dataset": view.name,
        "digest": view.digest,
        "corpus": view.table.corpus,
        "licence": view.table.licence,
        "citation": view.table.citation,
        "rows": len(view),
        "copies": int(view.copies.max()),
        "frames": {
            "min": int(view.frames.min()),
            "median": float(np.median(view.frames)),
            "max": int(view.frames.max()),
        },
        "labels": dict(sorted(Counter(view.labels[clean].tolist()).items())),
        "speakers": dict(sorted(Counter(speaker or "unknown" for speaker in compress(view.speakers, clean)).items())),
        "features": view.features.to_dict(),
        "augmentation": view.augmentation.to_dict() if view.augmentation else None,
        "rejected": [{"path": one.path, "reason": one.reason} for one in view.table.rejected],
    }


def one_line(view: View) -> str:
    """Return what a dataset is in a line."""
    return brief(
        "DatasetView",
        view.name,
        counted(len(view), "row"),
        counted(len(np.unique(view.row_index.utterance)), "recording"),
        counted(len(set(view.table.utterances.labels)), "class"),
        f"{view.features.kind} [frames, {view.bands}] {view.features.dtype}",
    )


def notebook_table(view: View) -> str:
    """Return what a dataset is as an HTML table; classes and speakers are counted over recordings."""
    shortest, longest = int(view.frames.min(initial=view.frames.max(initial=0))), int(view.frames.max(initial=0))
    first = np.unique(view.row_index.utterance, return_index=True)[1]
    lines = [
        ("corpus", view.table.corpus),
        ("recordings", f"{len(first):,}"),
        ("features", f"{view.features.kind} [{shortest:,} to {longest:,} frames, {view.bands}]"),
        ("augmentation", ", ".join(view.augmentation.distributions) if view.augmentation else "none"),
        ("classes", spelled_counts(dict(sorted(Counter(view.labels[first].tolist()).items())))),
        ("speakers", len({speaker for speaker in view.speakers if speaker is not None}) or "unknown"),
        ("licence", view.table.licence),
        ("citation", view.table.citation),
        ("digest", view.digest),
    ]
    return html_table(f"{view.name}: {counted(len(view), 'row')}", lines)


def in_order_of_rows(rows: Any, count: int) -> NDArray[Any]:  # noqa: ANN401 (positions, or a mask)
    """Return what chooses some of `count` rows as an array; a mask of pandas counts by its index, in any order.

    `TypeError` if that is not the index of the rows, as for a table that was cut.
    """
    chosen, index = np.asarray(rows), getattr(rows, "index", None)
    if chosen.dtype.kind != "b" or chosen.ndim != 1 or index is None or callable(index):
        return chosen
    places = np.asarray(index)
    if not np.array_equal(np.sort(places), np.arange(count)):
        raise TypeError(
            f"the index of the mask is not 0 to {count - 1:,}, the rows of the view: if it is in their order all the "
            "same, give mask.to_numpy()"
        )
    ordered: NDArray[Any] = chosen[np.argsort(places)]
    return ordered


def to_numpy(view: View, pad: str | None, fill: float) -> NDArray[Any]:
    """Read a view as one array, see `DatasetView.to_numpy`."""
    longest = _common_length(view, pad)
    out = np.empty((len(view), longest, view.bands), view.features.dtype)
    view.read(np.arange(len(view)), out, left=pad == "left", fill=fill)
    return out


def _common_length(view: View, pad: str | None) -> int:
    """Return the frames of the longest row; `SpecError` if rows differ and are not to be padded."""
    if pad is not None and pad not in PADDING_SIDES:
        raise UnknownNameError("side to pad", str(pad), PADDING_SIDES)
    shortest, longest = (int(end) for end in (view.frames.min(initial=2**31 - 1), view.frames.max(initial=0)))
    if pad is None and shortest < longest:
        raise SpecError(
            f"rows of {view.name!r} have {shortest:,} to {longest:,} frames and no common shape: give pad='right' or "
            "pad='left', or build them with '--set seconds=N'."
        )
    return longest


@dataclasses.dataclass(frozen=True)
class PaddedRows:
    """The rows of a view as an array `[rows, frames, bands]` that is read where it is sliced."""

    view: View
    left: bool
    fill: float
    shape: tuple[int, int, int]

    ndim = 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """The storage type."""
        return np.dtype(self.view.features.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:  # noqa: ANN401 (slices)
        rows, *rest = key if isinstance(key, tuple) else (key,)
        numbers = np.arange(len(self.view))[rows]
        out = np.empty((numbers.size, *self.shape[1:]), self.dtype)
        self.view.read(numbers.reshape(-1), out, left=self.left, fill=self.fill)
        return np.asarray((out if numbers.ndim else out[0])[(slice(None),) * numbers.ndim + tuple(rest)])


def to_dask(view: View, pad: str | None, fill: float) -> Any:  # noqa: ANN401 (a Dask array)
    """Return a view as an array that Dask reads in parts, see `DatasetView.to_dask`."""
    array = library("dask.array")
    longest = _common_length(view, pad)
    rows = PaddedRows(view, pad == "left", fill, (len(view), longest, view.bands))
    a_row = max(longest * view.bands * rows.dtype.itemsize, 1)
    chunks = (max(CHUNK_BYTES // a_row, 1), longest, view.bands)
    token = library("dask.base").tokenize(view.digest, *vars(view.row_index).values(), pad, fill)
    return array.from_array(rows, chunks, name=f"featurestore-{token}")


def to_pandas(view: View, *, perturbations: bool) -> Any:  # noqa: ANN401 (a data frame)
    """Return the metadata of a view as a data frame, see `DatasetView.to_pandas`."""
    pandas = library("pandas", "notebook")
    columns: dict[str, Any] = dict(metadata(view, perturbations=perturbations))
    for name, values in columns.items():
        if {type(one) for one in values} == {int, type(None)}:  # a key has 64 bits, of which a float loses 11
            columns[name] = pandas.array(values, dtype="UInt64")
    return pandas.DataFrame(columns)


def to_xarray(view: View, *, pad: str, fill: float) -> Any:  # noqa: ANN401 (a data set)
    """Return features and metadata of a view with named axes, see `DatasetView.to_xarray`."""
    xarray = library("xarray", "notebook")
    values = to_dask(view, pad, fill)
    known = metadata(view, perturbations=False)
    rows = {name: ("row", ["" if one is None else one for one in known[name]]) for name in known}
    axes: dict[str, Any] = {}
    features = view.features
    if features.rate and pad == "right" and isinstance(FEATURES[features.kind], SpectralKind):
        at = "centre" if features.centred else "start"
        times = np.arange(values.shape[1]) * features.hop_length / features.rate
        axes["time"] = ("frame", times, {"units": "s", "long_name": f"{at} of the window"})
    centres = band_centres(features)
    if centres is not None:
        axes["hertz"] = ("band", centres, {"units": "Hz", "long_name": "centre of the mel band"})
    attributes = {
        "dataset": view.name,
        "digest": view.digest,
        "corpus": view.table.corpus,
        "licence": view.table.licence,
        "citation": view.table.citation,
        "features": canonical_json(features.to_dict()),
    }
    return xarray.Dataset({"features": (("row", "frame", "band"), values)}, {**rows, **axes}, attributes)


def band_centres(features: FeatureSpec) -> NDArray[np.float64] | None:
    """Return the centre of each mel band in hertz, `array [bands]`; None for other features.

    Features that keep each file's own rate, and give no upper edge, have no bands in common either.
    """
    high = features.high_hz if features.high_hz is not None else features.rate and features.rate / 2
    if features.kind != "logmel" or not high:
        return None
    return mel_corners(features.mels, features.mel_scale, features.low_hz, high, np.log, np.exp)[1:-1]


def to_sklearn(
    view: View, functionals: Sequence[str], pad: str | None, fill: float
) -> tuple[NDArray[Any], NDArray[np.str_], NDArray[np.str_] | None]:
    """Return what estimators of scikit-learn take, see `DatasetView.to_sklearn`."""
    speakers = view.speakers
    groups = None if None in speakers else np.array(speakers, dtype=np.str_)
    if pad is not None:
        padded = to_numpy(view, pad, fill)
        return padded.reshape(len(view), -1).astype(np.float32), view.labels, groups
    check_listed("functionals", functionals, "['mean', 'std']")
    for name in functionals:
        if name not in FUNCTIONALS:
            raise UnknownNameError("functional", name, FUNCTIONALS)
    chosen = [FUNCTIONALS[name] for name in functionals]
    found = np.empty((len(view), len(chosen) * view.bands), np.float32)
    for row, out in enumerate(found):
        frames = np.empty((int(view.frames[row]), view.bands), view.features.dtype)
        view.read(np.array([row]), frames[None])
        frames = frames.astype(np.float64)
        out[:] = np.concatenate([one(frames) for one in chosen])
    return found, view.labels, groups
