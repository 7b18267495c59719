from fractions import Fraction

import numpy as np
import pytest

from featurestore.signal.kernels.compiled import kernel
from featurestore.signal.kernels.simd import (
    fma,
    load,
    load_rows,
    spread,
    store,
    store_narrow,
    store_rows,
    store_weighted,
    sum_of_lanes,
    transposed,
)


@kernel
def _arithmetic(x, y, out):
    a, b = load(x, 0), load(y, 0)
    store(out, 0, a + b)
    store(out, 8, a - b)
    store(out, 16, a * b)
    store(out, 24, spread(y[3]))
    store(out, 32, -a)


@kernel
def _transpose(x, out):
    store_rows(out, 0, 8, transposed(load_rows(x, 0, 8)))


@kernel
def _weigh(x, weights, out):
    store_weighted(out, 0, load_rows(x, 0, 8), weights, 2)


@kernel
def _fuse(x, y, z, out):
    store(out, 0, fma(load(x, 0), load(y, 0), load(z, 0)))
    for i in range(8):
        out[8 + i] = fma(x[i], y[i], z[i])


@kernel
def _sum(x):
    return sum_of_lanes(load(x, 0))


@kernel
def _narrow(x, out):
    store_narrow(out, 1, load(x, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_of_arithmetic_act_on_each_lane(dtype):
    x, y = np.random.default_rng(0).standard_normal((2, 8)).astype(dtype)
    out = np.empty((5, 8), dtype)
    _arithmetic(x, y, out.reshape(-1))

    np.testing.assert_array_equal(out, [x + y, x - y, x * y, np.full(8, y[3]), -x])


def test_transposing_exchanges_rows_and_lanes():
    x, out = np.arange(64, dtype=np.float32), np.empty(64, np.float32)
    _transpose(x, out)

    np.testing.assert_array_equal(out.reshape(8, 8), x.reshape(8, 8).T)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_apply_in_the_precision_of_the_target(dtype):
    x, weights = (
        np.random.default_rng(0).random(64).astype(np.float32),
        np.random.default_rng(1).random(10).astype(dtype),
    )
    out = np.empty(64, dtype)
    _weigh(x, weights, out)

    np.testing.assert_array_equal(out.reshape(8, 8), x.reshape(8, 8).astype(dtype) * weights[2:, None])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fused_product_and_sum_is_rounded_once(dtype):
    x, y = np.random.default_rng(2).standard_normal((2, 8)).astype(dtype)
    out = np.empty((2, 8), dtype)
    _fuse(x, y, -x * y, out.reshape(-1))
    remainders = [
        dtype(float(Fraction(float(a)) * Fraction(float(b)) - Fraction(float(a * b))))
        for a, b in zip(x, y, strict=True)
    ]

    assert np.all(out != 0)
    np.testing.assert_array_equal(out, [remainders, remainders])


def test_lanes_are_summed_in_one_order():
    x = np.random.default_rng(3).standard_normal(8).astype(np.float32)

    assert _sum(x) == ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))


def test_narrow_stores_round_to_single_precision_and_touch_nothing_else():
    x, out = np.random.default_rng(0).random(8), np.zeros(10, np.float32)
    _narrow(x, out)

    np.testing.assert_array_equal(out, np.concatenate([[0], x.astype(np.float32), [0]]).astype(np.float32))
