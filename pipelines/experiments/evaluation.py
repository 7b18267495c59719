"""Trained runs: evaluated, but never on what they were trained on; used to label audio files."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.experiments.listener import SILENT, Listener
from pipelines.experiments.prepare import learnt_of

if TYPE_CHECKING:
    from featurestore.store import Store
    from featurestore.view import DatasetView
    from models.runs.records import SideRecordings
    from models.runs.run import Run
    from pipelines.experiments.recipe import Experiment

LEARNT_BEFORE = {"validation": ("train",), "test": ("train", "validation"), "all": ("train", "validation")}
"""Sides of the training that the recordings of a side must not come from; the validation side chose the weights."""


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows, and how they are judged."""

    view: DatasetView
    side: str
    vote: bool
    """The copies of each recording vote."""
    own: bool
    """They are the rows that the training itself judged."""


def evaluate(
    run: str | Path,
    *,
    store: Store | str | Path | None = None,
    side: str | None = None,
    dataset: str | None = None,
    vote: bool = False,
    predictions: str | Path | None = None,
    device: str = "auto",
    listener: Listener = SILENT,
) -> dict[str, Any]:
    """Evaluate a run on a side of its split, from the dataset that it was trained on or another.

    Parameters
    ----------
    run : str or Path
        The run's folder.
    store : Store, str or Path, optional
        A store or where it is; the default one if there is none.
    side, dataset, vote
        As `evaluated_rows` takes them.
    predictions : str or Path, optional
        Write a CSV line for each item into this file.

    Returns
    -------
    dict
        `dataset, side, loss` and the metrics of the predictions, such as `accuracy`, `uar` and `per_class`; `sex` and
        `speakers`, those of each sex and speaker, as `models.figures.groups` returns them. Of a run that learnt
        dimensions `ccc`, the mean, and `dimensions`, as `models.figures.concordance.summary` returns them.
    """
    from featurestore.errors import StorageError
    from featurestore.store import open_store
    from models.estimation import Estimation, estimate_run
    from models.evaluation import Evaluation, evaluate_run
    from models.figures.groups import by_sex, by_speaker
    from models.runs.records import predictions_name, write_predictions
    from models.runs.run import load_run

    trained, groups = load_run(run), {}
    rows = evaluated_rows(open_store(store), trained, side, dataset, vote=vote, listener=listener)
    found: Evaluation | Estimation
    if trained.config.dimensions:
        found = estimate_run(trained, rows.view, device)
    else:
        found = evaluate_run(trained, rows.view, device, vote=rows.vote)
        by = {"sex": by_sex, "speakers": by_speaker}
        groups = {name: group(found.predictions, rows.view.sexes) for name, group in by.items()}
    if predictions:
        write_predictions(Path(predictions), found.predictions)
    path = trained.folder / predictions_name(rows.side if rows.own else "")
    if rows.own and not path.exists():  # the run was made before it kept them
        try:
            write_predictions(path, found.predictions)
        except StorageError as error:
            listener.notice(f"note: {error}")
    loss = found.figures()["loss"]
    return {"dataset": rows.view.name, "side": rows.side, "loss": loss, **found.summary(), **groups}


