"""A kind of features is one class in one file; one that leaves something out cannot be declared."""

from __future__ import annotations

import subprocess
import sys

import pytest
from added_files import with_files_in
from demo_corpus import ROOT

from featurestore.features import FEATURES
from featurestore.features.kind import BASE, FeatureKind
from featurestore.perturbations import PERTURBATIONS
from featurestore.registry import OPERATIONS, registered

LEVEL = '''
from featurestore.features.kind import BASE, FeatureKind

class Level(FeatureKind):
    """The energy of pieces of the signal."""

    name, fields = "level", BASE
    settings = (("piece", int, 400, "Samples of a piece."),)
    shared, operations = ("log",), (("level", 7, ("scipy",)),)

    def width(self, spec):
        return 1

    def rules(self, spec):
        yield spec.piece > 0, "piece must lie above 0"

    def transform(self, spec, rate):
        return Pieces(spec.piece)

class Pieces:
    def __init__(self, piece):
        self.piece = piece

    def check(self, samples):
        pass

    def __call__(self, signal, gain, precision, warping):
        whole = signal[: len(signal) // self.piece * self.piece] * gain
        return (whole.reshape(-1, self.piece) ** 2).sum(1, keepdims=True)
'''

NEWCOMER = """
import numpy as np
from pipelines.experiments.settings import documented_fields
from featurestore.errors import SpecError
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import override
from featurestore.specs.row_spec import RowSpec

features, _ = override(FeatureSpec(kind="waveform", rate=16000), None, ["kind=level", "piece=160.0"])
assert features.to_dict() == {"kind": "level", "rate": 16000, "dtype": "float16", "piece": 160}, features.to_dict()
assert "piece" not in FeatureSpec(kind="level").to_dict() and "piece" not in FeatureSpec().to_dict()
versions = dict(RowSpec.current(features, None).versions)
assert (versions["level"], versions["log"], "scipy" in versions) == (7, 2, True), versions
assert {one.name: one.meaning for one in documented_fields(FeatureSpec)}["piece"] == "Samples of a piece."
engine = RowEngine(features)
row = engine.clean(engine.prepare_recording(Recording(np.ones(1600, np.float32), 16000)))
assert row.tolist() == [[160.0]] * 10
for fields, reason in (({"kind": "level", "piece": 0}, "above 0"), ({"piece": 1}, "does not belong"), ):
    try:
        FeatureSpec.from_dict(fields)
    except SpecError as error:
        assert reason in str(error)
    else:
        raise SystemExit(f"{fields} is not refused")
print("done")
"""

WHOLE = {
    "name": "level",
    "fields": BASE,
    "operations": (("level", 1, ()),),
    "width": lambda self, spec: 1,
    "transform": lambda self, spec, rate: None,
}


def test_one_file_is_described_computed_versioned_documented_and_set_from_the_command_line(tmp_path):
    (tmp_path / "level.py").write_text(LEVEL)
    program = with_files_in("featurestore.features", tmp_path) + NEWCOMER

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)

    assert (told.returncode, told.stdout.strip()) == (0, "done"), told.stderr


@pytest.mark.parametrize("part", WHOLE)
def test_a_class_that_forgets_a_part_cannot_be_declared_and_the_part_is_named(part):
    type("Whole", (FeatureKind,), dict(WHOLE))

    with pytest.raises(TypeError, match=rf"Level does not declare {part}$"):
        type("Level", (FeatureKind,), {name: value for name, value in WHOLE.items() if name != part})


@pytest.mark.parametrize(
    "taken", [{"name": "mfcc"}, {"operations": (("dct", 1, ()),)}, {"operations": (("own", 1, ()),)}]
)
def test_a_name_or_an_operation_that_is_taken_cannot_be_registered_again(taken):
    with pytest.raises(TypeError, match="two kinds or operations"):
        registered([*FEATURES.values(), type("Twin", (FeatureKind,), WHOLE | taken)()])


def test_shared_operations_have_versions_and_no_operation_of_a_kind_is_that_of_a_perturbation():
    own = [{name for kind in kinds.values() for name in kind.versions} for kinds in (FEATURES, PERTURBATIONS)]

    assert {name for kind in FEATURES.values() for name in kind.shared} <= OPERATIONS.keys()
    assert own[0] & own[1] == set()
