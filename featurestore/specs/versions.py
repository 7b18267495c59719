"""The versions that rows depend on: a whole number for each of our operations, and the libraries they use.

A change of an operation that changes its numbers raises its number here; rows computed before then keep their own
address. Nothing heavy is imported: the versions of libraries are read from their metadata.
"""

from __future__ import annotations

from importlib.metadata import version

from featurestore.errors import UnknownNameError
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec

OPERATIONS = {
    "decode": (1, ("soundfile", "numpy")),
    "resample": (1, ("soxr",)),
    "trim": (1, ("numpy",)),
    "stft": (2, ("scipy", "numba")),
    "mel": (2, ("numba", "numpy")),
    "log": (1, ("numba",)),
    "draw": (1, ()),
    "pitch": (2, ("scipy", "numba", "numpy")),
    "shift": (1, ("numpy",)),
    "noise": (1, ("numba",)),
    "vtlp": (2, ("numba", "numpy")),
    "peak": (1, ("numba",)),
}
"""Each operation's version and the libraries that its numbers depend on."""

_PERTURBATIONS = {
    "semitones": "pitch",
    "shift_seconds": "shift",
    "snr_db": "noise",
    "vtlp_alpha": "vtlp",
    "peak": "peak",
}


CPU, TORCH = "cpu", "torch"
ENGINES = {CPU: "", TORCH: "torch-1"}
"""What computes rows, and how rows name it: those of the processor's own engine name none.

The number of the torch engine is raised when its own arithmetic changes; the operations keep theirs, which say what
is computed.
"""
_REPLACED = {"scipy", "numba"}
"""Libraries that the torch engine does without."""


def row_versions(
    features: FeatureSpec, augmentation: AugmentationSpec | None, engine: str = CPU
) -> dict[str, str | int]:
    """Return the versions of the operations that rows of a spec go through, and `major.minor` of their libraries.

    Operations that a spec does not use are left out, so that a change of the noise leaves clean rows in place. An
    engine whose bits differ from the processor's own adds its name.

    Examples
    --------
    >>> row_versions(FeatureSpec(), None)["mel"]
    2
    >>> row_versions(FeatureSpec(), None, "torch")["engine"]
    'torch-1'
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    used = ["decode", "stft", "mel", "log"]
    if features.rate is not None:
        used.append("resample")
    if features.trim_db is not None:
        used.append("trim")
    if augmentation is not None:
        used.append("draw")
        used += [name for field, name in _PERTURBATIONS.items() if getattr(augmentation, field) is not None]
    versions: dict[str, str | int] = {name: OPERATIONS[name][0] for name in used}
    libraries = {library for name in used for library in OPERATIONS[name][1]}
    if engine == TORCH:
        versions["engine"] = ENGINES[TORCH]
        libraries = libraries - _REPLACED | {"torch"}
    return versions | {library: _major_minor(library) for library in sorted(libraries)}


def _major_minor(library: str) -> str:
    return ".".join(version(library).split(".")[:2])
