"""Labels for features and for audio files."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from featurestore.corpus.reading.unpack import Limits
from featurestore.errors import AudioError, SpecError
from models.batches.normalisation import of_one_speaker
from models.data import Batch
from models.execution import Execution
from models.runs.run import Run

if TYPE_CHECKING:
    from featurestore.rows.engine import RowEngine


@torch.no_grad()
def predict(run: Run, features: Iterable[NDArray[Any]], device: str = "auto") -> list[dict[str, Any]]:
    """Label clips of features: a list of `label` and `probabilities` by class name.

    If the model normalises each speaker, the clips are taken as those of one speaker whom nobody knows, and every
    answer says so under `normalised_as`.

    Parameters
    ----------
    run : Run
    features : iterable of array [frames, bands]
        As the run's feature spec describes them; each is judged alone, but for what its speaker sounds like.
    device : str

    Raises
    ------
    SpecError
        If an array has another number of bands than the model was trained on, or no frames.
    """
    execution = Execution.of(run.config.model, run.config.settings, run.config.training, device)
    model = execution.place(run.model).eval()
    normalisation, remark = run.normalisation, {}
    if normalisation is not None and normalisation.kind == "speaker":
        features = [_checked(clip, run.config.bands) for clip in features]
        normalisation = of_one_speaker(features, run.config.bands, single=normalisation.single)
        remark = {"normalised_as": f"one unknown speaker (clips measured together: {len(features)})"}
    change = normalisation.change(execution.device) if normalisation else _unchanged
    answers = []
    for clip in features:
        batch = change(_batch_of(_checked(clip, run.config.bands)).to(execution.device))
        shares = execution.logits(model, batch).softmax(1)[0].cpu().double().numpy()
        answers.append({**_answer(shares, run.config.classes), **remark})
    return answers


def _unchanged(batch: Batch) -> Batch:
    return batch


def _checked(clip: NDArray[Any], bands: int) -> NDArray[Any]:
    """Return the clip if a model of `bands` can read it; `SpecError` if not."""
    if clip.ndim != 2 or clip.shape[1] != bands or not len(clip):
        raise SpecError(f"the model reads [frames, {bands}] features, not an array of shape {list(clip.shape)}.")
    return clip


def _batch_of(clip: NDArray[Any]) -> Batch:
    features = torch.from_numpy(np.ascontiguousarray(clip))[None]
    return Batch(features, torch.tensor([len(clip)]), torch.tensor([0]), torch.tensor([0]))


def _answer(shares: NDArray[np.float64], classes: Sequence[str]) -> dict[str, Any]:
    probabilities = {name: float(share) for name, share in zip(classes, shares, strict=True)}
    return {"label": classes[int(shares.argmax())], "probabilities": probabilities}


def predict_files(run: Run, paths: Sequence[Path], device: str = "auto") -> list[dict[str, Any]]:
    """Label audio files of any rate and number of channels: a list of `file, label, probabilities`.

    Files that are given together are taken as one speaker's where the model normalises speakers, see `predict`. A file
    that cannot be read, or is too short for one frame, has no label and a `reason`; the others have theirs.

    Raises
    ------
    AudioError
        If no file can be labelled; the message names the first.
    """
    from featurestore.rows.engine import RowEngine

    engine = RowEngine(run.config.features)
    refused: dict[Path, AudioError] = {}

    def clips() -> Iterator[NDArray[Any]]:
        """Yield `array [frames, bands]` of each file that can be read, and keep why the others cannot."""
        for path in paths:
            try:
                yield file_features(engine, path)
            except AudioError as error:
                refused[path] = error

    answers = iter(predict(run, clips(), device))
    if len(refused) == len(set(paths)):
        raise next(iter(refused.values()))
    return [
        {"file": str(path), "label": None, "probabilities": {}, "reason": str(refused[path])}
        if path in refused
        else {"file": str(path), **next(answers)}
        for path in paths
    ]


def file_features(engine: RowEngine, path: Path) -> NDArray[Any]:
    """Compute the features of an audio file as a dataset's clean rows have them, `array [frames, bands]`."""
    try:
        return engine.clean(engine.load(_recorded(path)))
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}).") from error


def _recorded(path: Path) -> bytes:
    """Return the bytes of a regular file, of at most as many as a corpus may have in one; `AudioError` otherwise."""
    if not stat.S_ISREG(path.stat().st_mode):  # a device has no end, and a pipe may have no writer
        raise AudioError("no regular file. Give audio files, or folders of them.")
    largest = Limits().member_bytes
    with path.open("rb") as stream:
        data = stream.read(largest + 1)
    if len(data) > largest:
        raise AudioError(f"larger than {largest:,} bytes. Cut it into clips.")
    return data
