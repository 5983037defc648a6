"""Operations that arrays, tensors and sparse matrices share, against dense NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from unijam.support.arrays import column_norms, gram, over, over_both, signs, to_numpy, weigh, writable

KINDS = {"numpy": np.asarray, "torch": torch.from_numpy, "sparse": sp.csr_array}


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((30, 7)) * (np.arange(210).reshape(30, 7) % 3 > 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gram(kind, rows, sign):
    weights = sign * np.linspace(0.0, 2.0, 30)
    given = torch.from_numpy(weights) if kind == "torch" else weights
    np.testing.assert_allclose(
        to_numpy(gram(KINDS[kind](rows), given)), rows.T @ np.diag(weights) @ rows, atol=1e-12
    )


def test_gram_of_many_columns_is_made_by_blocks():
    wide = np.random.default_rng(1).standard_normal((20, 403))
    weights = np.random.default_rng(2).standard_normal(20)  # of both signs: the whole product
    np.testing.assert_allclose(gram(wide, weights), wide.T @ np.diag(weights) @ wide, atol=1e-10)


def test_blocks_of_weights_lie_along_the_diagonal(rows):
    blocks = np.random.default_rng(3).standard_normal((10, 3, 3))
    blocks += blocks.transpose(0, 2, 1)
    s = np.asarray(sp.block_diag(list(blocks)).todense())
    np.testing.assert_allclose(weigh(blocks, rows), s @ rows, atol=1e-12)
    np.testing.assert_allclose(weigh(blocks, rows[:, 0]), s @ rows[:, 0], atol=1e-12)
    np.testing.assert_allclose(gram(rows, blocks), rows.T @ s @ rows, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_norms_and_lengths(kind, rows):
    lengths = np.linspace(0.5, 2.0, 7)
    given = torch.from_numpy(lengths) if kind == "torch" else lengths
    a = KINDS[kind](rows)
    np.testing.assert_allclose(to_numpy(column_norms(a)), np.linalg.norm(rows, axis=0), rtol=1e-14)
    np.testing.assert_allclose(to_numpy(over(a, given)), rows / lengths, rtol=1e-14)
    h = rows.T @ rows
    square = sp.csc_array(h) if kind == "sparse" else KINDS[kind](h)
    np.testing.assert_allclose(to_numpy(over_both(square, given)), h / np.outer(lengths, lengths), rtol=1e-13)
    assert over(a, None) is a and over_both(square, None) is square


def test_signs_are_the_same_for_arrays_and_tensors():
    drawn = signs(np.zeros(50), seed=4)
    assert set(drawn) == {-1.0, 1.0}
    assert (to_numpy(signs(torch.zeros(50, dtype=torch.float64), seed=4)) == drawn).all()
    assert signs(torch.zeros(3, dtype=torch.float32), seed=4).dtype == torch.float32


def test_what_must_not_be_written_is_copied():
    mine = np.zeros(3)
    assert writable(mine) is mine
    mine.flags.writeable = False
    assert writable(mine) is not mine and writable(mine).flags.writeable
