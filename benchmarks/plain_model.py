"""The network and the loop that most people write: torch's own layers, float32, random batches with left padding."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from featurestore.view import DatasetView

BATCH = 32


class PlainCnnLstm(nn.Module):
    """The MathWorks CNN-LSTM of Conv2d, BatchNorm2d, ReLU, MaxPool2d and LSTM; padding is data like any other."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, pool in ((1, 64, (2, 2)), (64, 64, (2, 4)), (64, 128, (2, 4)), (128, 128, (2, 4))):
            conv = nn.Conv2d(inputs, outputs, 3, padding=1)
            layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(pool)]
        self.blocks = nn.Sequential(*layers)
        self.lstm = nn.LSTM(128, 256, batch_first=True)
        self.classify = nn.Linear(256, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Map `[batch, frames, 128]` to logits `[batch, classes]`."""
        images = self.blocks(features[:, None])
        outputs, _ = self.lstm(images.permute(0, 2, 1, 3).flatten(2))
        logits: Tensor = self.classify(outputs[:, -1])
        return logits


def plain_rate(view: DatasetView, clips: int, device: str = "cpu") -> float:
    """Return clips a second of the plain loop, its first two steps left out."""
    model = PlainCnnLstm(len(view.classes)).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=5e-4)
    number = {name: position for position, name in enumerate(view.classes)}
    order = np.random.default_rng(0).permutation(len(view))[: clips + 2 * BATCH].reshape(-1, BATCH)
    begun = 0.0
    for step, rows in enumerate(order):
        if step == 2:
            begun = time.perf_counter()
        read = [view[int(row)] for row in rows]
        longest = max(len(features) for features, _ in read)
        inputs = np.zeros((len(rows), longest, view.bands), np.float32)
        for slot, (features, _) in enumerate(read):
            inputs[slot, longest - len(features) :] = features
        labels = torch.tensor([number[label] for _, label in read], device=device)
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.from_numpy(inputs).to(device)), labels)
        loss.backward()
        optimiser.step()
        loss.item()
    return (len(order) - 2) * BATCH / (time.perf_counter() - begun)
