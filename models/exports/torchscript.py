"""TorchScript: a file that libtorch and `torch.jit.load` run without this package."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.exports import Answer, ModelFormat
from models.exports.plain import Classifier


def write(network: Classifier, description: Mapping[str, str], out: Path) -> None:
    """Write a network; the description becomes its extra files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.13 prefers torch.export, which libtorch does not read
        scripted = torch.jit.script(network)
        torch.jit.save(scripted, str(out), _extra_files=dict(description))


def read(path: Path) -> Answer:
    """Open a file with torch alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]

    def answer(features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of a clip."""
        with torch.no_grad():
            found: NDArray[np.float32] = network(torch.from_numpy(features)).numpy()
        return found

    return answer


FORMAT = ModelFormat("torchscript", write, read)
