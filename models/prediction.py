"""Labels for features and for audio files."""

from __future__ import annotations

import csv
import io
import json
import math
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from featurestore.corpus.sources.archive_safety import Limits
from featurestore.corpus.sources.audio_files import ENDINGS
from featurestore.errors import AudioError, SourceError, SpecError
from featurestore.files import write_atomically
from featurestore.signal import ffmpeg as foreign
from models.batches.loader import Batch
from models.batches.normalisation import fit_unknown_speaker
from models.errors import CheckpointError, RunError
from models.estimation import Dimensions
from models.execution import Execution
from models.runs.folders import RunFolder
from models.runs.run import Run, RunConfig, load_run

if TYPE_CHECKING:
    from featurestore.row_engine import RowEngine

LARGEST = Limits().member_bytes
STANDARD_INPUT = Path("/dev/stdin")
"""Shown as `-`."""


def load_members(folder: Path | str) -> list[Run]:
    """Open a run, or all runs of a folder of folds or seeds, which answer together.

    Raises
    ------
    RunError
        If one has not ended or is missing, or they have different classes or features.
    """
    try:
        found = RunFolder.of(folder)
    except RunError:
        found = RunFolder(Path(folder), "run")  # opening it says what it is
    found.check_finished()
    parts = found.runs()
    runs = [load_run(part) for part in parts]
    check_alike(runs)
    return runs


def check_alike(runs: Sequence[Run]) -> None:
    """Raise `RunError` where runs have different classes, dimensions or features."""
    first = _answered(runs[0].config)
    for run in runs[1:]:
        for what, value in _answered(run.config).items():
            if value != first[what]:
                raise RunError(f"{run.folder} and {runs[0].folder} have different {what}: they cannot answer together.")


def _answered(config: RunConfig) -> dict[str, object]:
    """Return what runs that answer together have in common."""
    return {"classes": config.classes, "dimensions": tuple(config.dimensions), "features": config.features}


@torch.no_grad()
def predict(run: Run | Sequence[Run], features: Iterable[NDArray[Any]], device: str = "auto") -> list[dict[str, Any]]:
    """Label clips of features: a list of `label` and `probabilities` by class name; of several runs their mean.

    Runs that estimate dimensions answer with `values` by the name of each instead.

    If the model normalises each speaker, the clips are taken to be of one unknown speaker, and every answer notes it
    under `normalised_as`.

    Parameters
    ----------
    features : iterable of array [frames, bands]
        As the run's feature spec describes them; each is labelled alone, apart from the speaker's statistics.

    Raises
    ------
    SpecError
        If an array has another number of bands than the model was trained on, or no frames.
    """
    runs = [run] if isinstance(run, Run) else run
    config, remark = runs[0].config, {}
    if any(one.normalisation is not None and one.normalisation.kind == "speaker" for one in runs):
        features = [_checked(clip, config.bands) for clip in features]
        remark = {"normalised_as": f"one unknown speaker (clips measured together: {len(features)})"}
    members = [_member(one, features, device) for one in runs]
    answers = []
    for clip in features:
        values = torch.from_numpy(np.ascontiguousarray(_checked(clip, config.bands)))[None]
        batch = Batch(values, torch.tensor([len(clip)]), torch.tensor([0]), torch.tensor([0]))
        shares = np.mean([member(batch) for member in members], axis=0)
        answers.append({**_answer(shares, config), **remark})
    return answers


def _member(run: Run, features: Iterable[NDArray[Any]], device: str) -> Callable[[Batch], NDArray[np.float64]]:
    """Return what gives the probabilities of a run for a batch of one clip, array [classes], or its estimates."""
    execution = Execution.of(run.config.model, run.config.settings, run.config.training, device)
    model, normalisation = execution.place(run.model).eval(), run.normalisation
    if normalisation is not None and normalisation.kind == "speaker":
        normalisation = fit_unknown_speaker(list(features), run.config.bands, single=normalisation.single)
    normalise = normalisation.normaliser(execution.device) if normalisation else None

    dimensions = Dimensions(run.config.dimensions)

    def answer(batch: Batch) -> NDArray[np.float64]:
        batch = batch.to(execution.device)
        outputs = execution.logits(model, normalise(batch) if normalise else batch)
        if dimensions.names:
            shares = dimensions.values(outputs[0].cpu().double().numpy())
        else:
            shares = outputs.softmax(1)[0].cpu().double().numpy()
        if not np.isfinite(shares).all():
            raise CheckpointError(
                f"run {run.folder}: its answer is not a number, its weights are too large. Train again."
            )
        return shares

    return answer


def _checked(clip: NDArray[Any], bands: int) -> NDArray[Any]:
    if clip.ndim != 2 or clip.shape[1] != bands or not len(clip):
        raise SpecError(f"the model reads [frames, {bands}] features, not an array of shape {list(clip.shape)}.")
    return clip


