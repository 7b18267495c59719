"""How to train: a frozen description that is written into every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.typed_values import check_fields
from models.batches.data_settings import DATA_CHOICES, DATA_TABLES, DataSettings, check_data, used_data_fields
from models.batches.padding import SIDES
from models.optimisation.settings import (
    LARGEST_COUNT,
    MONITORS,
    OPTIMISATION_CHOICES,
    TABLES,
    OptimisationSettings,
    changed_fields,
    check_optimisation,
)

CHOICES = {
    **OPTIMISATION_CHOICES,
    **DATA_CHOICES,
    "padding": SIDES,
    "batch_norm": ("population", "moving"),
    "keep": ("last", "best"),
    "monitor": MONITORS,
    "precision": ("auto", "float32", "bfloat16"),
    "shuffle": ("auto", "global", "blocks"),
    "residence": ("auto", "none", "ram", "gpu"),
}


@dataclass(frozen=True, slots=True)
class TrainingSpec(OptimisationSettings, DataSettings):
    """Every setting of a training; the defaults are those of system A (the MathWorks example).

    Optimiser, schedule and loss are fields too, see `OptimisationSettings`; so are normalisation, repetition and
    masks, see `DataSettings`.
    """

    epochs: int = 3
    """Passes over the training side."""
    batch_size: int = 32
    """Clips in a step of the optimiser."""
    learning_rate: float = 0.005
    """The first learning rate; see `schedule`, and `modules` for rates of single modules."""
    drop_factor: float = 0.1
    """The learning rate is multiplied by this after every `drop_epochs` epochs, or on a plateau, see `schedule`."""
    drop_epochs: int | str = "auto"
    """0 never drops it; `auto` does so once, after two thirds of the epochs (2 of 3, as the source)."""
    l2: float = 5e-4
    """Added to the gradient times the weights; biases and batch-norm parameters are left alone."""
    clip_norm: float = 0.0
    """Largest norm of the gradient; 0 does not clip."""
    padding: str = "left"
    """`left` (the source), `right`, or `joined`: clips of a batch lie one after the other on one time axis, which gives
    the same result without padding, for models that can read it so."""
    bucket_batches: int = 0
    """Batches in a pool that is sorted by length: less padding, but a batch then has fewer classes and recordings, and
    training is worse for it. 0 shuffles only, as the sources do."""
    balance: bool = False
    """Repeat rows of smaller classes until all classes are equal."""
    drop_last: bool = False
    """Leave out the rows that fill no batch, as the source's software does."""
    batch_norm: str = "population"
    """Statistics for inference: `population` measures them anew for the last epoch, as the source's software does, and
    before each validation that decides anything, see `deciding`; `moving` keeps the moving average."""
    population_batches: int = 0
    """Batches to measure the population with; 0 takes the whole training side."""
    keep: str = "last"
    """`last` epoch (the source) or the `best` by the validation figure `monitor`."""
    monitor: str = "loss"
    """`loss`, `accuracy` or `uar` on the validation side."""
    patience: int = 0
    """Stop after this many epochs without a better `monitor`; 0 never stops early."""
    seed: int = 0
    """Draws the first weights and the order of batches."""
    precision: str = "auto"
    """`float32`, `bfloat16` (autocast) or `auto`: bfloat16 where the device computes it natively."""
    channels_last: bool = True
    """Memory layout of images; about a third faster on CPUs."""
    checkpoint_minutes: float = 10.0
    """Write a checkpoint when this much time has passed, besides one after each epoch; 0 only after epochs."""
    shuffle: str = "auto"
    """`global`: any row can follow any other; `blocks`: rows of a few shards at a time, see `batches.samplers`; `auto`:
    blocks where shards are fetched from a remote store and do not all fit into memory. Settled when a run begins."""
    residence: str = "auto"
    """Where rows are held: `none` (they are read from the store), `ram`, `gpu`, or `auto`: on a GPU if they fit, in RAM
    if they fit and the store is remote. It changes no bit of a batch."""
    compile: bool = False
    """Translate the model with `torch.compile`, which takes minutes at the start; rounding differs."""

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UnknownNameError(name, str(getattr(self, name)), known)
        check_fields(self, "training", skip=(*TABLES, *DATA_TABLES))
        self._check_ranges()
        check_optimisation(self)
        check_data(self, self.balance)

    def _check_ranges(self) -> None:
        numbers = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        counts = [value for name, value in numbers.items() if type(value) is int and name != "seed"]
        rules = (
            (max(counts) <= LARGEST_COUNT, f"whole numbers must not be above {LARGEST_COUNT:,}, the seed's apart"),
            (self.epochs >= 1 and self.batch_size >= 1, "epochs and batch_size must be at least 1"),
            (0 < self.learning_rate < 100, "learning_rate must lie between 0 and 100"),
            (0 < self.drop_factor <= 1, "drop_factor must lie within 0 and 1"),
            (
                self.drop_epochs == "auto" if isinstance(self.drop_epochs, str) else self.drop_epochs >= 0,
                "drop_epochs must be auto or a whole number, not negative",
            ),
            (min(self.l2, self.clip_norm, self.checkpoint_minutes) >= 0, "l2, clip_norm, minutes must not be negative"),
            (
                min(self.bucket_batches, self.population_batches, self.patience, self.seed) >= 0,
                "bucket_batches, population_batches, patience and seed must not be negative",
            ),
        )
        for holds, rule in rules:
            if not holds:
                raise SpecError(f"training: {rule}.")

    @property
    def deciding(self) -> list[str]:
        """The settings by which the validation side decides what is learnt or kept, in words."""
        by = {
            "keep best": self.keep == "best",
            "patience": self.patience > 0,
            "schedule plateau": self.schedule == "plateau",
        }
        return [setting for setting, decides in by.items() if decides]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return dataclasses.asdict(self)

    def decisive(self) -> dict[str, Any]:
        """Return the fields that a result depends on; those that came later count where they change something."""
        fields = self.to_dict()
        without = {"residence", "gradient_norms"}
        without |= {field.name for field in dataclasses.fields(OptimisationSettings)} - changed_fields(self)
        without |= {field.name for field in dataclasses.fields(DataSettings)} - used_data_fields(self)
        without |= set() if self.compile else {"compile"}
        without |= set() if self.shuffle == "blocks" else {"shuffle"}
        return {name: value for name, value in fields.items() if name not in without}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingSpec:
        """Read fields as written by `to_dict`; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise UnknownNameError("training field", name, known)
        return cls(**fields)
