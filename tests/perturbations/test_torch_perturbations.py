"""The torch engine changes the volume as the processor does, and refuses in one line what it does not do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from perturbations.sounds import FEATURES, wav, white

from featurestore.errors import SpecError
from featurestore.perturbations.policy_tables import Distribution, OwnPerturbation, Recordings
from featurestore.row_engine import RowEngine
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.row_spec import RowSpec
from pipelines.torch_rows import TOLERANCE
from pipelines.torch_rows.engine import TorchEngine

SOME = Recordings(("0" * 64,))
REFUSED = {
    "stretch": {"stretch": Distribution(uniform=(0.9, 1.1))},
    "reverb": {"reverb": Distribution(listed=(1,)), "rirs": SOME},
    "recorded_snr_db": {"recorded_snr_db": Distribution(listed=(1,)), "noises": SOME},
    "own": {"own": (OwnPerturbation("a:b", 1),)},
}


@pytest.mark.parametrize("chain", [{}, {"snr_db": 10.0, "noise_key": 3}, {"snr_db": 10.0, "noise_key": 3, "peak": 0.5}])
def test_the_volume_is_that_of_the_processor(chain):
    spec = AugmentationSpec(
        gain_db=Distribution(uniform=(-30, 30)), snr_db=Distribution(listed=(10,)), peak=Distribution(listed=(0.5,))
    )
    wanted = [None, *(Perturbation(gain_db=gain, **chain) for gain in (-30.0, 6.0)), Perturbation(**chain)]
    rows = []
    for engine in (RowEngine(FEATURES, spec), TorchEngine(FEATURES, spec, torch.device("cpu"))):
        source = engine.load(wav(white(6_000)))
        rows.append(engine.rows([(source, one) for one in wanted]))

    for own, other in zip(*rows, strict=True):
        np.testing.assert_allclose(other, own, atol=TOLERANCE)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_torch_engine_does_not_do_is_refused_before_anything_is_computed(name):
    spec = AugmentationSpec(**REFUSED[name])
    reason = f"the torch engine does not do {name}; it does semitones, shift_seconds, snr_db, gain_db, vtlp_alpha, peak"

    for refuse in (
        lambda: RowSpec.current(FEATURES, spec, "torch"),
        lambda: TorchEngine(FEATURES, spec, torch.device("cpu")),
    ):
        with pytest.raises(SpecError, match=reason) as caught:
            refuse()
        assert "\n" not in str(caught.value)


def test_every_perturbation_raises_a_version_of_its_own():
    plain = dict(RowSpec.current(FEATURES, AugmentationSpec()).versions)
    added = {
        name: sorted(dict(RowSpec.current(FEATURES, AugmentationSpec(**fields)).versions).keys() - plain.keys())
        for name, fields in (REFUSED | {"gain_db": {"gain_db": Distribution(listed=(1,))}}).items()
    }

    assert added == {
        "stretch": ["stretch"],
        "reverb": ["reverb"],
        "recorded_snr_db": ["recorded noise"],
        "own": ["own"],
        "gain_db": ["gain"],
    }
