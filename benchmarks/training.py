"""Clips a second that a model learns from: as its recipe trains it, padded, and by the loop that most people write.

    python benchmarks/training.py STORE [--dataset emodb] [--clips 640] [--rounds 3] [--set key=value]...

All three take random batches, without buckets. The recipe (`featurestore`) joins the clips of a batch on one time
axis, the second one pads them as the source does. The plain loop reads rows one by one, pads on the left to the longest
clip of a batch and computes in float32 with torch's own layers, its default memory layout, a plain Adam and
`loss.item()` in each step. Every measurement runs in a process of its own (how memory is given back cannot be undone in
a process), in interleaved rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import closing

import torch
from plain_model import BATCH, plain_rate
from torch import nn

from featurestore.specs.presets import parse_value
from featurestore.store import open_store
from featurestore.view import DatasetView
from models.batches.loader import ViewDataset
from models.batches.residence import reside, resolve_residence
from models.batches.samplers import make_sampler
from models.execution import Execution, keep_freed_memory
from models.networks import build_model
from models.optimisation.optimisers import make_optimiser
from models.training_spec import TrainingSpec

MODEL = "mathworks-cnn-lstm"
PADDINGS = {"featurestore": "joined", "padded on the left": "left"}
CONTENDERS = ("plain", *PADDINGS)


def our_rate(view: DatasetView, clips: int, spec: TrainingSpec) -> tuple[float, float]:
    """Return clips a second as trained here, the first two steps left out, and the loader's share of the time."""
    keep_freed_memory()
    execution = Execution.of(MODEL, {}, spec, "cpu")
    model = execution.place(build_model(MODEL, len(view.classes), view.bands)).train()
    optimiser, data = make_optimiser(model, spec), ViewDataset(view, view.classes)
    data = reside(data, resolve_residence(spec, view, execution.device), execution.device)
    order = [rows for rows in make_sampler(data, spec) if len(rows) == BATCH][: clips // BATCH + 2]
    begun = loading = mark = 0.0
    with closing(execution.feed(data, order)) as feed:
        for step, batch in enumerate(feed):
            if step == 2:
                begun = time.perf_counter()
            elif step > 2:
                loading += time.perf_counter() - mark
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(execution.logits(model, batch), batch.labels).backward()
            optimiser.step()
            mark = time.perf_counter()
    passed = mark - begun
    return (len(order) - 2) * BATCH / passed, loading / passed


def once(contender: str, store: str, dataset: str, clips: int, settings: list[str]) -> dict[str, float]:
    """Measure one contender in this process."""
    view = open_store(store).view(dataset).split("mathworks")[0]
    if contender == "plain":
        return {"plain": plain_rate(view, clips)}
    fields = {key: parse_value(text) for key, _, text in (setting.partition("=") for setting in settings)}
    rate, share = our_rate(view, clips, TrainingSpec.from_dict({**fields, "padding": PADDINGS[contender]}))
    return {contender: rate} | ({"loader": share} if contender == "featurestore" else {})


def measure(arguments: list[str], rounds: int) -> dict[str, list[float]]:
    """Return clips a second of all loops and the loader's share, round by round, each in a process of its own."""
    figures: dict[str, list[float]] = {}
    for number in range(rounds):
        for contender in CONTENDERS[:: -1 if number % 2 else 1]:
            script = [sys.executable, __file__, *arguments, "--contender", contender]
            done = subprocess.run(script, capture_output=True, text=True, check=True)
            for name, value in json.loads(done.stdout).items():
                figures.setdefault(name, []).append(value)
    return figures


def summary(figures: dict[str, list[float]]) -> str:
    """Return the figures in words: medians, and the smallest and largest ratio of a round."""
    middle = {name: statistics.median(values) for name, values in figures.items()}
    lines = [f"plain loop {middle['plain']:.1f} clips/s ({torch.get_num_threads()} threads)"]
    for name in PADDINGS:
        ratios = [ours / plain for ours, plain in zip(figures[name], figures["plain"], strict=True)]
        lines.append(
            f"{name} {middle[name]:.1f} clips/s: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to "
            f"{max(ratios):.2f})"
        )
    lines.append(f"loader {100 * middle['loader']:.2f} % of a step")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("--dataset", default="emodb")
    parser.add_argument("--clips", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="a field of the training spec")
    parser.add_argument("--contender", choices=CONTENDERS, help="measure this one alone, once")
    chosen = parser.parse_args()
    if chosen.contender:
        print(json.dumps(once(chosen.contender, chosen.store, chosen.dataset, chosen.clips, chosen.settings)))
    else:
        measured = measure(sys.argv[1:], chosen.rounds)
        print(json.dumps(measured))
        print(summary(measured), file=sys.stderr)
