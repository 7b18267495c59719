"""A view as batches for a training loop of your own: dataset, sampler and collate function for torch's `DataLoader`."""

from models.batches.loader import Batch, PadCollate, ViewDataset
from models.batches.samplers import BatchSampler

__all__ = ["Batch", "BatchSampler", "PadCollate", "ViewDataset"]
