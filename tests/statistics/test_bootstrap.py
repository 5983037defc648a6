"""Intervals from drawing systems anew, and power laws through means."""

import numpy as np
import pytest

from unijam.statistics import estimate, exponent_of_means, half_crossing, power_law


@pytest.mark.statistical
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Means of 40 exponential numbers: the true mean lies in 95 % of the intervals (at 40, in a little fewer)."""
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(300):
        found = estimate(np.mean, rng.exponential(1.0, 40), n_draws=200, seed=seed)
        inside += found.low <= 1.0 <= found.high
    assert 0.88 < inside / 300 < 0.98


def test_tables_are_drawn_independently_and_the_same_every_time():
    a, b = np.arange(10.0), 10 + np.arange(5.0)
    first, again = (estimate(lambda x, y: y.mean() - x.mean(), a, b) for _ in range(2))
    assert first == again and first.value == b.mean() - a.mean() and first.low < first.value < first.high
    assert estimate(np.mean, np.ones(7)) == estimate(np.median, np.ones(3)).__class__(1.0, 1.0, 1.0)


def test_an_exact_power_law_is_found():
    x = np.geomspace(1e-6, 1e-2, 7)
    assert power_law(x, 3.0 * x**0.5) == pytest.approx((0.5, 3.0), rel=1e-12)
    assert np.isnan(power_law(x, x - 1e-4)).all() and np.isnan(power_law(x[:1], x[:1])).all()


def test_the_exponent_is_that_of_means_over_what_is_there():
    x = np.geomspace(1e-4, 1e-2, 5)
    scatter = np.random.default_rng(0).normal(1.0, 0.1, (200, 5))
    table = np.stack([np.tile(x, (200, 1)), x**0.5 * scatter], axis=1)
    table[::3, 1, 0] = np.nan
    found = estimate(exponent_of_means, table, n_draws=100)
    assert found.low < 0.5 < found.high and found.high - found.low < 0.03


def test_where_half_of_the_trials_succeed():
    """A logistic of width 0.1 around 2: found between the neighbouring x, which the interval always holds."""
    rng, x = np.random.default_rng(3), np.array([1.0, 1.5, 1.9, 2.2, 2.5, 3.0])
    shares = 1 / (1 + np.exp((x - 2) / 0.1))
    found = half_crossing(x, [rng.random(200) < share for share in shares])
    assert found.low <= 1.9 < found.value < 2.2 <= found.high and found.value == pytest.approx(2.0, abs=0.06)
    assert np.isnan(half_crossing(x, [np.ones(5, bool)] * 6).value)
    assert np.isnan(half_crossing(x, [np.zeros(5, bool)] * 6).value)
