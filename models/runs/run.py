"""A run folder: what was trained, how, on what, and with which result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from featurestore.checksummed_json import digest
from featurestore.errors import MissingObjectError, SpecError, UnknownNameError
from featurestore.showing import brief, html_table
from featurestore.specs.features import FeatureSpec
from featurestore.typed_values import check_fields, typed
from models.batches.normalisation import Normalisation, describe_normalisation
from models.errors import CheckpointError, DamagedCheckpointError, RunError
from models.figures import concordance
from models.figures.metrics import DISPLAY, tracked_in
from models.networks import MODELS, build_model
from models.runs.checkpoint import (
    PICKLES,
    file_digest,
    read_json,
    read_tensors,
    refuse_pickle,
    write_json,
    write_tensors,
)
from models.runs.records import read_history
from models.training_spec import BEFORE, TrainingSpec

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView

BASELINES = ("svm-linear", "svm-rbf", "logistic")
"""Models that are no networks: classifiers of functionals, whose runs keep no weights (`models.baselines`)."""
OF_BASELINES = ("normalisation", "class_weights")
"""The fields of a training that a baseline has."""
STATISTICS = "normalisation"
"""Metadata entry, and the start of the names of the statistics' tensors; no module of a model is called so."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that is needed to repeat a run."""

    model: str
    settings: Mapping[str, Any]
    """The model's own settings."""
    training: TrainingSpec
    classes: tuple[str, ...]
    """Label names in the order of the model's outputs; none where dimensions are learnt."""
    bands: int
    dataset: Mapping[str, Any]
    """Name, digest, table of labels, feature and augmentation spec."""
    split: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows of each side."""
    items: Mapping[str, str] = field(default_factory=dict)
    """The sha256 of the rows of each side, with their labels; older runs record none."""
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    """`frames`: those of the shortest and the longest clip of the training side; older runs record none."""
    leaks: Mapping[str, Any] = field(default_factory=dict)
    """`declared`: kinds that are allowed; `found`: what each kind shares between sides."""
    normalisation: Mapping[str, Any] = field(default_factory=dict)
    """How the training normalises, in words: `kind, moments, fitted_on, leakage`."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """The recipe as it was read, if one was."""
    versions: Mapping[str, str] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    """What `models.runs.provenance.describe_provenance` returned when it began; older runs record none."""
    dimensions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Dimensions in the order of the model's outputs, with `mean` and `deviation` on the training side; none where
    classes are learnt."""
    sexes: Mapping[str, str] = field(default_factory=dict)
    """The sex of each speaker of the dataset of whom it is known; older runs record none."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
            "training": self._own(self.training.to_dict()),
            "classes": list(self.classes),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RunConfig:
        """Read the JSON form; `CheckpointError` if a field is missing or too many."""
        try:
            fields = dict(document)
            training = TrainingSpec.from_dict({**BEFORE, **fields.pop("training")})
            fields.setdefault("normalisation", describe_normalisation(training))
            config = cls(training=training, classes=tuple(fields.pop("classes")), **fields)
            check_fields(config, "its fields")
            for name, kind in (("name", str), ("digest", str), ("features", dict)):
                typed(config.dataset.get(name), kind, f"dataset.{name}")
            for name, one in config.dimensions.items():
                if not {"mean", "deviation"} <= one.keys() or not one["deviation"] > 0:
                    raise SpecError(f"dimension {name!r:.60} has no mean and deviation")
            if tuple(config.dimensions) != training.dimensions:
                raise SpecError(f"its target is {training.target!r:.60}, and its dimensions are others")
        except (KeyError, TypeError, SpecError) as error:
            raise CheckpointError(f"config.json does not describe a run ({error}).") from error
        return config

    @property
    def is_baseline(self) -> bool:
        """Whether the model is a classifier of functionals, not a network."""
        return self.model in BASELINES

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the model's outputs are about, in their order: classes or dimensions."""
        return self.classes or tuple(self.dimensions)

    def build(self, seed: int = 0) -> nn.Module:
        """Build the network with its first weights."""
        regression = bool(self.dimensions)
        return build_model(self.model, len(self.outputs), self.bands, seed=seed, regression=regression, **self.settings)

    def training_settings(self) -> dict[str, Any]:
        """Return the settings of the training that the result depends on."""
        return self._own(self.training.decisive())

    def _own(self, training: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a training that this one has."""
        return {name: training[name] for name in OF_BASELINES if name in training} if self.is_baseline else training

    @property
    def id(self) -> str:
        """The sha256 of what a result depends on."""
        return digest(self.decisive())

    def decisive(self) -> dict[str, Any]:
        """Return what a result depends on: not versions, who made it, the recipe's text or what is recorded twice."""
        dataset = {name: value for name, value in self.dataset.items() if name != "table"}  # see `start_run`
        document = {**self.to_dict(), "training": self.training_settings(), "dataset": dataset}
        left_out = {"versions", "made", "sexes", "recipe", "normalisation", "trained_on"} | (
            set() if self.items else {"items"}
        )
        left_out |= set() if self.dimensions else {"dimensions"}
        return {name: value for name, value in document.items() if name not in left_out}

    @property
    def features(self) -> FeatureSpec:
        """The features that the model was trained on."""
        return FeatureSpec.from_dict(self.dataset["features"])


@dataclass(frozen=True)
class Run:
    """A finished run, its model with the trained weights, in evaluation mode on the CPU."""

    folder: Path
    config: RunConfig
    summary: Mapping[str, Any]
    model: nn.Module
    normalisation: Normalisation | None = None
    """What the model's features are normalised by."""

    def __repr__(self) -> str:
        return brief("Run", str(self.folder), *(f"{name} {value}" for name, value in self._lines()[:3]))

    def _repr_html_(self) -> str:
        return html_table(f"Run {self.folder}", self._lines())

    def _lines(self) -> list[tuple[str, object]]:
        """Return what there is to see of a run, the most important first."""
        test, shown = self.summary.get("test") or {}, {**DISPLAY, **concordance.DISPLAY}
        figures = [
            f"{shown[name]} {test[name]:.3f}"
            for name in reversed(tracked_in(test))
            if isinstance(test.get(name), float)
        ]
        return [
            ("model", self.config.model),
            ("dataset", self.config.dataset["name"]),
            ("test", ", ".join(figures)),
            ("split", self.config.split),
            ("dimensions" if self.config.dimensions else "classes", ", ".join(self.config.outputs)),
            ("epochs", self.summary.get("epochs")),
            ("normalisation", self.config.normalisation.get("kind")),
        ]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The metrics of each epoch."""
        return read_history(self.folder)


@dataclass(frozen=True)
class BaselineRun:
    """A finished baseline: what its folder says."""

    folder: Path
    config: RunConfig
    summary: Mapping[str, Any]

    @property
    def history(self) -> list[dict[str, Any]]:
        """No epochs."""
        return []


def start_run(folder: Path, config: RunConfig, *, resume: bool) -> bool:
    """Make the folder of a run, or open the one to resume; return whether that run is finished already.

    Raises
    ------
    RunError
        If the folder holds something and `resume` was not asked for, or holds a run of another configuration. A
        run that stopped before its first checkpoint is overwritten.
    """
    if not resume or _untrained(folder):
        if folder.exists() and any(folder.iterdir()) and not _untrained(folder):
            raise RunError(
                f"run folder {folder} exists: continue it with '--resume {folder}', or give another '--run'."
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "config.json", config.to_dict())
        return False
    before = read_config(folder)
    if not before.items:
        config = dataclasses.replace(config, items={})
    if before.id != config.id:
        raise RunError(f"run {folder} differs in {_difference(before, config)}: it cannot be resumed with that.")
    tables = {str(one.dataset.get("table", "")) for one in (before, config)} - {""}  # old runs name none
    if len(tables) > 1:
        raise RunError(
            f"run {folder} began with other labels of {config.dataset['name']}: it cannot be resumed with these."
        )
    return (folder / "summary.json").exists()


def _untrained(folder: Path) -> bool:
    """Tell whether a run was described there but never reached a checkpoint: such a folder can be started over."""
    return folder.is_dir() and [path.name for path in folder.iterdir()] == ["config.json"]


def _difference(before: RunConfig, now: RunConfig) -> str:
    old, new = before.decisive(), now.decisive()
    for name in ("training", "dataset", "settings"):
        for part in {**old[name], **new[name]}:
            if old[name].get(part) != new[name].get(part):
                return f"{name}.{part} ({old[name].get(part)!r} then, {new[name].get(part)!r} now)"
    for side in {**old.get("items", {}), **new.get("items", {})}:
        if old.get("items", {}).get(side) != new.get("items", {}).get(side):
            return f"the recordings or labels of the {side} side (another split, seed, table of sides, or vote)"
    name = next((name for name in old if old[name] != new.get(name)), "settings")
    return f"{name} ({old[name]!r} then, {new[name]!r} now)"


def read_config(folder: Path) -> RunConfig:
    """Read what a run folder trains; `RunError` if it is none."""
    if not (folder / "config.json").is_file():
        raise RunError(
            f"{folder} is no run folder: it has no config.json. Train with 'featurestore train --run {folder}'."
        )
    return RunConfig.from_dict(read_json(folder / "config.json"))


def load_run(folder: Path | str) -> Run:
    """Open a finished run; its weights are checked against the sha256 in its summary.

    Raises
    ------
    RunError
        If there is no run, or it is not finished.
    CheckpointError
        If the weights are of another model or a pickle; `DamagedCheckpointError` if their bytes changed.
    """
    folder = Path(folder)
    if folder.is_file():
        refuse_pickle(folder)
        raise RunError(f"{folder} is a file: give the run folder that holds it.")
    pickles = sorted(path for path in folder.glob("*") if path.suffix in PICKLES)
    if pickles and not (folder / "model.safetensors").exists():
        refuse_pickle(pickles[0])
    config = read_config(folder)
    refuse_baseline(config, folder)
    if not (folder / "summary.json").is_file():
        raise RunError(f"run {folder} is not finished: resume it with 'featurestore train --resume {folder}'.")
    summary = read_json(folder / "summary.json")
    model = config.build()
    normalisation = _load_weights(model, folder / "model.safetensors", config, str(summary.get("model_sha256")))
    return Run(folder, config, summary, model.eval(), normalisation)


def load_baseline(folder: Path) -> BaselineRun:
    """Open a baseline's run folder; `RunError` if it is not finished."""
    config = read_config(folder)
    if not (folder / "summary.json").is_file():
        raise RunError(f"baseline {folder} is not finished: run 'featurestore baseline' again, into another folder.")
    return BaselineRun(folder, config, read_json(folder / "summary.json"))


def refuse_baseline(config: RunConfig, folder: Path) -> None:
    """Raise `RunError` for a baseline, where a network is needed."""
    if config.is_baseline:
        raise RunError(
            f"{folder} is a baseline ({config.model}), which keeps no network: its predictions are in the folder, for "
            "'featurestore report' and 'compare'; it takes seconds to run again with 'featurestore baseline'."
        )


def _load_weights(model: nn.Module, path: Path, config: RunConfig, expected: str) -> Normalisation | None:
    """Load the weights that `write_model` wrote into a model; return the statistics stored with them, if any."""
    refuse_pickle(path)
    if file_digest(path) != expected:
        raise DamagedCheckpointError(f"{path}: its bytes are not those that the run wrote. Train again or restore it.")
    tensors, metadata = read_tensors(path)
    if metadata.get("model") != config.model or config.model not in MODELS:
        raise CheckpointError(f"{path}: weights of {metadata.get('model')!r}, not of {config.model!r}.")
    if metadata.get("config") != config.id:
        raise DamagedCheckpointError(f"{path}: belongs to another config.json. Restore the run folder or train again.")
    start, kind, normalisation = f"{STATISTICS}.", config.training.normalisation, None
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(start)}
    statistics = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    if STATISTICS in metadata or kind != "none":
        try:
            normalisation = Normalisation.restored(statistics, metadata.get(STATISTICS, ""))
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        if normalisation.kind != kind:
            raise CheckpointError(f"{path}: is normalised by {normalisation.kind}, but config.json has {kind}.")
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise CheckpointError(f"{path}: some of its weights are not finite. Train again.")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: does not fit the model {config.model} ({reason}).") from error
    return normalisation


