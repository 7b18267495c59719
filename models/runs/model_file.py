"""The file of a trained model: its weights, and the statistics that its features are normalised by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from models.batches.normalisation import Normalisation
from models.errors import CheckpointError
from models.runs.checkpoint import write_tensors

STATISTICS = "normalisation"
"""Metadata entry, and the start of the names of the statistics' tensors; no module of a model is called so."""


def write_model(
    path: Path, weights: Mapping[str, Tensor], normalisation: Normalisation | None, metadata: Mapping[str, str]
) -> str:
    """Write weights and statistics into one file, so that neither goes without the other; return its sha256."""
    if normalisation is None:
        return write_tensors(path, weights, metadata)
    named = {f"{STATISTICS}.{name}": tensor for name, tensor in normalisation.tensors().items()}
    return write_tensors(path, {**weights, **named}, {**metadata, STATISTICS: normalisation.described()})


def apart(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], kind: str
) -> tuple[dict[str, Tensor], Normalisation | None]:
    """Separate weights and statistics as `write_model` put them together.

    Raises
    ------
    CheckpointError
        If the statistics are not of the kind that the training asked for, or make no sense.
    """
    start = f"{STATISTICS}."
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(start)}
    statistics = {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
    if STATISTICS not in metadata and kind == "none":
        return weights, None
    try:
        normalisation = Normalisation.restored(statistics, metadata.get(STATISTICS, ""))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if normalisation.kind != kind:
        raise CheckpointError(f"{path}: is normalised by {normalisation.kind}, and config.json says {kind}.")
    return weights, normalisation
