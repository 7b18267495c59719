"""From an experiment to its trainings: the dataset built, leaks refused, runs described and trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from featurestore.corpus.splits.types import Split
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.batches.loader import Sides
    from models.runs.run import RunConfig
    from pipelines.build.spec import DatasetSpec
    from pipelines.experiments.recipe import Experiment


@dataclass(frozen=True)
class Prepared:
    """What the trainings of an experiment start from: one split, or the folds of a protocol."""

    experiment: Experiment
    view: DatasetView
    voters: DatasetView | None
    """Perturbed copies of test utterances, if the recipe lets them vote."""
    splits: tuple[Split, ...]
    leaks: tuple[dict[str, Any], ...]
    """Of each split: `declared` kinds, and what was `found`."""

    @cached_property
    def all_sides(self) -> list[Sides]:
        """The three sides of each split; `SplitError` if the dataset has no rows of one."""
        from featurestore.errors import SplitError
        from models.batches.loader import Sides

        chosen, found = self.experiment.split, []
        for split in self.splits:
            train, validation, test = self.view.sides(
                split, clean_in_training=chosen.clean_in_training, validation_copy=chosen.validation_copy
            )
            sides = Sides(train, validation, test if self.voters is None else self.voters.copies_of(split.test))
            for side, rows in zip(Sides._fields, sides, strict=True):
                if split.members[side] and not len(rows):
                    raise SplitError(
                        f"dataset {rows.name!r} has no rows of the {len(split.members[side]):,} recordings on the "
                        f"{side} side of split {split.name!r}. Build their copies, or change validation_copy or the "
                        "split."
                    )
            found.append(sides)
        return found

    def side_digests(self) -> list[dict[str, str]]:
        """Return the sha256 of what each side of each split holds: its recordings and labels, whatever the copies."""
        from featurestore.checksummed_json import digest

        def of(view: DatasetView) -> str:
            """Return the sha256 of a side's recordings and labels."""
            recordings = zip(view.contents, view.labels.tolist(), strict=True)
            return digest(sorted({f"{content}/{label}" for content, label in recordings}))

        return [{name: of(view) for name, view in sides._asdict().items()} for sides in self.all_sides]

    def describe(self, sides: Sides, seed: int | None = None) -> RunConfig:
        """Describe the training on sides that are among `all_sides`; of several, the run's recipe names this one."""
        from models.training import configure
        from models.training_spec import TrainingSpec

        training = {**self.experiment.training, **({} if seed is None else {"seed": seed})}
        return configure(
            sides,
            self.experiment.model,
            TrainingSpec.from_dict(training),
            settings=self.experiment.model_settings,
            **self.origin(sides),
        )

    def origin(self, sides: Sides) -> dict[str, Any]:
        """Return `split`, `leaks` and `recipe` of a run on sides that are among `all_sides`."""
        number = next(place for place, known in enumerate(self.all_sides) if known.train is sides.train)
        experiment, name = self.experiment, self.splits[number].name
        if len(self.splits) > 1:
            experiment = dataclasses.replace(experiment, split=dataclasses.replace(experiment.split, name=name))
        return {"split": name, "leaks": self.leaks[number], "recipe": experiment.to_dict()}


def prepare(
    store: Store,
    experiment: Experiment,
    *,
    dataset: str | None = None,
    source: str | Path | None = None,
    jobs: int | None = None,
    every_fold: bool = False,
    listener: Listener = SILENT,
) -> Prepared:
    """Build what is missing and open it; an unknown field or a split that leaks is refused before anything is built.

    Parameters
    ----------
    dataset : str, optional
        An existing dataset, used instead of the experiment's own.
    source : str, optional
        Where the corpus is.
    jobs : int, optional
        Worker processes of a build.
    every_fold : bool
        Take all folds of a protocol; otherwise the split must be one.
    """
    from featurestore.errors import SpecError
    from featurestore.soft_labels import votes_scheme
    from models.networks import bands_note, build_model
    from models.optimisation.schedules import rate_note
    from models.training_spec import TrainingSpec

    spec = TrainingSpec.from_dict(experiment.training)
    if spec.target != "label" and experiment.vote.policy:
        raise SpecError(f"copies vote for a label, and the target is {spec.target}: leave out [vote] or the target.")
    existing = store.view(dataset) if dataset else None
    if spec.target == "votes":  # refused before features are computed, as the rest here
        votes_scheme(experiment.split.name, existing.table.corpus if existing else experiment.dataset.corpus)
    bands = existing.bands if existing else experiment.specs()[0].width
    outputs, regression = len(spec.dimensions) or 2, bool(spec.dimensions)
    build_model(experiment.model, outputs, bands, regression=regression, **experiment.model_settings)
    for note in filter(None, (bands_note(experiment.model, bands), rate_note(spec))):
        listener.notice(f"note: {note}")
    if existing:
        view = existing
        voters = store.view(experiment.votes_name) if experiment.vote.policy else None
    else:
        view, voters = _built(store, experiment, source, jobs, every_fold, listener)
    mixed_in = view.augmentation.inputs if view.augmentation else ()
    return prepare_rows(experiment, view, voters, every_fold=every_fold, mixed_in=mixed_in, listener=listener)


def prepare_rows(
    experiment: Experiment,
    view: DatasetView,
    voters: DatasetView | None = None,
    *,
    every_fold: bool = False,
    mixed_in: Sequence[str] = (),
    listener: Listener = SILENT,
) -> Prepared:
    """Split rows that exist; a split that leaks is refused.

    Where dimensions are learnt, utterances without a number for one of them are left out, with a notice.

    Parameters
    ----------
    mixed_in : sequence of str
        The contents of noises and rooms that training copies hold.
    """
    view = learnt_of(experiment, view.under(experiment.split.name), listener)
    voters = voters and voters.under(experiment.split.name)
    splits, leaks = _chosen_splits(experiment, view.table.utterances, every_fold, view.sounds, mixed_in)
    return Prepared(experiment, view, voters, splits, leaks)


