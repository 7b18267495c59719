"""Trained models in formats that need nothing of this package: every file of this folder with a `FORMAT` is one.

A format takes `features [1, frames, bands]`, float32, as the run's feature spec describes them, and returns
`probabilities [1, classes]`; normalisation is inside. The names of the classes and the feature spec are in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from featurestore.checksummed_json import canonical_json
from featurestore.errors import SpecError, StorageError, UnknownNameError
from featurestore.registry import formats_in
from models.errors import CheckpointError
from models.exports.plain import Classifier, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.runs.run import Run

MOST_DIFFERENCE = 1e-4
"""Of a probability, between the file and the run."""
TRIED_FRAMES = (3, 16, 57, 300)
"""Frames of the clips on which a file is compared with the run."""

Answer = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]


@dataclass(frozen=True)
class ModelFormat:
    """How a model is written and read."""

    name: str
    write: Callable[[Classifier, Mapping[str, str], Path], None]
    """Called with the network, what the file is to say of it, and the file."""
    read: Callable[[Path], Answer]
    """Opens the file with the tool that it is for."""


def formats() -> dict[str, ModelFormat]:
    """Return the formats by name."""
    return formats_in(__name__)


def export_model(run: Run, to: str, out: Path) -> Path:
    """Write a run's model to a new file, compared with the run; a file that differs is not kept.

    Raises
    ------
    UnknownNameError
        If there is no such format.
    SpecError
        If the network cannot be exported, or estimates dimensions.
    StorageError
        If a file stands there.
    MissingPackageError
        If the format needs a package that is not installed.
    CheckpointError
        If the file answers otherwise than the run.
    """
    known = formats()
    if to not in known:
        raise UnknownNameError("model format", to, known)
    if run.config.dimensions:
        raise SpecError(
            f"run {run.folder} estimates {', '.join(run.config.dimensions)}, and files hold classifiers alone: use "
            "'featurestore predict'."
        )
    if out.exists():
        raise StorageError(f"{str(out)!r} exists: give --out another path.")
    network = plain(run)
    part = out.with_name(f".{out.name}.featurestore-export")
    try:
        known[to].write(network, description(run), part)
        compare(run, known[to].read(part))
        part.replace(out)
    except OSError as error:
        raise StorageError(f"cannot write {str(out)!r}: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return out


def description(run: Run) -> dict[str, str]:
    """Return what a file says of its model: classes in their order, features, model and dataset."""
    return {
        "classes": canonical_json(list(run.config.classes)),
        "features": canonical_json(run.config.features.to_dict()),
        "model": run.config.model,
        "dataset": str(run.config.dataset["digest"]),
    }


def compare(run: Run, answer: Answer) -> None:
    """Compare a file's answers with those of the run to clips of noise; `CheckpointError` if they differ."""
    clips = np.random.default_rng(0)
    for frames in TRIED_FRAMES:
        features = clips.normal(-5, 4, (1, frames, run.config.bands)).astype(np.float32)
        found, expected = answer(features), original(run, features)
        difference = float(np.abs(found - expected).max())
        if not difference <= MOST_DIFFERENCE:
            raise CheckpointError(
                f"the exported {run.config.model} differs from the run by {difference:.2g} for {frames} frames: "
                "nothing was kept. Please report it with the run's config.json."
            )


@torch.no_grad()
def original(run: Run, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the run's own answer to a clip `[1, frames, bands]`, in float32 on the CPU: `[1, classes]`."""
    from models.batches.loader import Batch

    values = torch.from_numpy(features)
    batch = Batch(values, torch.tensor([features.shape[1]]), torch.tensor([0]), torch.tensor([0]))
    if run.normalisation is not None:
        batch = run.normalisation.normaliser(torch.device("cpu"))(batch)
    model = run.model.cpu().float().eval()
    answer: NDArray[np.float32] = model(batch.features, batch.lengths, batch.starts).softmax(1).numpy()
    return answer
