"""Which recordings and speakers a run has learnt from, so that it is not judged by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pipelines.experiments.listener import SILENT, Listener

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore.view import DatasetView
    from models.runs.records import SideRecordings
    from models.runs.run import Run

LEARNT_BEFORE = {"validation": ("train",), "test": ("train", "validation"), "all": ("train", "validation")}
"""Sides of the training that the recordings of a side must not come from; the validation side chose the weights."""


def refuse_learnt(
    run: Run,
    view: DatasetView,
    judged: str,
    sides: SideRecordings | None,
    *,
    same_corpus: bool,
    asked_for: bool,
    listener: Listener = SILENT,
) -> None:
    """Refuse rows of recordings that a run learnt from, and in its own corpus those of speakers that it learnt from.

    Parameters
    ----------
    run : Run
    view : DatasetView
        The rows that the run is to be judged by.
    judged : str
        Which side they are: `validation`, `test` or `all`.
    sides : SideRecordings, optional
        Of the training; None where they cannot be told any more.
    same_corpus : bool
        Whether equal paths mean equal recordings, and equal names of speakers the same people.
    asked_for : bool
        All recordings are wanted: tell of those that were learnt instead.

    Raises
    ------
    RunError
        If there are such rows, or none knows whether there are in another state of the run's own corpus.
    """
    from models.errors import RunError

    if sides is None:
        reason = f"run {run.folder} was made before recordings were kept, and its dataset is not as it was"
        problem, remedy = f"{reason}: whether it learnt from {view.name} cannot be told", "Build that again as it was"
    else:
        problem = _shared(run, view, judged, sides, same_corpus)
        if not problem:
            return
        remedy = "Evaluate without --dataset"
    if asked_for or (sides is None and not same_corpus):
        listener.notice(f"note: {problem}")
    else:
        raise RunError(f"{problem}. {remedy}, or train again on this one; '--side all' takes them all the same.")


def _shared(run: Run, view: DatasetView, judged: str, sides: SideRecordings, same_corpus: bool) -> str:
    """Say which recordings, or else which speakers, of a view a run learnt from; empty if none."""
    found, count = learnt(run, view, judged, sides, same_corpus=same_corpus)
    which = f"all {count:,}" if judged == "all" else f"the {count:,} {judged}"
    if found:
        problem = f"run {run.folder} learnt from {len(found):,} of {which} recordings of {view.name}"
        return f"{problem}, such as {found[0]!r:.120}"
    speakers = learnt_speakers(run, view, judged, sides) if same_corpus else []
    if not speakers:
        return ""
    problem = f"run {run.folder} learnt from other recordings of {len(speakers):,} speakers of {which} recordings of"
    return f"{problem} {view.name}, such as speaker {speakers[0]!r:.80}"


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

    A recording is the same by its bytes, by what equal features hear of it, and in one corpus by its path too: one
    that was cut or cleaned since then is still what was learnt, and so is another segment of it. Bytes and sound do
    not count where the run accepted equal audio on several sides of its corpus, nor segments where it accepted those.
    """
    from featurestore.segments import recording_of
    from models.runs.records import recordings_of

    known = [sides[side] for side in LEARNT_BEFORE[judged]]
    declared = set(run.config.leaks.get("declared") or ()) if same_corpus else set()
    paths = {path for side in known for path in side} if same_corpus else set()
    recordings = [] if "audio" in declared else [recording for side in known for recording in side.values()]
    told = (lambda content: content) if "recording" in declared else recording_of
    contents = {told(recording.content) for recording in recordings}
    comparable = view.features == run.config.features
    sounds = {recording.sound for recording in recordings if recording.sound and comparable}
    found = recordings_of(view)
    same = (
        path
        for path, recording in found.items()
        if path in paths or told(recording.content) in contents or recording.sound in sounds
    )
    return sorted(same), len(found)


def sides_of_training(
    run: Run, views: Iterable[DatasetView], side_of: Callable[[DatasetView, str], DatasetView]
) -> SideRecordings | None:
    """Return which recordings stood on which side when a run was trained; None if that cannot be told any more.

    A run folder of today says so. For one of before, the split is applied again to views of its corpus, the first of
    which is its own; the run's digests of its sides tell whether one is as it was.

    Parameters
    ----------
    run : Run
    views : iterable of DatasetView
    side_of : callable
        Returns a side of a view under the run's split.
    """
    from featurestore.errors import SplitError
    from models.runs.records import read_sides, recordings_of

    kept = read_sides(run.folder)
    if kept is not None:
        return kept
    for view in views:
        try:
            sides = {side: side_of(view, side) for side in ("train", "validation")}
        except SplitError:  # the table of sides is gone, or does not fit any more
            continue
        if _as_then(run, sides):
            return {side: recordings_of(one) for side, one in sides.items()}
    return None


def _as_then(run: Run, sides: Mapping[str, DatasetView]) -> bool:
    """Tell whether sides hold the rows of the training; of a run without digests, only those of its own table do."""
    from models.runs.run import describe_items

    if run.config.items:
        return all(run.config.items.get(side) == describe_items(view) for side, view in sides.items())
    table = run.config.dataset.get("table", "")
    own = run.config.dataset["digest"], table
    return all((view.digest, table and view.table_id) == own for view in sides.values())
