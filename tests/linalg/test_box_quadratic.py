"""Convex quadratics in a box against scipy's bounded least squares and the conditions of a minimum."""

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear

from unijam.linalg.box_quadratic import minimize_in_box


def problem(seed, k):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((k + 3, k))
    return rows, random.standard_normal(k + 3), random.uniform(0.1, 1.0, k), random.random(k)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("k", [1, 2, 7, 30])
def test_the_minimum_is_that_of_bounded_least_squares(seed, k):
    rows, target, upper, start = problem(seed, k)
    found = minimize_in_box(rows.T @ rows, -rows.T @ target, start * upper, upper)
    expected = lsq_linear(rows, target, (0.0, upper), tol=1e-14, method="bvls").x
    np.testing.assert_allclose(found, expected, atol=1e-8)
    pull = rows.T @ (rows @ found - target)
    inside = (found > 0) & (found < upper)
    assert abs(pull[inside]).max(initial=0.0) < 1e-10
    assert (pull[found == 0] >= 0).all() and (pull[found == upper] <= 0).all()


def test_tensors_give_what_arrays_give():
    rows, target, upper, start = problem(1, 6)
    given = rows.T @ rows, -rows.T @ target, start * upper, upper
    found = minimize_in_box(*map(torch.from_numpy, given))
    np.testing.assert_allclose(found.numpy(), minimize_in_box(*given), atol=1e-12)


def test_a_direction_without_curvature_goes_to_the_bound_that_its_slope_names():
    q, upper = np.diag([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0])
    found = minimize_in_box(q, np.array([-0.5, -1.0, 1.0]), np.full(3, 0.4), upper)
    np.testing.assert_allclose(found, [0.5, 2.0, 0.0], atol=1e-12)


def test_nothing_is_the_minimum_of_nothing():
    assert minimize_in_box(np.empty((0, 0)), np.empty(0), np.empty(0), np.empty(0)).shape == (0,)