def _answer(shares: NDArray[np.float64] | None, config: RunConfig) -> dict[str, Any]:
    """Return the answer to a clip; to one that is silent or cannot be read, for which there are no shares, none."""
    named = {} if shares is None else dict(zip(config.outputs, shares.tolist(), strict=True))
    if config.dimensions:
        return {"values": named}
    return {"label": None if shares is None else config.classes[int(shares.argmax())], "probabilities": named}


def answers_of(answer: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the probabilities of an answer by class, or its values by dimension; empty where there is no answer."""
    found: Mapping[str, float] = answer["values"] if "values" in answer else answer["probabilities"]
    return found


@dataclass(frozen=True)
class Piece:
    """A part of a recording that is labelled on its own."""

    start: float
    """Seconds from the start of the recording, as `end`."""
    end: float
    frames: int
    """Frames of its features; 0 where it is silent and has none."""


def predict_files(
    run: Run | Sequence[Run],
    paths: Sequence[Path],
    device: str = "auto",
    *,
    window: float | None = None,
    hop: float | None = None,
    ffmpeg: bool = False,
) -> list[dict[str, Any]]:
    """Label audio files of any rate and number of channels, by a run or the mean probabilities of several.

    If the model normalises speakers, all files are taken to be of one speaker, see `predict`. A file that cannot be
    read, is too short for one frame, or is silent has a `reason` in place of a label; the others are labelled.

    Parameters
    ----------
    window : float, optional
        Label windows of this many seconds, each on its own; the last one ends with the recording. By default the
        whole recording gets one label.
    hop : float, optional
        Seconds from one window to the next; by default windows do not overlap.
    ffmpeg : bool
        Let ffmpeg convert M4A, WebM, AMR and the like, see `featurestore.signal.ffmpeg`.

    Returns
    -------
    list of dict
        Of each file `file`, `label`, `probabilities` by class name (of windows: their mean), or `values` by the name of
        a dimension, and `outside`: how the recording differs from those that the model was trained on. With a window
        also `timeline`, a list of `start`, `end` (seconds) and the answer to each; to a silent window there is none.

    Raises
    ------
    AudioError
        If no file can be labelled; the message names the first.
    SpecError
        If window or hop is not above 0.
    """
    from featurestore.row_engine import RowEngine

    if not all(value is None or 0 < value < math.inf for value in (window, hop)):
        raise SpecError("window and hop are numbers of seconds above 0.")
    runs = [run] if isinstance(run, Run) else run
    engine = RowEngine(runs[0].config.features)
    found: dict[Path, list[Piece] | AudioError] = {}

    def clips() -> Iterator[NDArray[Any]]:
        """Yield the features of what can be labelled, and keep why the rest cannot."""
        for path in dict.fromkeys(paths):
            try:
                pieces = file_pieces(engine, path, window, hop, ffmpeg=ffmpeg)
            except AudioError as error:
                found[path] = error
                continue
            found[path] = [piece for piece, _ in pieces]
            yield from (features for _, features in pieces if features is not None)

    answers = iter(predict(runs, clips(), device))
    refused = [error for error in found.values() if isinstance(error, AudioError)]
    if len(refused) == len(found):
        raise refused[0]
    labelled = {path: _file_answer(runs, one, answers, in_windows=window is not None) for path, one in found.items()}
    return [{"file": _shown(path), **labelled[path]} for path in paths]


def _shown(path: Path) -> str:
    return "-" if path == STANDARD_INPUT else str(path)


def _file_answer(
    runs: Sequence[Run], pieces: Sequence[Piece] | AudioError, answers: Iterator[dict[str, Any]], *, in_windows: bool
) -> dict[str, Any]:
    """Combine the answers to the pieces of one file, or give the reason why it has none."""
    if isinstance(pieces, AudioError):
        return {**_answer(None, runs[0].config), "outside": [], "reason": str(pieces)}
    found = [next(answers) if piece.frames else _answer(None, runs[0].config) for piece in pieces]
    outside, known = [], _trained_frames(runs)
    frames = [piece.frames for piece in pieces if piece.frames]
    if known and not known[0] <= min(frames) <= max(frames) <= known[1]:
        counts = f"{min(frames):,}" if min(frames) == max(frames) else f"{min(frames):,} to {max(frames):,}"
        outside = [f"{counts} frames, where the clips of the training have {known[0]:,} to {known[1]:,}"]
    if not in_windows:
        return {**found[0], "outside": outside}
    kept = ("label", "probabilities", "values")
    timeline = [
        {"start": piece.start, "end": piece.end, **{key: one[key] for key in kept if key in one}}
        for piece, one in zip(pieces, found, strict=True)
    ]
    answered = [one for one in found if answers_of(one)]
    shares = np.mean([list(answers_of(one).values()) for one in answered], axis=0)
    whole = {**answered[0], **_answer(shares, runs[0].config)}
    return {**whole, "outside": outside, "timeline": timeline}


def _trained_frames(runs: Sequence[Run]) -> tuple[int, int] | None:
    """Return the frames of the shortest and the longest clip of the trainings; None where older runs record none."""
    known = [run.config.trained_on["frames"] for run in runs if run.config.trained_on.get("frames")]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def audio_files(places: Iterable[str | Path], *, ffmpeg: bool = False) -> list[Path]:
    """Return files as they are named, and of folders all audio files in them; `SourceError` if a folder has none.

    The text `-` is standard input; `ffmpeg` also finds the endings of videos.
    """
    files: list[Path] = []
    suffixes = {*ENDINGS, *(foreign.SUFFIXES if ffmpeg else ())}
    for place in (STANDARD_INPUT if one == "-" else Path(one) for one in places):
        inside = (
            sorted(file for file in place.rglob("*") if file.suffix.lower() in suffixes) if place.is_dir() else [place]
        )
        if not inside:
            raise SourceError(f"no audio file ({', '.join(sorted(suffixes))}) in {str(place)!r}.")
        files += inside
    return files


def file_pieces(
    engine: RowEngine, path: Path, window: float | None = None, hop: float | None = None, *, ffmpeg: bool = False
) -> list[tuple[Piece, NDArray[Any] | None]]:
    """Compute the features of an audio file, whole or window by window, as a dataset's clean rows have them.

    Features are an array [frames, bands], and None where every sample is the same.

    Raises
    ------
    AudioError
        If the file cannot be read, is too short for one frame, or is silent from start to end.
    """
    try:
        recording = engine.load(recorded(path, ffmpeg=ffmpeg))
        count = len(recording.signal)
        length = count if window is None else min(count, max(1, round(window * recording.rate)))
        step = max(1, round((hop or window or 1.0) * recording.rate))
        starts = [*range(0, count - length, step), count - length]
        pieces = []
        for start in starts:
            part = replace(recording, signal=recording.signal[start : start + length])
            features = None if np.ptp(part.signal) == 0 else engine.clean(part)
            first = recording.start + start
            place = first / recording.rate, (first + length) / recording.rate
            pieces.append((Piece(*place, 0 if features is None else len(features)), features))
    except AudioError as error:
        raise AudioError(f"{_shown(path)}: {error}") from error
    except OSError as error:
        raise AudioError(f"{_shown(path)}: cannot be read ({error.strerror}).") from error
    if not any(piece.frames for piece, _ in pieces):
        raise AudioError(f"{_shown(path)}: silent: all its samples are the same, so there is nothing to label.")
    return pieces


def recorded(path: Path, *, ffmpeg: bool = False) -> bytes:
    """Return the bytes of a regular file or of standard input, of at most as many as a corpus may have in one.

    Raises
    ------
    AudioError
        If it is larger, no regular file, or one that ffmpeg has to convert and does not, or must not.
    """
    if path == STANDARD_INPUT:
        data = _standard_input()
    elif stat.S_ISREG(path.stat().st_mode):  # a device has no end, and a pipe may have no writer
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    else:
        raise AudioError("not a regular file. Give audio files, or folders of them.")
    if len(data) > LARGEST:
        raise AudioError(f"larger than {LARGEST:,} bytes. Cut it into clips.")
    kind = foreign.format_of(data)
    if not kind:
        return data
    if not ffmpeg:
        raise AudioError(f"of the format {kind}, which only ffmpeg reads: give --ffmpeg, or convert it to WAV or FLAC.")
    return foreign.converted(data)


@cache
def _standard_input() -> bytes:
    """Read standard input, once for all who need it."""
    if sys.stdin.isatty():
        raise AudioError("standard input is a terminal: pipe an audio file into it.")
    return sys.stdin.buffer.read(LARGEST + 1)


def write_answers(path: Path, answers: Sequence[Mapping[str, Any]]) -> None:
    """Write the answers of `predict_files` as JSON, or as a CSV table with a row for each file or window.

    Its columns are `file, start, end, label, reason, outside` and `p(CLASS)` for each class; of dimensions
    `file, start, end, reason, outside` and each by its name.
    """
    if path.suffix == ".json":
        write_atomically(path, (json.dumps(answers, indent=2, allow_nan=False) + "\n").encode())
        return
    names, labelled = next(list(answers_of(one)) for one in answers if answers_of(one)), "label" in answers[0]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    shown = [f"p({name})" for name in names] if labelled else names
    table.writerow(["file", "start", "end", *(["label"] if labelled else []), "reason", "outside", *shown])
    for answer in answers:
        for one in answer.get("timeline", [answer]):
            label = [one["label"] or ""] if labelled else []
            columns = [one.get("start", ""), one.get("end", ""), *label, answer.get("reason", "")]
            shares = [answers_of(one).get(name, "") for name in names]
            table.writerow([answer["file"], *columns, "; ".join(answer["outside"]), *shares])
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
