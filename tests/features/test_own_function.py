"""Features by a function of the user's own: what they may return, and when their code is run at all."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from demo_corpus import ROOT
from real_recordings import voice

from featurestore.errors import AudioError, SpecError
from featurestore.row_engine import RowEngine
from featurestore.specs.features import FeatureSpec
from featurestore.specs.row_spec import RowSpec
from featurestore.trusted_code import VARIABLE, trust, trusted_modules
from pipelines.workers.engines import forget_engines, lent_engine

CODE = """
import numpy as np
from pathlib import Path
from featurestore.errors import AudioError

Path(__file__).with_suffix(".imported").touch()
CONSTANT = 3

def levels(signal, rate, *, window=0.1):
    size = int(rate * window)
    frames = signal[: len(signal) // size * size].reshape(-1, size)
    return np.stack([frames.mean(axis=1), frames.std(axis=1)], axis=1)

def one_number(signal, rate):
    return 3.0

def text(signal, rate):
    return np.array([["a", "b"]])

def broken(signal, rate):
    raise ValueError("this cannot\\nwork")

def leaving(signal, rate):
    raise SystemExit("good\\nbye")

def of_type(signal, rate, *, x):
    return np.full((3, 2), 2 if x is True else 1)

def choosy(signal, rate):
    raise AudioError("too quiet")

def endless(signal, rate):
    return np.full((4, 2), np.inf)

def nothing(signal, rate):
    return np.zeros((0, 2))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A folder with the user's module, on the path of this process but not trusted."""
    (tmp_path / "my_features.py").write_text(textwrap.dedent(CODE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "my_features", raising=False)
    yield tmp_path / "my_features.imported"
    sys.modules.pop("my_features", None)


@pytest.fixture
def trusted(module, monkeypatch):
    monkeypatch.setenv(VARIABLE, "my_features")
    return module


def spec(name="levels", **changes):
    return FeatureSpec.from_dict(
        {"kind": "function", "function": f"my_features:{name}", "version": 1, "bands": 2, "rate": 8000, **changes}
    )


def row_of(features, data=None):
    engine = RowEngine(features)
    return engine.clean(engine.load(data or voice()))


def test_the_function_gets_signal_rate_and_settings_and_its_rows_are_stored_as_the_spec_says(trusted):
    engine = RowEngine(spec(settings={"window": 0.2}, dtype="float32"))
    source = engine.load(voice())

    row = engine.clean(source)

    assert source.rate == 8000
    frames = source.signal[: len(source.signal) // 1600 * 1600].reshape(-1, 1600)
    np.testing.assert_allclose(row, np.stack([frames.mean(axis=1), frames.std(axis=1)], axis=1), rtol=1e-6)
    assert row_of(spec()).dtype == np.float16


def test_code_that_nobody_allowed_is_not_imported_and_the_line_says_how_to_allow_it(module):
    with pytest.raises(SpecError, match=r"--trust-code my_features or set FEATURESTORE_TRUST_CODE=my_features"):
        row_of(spec())
    assert not module.exists()


def test_another_trusted_module_allows_nothing(module, monkeypatch):
    monkeypatch.setenv(VARIABLE, "my_feature, my_features.inner,my_features:levels")

    with pytest.raises(SpecError, match="is code that is not part of featurestore"):
        row_of(spec())
    assert not module.exists()


def test_specs_addresses_and_waveforms_need_no_code(module):
    features = spec(settings={"window": 0.2})
    rows = RowSpec.current(features, None)
    engine = RowEngine(features)
    source = engine.load(voice())

    assert RowSpec.from_document(rows.document) == rows
    np.testing.assert_array_equal(engine.waveform(source, None), source.signal)
    assert not module.exists()


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"settings": {"window": 0.2}}, {"rate": 16_000}, {"dtype": "float32"}, {"seconds": 1.0}]
)
def test_each_part_of_a_spec_has_an_address_of_its_own(change):
    assert RowSpec.current(spec(**change), None).id != RowSpec.current(spec(), None).id


def test_the_order_of_settings_changes_no_address():
    first, second = spec(settings={"a": 1, "b": 2.5}), spec(settings={"b": 2.5, "a": 1})

    assert RowSpec.current(first, None).id == RowSpec.current(second, None).id
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("one_number", r"returned an array \[\] of float64, not \[frames, 2\]"),
        ("text", "of <U1"),
        ("broken", "failed with ValueError: this cannot$"),
        ("leaving", "failed with SystemExit: good$"),
        ("absent", "cannot import 'my_features:absent'"),
        ("CONSTANT", "is a int, not a function"),
    ],
)
def test_what_is_no_row_stops_with_one_line_that_names_the_function(trusted, name, reason):
    with pytest.raises(SpecError, match=reason) as refused:
        row_of(spec(name))
    assert "my_features" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "reason"), [("choosy", "too quiet"), ("endless", "not finite"), ("nothing", "0 frames")]
)
def test_a_recording_that_the_function_cannot_use_is_refused_alone(trusted, name, reason):
    with pytest.raises(AudioError, match=reason):
        row_of(spec(name))


def test_a_long_lived_worker_keeps_an_engine_for_each_address_even_where_specs_are_equal(trusted, store):
    one, true = (RowSpec.current(spec("of_type", settings={"x": x}), None) for x in (1, True))
    forget_engines()

    rows = []
    for each in (one, true):
        with lent_engine(each, store.uri) as engine:
            rows.append(engine.clean(engine.load(voice())))

    assert one == true  # to Python; their addresses differ
    assert one.id != true.id
    assert [row[0, 0] for row in rows] == [1, 2]
    with lent_engine(one, store.uri) as first:
        pass
    with lent_engine(RowSpec.from_document(one.document), store.uri) as again:
        assert again is first
    forget_engines()


def test_a_module_that_ends_the_process_when_it_is_imported_is_refused_in_one_line(trusted):
    trusted.with_suffix(".py").write_text("import sys; sys.exit(3)")

    with pytest.raises(SpecError, match="my_features:levels failed with SystemExit: 3"):
        row_of(spec())


def test_a_wrong_number_of_bands_is_told_with_both_shapes(trusted):
    with pytest.raises(SpecError, match=r"\[7, 2\] of float32, not \[frames, 5\]"):
        row_of(spec(bands=5))


def test_trust_adds_to_what_is_allowed_already():
    environment = {VARIABLE: "first"}
    trust(["second", "third"], environment)

    assert environment[VARIABLE] == "first,second,third"


@pytest.mark.parametrize("name", ["os", "os:", ":system", "os:system.name", "os:sys tem", "../x:y", "a b:c", "é:f"])
def test_only_plain_names_are_functions(name):
    with pytest.raises(SpecError, match="module:function"):
        FeatureSpec.from_dict({"kind": "function", "function": name, "version": 1, "bands": 1})


def test_the_variable_is_read_by_processes_that_start_later():
    told = subprocess.run(
        [sys.executable, "-c", "from featurestore.trusted_code import *; print(sorted(trusted_modules()))"],
        env={**os.environ, VARIABLE: " b , a,"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert told.stdout.strip() == "['a', 'b']"
    assert "b " not in trusted_modules()
