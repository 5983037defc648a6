"""Kernels, ranks and projections against dense linear algebra."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unijam.linalg import null_space, orthonormal_rows, projection, rank_of
from unijam.linalg.subspaces import on_dof
from unijam.support.arrays import to_numpy

SEEDS = st.integers(0, 10**6)


@settings(max_examples=30)
@given(seed=SEEDS, m=st.integers(1, 25), n=st.integers(1, 25), rank=st.integers(0, 25))
def test_null_space_has_the_dimension_that_the_rank_leaves(seed, m, n, rank):
    random = np.random.default_rng(seed)
    rank = min(rank, m, n)
    left = np.linalg.qr(random.standard_normal((m, m)))[0][:, :rank]
    right = np.linalg.qr(random.standard_normal((n, n)))[0][:, :rank]
    matrix = (left * 10.0 ** random.uniform(-2, 0, rank)) @ right.T  # two decades, far above rounding
    kernel = null_space(matrix)
    assert kernel.shape == (n, n - rank)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(n - rank), atol=1e-12)
    np.testing.assert_allclose(matrix @ kernel, 0, atol=1e-13)


def test_ranks_of_trivial_matrices():
    assert null_space(np.empty((0, 3))).shape == (3, 3)
    assert null_space(np.zeros((2, 3))).shape == (3, 3)
    assert rank_of(np.array([]), (0, 3)) == 0
    assert rank_of(np.array([1.0, 0.5, 1e-8]), (3, 3)) == 2
    assert rank_of(np.array([1.0, 1e-2, 1e-4]), (3, 3)) == 3  # no gap: full rank
    noisy = np.array([1.0, 3e-3, 3e-8, 6e-14])  # a zero known to 1e-7, beside one known to rounding
    assert rank_of(noisy, (4, 4)) == 3 and rank_of(noisy, (4, 4), floor=1e-7) == 2
    rows = orthonormal_rows(np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 1e-5, 0]]))
    assert rows.shape == (2, 3) and orthonormal_rows(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("dependent", [False, True])
def test_projection_off_sparse_rows_is_that_off_dense_ones(dependent):
    random = np.random.default_rng(0)
    rows = random.standard_normal((5, 40)) * (random.random((5, 40)) < 0.3)
    if dependent:
        rows[4] = rows[0] - 2 * rows[1]
    v = torch.from_numpy(random.standard_normal(40))
    dense, rank = projection(torch.from_numpy(rows))
    sparse, same = projection(torch.from_numpy(rows).to_sparse())
    assert rank == same == 5 - dependent
    torch.testing.assert_close(sparse(v), dense(v), atol=1e-11, rtol=0)
    assert float((torch.from_numpy(rows) @ sparse(v)).abs().max()) < 1e-10


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_a_basis_spans_what_its_rows_span(kind):
    """Rows of very different length, one a sum of two others, against numpy's projector."""
    rows = np.random.default_rng(0).standard_normal((4, 9)) * [[1.0], [1e-6], [1e3], [1.0]]
    rows[3] = rows[0] - 2 * rows[2]
    basis = to_numpy(orthonormal_rows(kind(rows)))
    assert basis.shape == (3, 9)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    unit = rows[:3] / np.linalg.norm(rows[:3], axis=1, keepdims=True)
    np.testing.assert_allclose(basis.T @ basis, np.linalg.pinv(unit) @ unit, atol=1e-6)  # 1e-9 in rows × 1e3


def test_rows_off_a_mask_are_zero_sparse_or_dense():
    rows = np.random.default_rng(1).standard_normal((3, 8)) * (np.arange(24).reshape(3, 8) % 3 > 0)
    mask = np.arange(8) % 2 == 0
    expected = np.where(mask, rows, 0.0)
    np.testing.assert_array_equal(on_dof(rows, mask), expected)
    sparse = on_dof(torch.from_numpy(rows).to_sparse(), torch.from_numpy(mask))
    np.testing.assert_array_equal(sparse.to_dense().numpy(), expected)
