"""A perturbation that the user wrote: trusted by name, fed by a keyed generator, checked on its way back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from perturbations.sounds import RATE, engine, perturbed, white
from tiny_corpus import build_here, recipe, write_corpus

from featurestore.errors import SpecError
from featurestore.integrity.explain import compare_datasets, explain_build
from featurestore.integrity.verify import recompute, verify
from featurestore.perturbations.policy_tables import Distribution, OwnPerturbation
from featurestore.signal.audio import Recording
from featurestore.specs.augmentation import AugmentationSpec, Perturbation, draw
from featurestore.specs.presets import policy
from featurestore.trusted_code import VARIABLE
from pipelines.build.spec import DatasetSpec
from pipelines.workers.engines import forget_engines

MODULE = "perturbations_of_a_user"
CODE = """
import numpy as np

def crackle(signal, rate, rng, share=0.01):
    signal[rng.random(len(signal)) < share] = 0.9
    return signal

def twice(signal, rate, rng):
    return np.repeat(signal, 2)

def leaving(signal, rate, rng):
    raise SystemExit(3)

def broken(signal, rate, rng, kind):
    results = {
        "list": list,
        "double": lambda one: one.astype(float),
        "plane": lambda one: one[None],
        "empty": lambda one: one[:0],
        "infinite": lambda one: one + np.float32("inf"),
        "short": lambda one: one[:100],
        "loud": lambda one: one * np.float32(1e30),
    }
    return results[kind](signal)

constant = 3
"""
TOML = """
[[own]]
function = "{module}:crackle"
version = {version}
settings = {{ share = 0.02 }}
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's on the path of imports, which is trusted."""
    (tmp_path / f"{MODULE}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, MODULE)
    yield MODULE
    sys.modules.pop(MODULE, None)
    forget_engines()


def own(module, name="crackle", version=1, **settings):
    return OwnPerturbation(f"{module}:{name}", version, settings=settings)


def test_a_function_gets_signal_rate_and_a_generator_keyed_by_content_and_copy(module):
    spec = AugmentationSpec(own=(own(module, share=0.02),))
    first = engine(own=spec.own)
    source = first.prepare_recording(Recording(white(20_000), RATE))

    rows = {key: first.waveform(source, draw(spec, *key)) for key in (("a", 1), ("a", 2), ("b", 1))}

    other = engine(own=spec.own)
    again = other.waveform(other.prepare_recording(Recording(white(20_000), RATE)), draw(spec, "a", 1))
    np.testing.assert_array_equal(again, rows["a", 1])
    assert len({row.tobytes() for row in rows.values()}) == 3
    assert np.mean(rows["a", 1] == np.float32(0.9)) == pytest.approx(0.02, abs=0.005)
    np.testing.assert_array_equal(source.signal, white(20_000))


def test_functions_are_applied_in_their_order_after_the_gain_and_before_the_peak(module):
    louder = engine(
        gain_db=Distribution(listed=(20.0,)), own=(own(module), own(module, "twice")), peak=Distribution(listed=(0.5,))
    )

    found = perturbed(louder, white(3_000), Perturbation(gain_db=20.0, own=(5, 6), peak=0.5))

    assert len(found) == 6_000
    np.testing.assert_array_equal(found[::2], found[1::2])
    assert np.max(np.abs(found)) == pytest.approx(0.5, rel=1e-6)


def test_a_function_that_is_not_drawn_changes_nothing(module):
    found = perturbed(engine(own=(own(module),)), white(3_000), Perturbation(own=(None,)))

    np.testing.assert_array_equal(found, white(3_000))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("list", "returned a list"),
        ("double", "of float64"),
        ("plane", r"an array \[1, 3000\]"),
        ("empty", "no sample"),
        ("infinite", "not finite"),
        ("loud", "samples up to"),
        ("nothing", "failed with KeyError"),
    ],
)
def test_what_is_no_signal_is_an_error_that_names_the_function(module, kind, reason):
    broken = engine(own=(own(module, "broken", kind=kind),))

    with pytest.raises(SpecError, match=f"{module}:broken.*{reason}"):
        perturbed(broken, white(3_000), Perturbation(own=(1,)))


def test_a_function_that_wants_to_end_the_process_is_an_error_like_any_other(module):
    with pytest.raises(SpecError, match=f"{module}:leaving.*failed with SystemExit: 3"):
        perturbed(engine(own=(own(module, "leaving"),)), white(3_000), Perturbation(own=(1,)))


def test_a_copy_that_a_function_leaves_too_short_is_no_fault_of_its_recording(module):
    short = engine(own=(own(module, "broken", kind="short"),))

    with pytest.raises(SpecError, match="after the policy's own functions a copy is shorter than one window"):
        short.augmented(short.prepare_recording(Recording(white(3_000), RATE)), Perturbation(own=(1,)))


def test_code_that_is_not_trusted_is_never_imported(module, monkeypatch):
    monkeypatch.delenv(VARIABLE)

    with pytest.raises(SpecError, match=f"--trust-code {module}"):
        perturbed(engine(own=(own(module),)), white(3_000), Perturbation(own=(1,)))
    assert module not in sys.modules


def test_a_function_that_changed_without_a_new_version_is_suspected_of_other_bits(module, store, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 4))
    build_here(store, folder, DatasetSpec(recipe(0).features, AugmentationSpec(own=(own(module, share=0.02),)), 2))
    forget_engines()
    sys.modules[module].crackle = lambda signal, rate, rng, **settings: signal * 0.5

    reasons = {reason for _, reason in recompute(store, 9).drifted}

    assert reasons == {f"computed again, it has other bits: {module}:crackle may have changed without a new version"}


def test_a_policy_file_with_a_function_builds_verifies_and_is_recomputed(module, store, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 4))
    file = tmp_path / "crackling.toml"
    file.write_text(TOML.format(module=module, version=1))
    wanted = DatasetSpec(recipe(0).features, policy(str(file)), 2)

    assert build_here(store, folder, wanted)[1] == 9
    assert verify(store).damaged == []
    assert recompute(store, 20).drifted == ()
    assert explain_build(store, "tiny", None) == []
    view = store.view("tiny")
    assert view.perturbation(1).own[0] is not None
    assert not np.array_equal(view.waveform(0), view.waveform(1))


def test_another_version_of_a_function_computes_the_augmented_rows_alone(module, store, tmp_path):
    folder = write_corpus(tmp_path / "tiny", range(1, 4))
    file = Path(tmp_path / "crackling.toml")
    for version, computed in ((1, 9), (2, 6), (1, 0)):
        file.write_text(TOML.format(module=module, version=version))
        wanted = DatasetSpec(recipe(0).features, policy(str(file)), 2)
        assert build_here(store, folder, wanted, f"version{version}")[1] == computed

    found = compare_datasets(store, "version1", "version2")
    assert [(one.field, one.old, one.new) for one in found] == [("augmentation.own.1.version", 1, 2)]
