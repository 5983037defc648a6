"""Matrices known by their products against the matrices themselves."""

import numpy as np
import pytest
import torch

from unijam.linalg import Operator
from unijam.linalg.operators import is_operator, refuse_operator
from unijam.support.arrays import to_numpy

KINDS = {"numpy": lambda a: a, "torch": torch.from_numpy}


def symmetric(n, seed):
    a = np.random.default_rng(seed).standard_normal((n, n))
    return a + a.T


def operator(matrix):
    return Operator(lambda v: matrix @ v, matrix[0])


@pytest.mark.parametrize("kind", KINDS)
def test_sums_shifts_and_columns_are_those_of_matrices(kind):
    a, b, v = (KINDS[kind](m) for m in (symmetric(9, 0), symmetric(9, 1), symmetric(9, 2)[:, :4].copy()))
    total = (operator(a) + operator(b)).shifted(0.3)
    expected = to_numpy(a + b) + 0.3 * np.eye(9)
    np.testing.assert_allclose(to_numpy(total.dense()), expected, atol=1e-13)
    np.testing.assert_allclose(to_numpy(total @ v), expected @ to_numpy(v), atol=1e-13)
    assert total.shape == (9, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_keep_their_kind(kind):
    """In single precision too; a shift of 0 is the operator itself, and what it was made of stays."""
    matrix = KINDS[kind](symmetric(5, 0).astype(np.float32))
    a = operator(matrix)
    assert a.shifted(0.0) is a and a.shifted(2.0).memory == a.memory
    for found in (a @ matrix[1], a.shifted(2.0) @ matrix[1], a.dense()):
        assert type(found) is type(matrix) and found.dtype == matrix.dtype
    np.testing.assert_array_equal(to_numpy(a.dense()), to_numpy(matrix))


def test_operators_are_told_from_matrices_and_refused_in_one_sentence():
    assert is_operator(operator(np.eye(3))) and not is_operator(np.eye(3))
    with pytest.raises(ValueError, match="all modes needs matrices, and H of 7 degrees") as caught:
        refuse_operator("all modes", 7, "few")
    assert "\n" not in str(caught.value) and "ask for few" in str(caught.value)