def write_model(
    path: Path, weights: Mapping[str, Tensor], normalisation: Normalisation | None, metadata: Mapping[str, str]
) -> str:
    """Write weights and statistics into one file, so that neither is lost without the other; return its sha256."""
    if normalisation is None:
        return write_tensors(path, weights, metadata)
    named = {f"{STATISTICS}.{name}": tensor for name, tensor in normalisation.tensors().items()}
    return write_tensors(path, {**weights, **named}, {**metadata, STATISTICS: normalisation.described()})


def dataset_of(store: Store, described: Mapping[str, Any]) -> str:
    """Return the name of a run's dataset in a store: its own if that still refers to it, else `DIGEST@TABLE`.

    Rows with the same digest can have other labels under another scheme, so a run records the table of labels too.
    Older runs record none; for them the name counts if its digest is the same.

    Parameters
    ----------
    described : mapping
        `name`, `digest` and `table`, as of `describe_dataset`.
    """
    name, digest, table = (str(described.get(key, "")) for key in ("name", "digest", "table"))
    if name in store.names():
        reference = store.reference(name)
        if store.dataset(reference.dataset).digest == digest and table in ("", reference.table):
            return name
    return f"{digest}@{table}" if table else digest


def trained_view(store: Store, config: RunConfig) -> DatasetView:
    """Open the dataset of a run; `RunError` if its rows or its labels are no longer in the store."""
    name = str(config.dataset["name"])
    try:
        return store.view(dataset_of(store, config.dataset))
    except UnknownNameError as error:
        raise RunError(
            f"the dataset {name!r} that the run was trained on is not in {store.uri}: build it again, give "
            "the right --store, or name another with --dataset."
        ) from error
    except MissingObjectError as error:
        if not error.key.startswith("tables/"):
            raise
        raise RunError(
            f"the labels of {name!r} that the run was trained with are no longer in {store.uri}: build the "
            "corpus again as it was, or name a dataset with --dataset."
        ) from error
