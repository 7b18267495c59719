"""A search for hyper-parameters, by Optuna: each trial is a training of the recipe with other settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import mean_figure, prepare, train_prepared
from pipelines.experiments.settings import chosen_experiment, require_labels, with_settings
from pipelines.experiments.training import fold_executor

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from featurestore.store import Store
    from pipelines.experiments.prepare import Prepared
    from pipelines.experiments.recipe import Experiment

SEARCH = "search.json"
"""Says in a folder what is searched there."""
FAILURE = "failure"
"""Attribute of a trial that gave no value: the reason."""
OBJECTIVES = ("validation accuracy", "validation uar", "validation loss")
RULES = ("low", "high", "log", "step", "choices")


def tune(
    recipe: str,
    *,
    trials: int = 20,
    store: Store | str | Path | None = None,
    corpus: str | None = None,
    source: str | Path | None = None,
    split: str | None = None,
    epochs: int | None = None,
    settings: Sequence[str] = (),
    objective: str = "validation accuracy",
    seed: int = 0,
    folder: str | Path | None = None,
    device: str = "auto",
    jobs: int = 1,
    scheduler: str | None = None,
    allow_unencrypted: bool = False,
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Search a recipe's settings: train it with many, and return which validate best.

    The same call resumes an interrupted one.

    Parameters
    ----------
    recipe : str
        Name or file of a recipe with a `[tune]` table.
    trials : int
        Trainings in all.
    store : Store, str or Path, optional
        A store or where it is; the default one if there is none.
    settings : sequence of str
        Fields held at a value, such as `epochs=3`; they are not searched.
    objective : str
        `validation accuracy`, `validation uar` or `validation loss`.
    seed : int
        Seed of the search.
    folder : str or Path, optional
        Of all trials; `runs/tune-RECIPE` if there is none.
    jobs : int
        Folds trained at a time; trials follow one another.
    scheduler, allow_unencrypted
        A Dask cluster that trains the folds of each trial, as `crossval` takes it; the split must have folds.

    Returns
    -------
    dict
        `run, objective, best, trials`; each trial has `trial, value, settings`, and one that failed has no value.
    """
    from featurestore.corpus.protocols import find_split
    from featurestore.errors import SpecError
    from featurestore.store import open_store
    from pipelines.experiments.recipe import read_recipe
    from pipelines.workers.scheduler import check_scheduler

    store = open_store(store)
    if scheduler:
        check_scheduler(scheduler, allow_unencrypted=allow_unencrypted)
    experiment = chosen_experiment(
        store, None, recipe, corpus, split=split, epochs=epochs, settings=settings, listener=listener
    )
    require_labels(experiment, "tune")
    held = {setting.partition("=")[0].strip() for setting in settings}
    space = {field: rule for field, rule in read_recipe(recipe).space.items() if field not in held}
    run = Path(folder or Path("runs") / f"tune-{experiment.name}")
    run = run.absolute() if scheduler else run  # workers have folders of their own
    search = Search(experiment, space, run, objective, seed)
    every_fold = find_split(experiment.split.name).folds
    if scheduler and not every_fold:
        raise SpecError(
            f"--scheduler trains the folds of a trial, and split {experiment.split.name!r} has none: trials follow one "
            "another, since each learns from those before it. Leave it out, or give a split with folds, such as loso."
        )
    how: dict[str, Any] = {"device": device, "jobs": jobs, "every_fold": every_fold, "listener": listener}
    how |= {"scheduler": scheduler, "allow_unencrypted": allow_unencrypted}
    found = search.run(store, trials, source=source, **how)
    return {"run": str(run), "objective": objective, "best": best_first(found, objective)[0], "trials": found}


def best_first(trials: list[dict[str, Any]], objective: str) -> list[dict[str, Any]]:
    """Return the trials, the best first and those without a value last."""
    sign = 1 if objective.endswith(" loss") else -1
    return sorted(trials, key=lambda trial: (trial["value"] is None, sign * (trial["value"] or 0)))


