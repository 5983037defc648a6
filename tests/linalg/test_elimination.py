"""Sparse factors in a kept order: solutions and inertia against dense algebra, as contacts come and go."""

import numpy as np
import pytest
import scipy.sparse as sp

from unijam.linalg import Elimination, with_diagonal


def networks(n, changes, rng):
    """Stiffness matrices of a random network of springs of either sign that loses and wins some of them."""
    pairs = {tuple(sorted(rng.choice(n, 2, replace=False))) for _ in range(3 * n)}
    for _ in range(changes):
        kept = [pair for pair in pairs if rng.random() > 0.1]
        pairs = {*kept, *(tuple(sorted(rng.choice(n, 2, replace=False))) for _ in range(n // 3))}
        i, j = np.array(sorted(pairs)).T
        weights = rng.uniform(-0.5, 1.0, len(i))
        h = sp.coo_array((weights, (i, j)), shape=(n, n))
        yield sp.csc_array(h + h.T + sp.diags(rng.uniform(0.5, 3.0, n)))


@pytest.mark.parametrize("shift", [0.0, 0.3, 20.0])
def test_a_kept_order_solves_what_it_was_not_made_for(shift):
    rng = np.random.default_rng(0)
    elimination = Elimination()
    for matrix in networks(60, 6, rng):
        dense, rhs = matrix.toarray() + shift * np.eye(60), rng.normal(size=60)
        factor = elimination.factor(matrix, shift)
        np.testing.assert_allclose(dense @ factor.solve(rhs), rhs, atol=1e-8)
        if factor.n_negative is not None:
            assert factor.n_negative == (np.linalg.eigvalsh(dense) < 0).sum()
    assert shift < 1 or elimination.order is not None


def test_an_order_that_fills_is_given_up():
    rng = np.random.default_rng(1)
    elimination = Elimination()
    chain = sp.diags([np.ones(99), 3 * np.ones(100), np.ones(99)], [-1, 0, 1], format="csc")
    assert elimination.factor(chain, 0.0).positive and elimination.order is not None
    mixed = rng.permutation(100)
    other = sp.csc_array(chain.tocsr()[mixed][:, mixed])
    assert elimination.factor(other, 0.0).positive and elimination.order is None


def test_a_singular_matrix_has_no_inertia():
    assert Elimination().factor(sp.csc_array(np.zeros((4, 4))), 0.0).n_negative is None
    assert Elimination().factor(sp.csc_array(np.full((2, 2), np.nan)), 0.0).n_negative is None
    assert Elimination().factor(sp.csc_array(np.zeros((4, 4))), 2.0).positive


def test_a_diagonal_is_added_stored_or_not():
    values = np.arange(1.0, 6.0)
    for matrix in (sp.csc_array(np.eye(5, k=1) + np.eye(5, k=-1)), sp.csc_array(np.ones((5, 5)))):
        before = matrix.toarray()
        np.testing.assert_array_equal(with_diagonal(matrix, values).toarray(), before + np.diag(values))
        np.testing.assert_array_equal(matrix.toarray(), before)