def predict(
    run: str | Path | None = None,
    files: str | Path | Iterable[str | Path] = (),
    *,
    pretrained: bool = False,
    window: float | None = None,
    hop: float | None = None,
    out: str | Path | None = None,
    page: str | Path | None = None,
    ffmpeg: bool = False,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """Label audio files, and all audio in folders, with a run's model or the one that comes with the package.

    Parameters
    ----------
    run : str or Path, optional
        A run's folder, or one with folds or seeds, which answer together by their mean probabilities.
    files : str or Path, or an iterable of them
        Files of any rate and number of channels, or folders of them; the text `-` is standard input.
    pretrained : bool
        Take the model of `models.pretrained` in place of a run; its card says what it can and cannot do.
    window, hop : float, optional
        Label windows of this many seconds, and seconds from one to the next.
    out : str or Path, optional
        Also write a table, `FILE.csv` or `FILE.json`.
    page : str or Path, optional
        Also write an HTML page with the probabilities over time and the recordings to listen to.
    ffmpeg : bool
        Let the user's ffmpeg convert what libsndfile does not read: M4A, WebM, AMR and the like.

    Returns
    -------
    list of dict
        As `models.prediction.predict_files` returns it; a file that cannot be read has a `reason` and no label.

    Raises
    ------
    SpecError
        If there is no file, or not one of a run and the pretrained model.
    AudioError
        If no file can be labelled.
    """
    from featurestore.errors import SpecError
    from featurestore.signal.ffmpeg import program
    from models.prediction import audio_files, load_members, predict_files, write_answers
    from models.pretrained import FOLDER, model_card

    if (run is None) != pretrained:
        raise SpecError("give a run or pretrained=True, one of the two, and the files as 'files'.")
    if ffmpeg:
        program()  # refused before anything is read, where there is none
    places = [files] if isinstance(files, str | Path) else list(files)
    if not places:
        raise SpecError("nothing to label: give audio files, or folders of them.")
    members, found = load_members(FOLDER if run is None else run), audio_files(places, ffmpeg=ffmpeg)
    if page is not None and members[0].config.dimensions:
        raise SpecError(f"run {run} estimates dimensions, for which there is no such page: leave out 'page'.")
    answers = predict_files(members, found, device, window=window, hop=hop, ffmpeg=ffmpeg)
    if out is not None:
        write_answers(Path(out), answers)
    if page is not None:
        from models.reports.timeline import write_timelines

        card = model_card() if pretrained else None
        write_timelines(Path(page), members, found, answers, ffmpeg=ffmpeg, card=card)
    return answers


def evaluated_rows(
    store: Store, run: Run, side: str | None, dataset: str | None, *, vote: bool, listener: Listener = SILENT
) -> EvaluatedRows:
    """Find the rows for a run: of its own dataset or another, of a side of its split or all.

    Parameters
    ----------
    side : str, optional
        `train`, `validation`, `test` or `all`; None is the test side, or all recordings of another corpus.
    dataset : str, optional
        In place of the run's own.
    vote : bool
        Take all augmented copies of the recordings.

    Raises
    ------
    RunError
        If the run's dataset no longer exists, the run does not record its split, or it learnt from recordings
        that it would be judged by; only `all`, where it is asked for, takes those too, with a notice.
    """
    from models.errors import RunError
    from models.runs.description import describe_items
    from models.runs.run import trained_view
    from pipelines.experiments.recipe import Experiment

    if not run.config.recipe:
        raise RunError(f"run {run.folder} does not record how its split was made: evaluate it in Python, on a view.")
    experiment = Experiment.from_dict(run.config.recipe)
    target = run.config.training.target
    if vote and target != "label":
        raise RunError(f"copies vote for a label, and the target of run {run.folder} is {target}: leave out 'vote'.")
    view = store.view(dataset) if dataset else trained_view(store, run.config)
    same_corpus = dataset is None or _same_corpus(store, run, experiment, view)
    chosen = side or ("test" if same_corpus else "all")
    if chosen == "all":
        view = learnt_of(experiment, view, listener)
        rows = EvaluatedRows(view.copies_of(view.paths) if vote else view.select(view.copies == 0), "all", vote, False)
    else:
        votes = bool(experiment.vote.policy) and chosen == "test"
        voters = dataset is None and votes
        found = _side(experiment, store.view(experiment.votes_name) if voters else view, chosen, vote=vote or voters)
        own = dataset is None and (vote or voters) == votes and chosen != "train"
        rows = EvaluatedRows(found, chosen, vote or voters, own)
    if rows.own and run.config.items:
        then = run.config.items.get(rows.side)
        if then and then != describe_items(rows.view, run.config.training):
            raise RunError(
                f"the {rows.side} side of run {run.folder} holds other recordings or labels than in training: its "
                "table of sides has changed. Evaluate with the table of then, or train again."
            )
    elif rows.side != "train":
        sides = _sides_of_training(store, run, experiment, view if same_corpus else None)
        _refuse_learnt(run, rows, sides, same_corpus=same_corpus, asked_for=side == "all", listener=listener)
    return rows


def _same_corpus(store: Store, run: Run, experiment: Experiment, view: DatasetView) -> bool:
    from featurestore.datasets import corpora_of
    from models.errors import RunError
    from models.runs.run import trained_view

    try:
        trained = trained_view(store, run.config).table.corpus
    except RunError:
        trained = experiment.dataset.corpus
    return corpora_of(trained) == corpora_of(view.table.corpus)


def _side(experiment: Experiment, view: DatasetView, side: str, *, vote: bool = False) -> DatasetView:
    """Return the rows of a side under the run's split."""
    from featurestore.corpus.protocols import split as split_named
    from models.batches.loader import Sides

    chosen = experiment.split
    view = learnt_of(experiment, view.under(chosen.name))
    split = split_named(view.table.utterances, chosen.name, seed=chosen.seed)
    if vote:
        return view.copies_of(getattr(split, side))
    sides = view.sides(split, clean_in_training=chosen.clean_in_training, validation_copy=chosen.validation_copy)
    found: DatasetView = getattr(Sides(*sides), side)
    return found


def _refuse_learnt(
    run: Run,
    rows: EvaluatedRows,
    sides: SideRecordings | None,
    *,
    same_corpus: bool,
    asked_for: bool,
    listener: Listener,
) -> None:
    """Refuse rows of recordings that a run learnt from, and in its own corpus those of speakers that it learnt from.

    Where all recordings were `asked_for`, this is a notice. Rows of the run's own corpus in another state are refused
    too if what was learnt is no longer known (`sides` is None).
    """
    from models.errors import RunError

    view = rows.view
    if sides is None:
        problem = (
            f"run {run.folder} was made before recordings were kept, and its dataset is not as it was: whether it "
            f"learnt from {view.name} is unknown"
        )
        remedy = "Build that again as it was"
    else:
        found, count = learnt(run, view, rows.side, sides, same_corpus=same_corpus)
        speakers = learnt_speakers(run, view, rows.side, sides) if same_corpus and not found else []
        which = f"all {count:,}" if rows.side == "all" else f"the {count:,} {rows.side}"
        if found:
            shared, example = f"{len(found):,}", f"{found[0]!r:.120}"
        elif speakers:
            shared, example = f"other recordings of {len(speakers):,} speakers", f"speaker {speakers[0]!r:.80}"
        else:
            return
        problem = f"run {run.folder} learnt from {shared} of {which} recordings of {view.name}, such as {example}"
        remedy = "Evaluate without --dataset"
    if asked_for or (sides is None and not same_corpus):
        listener.notice(f"note: {problem}")
    else:
        raise RunError(f"{problem}. {remedy}, or train again on this one; '--side all' takes them all the same.")


def learnt_speakers(run: Run, view: DatasetView, judged: str, sides: SideRecordings) -> list[str]:
    """Return the speakers of a view of a run's own corpus whom it learnt from, sorted; none if it accepted that."""
    if "speaker" in (run.config.leaks.get("declared") or ()):
        return []
    known = {recording.speaker for side in LEARNT_BEFORE[judged] for recording in sides[side].values()}
    return sorted({speaker for speaker in view.speakers if speaker} & known)


def learnt(
    run: Run, view: DatasetView, judged: str, sides: SideRecordings, *, same_corpus: bool
) -> tuple[list[str], int]:
    """Return the paths of a view's recordings that a run learnt from, sorted, and how many recordings it has.

    A recording is the same by its bytes, by the bytes of its clean row, and in one corpus by its path too: one that
    was cut or cleaned since then is still what was learnt, and so is another segment of it. Bytes and sound do
    not count where the run accepted equal audio on several sides of its corpus, nor segments where it accepted those.
    """
    from featurestore.segments import recording_of
    from models.runs.records import recordings_of

    known = [sides[side] for side in LEARNT_BEFORE[judged]]
    declared = set(run.config.leaks.get("declared") or ()) if same_corpus else set()
    paths = {path for side in known for path in side} if same_corpus else set()
    recordings = [] if "audio" in declared else [recording for side in known for recording in side.values()]
    identity = (lambda content: content) if "recording" in declared else recording_of
    contents = {identity(recording.content) for recording in recordings}
    comparable = view.features == run.config.features
    sounds = {recording.sound for recording in recordings if recording.sound and comparable}
    found = recordings_of(view)
    same = (
        path
        for path, recording in found.items()
        if path in paths or identity(recording.content) in contents or recording.sound in sounds
    )
    return sorted(same), len(found)


def _sides_of_training(
    store: Store, run: Run, experiment: Experiment, view: DatasetView | None
) -> SideRecordings | None:
    """Return the recordings of each side of a run's training; None if they are no longer known.

    Run folders record them. For an older one the split is applied again to its dataset, if the store has that, and to
    another view of its corpus; the run's digests of its sides show which of the two is as it was then.
    """
    from featurestore.errors import SplitError
    from models.errors import RunError
    from models.runs.description import describe_items
    from models.runs.records import read_sides, recordings_of
    from models.runs.run import trained_view

    kept = read_sides(run.folder)
    if kept is not None:
        return kept
    candidates = [] if view is None else [view]
    with suppress(RunError):
        candidates.insert(0, trained_view(store, run.config))
    items, table = run.config.items, run.config.dataset.get("table", "")
    for candidate in candidates:
        try:
            sides = {side: _side(experiment, candidate, side) for side in ("train", "validation")}
        except SplitError:  # the table of sides is gone, or does not fit any more
            continue
        if items:
            training = run.config.training
            unchanged = all(items.get(side) == describe_items(one, training) for side, one in sides.items())
        else:  # a run without digests: only the sides of its own table are those of its training
            own = run.config.dataset["digest"], table
            unchanged = all((one.digest, table and one.table_id) == own for one in sides.values())
        if unchanged:
            return {side: recordings_of(one) for side, one in sides.items()}
    return None