@dataclass(frozen=True)
class Search:
    """Trials of an experiment, in `folder/trial-000` and so on; rows that trials share are computed once.

    The journal in the folder keeps every trial, so that an interrupted search is resumed with the trial that it was at.
    Which settings a trial tries depends on the seed and on the trials before it alone.
    """

    experiment: Experiment
    space: Mapping[str, Any]
    """Range of each field: `low`, `high` and optionally `log` or `step`, or `choices`."""
    folder: Path
    objective: str = "validation accuracy"
    seed: int = 0

    def __post_init__(self) -> None:
        from featurestore.errors import SpecError, UnknownNameError

        if not self.space:
            raise SpecError(f"recipe {self.experiment.name!r} has no [tune] table that defines the search.")
        if self.objective not in OBJECTIVES:
            raise UnknownNameError("objective (a metric of the validation side)", self.objective, OBJECTIVES)
        for field, rule in self.space.items():
            check_rule(field, rule)

    def run(
        self,
        store: Store,
        trials: int,
        *,
        source: str | Path | None = None,
        device: str = "auto",
        jobs: int = 1,
        every_fold: bool = False,
        scheduler: str | None = None,
        allow_unencrypted: bool = False,
        listener: Listener = SILENT,
    ) -> list[dict[str, Any]]:
        """Run trials until so many have ended; return them all, those that failed without a value."""
        from models.errors import TrainingError
        from pipelines.workers.scheduler import AGAIN

        optuna = optuna_library()
        states = optuna.trial.TrialState
        study = self._study()
        on_cluster: dict[str, Any] = {"device": device, "allow_unencrypted": allow_unencrypted, "listener": listener}

        def ended() -> list[FrozenTrial]:
            """Return the trials that came to an end, with a value or with a reason why there is none."""
            return [one for one in study.get_trials() if one.state == states.COMPLETE or FAILURE in one.user_attrs]

        for cut in study.get_trials(states=(states.RUNNING,)):  # interrupted: the same settings are drawn again
            study.tell(cut.number, state=states.FAIL)
        while (number := len(ended())) < trials:
            study.sampler = optuna.samplers.TPESampler(seed=(self.seed * 1_000_003 + number) % 2**32)
            trial = study.ask()
            settings = tuple(f"{field}={suggested(trial, field, rule)}" for field, rule in self.space.items())
            experiment = with_settings(self.experiment, settings)
            prepared = prepare(store, experiment, source=source, every_fold=every_fold, listener=listener)
            self._check_sides(prepared)
            name = f"trial-{number:03d}"
            title = f"{name}: {', '.join(settings)}"
            how: dict[str, Any] = {"device": device, "jobs": jobs, "listener": listener}
            try:
                with fold_executor(scheduler, prepared, self.folder / SEARCH, AGAIN, **on_cluster) as executor:
                    results = train_prepared(prepared, self.folder / name, title, executor=executor, **how)
            except TrainingError as error:
                listener.notice(f"{name} failed: {error}")
                trial.set_user_attr(FAILURE, str(error))
                study.tell(trial, state=states.FAIL)
            else:
                study.tell(trial, mean_figure(results, self.objective))
        return [{"trial": number, "value": one.value, "settings": one.params} for number, one in enumerate(ended())]

    def _study(self) -> Study:
        """Open the journal of trials, and note in a new folder what is searched; `RunError` for another search's."""
        from models.errors import CheckpointError, RunError
        from models.runs.checkpoint import read_json, write_json

        optuna, file, log = optuna_library(), self.folder / SEARCH, self.folder / "trials.log"
        named = {"space": dict(self.space), "objective": self.objective, "seed": self.seed}
        document = json.loads(json.dumps({"experiment": self.experiment.to_dict(), **named}))
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(file, document)
        elif {name: value for name, value in read_json(file).items() if name != "sides"} != document:
            raise RunError(f"{self.folder} holds another search: give the same options as then, or another '--run'.")
        try:
            study: Study = optuna.create_study(
                study_name=self.experiment.name,
                storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(log))),
                direction="minimize" if self.objective.endswith(" loss") else "maximize",
                load_if_exists=True,
            )
        except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:  # whatever a line holds
            raise CheckpointError(
                f"{log}: no journal of trials ({error!s:.100}). Restore it or give another '--run'."
            ) from error
        return study

    def _check_sides(self, prepared: Prepared) -> None:
        """Note what the sides hold in the first trial; `RunError` if they hold anything else in a later one.

        A split may be a table whose lines have changed since then, under the same name.
        """
        from models.errors import RunError
        from models.runs.checkpoint import read_json, write_json

        file = self.folder / SEARCH
        document, sides = read_json(file), prepared.side_digests()
        if "sides" not in document:
            write_json(file, {**document, "sides": sides})
        elif document["sides"] != sides:
            raise RunError(
                f"{self.folder}: the sides of split {self.experiment.split.name!r} hold other recordings or labels "
                "than in its first trial, so trials cannot be compared: restore its table, or give another '--run'."
            )


def check_rule(field: str, rule: Any) -> None:  # noqa: ANN401 (checked here)
    """Refuse a rule of the search space that leaves nothing to search; `SpecError`."""
    from featurestore.errors import SpecError, UnknownNameError
    from featurestore.typed_values import typed

    if not isinstance(rule, Mapping):
        raise SpecError(f"[tune]: {field} must be a table with low and high, or choices, not {rule!r:.60}.")
    for key in rule:
        if key not in RULES:
            raise UnknownNameError(f"key of {field} in [tune]", key, RULES)
    kinds: dict[str, Any] = {"log": bool, "choices": tuple[bool | int | float | str, ...]}
    read = {key: typed(value, kinds.get(key, int | float), f"[tune]: {field}.{key}") for key, value in rule.items()}
    ranged, step = {"low", "high"} <= set(read), read.get("step", 1)
    whole = ranged and isinstance(read["low"], int) and isinstance(read["high"], int)
    rules = (
        (ranged != ("choices" in read), "needs either low below high, or choices"),
        (not ranged or read["low"] < read["high"], "needs low below high"),
        (ranged or read.get("choices"), "needs one choice at least"),
        (step > 0 and (isinstance(step, int) or not whole), "needs a step above 0, a whole one between whole numbers"),
        (not read.get("log") or (ranged and read["low"] > 0 and "step" not in read), "with log needs low > 0, no step"),
    )
    for holds, needed in rules:
        if not holds:
            raise SpecError(f"[tune]: {field} {needed}.")


def suggested(trial: Trial, field: str, rule: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a number or a choice)
    """Return the value of a field that a trial tries; whole numbers where both bounds are whole."""
    if "choices" in rule:
        return trial.suggest_categorical(field, list(rule["choices"]))
    low, high = rule["low"], rule["high"]
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(field, low, high, step=rule.get("step", 1), log=rule.get("log", False))
    return trial.suggest_float(field, low, high, step=rule.get("step"), log=rule.get("log", False))


def optuna_library() -> Any:  # noqa: ANN401 (a module that may be missing)
    """Return Optuna, quiet; `SpecError` if it is not installed."""
    from featurestore.errors import SpecError

    try:
        import optuna
    except ModuleNotFoundError as error:
        raise SpecError("'tune' needs Optuna: pip install 'featurestore[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