def learnt_of(experiment: Experiment, view: DatasetView, listener: Listener = SILENT) -> DatasetView:
    """Return the rows of a view that have what an experiment learns: a label, votes, or numbers for its dimensions."""
    from featurestore.dimensions import with_numbers
    from featurestore.soft_labels import counting_votes, votes_scheme
    from models.training_spec import TrainingSpec

    spec = TrainingSpec.from_dict(experiment.training)
    names = spec.dimensions
    if spec.target == "votes":
        return counting_votes(view, votes_scheme(experiment.split.name, view.table.corpus))
    if not names:
        return view
    found = view.taking(with_numbers(view.table, names))
    left_out = len(view.table.utterances) - len(found.table.utterances)
    if left_out:
        listener.notice(f"note: {left_out:,} utterances have no number for {' or '.join(names)} and are left out")
    return found


def _chosen_splits(
    experiment: Experiment,
    utterances: Sequence[Any],
    every_fold: bool,
    sounds: Mapping[str, str] | None = None,
    mixed_in: Sequence[str] = (),
) -> tuple[tuple[Split, ...], tuple[dict[str, Any], ...]]:
    """Return the splits and the leaks that were found; an undeclared one is a `LeakError`.

    `sounds` are those of recordings, by content; `mixed_in` the contents of noises and rooms that training copies hold.
    """
    from featurestore.corpus.protocols import folds
    from featurestore.corpus.protocols import split as split_named
    from featurestore.corpus.splits.leakage import check_folds

    chosen = experiment.split
    find: Callable[..., Any] = folds if every_fold else split_named
    found = find(utterances, chosen.name, seed=chosen.seed)
    splits = tuple(found[: chosen.first_folds or None]) if every_fold else (found,)
    shared = check_folds(splits, utterances, chosen.allow_leak, sounds=sounds, mixed_in=mixed_in)
    return splits, tuple(
        {
            "declared": list(chosen.allow_leak),
            "found": {kind: list(one.named(kind)) for kind, names in one.by_kind.items() if names},
        }
        for one in shared
    )


def _built(
    store: Store,
    experiment: Experiment,
    source: str | Path | None,
    jobs: int | None,
    every_fold: bool,
    listener: Listener,
) -> tuple[DatasetView, DatasetView | None]:
    """Return an experiment's dataset, and the one of the copies that vote."""
    from featurestore.corpus.corpus_spec import find_corpus_spec
    from featurestore.corpus.protocols import labelled_under
    from pipelines.build.run import build
    from pipelines.ingest.fetch import Fetcher
    from pipelines.ingest.ingest import ingest_spec
    from pipelines.workers.pool import Workers

    choice = find_corpus_spec(experiment.dataset.corpus)
    fetcher = Fetcher(listener.notice, listener.download(), reading=listener.reading, hashing=listener.hashing)
    corpus = ingest_spec(store, choice, str(source) if source else None, fetcher)
    utterances = labelled_under(experiment.split.name, corpus.utterances, corpus.name)

    def check_split(spec: DatasetSpec) -> None:
        """Raise what `_chosen_splits` raises, before anything is computed."""
        _chosen_splits(
            experiment, utterances, every_fold, mixed_in=spec.augmentation.inputs if spec.augmentation else ()
        )

    def built(spec: DatasetSpec, name: str, check: Callable[[DatasetSpec], None] = lambda _: None) -> DatasetView:
        """Build a dataset and return its view."""
        progress = listener.build(corpus.name)
        report = build(store, corpus, spec, name=name, workers=Workers(jobs), check=check, progress=progress)
        for rejection in report.rejected:
            listener.notice(f"rejected: {rejection.path}: {rejection.reason}")
        listener.notice(f"{name}: {report.computed:,} rows computed, {report.reused + report.copied:,} reused")
        return store.view(name)

    view, voting = built(experiment.dataset_spec(), experiment.dataset_name, check_split), experiment.vote_spec()
    return view, built(voting, experiment.votes_name) if voting else None


def train_prepared(
    prepared: Prepared,
    run: Path,
    title: str,
    *,
    seed: int | None = None,
    device: str = "auto",
    jobs: int = 1,
    executor: Executor | None = None,
    listener: Listener = SILENT,
) -> list[dict[str, Any]]:
    """Train into the folder `run`, or the folds into folders in it; return the result of each training.

    Progress is shown under `title`; `seed` takes the place of the recipe's, and `jobs` folds are trained at a time, or
    all on an executor.
    """
    from models.crossval import cross_validate
    from models.errors import RunError
    from models.runs.folders import has_begun
    from models.training import train

    how: dict[str, Any] = {"device": device, "progress": listener.training(title)}
    if len(prepared.splits) > 1:
        if has_begun(run):
            raise RunError(f"{run} holds a single run, and this training has folds: give another folder ('--run').")
        how |= {"jobs": jobs, "executor": executor, "resume": run.exists()}
        found = cross_validate(prepared.all_sides, partial(prepared.describe, seed=seed), run, **how)
        return list(found["folds"])
    sides = prepared.all_sides[0]
    return [train(sides, prepared.describe(sides, seed=seed), run, resume=has_begun(run), **how)]


def mean_figure(results: list[dict[str, Any]], metric: str) -> float:
    """Return the mean of a metric such as `validation uar` over trainings."""
    side, _, measure = metric.partition(" ")
    return fmean(result[side][measure] for result in results)
