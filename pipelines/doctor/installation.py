"""The installation: the versions of packages, the decoders of audio, and where compiled kernels are kept.

Versions are read from the metadata of packages, so that none is imported.
"""

from __future__ import annotations

import io
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import featurestore
from featurestore.errors import AudioError
from pipelines.doctor.findings import NOTE, OK, PROBLEM, Finding

CONSTRAINTS = Path(featurestore.__file__).with_name("constraints.txt")
"""The versions that were tested; in a checkout a link to the file of that name at its root."""
TESTED_PYTHON = (3, 11)
MOST_NAMED = 6
"""Packages that a line names."""
FORMATS = {"WAV": ("WAV", "PCM_16"), "FLAC": ("FLAC", "PCM_16"), "Ogg Vorbis": ("OGG", "VORBIS"),
           "Opus": ("OGG", "OPUS"), "MP3": ("MP3", "MPEG_LAYER_III"), "AIFF": ("AIFF", "PCM_16"),
           "WAV mu-law": ("WAV", "ULAW")}  # fmt: skip
"""Container and coding in libsndfile of what corpora are made of."""
LEAST_SECONDS = 0.9
"""Of the second that is coded, what has to come back: lossy coders add or drop a few frames."""


def tested_versions() -> dict[str, str]:
    """Return the version of each package that this version of featurestore was tested with."""
    from packaging.utils import canonicalize_name

    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {canonicalize_name(name): version for name, version in pairs}


def check_python() -> Finding:
    """Compare Python with the version that was tested."""
    text = f"{platform.python_version()} on {platform.platform()}"
    if sys.version_info[:2] == TESTED_PYTHON:
        return Finding("python", OK, text)
    tested = ".".join(map(str, TESTED_PYTHON))
    return Finding("python", NOTE, text, f"all tests were run with Python {tested}, fewer with others: see the README")


def check_packages() -> Iterator[Finding]:
    """Find required packages that are missing or too old, and those whose version is not the one that was tested."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name
    from packaging.version import Version

    required = [Requirement(text) for text in metadata.requires("featurestore") or ()]
    always = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    installed = {one.name: _version(one.name) for one in required}
    wrong, differing, tested = [], [], tested_versions()
    for one in always:
        here, known = installed[one.name], tested.get(canonicalize_name(one.name))
        if here is None and one.name != "torch":
            wrong.append(f"{one.name} is missing")
        elif here is not None and not one.specifier.contains(here, prereleases=True):
            wrong.append(f"{one.name} {here} is not {one.specifier}")
        elif here is not None and known is not None and Version(here).public != Version(known).public:
            differing.append(f"{one.name} {here} (tested: {known})")
    if wrong:
        yield Finding("packages", PROBLEM, _some(wrong), "pip install --constraint constraints.txt featurestore")
    elif differing:
        advice = "rows name the major and minor version of what computes them, so other ones are computed anew"
        yield Finding("packages", NOTE, f"{len(differing)} of {len(always)} differ: {_some(differing)}", advice)
    else:
        yield Finding("packages", OK, f"all {len(always)} as tested")
    if installed.get("torch") is None:
        yield Finding("torch", NOTE, "not installed", "training and --device cuda need it: pip install torch")
    extras = metadata.metadata("featurestore").get_all("Provides-Extra") or []
    whole = [name for name in extras if all(installed[one.name] for one in required if _belongs(one, name))]
    yield Finding("extras", OK, f"{', '.join(whole) or 'none'} (of {', '.join(extras)})")


def _belongs(requirement: object, extra: str) -> bool:
    marker = getattr(requirement, "marker", None)
    return marker is not None and not marker.evaluate({"extra": ""}) and bool(marker.evaluate({"extra": extra}))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
    return f"{', '.join(texts[:MOST_NAMED])}{more}"


def check_codecs() -> Finding:
    """Code a second of sound in each format and decode it as a build does, in the guarded process."""
    import numpy as np
    import soundfile

    from featurestore.signal.guarded import GuardedDecoder

    rate = 16_000
    tone = 0.1 * np.sin(np.arange(rate) * (2 * np.pi * 440 / rate))
    decoder, failed = GuardedDecoder(), []
    for name, (container, coding) in FORMATS.items():
        file = io.BytesIO()
        try:
            soundfile.write(file, tone, rate, format=container, subtype=coding)
            found = decoder.decode(file.getvalue())
        except (AudioError, soundfile.LibsndfileError, ValueError) as error:
            failed.append(f"{name} ({' '.join(str(error).split()).rstrip('.')})")
            continue
        if len(found.signal) < LEAST_SECONDS * found.rate:
            failed.append(f"{name} (only {len(found.signal):,} samples come back)")
    library = f"libsndfile {soundfile.__libsndfile_version__}"
    if failed:
        advice = "pip install --upgrade soundfile, whose wheels bring a libsndfile with all formats"
        return Finding("codecs", PROBLEM, f"{library} fails for {', '.join(failed)}", advice)
    return Finding("codecs", OK, f"{', '.join(FORMATS)} decoded, by {library}")


def check_kernels() -> Finding:
    """Find out whether compiled kernels are kept, and for which processor they are compiled."""
    from llvmlite import binding

    from featurestore.signal.kernels.level import energy

    kind = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    folder = getattr(getattr(energy, "_cache", None), "cache_path", None)
    if folder is None:
        advice = "set NUMBA_CACHE_DIR to a folder that you can write, or each command compiles for about 20 s"
        return Finding("kernels", NOTE, f"compiled for {kind}, kept nowhere", advice)
    return Finding("kernels", OK, f"compiled for {kind}, kept in {folder}")
