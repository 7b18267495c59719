"""The machine: its processor, its memory, the folders that builds write to, and its GPUs."""

from __future__ import annotations

import fcntl
import os
import platform
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import platformdirs

from featurestore.errors import FeatureStoreError
from featurestore.storage import BASE, LocalStorage, open_storage
from featurestore.storage.folder_lock import TEMPORARY
from pipelines.doctor.findings import NOTE, OK, PROBLEM, Finding
from pipelines.workers.pool import available_cores

EMODB_BYTES = 880_000_000
"""What Emo-DB with 75 copies takes in the default features (README), rounded up."""
CONTROL_GROUP = Path("/sys/fs/cgroup")
BUSY = 0.75
"""Load for each core from which a benchmark measures what others leave over."""
PROBE = b"featurestore doctor"


def check_processor() -> Finding:
    """Name the processor; without fused products the kernels are slow."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        model = fields.get("model name") or platform.machine()
        flags = set(fields.get("flags", "").split())
        if platform.machine() != "x86_64":
            advice = "bits on other processors than x86-64 may differ: docs/reliability.md"
            return Finding("processor", NOTE, f"{model} ({platform.machine()})", advice)
        if flags and not {"avx2", "fma"} <= flags:
            return Finding("processor", NOTE, f"{model}, without AVX2 and FMA", "builds work, but take much longer")
        return Finding("processor", OK, model)
    return Finding("processor", OK, platform.processor() or platform.machine())


def check_cores() -> Finding:
    """Count the cores that this process may use, as the system and its control group allow."""
    cores, total = available_cores(), os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        memory = min(memory, int((CONTROL_GROUP / "memory.max").read_text(encoding="ascii")))
    text = f"{cores} of {total}, {memory / 1e9:.0f} GB of memory"
    with suppress(OSError, ValueError):
        quota, period = map(int, (CONTROL_GROUP / "cpu.max").read_text(encoding="ascii").split())
        if quota < cores * period:
            jobs = max(1, quota // period)
            return Finding("cores", NOTE, f"{text}, of which this container may use {quota / period:g}",
                           f"--jobs {jobs} is the fastest")  # fmt: skip
    return Finding("cores", OK, text)


def busy() -> str:
    """Say how busy other processes keep the cores, where it is enough to slow a benchmark down; else nothing."""
    load, cores = os.getloadavg()[0], available_cores()
    return f"the machine is busy (load {load:.1f} on {cores} cores)" if load > BUSY * cores else ""


def check_store(place: str) -> Finding:
    """Open the place of a store and, in a folder, write, link and lock as a build does; nothing is left there."""
    own, _, base = place.rpartition(BASE) if BASE in place else (place, "", "")
    try:
        storage = open_storage(own)
        kind = "a store" if storage.is_store() else "no store yet"
        if base and not open_storage(base).is_store():
            return Finding("store", PROBLEM, f"{base}: no store", "check --base and FEATURESTORE_BASE")
        if not isinstance(storage, LocalStorage):
            return Finding("store", OK, f"{storage.uri}: {kind}; writing was not tried")
        free = storage.free_bytes()
        _try_writing(folder_to_write(storage))
    except FeatureStoreError as error:
        return Finding("store", PROBLEM, str(error).rstrip("."), "give --store a folder that you may read and write")
    except OSError as error:
        return Finding("store", PROBLEM, f"{error.filename or own}: {error.strerror}",
                       "give --store a folder that you may read and write")  # fmt: skip
    text = f"{storage.uri}: {kind}, can be written" + ("" if free is None else f", {free / 1e9:.1f} GB free")
    if free is not None and free < EMODB_BYTES:
        return Finding("store", NOTE, text, f"Emo-DB with 75 copies takes {EMODB_BYTES / 1e6:.0f} MB")
    return Finding("store", OK, text)


def check_cache() -> Finding:
    """Find out whether the user's cache folder, where downloads and indexes of folders lie, can be written."""
    folder = Path(platformdirs.user_cache_dir("featurestore"))
    try:
        _try_writing(nearest_folder(folder))
    except OSError as error:
        advice = "set XDG_CACHE_HOME to a folder that you can write, or downloads fail and folders are read anew"
        return Finding("cache", NOTE, f"{folder}: {error.strerror}", advice)
    return Finding("cache", OK, f"{folder}: can be written")


def check_gpu() -> Finding:
    """Ask torch, where it is installed, for GPUs."""
    try:
        metadata.version("torch")
    except metadata.PackageNotFoundError:
        return Finding("gpu", OK, "none used: torch is not installed")
    try:
        from pipelines.torch_rows.engine import gpus

        found = gpus()
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        return Finding(
            "gpu", PROBLEM, f"torch fails: {reason}", "install torch again, of a build that fits this system"
        )
    return Finding("gpu", OK, "; ".join(found) or "none found by torch")


def nearest_folder(path: Path) -> Path:
    """Return a folder or, where it does not exist yet, the nearest above it that does."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def folder_to_write(storage: LocalStorage) -> Path:
    """Return where something can lie for a moment: in a store the folder of unfinished files, which nothing reads."""
    return nearest_folder(storage.root / TEMPORARY if storage.is_store() else storage.root)


def _try_writing(folder: Path) -> None:
    """Write, sync, link and lock a file in a new folder within one, and remove it; `OSError` if that fails.

    File systems without links or locks are fine: builds do without them.
    """
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as place:
        path = Path(place, "probe")
        with path.open("xb") as file:
            file.write(PROBE)
            file.flush()
            os.fsync(file.fileno())
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with suppress(OSError):
            os.link(path, path.with_name("link"))
        path.read_bytes()
