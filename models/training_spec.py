"""How to train: a frozen description that is written into every run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.errors import SpecError, UnknownNameError
from featurestore.typed_values import check_fields, typed

LARGEST_COUNT = 2**31 - 1
"""The largest whole number of a setting but `seed`; nobody trains so long, and sums of them fit into 64 bits."""
MOST_TIMES = 1_000_000
"""How often an epoch can repeat rows of a label."""
MONITORS = ("loss", "accuracy", "uar", "ccc")
"""Metrics of the validation side that can be monitored: accuracy and UAR of classes, CCC of dimensions."""
CLASSES = ("label", "votes")
"""Targets that are classes; others are names of dimensions."""
PADDING_SIDES = ("left", "right", "joined")
"""Where a batch pads its clips; `joined` puts them one after the other instead."""
CHOICES = {
    "optimiser": ("adam", "adamw", "sgd", "sgd-beta"),
    "schedule": ("piecewise", "plateau", "cosine", "one-cycle", "constant"),
    "keep_monitor": ("", *MONITORS),
    "normalisation": ("none", "training", "everything", "speaker", "utterance"),
    "normalisation_moments": ("auto", "band", "single"),
    "padding": PADDING_SIDES,
    "batch_norm": ("population", "moving"),
    "keep": ("last", "best"),
    "monitor": MONITORS,
    "precision": ("auto", "float32", "bfloat16"),
    "shuffle": ("auto", "global", "blocks"),
    "residence": ("auto", "none", "ram", "gpu"),
}
MODULE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "learning_rate": (),
    "momentum": ("sgd", "sgd-beta"),
    "beta": ("sgd-beta",),
}
"""What a module can have of its own, and the optimisers that use it; all do where none is named."""
FROM_THE_START = (
    *("epochs", "batch_size", "learning_rate", "drop_factor", "drop_epochs", "l2", "clip_norm", "padding"),
    *("bucket_batches", "balance", "drop_last", "batch_norm", "population_batches", "keep", "monitor", "patience"),
    *("seed", "precision", "channels_last", "checkpoint_minutes"),
)
"""Fields that the first runs had; later ones are part of a run's identity only where they change something."""
BEFORE: Mapping[str, Any] = {"normalisation": "none"}
"""What trainings did before they could choose it, where that is not the default."""


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Every setting of a training; the defaults are those of system A (the MathWorks example)."""

    target: str = "label"
    """What is learnt: the class that is the `label`, by cross entropy; the raters' `votes`, by cross entropy with the
    share of the voices that each class got (soft labels); or dimensions, which are fields of numbers such as
    `valence,arousal,dominance`, by 1 - CCC (Lin 1989), the mean over dimensions for each batch."""
    normalisation: str = "training"
    """Features are brought to mean 0 and deviation 1 over `training` (the training side), `everything` (all sides: it
    sees the test side's features), each `speaker` (transductive: the test speakers' own rows), each `utterance`, or
    not at all (`none`)."""
    normalisation_moments: str = "auto"
    """One mean and deviation for each `band`, or a `single` one for all; `auto`: `single` for `everything` (Etienne et
    al. 2018), else `band`."""
    repeat: dict[str, int] = field(default_factory=dict, hash=False)
    """How often rows of a label come in an epoch, such as `{happiness = 2, anger = 2}` (Etienne et al. 2018); others
    come once."""
    copies_per_epoch: int = 0
    """Augmented copies of each utterance in an epoch, in turn: with 1, epoch e takes copy ((e - 1) mod N) + 1 of N.
    0 takes all of them. Clean rows that take part do so in every epoch."""
    spec_augment_frequency: int = 0
    """F of SpecAugment: the widest frequency mask, in bands; 0 masks none."""
    spec_augment_frequency_masks: int = 2
    """mF: frequency masks of a clip."""
    spec_augment_time: int = 0
    """T: the widest time mask, in frames; 0 masks none."""
    spec_augment_time_masks: int = 2
    """mT: time masks of a clip."""
    spec_augment_time_share: float = 0.2
    """p: no time mask is wider than this share of its clip."""
    optimiser: str = "adam"
    """`adam`, `adamw`, `sgd` (with `momentum`) or `sgd-beta`: Etienne et al. 2018, equation 6, with `momentum` and
    `beta`."""
    adam_beta1: float = 0.9
    """Adam's decay of the mean gradient."""
    adam_beta2: float = 0.999
    """Adam's decay of the mean squared gradient."""
    adam_eps: float = 1e-8
    """Added to the denominator of Adam's step."""
    momentum: float = 0.9
    """Momentum of both SGDs; 0 is plain SGD."""
    nesterov: bool = False
    """Nesterov's form of `sgd`: the gradient counts once more on top of the velocity."""
    beta: float = 1.0
    """The `b` of equation 6, `w = w - b v`: a factor of the step that the velocity does not accumulate."""
    modules: dict[str, dict[str, float]] = field(default_factory=dict, hash=False)
    """`learning_rate`, `momentum` or `beta` of single modules, by their name in the model, such as `recurrent` or
    `blocks.0`; the innermost name counts. Schedules act on all rates in proportion."""
    schedule: str = "piecewise"
    """`piecewise` (`drop_factor` after every `drop_epochs`), `plateau` (`drop_factor` after `plateau_patience` epochs
    without a better `monitor`), `cosine` (a half wave down to `least_rate`), `one-cycle` (up to `learning_rate` over
    30 % of the steps, then down to nothing) or `constant`."""
    plateau_patience: int = 3
    """`plateau` lowers the rate after this many epochs without a better `monitor`, and at the first for 0."""
    least_rate: float = 0.0
    """The lowest rate of the schedule."""
    warmup_epochs: int = 0
    """The rate rises in a straight line, step by step, over this many epochs first."""
    keep_monitor: str = ""
    """The metric that selects the `best` epoch, if not `monitor`, which then only stops; one that `monitor` takes."""
    class_weights: str | dict[str, float] = field(default="none", hash=False)
    """Weights of the classes in the loss: `none`, `balanced` (inverse frequency over the training side) or a table of
    labels; one that it leaves out has weight 1."""
    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes."""
    gradient_norms: bool = False
    """Record the norm of every layer's gradient. It changes no result."""
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
    """Added to the gradient times the weights; with `adamw`, taken from the weights times the rate. Biases and
    batch-norm parameters are left alone."""
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
    """`last` epoch (the source) or the `best` by the validation metric `monitor`."""
    monitor: str = "loss"
    """`loss`, `accuracy`, `uar` or, of dimensions, `ccc` on the validation side."""
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
        check_fields(self, "training", skip=("class_weights",))
        self._check_ranges()
        self._check_modules()
        self._check_labels()
        self._check_target()

    def _check_ranges(self) -> None:
        fields = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        numbers = {name: value for name, value in fields.items() if type(value) in (int, float)}
        negative = [name for name, value in numbers.items() if value < 0]
        counts = {name: value for name, value in numbers.items() if type(value) is int and name != "seed"}
        large = [name for name, value in counts.items() if value > LARGEST_COUNT]
        rules = (
            (not negative, f"{', '.join(negative)} must not be negative"),
            (not large, f"{', '.join(large)} must be a whole number of at most {LARGEST_COUNT:,}"),
            (self.epochs >= 1 and self.batch_size >= 1, "epochs and batch_size must be at least 1"),
            (0 < self.learning_rate < 100, "learning_rate must lie between 0 and 100"),
            (0 < self.drop_factor <= 1, "drop_factor must lie within 0 and 1"),
            (self.drop_epochs == "auto" or type(self.drop_epochs) is int, "drop_epochs must be auto or a whole number"),
            (
                max(self.adam_beta1, self.adam_beta2, self.momentum) < 1,
                "adam_beta1, adam_beta2 and momentum must lie within 0 and 1, and not be 1",
            ),
            (self.adam_eps > 0 and self.beta > 0, "adam_eps and beta must be above 0"),
            (not self.nesterov or self.momentum > 0, "nesterov needs momentum"),
            (self.label_smoothing < 1, "label_smoothing must lie within 0 and 1, and not be 1"),
            (self.spec_augment_time_share <= 1, "spec_augment_time_share must lie within 0 and 1"),
        )
        for holds, rule in rules:
            if not holds:
                raise SpecError(f"training: {rule}.")

    def _check_modules(self) -> None:
        for module, own in self.modules.items():
            for key, value in own.items():
                if key not in MODULE_FIELDS:
                    raise UnknownNameError(f"field of modules.{module}", key, MODULE_FIELDS)
                upper, users = 1 if key == "momentum" else 100, MODULE_FIELDS[key]
                if not 0 <= value < upper:
                    raise SpecError(
                        f"training: modules.{module}.{key} must be a number from 0 to {upper}, not {value}."
                    )
                if users and self.optimiser not in users:
                    raise SpecError(
                        f"training: modules.{module}.{key} needs optimiser {' or '.join(users)}, not {self.optimiser}: "
                        f"set optimiser or leave it out."
                    )

    def _check_labels(self) -> None:
        """Check the tables by label, `class_weights` and `repeat`; whether a dataset has the labels is seen later."""
        weights, place = self.class_weights, "training: class_weights"
        if isinstance(weights, Mapping):
            weights = typed(weights, dict[str, float], place)
            for label, weight in weights.items():
                if weight <= 0:
                    raise SpecError(f"{place}.{label} must be a number above 0, not {weight}.")
            object.__setattr__(self, "class_weights", weights)
        elif weights not in ("none", "balanced"):
            raise UnknownNameError("class_weights", str(weights), ("none", "balanced"), "Or give a table of labels.")
        for label, times in self.repeat.items():
            if not 1 <= times <= MOST_TIMES:
                known = f"a whole number from 1 to {MOST_TIMES:,}"
                raise SpecError(f"training: repeat.{label} must be {known}, not {times}.")
        if self.balance and self.repeat:
            raise SpecError("training: balance makes all classes equal: leave out balance or repeat.")

    def _check_target(self) -> None:
        """Refuse names that are none, and settings of labels where they are not learnt and the other way round."""
        names = self.dimensions
        if not all(names) or len(set(names)) < len(names):
            raise SpecError(f"training: target must name each dimension once, as valence,arousal, not {self.target!r}.")
        monitors = {self.monitor, self.keep_monitor} - {"", "loss"}
        wrong = sorted(monitors & {"accuracy", "uar"} if names else monitors & {"ccc"})
        if wrong:
            right = "ccc" if names else "accuracy or uar"
            raise SpecError(
                f"training: {wrong[0]} cannot be monitored for the target {self.target}: use {right} or loss."
            )
        of_labels = {
            "class_weights": self.class_weights != "none",
            "label_smoothing": self.label_smoothing > 0,
            "balance": self.balance,
            "repeat": bool(self.repeat),
        }
        for setting in (setting for setting, given in of_labels.items() if given and self.target != "label"):
            raise SpecError(f"training: {setting} is about labels, and the target is {self.target}: leave it out.")
        if names and self.batch_size < 2:
            raise SpecError("training: 1 - CCC needs a batch_size of 2 or more: one clip has no variance.")

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of the dimensions that are learnt; none where classes are."""
        return () if self.target in CLASSES else tuple(name.strip() for name in self.target.split(","))

    @property
    def masks(self) -> bool:
        """Whether SpecAugment is on."""
        frequency = self.spec_augment_frequency and self.spec_augment_frequency_masks
        return bool(frequency or (self.spec_augment_time and self.spec_augment_time_masks))

    @property
    def deciding(self) -> list[str]:
        """The settings by which the validation side decides what is learnt or kept, in words."""
        by = {
            "keep best": self.keep == "best",
            "patience": self.patience > 0,
            "schedule plateau": self.schedule == "plateau",
        }
        return [setting for setting, decides in by.items() if decides]

    @property
    def selected_by(self) -> str:
        """The validation metric that selects the best epoch."""
        return self.keep_monitor or self.monitor

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return dataclasses.asdict(self)

    def decisive(self) -> dict[str, Any]:
        """Return the fields that a result depends on; those that came later count where they change something."""
        fields, neutral = self.to_dict(), {**TrainingSpec().to_dict(), **BEFORE}
        masks = {name for name in fields if name.startswith("spec_augment")}
        counted = {name for name, value in fields.items() if name in FROM_THE_START or value != neutral[name]}
        counted = counted | masks if self.masks else counted - masks
        counted -= {"residence", "gradient_norms"}
        counted -= {"normalisation_moments"} if self.normalisation == "none" else set()
        counted -= {"shuffle"} if self.shuffle != "blocks" else set()
        return {name: value for name, value in fields.items() if name in counted}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> TrainingSpec:
        """Read fields as written by `to_dict`; a field that does not exist is an `UnknownNameError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                raise UnknownNameError("training field", name, known)
        return cls(**fields)


def with_setting(training: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON value)
    """Return training fields with one changed; a dotted key reaches into a table.

    `modules.recurrent.layers.0.learning_rate` is the field `learning_rate` of the module `recurrent.layers.0`.
    """
    name, _, inner = key.partition(".")
    if not inner:
        return {**training, name: value}
    table = training.get(name)
    before: dict[str, Any] = dict(table) if isinstance(table, Mapping) else {}
    module, _, field_name = inner.rpartition(".")
    if name == "modules" and module:
        own = before.get(module)
        return {**training, name: {**before, module: {**(own if isinstance(own, Mapping) else {}), field_name: value}}}
    return {**training, name: {**before, inner: value}}
