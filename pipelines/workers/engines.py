"""What computes rows: the processor's own engine, or torch on a device, by the name of `--device`."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featurestore.errors import SpecError, UnknownNameError
from featurestore.specs.row_spec import CPU, TORCH, RowSpec, check_together
from featurestore.store import open_store

if TYPE_CHECKING:
    from featurestore.row_engine import Engine
    from featurestore.specs.augmentation import AugmentationSpec
    from featurestore.specs.features import FeatureSpec

DEVICES = ("auto", "cpu", "cuda", "torch-cpu")
MOST_KEPT = 2
"""Specs whose engines are kept from one task of a worker to the next."""


def device_of_rows(name: str, features: FeatureSpec | None = None, augmentation: AugmentationSpec | None = None) -> str:
    """Return the device that computes rows: `auto` is `cuda` where torch finds a GPU and knows such rows, else `cpu`.

    Raises
    ------
    UnknownNameError
        If it is none of `auto`, `cpu`, `cuda`, `cuda:N` and `torch-cpu`.
    """
    if name not in DEVICES and not re.fullmatch(r"cuda:[0-9]{1,3}", name):
        raise UnknownNameError("device", name, DEVICES, "A certain GPU is cuda:N.")
    if name != "auto":
        return name
    from pipelines.torch_rows.engine import has_gpu

    try:
        if features is not None:
            check_together(features, augmentation, TORCH)
    except SpecError:
        return "cpu"
    return "cuda" if has_gpu() else "cpu"


def engine_of(device: str) -> str:
    """Return the engine that computes rows on a device: `cpu` or `torch`. Nothing heavy is imported."""
    return CPU if device == "cpu" else TORCH


def open_engine(spec: RowSpec, device: str | None = None, recordings: Callable[[str], bytes] | None = None) -> Engine:
    """Return an engine for the rows of a spec.

    Parameters
    ----------
    spec : RowSpec
        Says which engine.
    device : str, optional
        Where the torch engine computes; by default a GPU if there is one, else the processor.
    recordings : callable, optional
        Returns the bytes of a noise or room response by its sha256, as `Store.original` does.

    Raises
    ------
    BuildError
        If the device is not there.
    """
    if spec.engine == CPU:
        from featurestore.row_engine import RowEngine

        return RowEngine(spec.features, spec.augmentation, recordings)
    from pipelines.torch_rows.engine import TorchEngine, open_device

    return TorchEngine(spec.features, spec.augmentation, open_device(device))


@contextmanager
def lent_engine(spec: RowSpec, store_uri: str) -> Iterator[Engine]:
    """Lend an engine to one thread at a time, with the tables, buffers and decoded noises that it had in earlier tasks.

    A worker of a cluster has as many threads as its cores by default, and an engine's buffers are for one of them.
    Functions of the user, which may not be thread-safe, run in one thread at a time.
    """
    key = _EngineKey(spec.id, store_uri, spec)
    with _one_thread if spec.foreign else nullcontext():
        with _lock:
            idle = _idle.get(key)
            engine = idle.pop() if idle else None
        engine = engine or open_engine(spec, recordings=open_store(store_uri).original)
        yield engine
        with _lock:
            _idle.setdefault(key, []).append(engine)
            _idle.move_to_end(key)
            while len(_idle) > MOST_KEPT:
                _idle.popitem(last=False)


def forget_engines() -> None:
    """Drop all engines that are kept."""
    with _lock:
        _idle.clear()


@dataclass(frozen=True, slots=True)
class _EngineKey:
    """Names an engine by the address of its rows: Python takes specs for equal whose settings are 1, 1.0 and True."""

    spec_id: str
    store_uri: str
    spec: RowSpec = field(compare=False)


_idle: OrderedDict[_EngineKey, list[Engine]] = OrderedDict()
"""Engines that nobody uses, those used last at the end."""
_lock, _one_thread = threading.Lock(), threading.Lock()
