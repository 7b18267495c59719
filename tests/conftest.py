"""What several tests share: real corpora where they are, a store, a Dask cluster of real processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Results of a training depend on its number of threads; small ones are faster with one. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from bucket_server import place, s3_server  # noqa: F401
from demo_corpus import SHARED
from hypothesis import HealthCheck, settings

from featurestore.store import Store, open_store

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")  # a starved processor fails no test


class WithoutTorch:
    """The last to be asked for a module: where torch is not installed, what imports it skips."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "torch":
            pytest.skip("needs torch", allow_module_level=True)


sys.meta_path.append(WithoutTorch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests: at the end, one process would wait for the other to finish them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings, which is not part of the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of real recordings (../shared, or FEATURESTORE_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def emodb_zip(shared: Path) -> Path:
    """The real Emo-DB."""
    return shared / "data" / "emodb" / "download.zip"


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with two worker processes."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as running:
        yield running.scheduler_address


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(tmp_path / "store")
