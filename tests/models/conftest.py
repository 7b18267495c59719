"""A finished training that several tests look at."""

from __future__ import annotations

import pytest
from array_view import SPEC, some_view

from models.batches.loader import Sides
from models.runs.run import load_run
from models.training import configure, train
from models.training_spec import TrainingSpec


@pytest.fixture(scope="session")
def sides():
    return Sides(some_view(48, seed=1), some_view(9, seed=2), some_view(12, seed=3))


@pytest.fixture(scope="session")
def configured(sides):
    """Describe a training of the small sides; keywords change its spec."""

    def describe(**changes):
        return configure(sides, "mathworks-cnn-lstm", TrainingSpec.from_dict({**SPEC, **changes}), split="made-up")

    return describe


@pytest.fixture(scope="session")
def finished(sides, configured, tmp_path_factory):
    """Folder, result and run of an undisturbed training."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    result = train(sides, configured(), folder, device="cpu")
    return folder, result, load_run(folder)
