"""Answers to recordings as one page: the probability of each class over time, above a player of the recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from featurestore.errors import AudioError
from featurestore.files import write_atomically
from featurestore.pages.examples import sound
from featurestore.pages.template import render
from featurestore.signal.audio import Recording, resample
from featurestore.signal.guarded import GuardedDecoder
from models.prediction import recorded
from models.pretrained import ModelCard
from models.runs.run import Run

PLAYERS = 20
"""Recordings whose sound is part of a page."""
RATE = 16_000
"""Samples a second of a player, at most."""


def write_timelines(
    path: Path,
    runs: Sequence[Run],
    files: Sequence[Path],
    answers: Sequence[Mapping[str, Any]],
    *,
    ffmpeg: bool,
    card: ModelCard | None = None,
) -> None:
    """Write the page of what `models.prediction.predict_files` returned.

    Parameters
    ----------
    path : Path
    runs : sequence of Run
        Those that answered together.
    files : sequence of Path
        Those of the answers.
    answers : sequence of mapping
    ffmpeg : bool
        As they were predicted with.
    card : ModelCard, optional
        Of the model that comes with the package, if that answered.
    """
    decoder, players = GuardedDecoder(), 0
    labelled, refused = [], []
    for file, answer in zip(files, answers, strict=True):
        if answer["label"] is None:
            refused.append(answer["reason"])
            continue
        recording = decoder.decode(recorded(file, ffmpeg=ffmpeg))
        labelled.append(_shown(answer, recording, heard=players < PLAYERS))
        players += 1
    config = runs[0].config
    notes = sorted({answer["normalised_as"] for answer in answers if "normalised_as" in answer})
    text = render(
        "timeline.html",
        title=f"{config.model}, trained on {config.dataset['name']}",
        members=["the pretrained model"] if card else [str(run.folder) for run in runs],
        notes=[*(card.remarks if card else ()), *(f"Normalised as {note}." for note in notes)],
        files=labelled,
        refused=refused,
        silent_after=PLAYERS if players > PLAYERS else 0,
    )
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _shown(answer: Mapping[str, Any], recording: Recording, *, heard: bool) -> dict[str, Any]:
    """Return what the page shows of a recording."""
    seconds = len(recording.signal) / recording.rate
    whole = {"start": 0.0, "end": seconds, "label": answer["label"], "probabilities": answer["probabilities"]}
    windows = answer.get("timeline", [whole])
    cells = list(pairwise(bounds(windows)))
    lanes = [
        (
            name,
            [
                {"left": 100 * start / seconds, "width": 100 * (end - start) / seconds, "share": share}
                for (start, end), window in zip(cells, windows, strict=True)
                if (share := window["probabilities"].get(name)) is not None
            ],
        )
        for name in answer["probabilities"]
    ]
    return {
        "file": answer["file"],
        "label": answer["label"],
        "share": answer["probabilities"][answer["label"]],
        "remarks": answer["outside"],
        "seconds": seconds,
        "lanes": lanes,
        "ticks": [(f"{mark:g}", 100 * mark / seconds) for mark in marks(seconds)],
        "windows": windows,
        "audio": _sound(recording) if heard else "",
    }


def bounds(windows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return where the cells of windows begin, and where the last one ends, in seconds.

    Where windows overlap, a cell reaches to the middle between its centre and that of the next window.
    """
    centres = [(one["start"] + one["end"]) / 2 for one in windows]
    return [windows[0]["start"], *((one + other) / 2 for one, other in pairwise(centres)), windows[-1]["end"]]


def marks(seconds: float) -> list[float]:
    """Return the places of an axis of time: six at most after 0."""
    step = next((one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300) if seconds / one <= 6), 600)
    return [step * place for place in range(int(seconds / step) + 1)]


def _sound(recording: Recording) -> str:
    """Return the address of a recording's sound; empty where it cannot be written."""
    heard = resample(recording, RATE) if recording.rate > RATE else recording
    try:
        return sound(heard.signal, heard.rate)
    except AudioError:
        return ""
