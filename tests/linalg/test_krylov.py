"""Matrix-free linear algebra against dense: conjugate gradients, Lanczos, extreme modes, Newton steps, symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unijam.linalg import (
    Operator,
    QuadraticModel,
    across_symmetries,
    conjugate_gradients,
    extreme_modes,
    lanczos,
    mean_diagonal,
)
from unijam.support.arrays import to_numpy

SEEDS = st.integers(0, 10**6)
KINDS = {"numpy": lambda a: a, "torch": torch.from_numpy}


def symmetric(n, seed, shift=0.0):
    a = np.random.default_rng(seed).standard_normal((n, n))
    return a + a.T + shift * np.eye(n)


def operator(matrix, memory=2**30):
    like = matrix[0]
    return Operator(lambda v: matrix @ v, like, memory)


@settings(max_examples=20)
@given(seed=SEEDS)
def test_conjugate_gradients_solve_or_point_downward(seed):
    a = symmetric(30, seed, shift=8.0)
    lowest, rhs = np.linalg.eigvalsh(a)[0], symmetric(30, seed + 1)[0]
    p, downward = conjugate_gradients(operator(a), rhs, 1e-10, 200)
    if lowest > 0.1:
        assert downward is None
        np.testing.assert_allclose(a @ p, rhs, atol=1e-8)
    if downward is not None:
        assert lowest < 0 and downward @ a @ downward <= 0
        assert rhs @ downward > 0  # the quadratic falls along it


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10)
@given(seed=SEEDS, lowest=st.booleans(), small=st.booleans())
def test_extreme_modes_are_those_of_the_matrix(kind, seed, lowest, small):
    """With room for all vectors, and with restarts in that for a few."""
    a = symmetric(80, seed)
    values, vectors = np.linalg.eigh(a)
    memory = 2 * 12 * 80 * 8 if small else 2**30
    found, rows, residuals = extreme_modes(operator(KINDS[kind](a), memory), 3, lowest, tolerance=1e-10)
    chosen = slice(3) if lowest else slice(-3, None)
    np.testing.assert_allclose(found, values[chosen], atol=1e-8)
    np.testing.assert_allclose(abs(to_numpy(rows) @ vectors[:, chosen]), np.eye(3), atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(a @ to_numpy(rows).T - found * to_numpy(rows).T, axis=0), residuals, atol=1e-8
    )


def test_a_search_ends_where_an_eigenvalue_is_known_to_be_low_enough():
    """Of an evenly filled spectrum some vectors know in a moment that it reaches below −0.1, not where it ends."""
    a, products = np.diag(np.linspace(-1, 1, 500)), {}
    for enough in (-0.1, None):
        counted = Operator(lambda v, enough=enough: (products[enough].append(1), a @ v)[1], a[0])
        products[enough] = []
        values, _, residuals = extreme_modes(counted, enough=enough)
        assert -1 <= values[0] < -0.1 and (enough is not None or residuals[0] < 1e-8)
    assert len(products[-0.1]) < len(products[None]) / 2


@pytest.mark.parametrize("memory", [2**30, 0])
def test_lanczos_integrates_polynomials_exactly(memory):
    """m products make a Gauss quadrature of degree 2m − 1 of the start's spectral measure."""
    a, start = symmetric(60, 3) / 10, symmetric(60, 4)[0]
    found = lanczos(operator(a, memory), start, 6)
    unit = start / np.linalg.norm(start)
    for power in range(12):
        exact = unit @ np.linalg.matrix_power(a, power) @ unit
        assert found.weights @ found.nodes**power == pytest.approx(exact, rel=1e-10, abs=1e-12)


def test_lanczos_stops_where_the_start_spans_no_more():
    values = np.repeat([1.0, 2.0, 5.0], 20)
    found = lanczos(operator(np.diag(values)), np.ones(60), 40)
    np.testing.assert_allclose(found.nodes, [1, 2, 5], atol=1e-12)
    np.testing.assert_allclose(found.weights, [1 / 3] * 3, atol=1e-12)


def test_mean_diagonal_of_a_diagonal_matrix_is_exact():
    assert mean_diagonal(operator(np.diag(np.arange(7.0)))) == pytest.approx(3.0)


@settings(max_examples=10)
@given(seed=SEEDS, with_border=st.booleans())
def test_newton_steps_and_negative_modes_are_those_of_the_matrix(seed, with_border):
    """Across symmetries, with and without the border of a moving scale."""
    random = np.random.default_rng(seed)
    h = torch.from_numpy(symmetric(20, seed, shift=14.0))
    z = torch.from_numpy(random.standard_normal((2, 20)))
    z = torch.linalg.qr(z.T).Q.T
    flat = torch.eye(20, dtype=torch.float64) - z.T @ z
    h = flat @ h @ flat
    border = torch.from_numpy(random.standard_normal(20)) if with_border else None
    border = border if border is None else flat @ border
    gradient = torch.from_numpy(random.standard_normal(20 + with_border))
    models = []
    for matrix in (h, operator(h)):
        regular, rho = across_symmetries(matrix, lambda: torch.ones(20) > 0, z)
        models.append(QuadraticModel(regular, border, 30.0, rho))
    dense, free = models
    assert free.rho == pytest.approx(dense.rho, rel=0.5)  # an estimate
    free = QuadraticModel(free.matrix, border, 30.0, dense.rho)
    regular, _ = across_symmetries(h, lambda: torch.ones(20) > 0, z)
    expected = regular
    if border is not None:
        corner = torch.full((1, 1), 30.0, dtype=torch.float64)
        expected = torch.cat([torch.cat([regular, border[:, None]], 1), torch.cat([border[None], corner], 1)])
    values = torch.linalg.eigvalsh(expected)
    if float(values.abs().min()) < 1e-2:
        return
    assert free.negative_modes() == min(dense.negative_modes(), 1)
    if float(values[0]) > 0:
        solved = torch.linalg.solve(expected, -gradient)
        step, shift = free.step(gradient, 0.0, 1e6, 1e-12)
        assert shift == 0.0
        # ρ of the symmetries is an estimate; across them the steps agree
        across = torch.cat([flat, torch.zeros(20, 1)], 1) if with_border else flat
        torch.testing.assert_close(across @ step, across @ solved, atol=1e-7, rtol=0)
    mode = free.lowest_mode()
    if float(values[0]) < 0:
        assert float(mode @ expected @ mode) < 0
