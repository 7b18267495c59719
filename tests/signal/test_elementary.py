"""The elementary functions against those of the system, which are right to a unit in the last place as well."""

import math

import numpy as np
import pytest

from featurestore.signal.kernels.elementary import bessel_i0, cosine_and_sine, exp, exp10, log


def ulps(found, expected):
    return np.max(np.abs(found - expected) / np.spacing(np.abs(expected)))


def test_exponentials_and_logarithms_agree_to_two_units_in_the_last_place():
    x = np.random.default_rng(0).uniform(-20, 20, 20_000)

    assert ulps(exp(x), np.array([math.exp(value) for value in x])) <= 2
    assert ulps(exp10(x / 10), np.array([math.pow(10, value / 10) for value in x])) <= 10
    assert ulps(log(np.exp(x)), np.array([math.log(value) for value in np.exp(x)])) <= 2
    assert log(np.float64(1.0)) == 0
    assert exp(0.0) == exp10(0.0) == 1


def test_they_take_single_numbers():
    assert float(exp10(1.0)) == pytest.approx(10, rel=1e-15)
    assert float(log(2.0**-52)) == pytest.approx(-36.04365338911715, rel=1e-15)


def test_cosines_and_sines_lie_on_the_circle_and_are_exact_at_quarters():
    turns = np.random.default_rng(1).uniform(-3, 3, 20_000)
    cosine, sine = cosine_and_sine(turns)

    assert np.max(np.abs(cosine - np.cos(2 * np.pi * turns))) < 3e-15
    assert np.max(np.abs(sine - np.sin(2 * np.pi * turns))) < 3e-15
    assert np.max(np.abs(cosine**2 + sine**2 - 1)) < 5e-16
    cosine, sine = cosine_and_sine(np.arange(-4, 5) / 4)
    np.testing.assert_array_equal(cosine, [1, 0, -1, 0, 1, 0, -1, 0, 1])
    np.testing.assert_array_equal(sine, [0, 1, 0, -1, 0, 1, 0, -1, 0])


def test_the_bessel_function_agrees_with_numpys():
    x = np.linspace(0, 20, 500)

    np.testing.assert_allclose(bessel_i0(x), np.i0(x), rtol=1e-14)
