"""Rows have the same bits on every processor: golden digests, narrower registers, and what kernels may not contain."""

from __future__ import annotations

import ast
import importlib
import json
import os
import pkgutil
import platform
import re
import subprocess
import sys
from pathlib import Path

import golden_rows
import pytest
from numba.core.dispatcher import Dispatcher

import featurestore.signal

ROOT = Path(featurestore.__file__).resolve().parent
ROW_PATH = ("signal/**/*.py", "features/*.py", "perturbations/*.py", "row_engine.py", "corpus/synthetic.py")
NARROW = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+64bit,+cx8,+cx16,+fxsr,+mmx"
"""A processor of 2008: four numbers a register, no fused products."""
BY_PROCESSOR = re.compile(
    "(a|arc)?(sin|cos|tan)h?|arctan2|atan2|exp|exp2|expm1|log|log2|log10|log1p|pow|power|float_power|cbrt|hypot|i0|sinc|"
    "v?dot|inner|outer|matmul|tensordot|einsum|convolve|correlate"
)
"""Functions of numpy and of the system whose last bit depends on the processor."""
ROUNDED = {
    ("elementary.py", "**"): "signs of a series",
    ("row_engine.py", "sin"): "a sound that warms kernels up and becomes no row",
    ("audio.py", "log10"): "a figure in a message",
    ("pitch_grid.py", "log2"): "what is recorded of a whole number of steps",
    ("pitch_grid.py", "pow"): "rounded to a whole number of steps",
}
"""Uses of such functions that no row depends on in the last bit, and why."""


def differences(found: dict[str, str]) -> list[str]:
    """Name the places of the table that are not golden."""
    golden: dict[str, str] = json.loads(golden_rows.GOLDEN.read_text())
    return sorted(name for name in golden.keys() | found.keys() if golden.get(name) != found.get(name))


def kernels() -> list[Dispatcher]:
    """Return all that numba compiles for rows."""
    names = [module.name for module in pkgutil.walk_packages(featurestore.signal.__path__, "featurestore.signal.")]
    found = {
        one for name in names for one in vars(importlib.import_module(name)).values() if isinstance(one, Dispatcher)
    }
    return sorted(found, key=lambda one: str(one.py_func.__name__))


def instructions() -> list[str]:
    """Return the lines of LLVM code in which the kernels that this process has compiled compute or call."""
    lines = [line for one in kernels() for text in one.inspect_llvm().values() for line in text.splitlines()]
    return [line for line in lines if re.search(r"\b(fadd|fsub|fmul|fdiv|fneg|call)\b", line)]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory) -> tuple[dict[str, str], list[str]]:
    """The table and the instructions of a process with narrow registers, without numpy's and libm's own choices."""
    if platform.machine() != "x86_64":
        pytest.skip("narrows the registers of x86 processors")
    umath = importlib.import_module("numpy._core._multiarray_umath")
    settings = {
        "PYTHONPATH": os.pathsep.join([str(ROOT.parent), str(ROOT.parent / "tests")]),
        "NUMBA_CPU_NAME": "nehalem",
        "NUMBA_CPU_FEATURES": NARROW,
        "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("kernels")),
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX2_Usable,-FMA_Usable,-AVX512F_Usable",
    }
    code = "import json, golden_rows as g, test_golden_rows as t; print(json.dumps([g.table(), t.instructions()]))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **settings}, check=True, capture_output=True)
    table, lines = json.loads(done.stdout)
    return table, lines


def test_rows_have_their_golden_bits():
    """If numbers were meant to change: raise the versions of their operations, then golden_rows.py --write."""
    assert differences(golden_rows.table()) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_narrow_registers_without_fused_products_give_the_same_bits(narrow):
    assert differences(narrow[0]) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_kernel_lets_the_compiler_reorder_fuse_or_call_a_mathematical_library(narrow):
    lines = narrow[1]

    assert [one.py_func.__name__ for one in kernels() if one.targetoptions.get("fastmath")] == []
    assert len(lines) > 1000
    assert [line for line in lines if re.search(r"\b(fast|reassoc|contract|arcp|nsz|nnan|ninf|afn)\b", line)] == []
    library = r"@(llvm\.)?(sin|cos|tan|exp|exp2|log|log2|pow)(f|\.\w+)?\("  # log10 counts digits of numba's messages
    assert [line for line in lines if re.search(library, line)] == []


@pytest.mark.parametrize(
    "path",
    [path for pattern in ROW_PATH for path in sorted(ROOT.glob(pattern))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_no_step_of_a_row_calls_what_depends_on_the_processor(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "math"):
            found += [node.attr] if BY_PROCESSOR.fullmatch(node.attr) else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            found.append("@")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not is_whole(node.right):
            found.append("**")

    assert [name for name in found if (path.name, name) not in ROUNDED] == []


def is_whole(node: ast.expr) -> bool:
    """Tell a power such as 2, whose products are the same everywhere, from others."""
    try:
        return float(ast.literal_eval(node)).is_integer()
    except ValueError:
        return False
