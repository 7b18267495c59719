"""Torch's own loader: every clip is that of the view, whoever reads it and however it is handed over."""

import numpy as np
import pytest
import torch
from tiny_corpus import build_here, recipe, write_corpus
from torch.utils.data import ConcatDataset, DataLoader

from featurestore.store import open_store
from models.batches.loader import PadCollate, ViewDataset, batches
from models.batches.samplers import BatchSampler
from models.errors import TrainingError
from models.training_spec import PADDING_SIDES

WORKERS = [(None, 0), *((method, count) for method in ("fork", "spawn", "forkserver") for count in (1, 2))]
"""Start method and number of worker processes."""


class AllSides:
    """A collate function that pads the same rows on every side, so that one loader tries them all."""

    def __init__(self):
        self.collates = [PadCollate(side, 16) for side in PADDING_SIDES]

    def __call__(self, request):
        return [collate(request) for collate in self.collates]


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """Clean rows and copies of tones, each other than all the others, in shards of a store."""
    place = tmp_path_factory.mktemp("loader")
    store = open_store(place / "store")
    build_here(store, write_corpus(place / "tiny", range(1, 15)), recipe(3))
    return store.view("tiny")


def loader(view, collate, method, workers, **options):
    sampler = BatchSampler(view.frames, 5, seed=1)
    dataset = ViewDataset(view, view.classes)
    options |= {"num_workers": workers, "multiprocessing_context": method}
    return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, **options)


def wrong_clips(view, batch):
    """The rows of a batch whose features, padding or label are not those of the view."""
    wrong = []
    for slot, row in enumerate(batch.rows.tolist()):
        start, stop = int(batch.starts[slot]), int(batch.starts[slot] + batch.lengths[slot])
        line = batch.features[0 if len(batch.features) < len(batch.lengths) else slot]
        features, label = view[row]
        same = np.array_equal(line[start:stop].numpy(), features) and view.classes[batch.labels[slot]] == label
        wrong += [] if same else [row]
    real = torch.zeros(batch.features.shape[:2], dtype=torch.bool)
    for slot, (start, length) in enumerate(zip(batch.starts, batch.lengths, strict=True)):
        real[0 if len(real) < len(batch.lengths) else slot, start : start + length] = True
    return wrong + (["padding"] if batch.features[~real].any() else [])


@pytest.mark.parametrize(("method", "workers"), WORKERS)
def test_every_clip_of_a_dataset_is_that_of_the_view(view, method, workers):
    taken = list(loader(view, AllSides(), method, workers))  # all are kept before any is looked at

    for batches_of_side in zip(*taken, strict=True):
        assert sorted(row for batch in batches_of_side for row in batch.rows.tolist()) == list(range(len(view)))
        assert [wrong_clips(view, batch) for batch in batches_of_side] == [[]] * len(taken)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="pins memory for a GPU, and torch finds none")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_pinned_clips_are_those_of_the_view_too(view, workers):
    for batch in [batch for sides in loader(view, AllSides(), None, workers, pin_memory=True) for batch in sides]:
        assert batch.features.is_pinned()
        assert wrong_clips(view, batch) == []


def test_a_buffer_that_is_used_again_is_never_handed_to_another_process(view):
    with pytest.raises(TrainingError, match="leave out reused"):
        list(loader(view, PadCollate("left", 16, reused=True), "fork", 1))


def test_a_loader_that_hides_the_view_is_refused_in_one_line(view):
    dataset = ViewDataset(view, view.classes)

    for given, size in ((ConcatDataset([dataset, dataset]), 2), (dataset, None)):
        with pytest.raises(TrainingError, match="not a ConcatDataset"):
            next(iter(DataLoader(given, batch_size=size, collate_fn=PadCollate())))


def test_batches_of_a_buffer_that_is_used_again_share_it(view):
    dataset, longest = ViewDataset(view, view.classes), np.argsort(view.frames)[-8:]
    first, second = batches(dataset, [longest, [0, 1, 2]], PadCollate("right", reused=True))

    assert second.features.data_ptr() == first.features.data_ptr()
    assert wrong_clips(view, second) == []
