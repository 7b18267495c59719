"""How well training uses a GPU: clips a second, how long a step waits for the loader, and how busy the GPU is.

    python benchmarks/gpu_training.py STORE [--dataset emodb] [--model NAME] [--clips 12800] [--rounds 3]

Rows are read from the store ahead of the step (`none`), from RAM (`ram`), or gathered on the GPU (`gpu`), in
interleaved rounds. `kernels` is the share of a step in which the GPU computes (seconds of all its kernels, by torch's
profiler, over the seconds of an unobserved step); `driver` is nvidia-smi's utilisation meanwhile. Steps that wait for
the GPU by accident are counted by torch's synchronisation check. `plain` is a loop without this package, of the model
mathworks-cnn-lstm alone. `--device cpu` tries all of it that needs no GPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from contextlib import closing

import torch
from plain_model import BATCH, plain_rate
from torch import nn
from torch.profiler import ProfilerActivity, profile

from featurestore.errors import FeatureStoreError
from featurestore.store import open_store
from featurestore.view import DatasetView
from models.batches.loader import ViewDataset
from models.batches.residence import reside, resolve_residence
from models.batches.samplers import make_sampler
from models.execution import Execution, arithmetic, device_name
from models.networks import build_model
from models.optimisation.optimisers import make_optimiser
from models.training_spec import TrainingSpec

MODEL = "mathworks-cnn-lstm"
PLACES = ("none", "ram", "gpu")


class Loop:
    """The steps of a training on a GPU, as the trainer does them."""

    def __init__(self, view: DatasetView, name: str, spec: TrainingSpec, device: str) -> None:
        self.spec, self.execution = spec, Execution.of(name, {}, spec, device)
        self.on_gpu = self.execution.device.type == "cuda"
        self.model = self.execution.place(build_model(name, len(view.classes), view.bands)).train()
        if spec.compile:
            self.model.compile(dynamic=True)
        self.optimiser = make_optimiser(self.model, spec)
        begun, device = time.perf_counter(), self.execution.device
        self.data = reside(ViewDataset(view, view.classes), resolve_residence(spec, view, device), device)
        self.finish()
        self.loading_seconds = time.perf_counter() - begun

    def finish(self) -> None:
        """Wait until the GPU has nothing more to do."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def steps(self, clips: int) -> dict[str, float]:
        """Return clips a second and the share of time spent waiting for batches."""
        order = [rows for rows in make_sampler(self.data, self.spec) if len(rows) == BATCH][: clips // BATCH]
        warm = min(20, len(order) // 2)
        waited = begun = mark = 0.0
        with closing(self.execution.feed(self.data, order)) as feed:
            for number, batch in enumerate(feed):
                if number == warm:
                    self.finish()
                    begun = time.perf_counter()
                elif number > warm:
                    waited += time.perf_counter() - mark
                self.step(batch)
                mark = time.perf_counter()
        self.finish()
        passed = time.perf_counter() - begun
        return {"clips_per_second": (len(order) - warm) * BATCH / passed, "loader": waited / passed}

    def kernel_seconds(self, steps: int = 50) -> float:
        """Return the seconds of a step in which the GPU computes."""
        order = [rows for rows in make_sampler(self.data, self.spec) if len(rows) == BATCH][:steps]
        with (
            closing(self.execution.feed(self.data, order)) as feed,
            profile(activities=[ProfilerActivity.CUDA]) as seen,
        ):
            for batch in feed:
                self.step(batch)
            torch.cuda.synchronize()
        return sum(event.self_device_time_total for event in seen.key_averages()) / 1e6 / len(order)

    def step(self, batch) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(self.execution.logits(self.model, batch), batch.labels).backward()
        self.optimiser.step()

    def synchronisations(self) -> int:
        """Return how often one step waits for the GPU."""
        order = list(make_sampler(self.data, self.spec))[:1]
        with closing(self.execution.feed(self.data, order)) as feed, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for batch in feed:
                torch.cuda.set_sync_debug_mode("warn")
                self.step(batch)
                torch.cuda.set_sync_debug_mode("default")
        return len([warning for warning in caught if "synchroni" in str(warning.message)])


def measure(
    view: DatasetView, model: str, clips: int, rounds: int, settings: dict[str, object], device: str
) -> dict[str, object]:
    """Return the figures of each residence, and of the plain loop on the same device."""
    loops, skipped = {}, {}
    for place in PLACES:
        try:
            loops[place] = Loop(view, model, TrainingSpec.from_dict({**settings, "residence": place}), device)
        except FeatureStoreError as error:
            skipped[place] = str(error)
    figures: dict[str, dict[str, list[float]]] = {place: {} for place in loops}
    plain = []
    for _ in range(rounds):
        for place, loop in loops.items():
            with DriverView() as driver:
                sample = loop.steps(clips)
            sample["driver"] = driver.utilisation
            if loop.on_gpu:
                sample["kernels"] = loop.kernel_seconds() * sample["clips_per_second"] / BATCH
            for name, value in sample.items():
                figures[place].setdefault(name, []).append(value)
        plain += [plain_rate(view, min(clips, 3200), device)] if model == MODEL else []
    found = {place: {name: statistics.median(values) for name, values in f.items()} for place, f in figures.items()}
    for place, loop in loops.items():
        found[place]["holding_seconds"] = loop.loading_seconds
        if loop.on_gpu:
            found[place]["synchronisations"] = loop.synchronisations()
    name = device_name(torch.device(device))
    return {
        "model": model,
        "device": name,
        "plain": statistics.median(plain) if plain else None,
        **found,
        "skipped": skipped,
    }


class DriverView:
    """The driver's own figure of utilisation while a body runs, by nvidia-smi; NaN where there is none."""

    utilisation = float("nan")

    def __enter__(self) -> DriverView:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        program = shutil.which(query[0])
        self._child = subprocess.Popen(query, stdout=subprocess.PIPE, text=True) if program else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.terminate()
            samples = [int(line) for line in self._child.communicate()[0].split() if line.isdigit()]
            self.utilisation = statistics.mean(samples) / 100 if samples else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("--dataset", default="emodb")
    parser.add_argument("--clips", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--split", default="mathworks")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU: torch finds no usable CUDA device here, so there is nothing to measure.")
    training = open_store(chosen.store).view(chosen.dataset).split(chosen.split)[0]
    wanted: dict[str, object] = {"compile": chosen.compile, "precision": chosen.precision}
    with arithmetic(torch.device(chosen.device), chosen.precision):
        found = measure(training, chosen.model, chosen.clips, chosen.rounds, wanted, chosen.device)
    print(json.dumps(found, indent=1))
