"""Every model learns from features that are normalised in any way."""

import pytest
import torch
from model_cases import CASES, CLASSES
from spoken_rows import spoken_view
from torch.nn import functional

from models import MODELS, build_model
from models.batches.normalisation import SCOPES, fit
from models.data import ViewDataset
from models.execution import Execution
from models.training_spec import TrainingSpec


@pytest.mark.parametrize("kind", list(SCOPES))
@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_takes_a_step_with_every_normalisation(name, kind):
    case = CASES[name]
    view = spoken_view(4, bands=case.bands, frames=(min(case.frames), max(case.frames) + 1))
    dataset = ViewDataset(view, view.classes)
    spec = TrainingSpec(normalisation=kind, precision="float32", padding="right")
    run = Execution.of(name, {}, spec, "cpu").normalising(fit(spec, [dataset]))
    model = build_model(name, CLASSES, case.bands, **case.settings).train()
    before = [values.detach().clone() for values in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    (batch,) = run.feed(dataset, [[0, 1, 2, 3]])
    loss = functional.cross_entropy(run.logits(model, batch), batch.labels)
    loss.backward()
    optimiser.step()

    assert loss.isfinite()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(values.isfinite().all() for values in model.parameters())
