"""A perturbation is one class and one entry; one that leaves something out cannot be declared."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from added_files import with_files_in
from demo_corpus import ROOT

import featurestore.perturbations
from featurestore.errors import UnknownNameError
from featurestore.perturbations import PERTURBATIONS
from featurestore.perturbations.kind import PerturbationKind
from featurestore.registry import declared, registered
from featurestore.specs.augmentation import AugmentationSpec, Perturbation
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import row_versions

LOWPASS = '''
from featurestore.perturbations.kind import PerturbationKind

class Lowpass(PerturbationKind):
    """A lowpass of first order with this corner."""

    place = 65
    name, unit, limits = "lowpass_hz", "Hz", (10.0, 8000.0)
    operation, version, libraries = "lowpass", 4, ("scipy",)

    def apply(self, value, copy):
        import numpy as np
        from scipy.signal import butter, lfilter
        copy.signal = lfilter(*butter(1, value / copy.recording.rate * 2), copy.signal).astype(np.float32)
'''

NEWCOMER = """
from featurestore.perturbations import PERTURBATIONS
assert list(PERTURBATIONS)[list(PERTURBATIONS).index("snr_db") + 1] == "lowpass_hz"

import numpy as np
from pipelines.experiments.settings import documented_fields
from featurestore.row_engine import RowEngine
from featurestore.signal.audio import Recording
from featurestore.specs.augmentation import AugmentationSpec
from featurestore.specs.features import FeatureSpec
from featurestore.specs.presets import override
from featurestore.specs.row_spec import RowSpec

features, policy = override(FeatureSpec(rate=16000, mels=16), AugmentationSpec(), ["lowpass_hz=500,1000"])
assert RowSpec.from_document(RowSpec.current(features, policy).document) == RowSpec.current(features, policy)
versions = dict(RowSpec.current(features, policy).versions)
assert (versions["lowpass"], "scipy" in versions) == (4, True), versions
assert "Within 10 and 8000 Hz" in {one.name: one.meaning for one in documented_fields(AugmentationSpec)}["lowpass_hz"]
engine = RowEngine(features, policy)
source = engine.prepare_recording(Recording(np.sin(np.arange(16000, dtype=np.float32) * 2.5), 16000))
drawn, first = engine.draw_perturbation(source, "a" * 64, 1)
assert first and 500 <= drawn.lowpass_hz <= 1000 and drawn.values == {"lowpass_hz": drawn.lowpass_hz}
dry, wet = engine.waveform(source, None), engine.waveform(source, drawn)
assert 0.01 < np.std(wet) / np.std(dry) < 0.3
assert engine.augmented(source, drawn).astype(float).max() < engine.clean(source).astype(float).max() - 2
try:
    override(features, policy, ["lowpass_hz=9000"])
except Exception as error:
    assert "lowpass_hz must lie within 10 and 8000" in str(error)
else:
    raise SystemExit("its range is not held")
print("done")
"""

WHOLE = {
    "name": "lowpass_hz",
    "place": 65,
    "unit": "Hz",
    "limits": (10.0, 8000.0),
    "operation": "lowpass",
    "version": 1,
    "libraries": (),
    "apply": lambda self, value, copy: None,
}


def test_one_file_is_drawn_applied_recorded_versioned_bounded_documented_and_set_from_the_command_line(tmp_path):
    (tmp_path / "lowpass.py").write_text(LOWPASS)
    program = with_files_in("featurestore.perturbations", tmp_path) + NEWCOMER

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)

    assert (told.returncode, told.stdout.strip()) == (0, "done"), told.stderr


@pytest.mark.parametrize("part", WHOLE)
def test_a_class_that_forgets_a_part_cannot_be_declared_and_the_part_is_named(part):
    type("Whole", (PerturbationKind,), dict(WHOLE))

    with pytest.raises(TypeError, match=rf"Lowpass does not declare {part}$"):
        type("Lowpass", (PerturbationKind,), {name: value for name, value in WHOLE.items() if name != part})


@pytest.mark.parametrize(
    "taken", [{"name": "snr_db"}, {"operation": "noise"}, {"operation": "stft"}, {"operation": "own"}]
)
def test_a_name_or_an_operation_that_is_taken_cannot_be_registered_again(taken):
    twin = type("Twin", (PerturbationKind,), WHOLE | taken)()

    with pytest.raises(TypeError, match=next(iter(taken.values()))):
        registered([*PERTURBATIONS.values(), twin])


def test_two_declarations_of_one_field_are_refused():
    with pytest.raises(TypeError, match="two fields 'seed'"):
        declared({"seed": (int, None, "")})(type("Spec", (), {"__annotations__": {"seed": "int"}, "seed": 0}))


def test_what_no_class_declares_is_no_field_of_a_policy_and_none_of_what_was_drawn():
    with pytest.raises(UnknownNameError, match="lowpass_hz"):
        AugmentationSpec.from_dict({"lowpass_hz": {"uniform": [1000, 3000]}})
    with pytest.raises(TypeError, match="lowpass_hz"):
        AugmentationSpec(lowpass_hz=None)
    with pytest.raises(TypeError, match="lowpass_hz"):
        Perturbation(lowpass_hz=1000.0)


def test_every_class_in_the_folder_is_registered():
    folder = Path(featurestore.perturbations.__file__).parent
    nodes = [node for path in folder.glob("*.py") for node in ast.parse(path.read_text(encoding="utf-8")).body]
    classes = {
        node.name
        for node in nodes
        if isinstance(node, ast.ClassDef) and "PerturbationKind" in {ast.unparse(base) for base in node.bases}
    }

    assert classes == {type(kind).__name__ for kind in PERTURBATIONS.values()}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_each_perturbation_stands_in_its_versions_and_says_its_range(name):
    kind = PERTURBATIONS[name]
    low, high = kind.limits
    value = min(max(0.9, low), high)
    fields = {kind.recordings: {"contents": ["a" * 64]}} if kind.recordings else {}
    policy = AugmentationSpec.from_dict({name: {"listed": [value]}, **fields})

    versions = row_versions(FeatureSpec(), policy)

    assert versions[kind.operation] == kind.version
    assert set(kind.libraries) <= set(versions)
    assert re.search(rf"Within {low:g} and {high:g}", kind.meaning)
    assert AugmentationSpec.from_dict(policy.to_dict()) == policy
