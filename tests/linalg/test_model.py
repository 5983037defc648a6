"""Factorisations, inertia, symmetries, and borders against dense linear algebra."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh_tridiagonal

from unijam.linalg import (
    QuadraticModel,
    across_symmetries,
    factor_dense,
    factor_sparse,
)
from unijam.support.arrays import to_numpy

SEEDS = st.integers(0, 10**6)
AS = {"numpy": lambda a: a, "torch": torch.from_numpy, "sparse": sp.csc_matrix}


def symmetric(n, random, density=1.0, shift=0.0):
    a = random.standard_normal((n, n)) * (random.random((n, n)) < density)
    return a + a.T + shift * np.eye(n)


@settings(max_examples=40)
@given(seed=SEEDS, n=st.integers(1, 60), shift=st.sampled_from([-3.0, 0.0, 3.0, 30.0]))
def test_inertia_of_sparse_matrices_is_that_of_their_eigenvalues(seed, n, shift):
    random = np.random.default_rng(seed)
    a = symmetric(n, random, density=3 / n, shift=shift)
    values = np.linalg.eigvalsh(a)
    if np.abs(values).min() < 1e-6:
        return  # singular: no inertia to speak of
    factor = factor_sparse(sp.csc_matrix(a), 0.0)
    if factor.n_negative is not None:
        assert factor.n_negative == (values < 0).sum() and factor.positive == (values > 0).all()
    else:
        assert (values < 0).any()  # a positive definite matrix is always recognised
    assert factor_sparse(sp.csc_matrix(a), 1.0 - values[0]).positive


@pytest.mark.parametrize("kind", AS)
@settings(max_examples=15)
@given(seed=SEEDS, negative=st.booleans())
def test_factors_solve_and_tell_positive_from_not(kind, seed, negative):
    random = np.random.default_rng(seed)
    a = symmetric(30, random, density=0.1)
    lowest = np.linalg.eigvalsh(a)[0]
    shift = -lowest + (-0.1 if negative else 0.1)
    factor = (factor_sparse if kind == "sparse" else factor_dense)(AS[kind](a), shift)
    assert factor.positive is not negative
    if not negative:
        b = random.standard_normal(30)
        x = to_numpy(factor.solve(torch.from_numpy(b) if kind == "torch" else b))
        np.testing.assert_allclose((a + shift * np.eye(30)) @ x, b, atol=1e-9)


@pytest.mark.parametrize("kind", AS)
@settings(max_examples=15)
@given(seed=SEEDS, corner=st.floats(-2, 20))
def test_bordered_systems_are_solved_and_counted_as_the_whole_matrix(kind, seed, corner):
    """The scale's row and column: Schur complement against a dense solve and dense eigenvalues."""
    random = np.random.default_rng(seed)
    n = 25
    a = symmetric(n, random, density=0.1)
    a = a + (0.3 - np.linalg.eigvalsh(a)[0]) * np.eye(n)
    border = random.standard_normal(n)
    whole = np.block([[a, border[:, None]], [border[None], np.array([[corner]])]])
    array = torch.from_numpy if kind == "torch" else np.asarray
    model = QuadraticModel(AS[kind](a), array(border), corner, 1.0)
    for shift in (0.0, 0.5):
        values = np.linalg.eigvalsh(whole + shift * np.eye(n + 1))
        if np.abs(values).min() < 1e-3:
            continue
        factor = model.factor(shift)
        assert factor.n_negative == (values < 0).sum()
        b = random.standard_normal(n + 1)
        x = np.linalg.solve(whole + shift * np.eye(n + 1), b)
        np.testing.assert_allclose(to_numpy(factor.solve(array(b))), x, atol=1e-8 * np.abs(x).max())
    assert model.negative_modes() == (np.linalg.eigvalsh(whole) < 0).sum() or abs(values).min() < 1e-3
    lowest = to_numpy(model.lowest_mode())
    assert lowest @ whole @ lowest == pytest.approx(np.linalg.eigvalsh(whole)[0], abs=1e-10)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@settings(max_examples=15)
@given(seed=SEEDS, k=st.integers(0, 4))
def test_across_symmetries_has_the_inertia_of_the_rest(kind, seed, k):
    """P H P + ρ Z Zᵀ: eigenvalues of H on the complement of Z, and k times ρ."""
    random = np.random.default_rng(seed)
    n = 20
    h, z = symmetric(n, random), random.standard_normal((k, n)) * 10.0 ** random.uniform(-3, 3, (k, 1))
    array = AS[kind]
    made, rho = across_symmetries(array(h), lambda: array(np.ones(n, dtype=bool)), array(z))
    basis = np.linalg.svd(z)[2][k:].T if k else np.eye(n)
    expected = np.sort(np.append(np.linalg.eigvalsh(basis.T @ h @ basis), [rho] * k))
    np.testing.assert_allclose(np.linalg.eigvalsh(to_numpy(made)), expected, atol=1e-10)
    assert rho == pytest.approx(np.abs(np.diag(h)).mean())


@settings(max_examples=15)
@given(seed=SEEDS, n_springs=st.integers(30, 80))
def test_pinning_a_sparse_matrix_keeps_its_inertia(seed, n_springs):
    """Springs of both signs in the plane, whose translations are exact: pinned, no sign changes."""
    random = np.random.default_rng(seed)
    n = 15
    h = np.zeros((2 * n, 2 * n))
    for stiffness in random.uniform(-0.3, 1.0, n_springs):
        i, j = random.choice(n, 2, replace=False)
        angle = random.uniform(0, np.pi)
        row = np.zeros(2 * n)
        row[2 * i : 2 * i + 2] = np.cos(angle), np.sin(angle)
        row[2 * j : 2 * j + 2] = -row[2 * i : 2 * i + 2]
        h += stiffness * np.outer(row, row)
    z = np.tile(np.eye(2), n)
    basis = np.linalg.svd(z)[2][2:].T
    values = np.linalg.eigvalsh(basis.T @ h @ basis)
    if np.abs(values).min() < 1e-6:
        return
    made, _ = across_symmetries(sp.csc_matrix(h), lambda: np.ones(2 * n, dtype=bool), z)
    assert sp.issparse(made) and made.nnz <= np.count_nonzero(h) + 2 * n
    assert (np.linalg.eigvalsh(made.toarray()) < 0).sum() == (values < 0).sum()


@pytest.mark.parametrize("bordered", [False, True])
def test_the_lowest_mode_of_a_large_matrix_among_many_soft_ones(bordered):
    """A long chain with one weak negative bond to the ground: thousands of modes at zero, one below."""
    n = 4000
    chain = sp.diags([np.full(n, 2.0), np.full(n - 1, -1.0), np.full(n - 1, -1.0)], [0, 1, -1], format="lil")
    chain[n // 2, n // 2] -= 4e-3
    values, vectors = eigh_tridiagonal(
        chain.diagonal(), np.full(n - 1, -1.0), select="i", select_range=(0, 1)
    )
    assert values[0] < -1e-6 < 0 < values[1] < 1e-5
    border = np.zeros(n) if bordered else None
    model = QuadraticModel(sp.csc_matrix(chain), border, 1.0, 2.0)
    mode = model.lowest_mode()
    assert abs(mode[:n] @ vectors[:, 0]) > 1 - 1e-4
    assert model.negative_modes() == 1 and model._softest()[0] == pytest.approx(values[0], rel=1e-2)
