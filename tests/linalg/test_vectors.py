"""Arithmetic in one pass against NumPy's operators, and Adam's move against torch.optim."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unijam.linalg.vectors import adam_move, blend, dot, moved, products


def drawn(n, seed, kind):
    random = np.random.default_rng(seed)
    v, w = random.standard_normal(n), random.standard_normal(n)
    return (torch.from_numpy(v), torch.from_numpy(w)) if kind == "torch" else (v, w)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@given(n=st.integers(1, 70), seed=st.integers(0, 100))
def test_sums_and_combinations(kind, n, seed):
    v, w = drawn(n, seed, kind)
    a, b = np.asarray(v), np.asarray(w)
    assert dot(v, w) == pytest.approx(float(np.sum(a * b)), abs=1e-12)
    assert products(v, w) == pytest.approx((float(np.sum(a * a)), float(np.sum(a * b))), abs=1e-12)
    np.testing.assert_allclose(np.asarray(moved(v, 0.3, w)), a + 0.3 * b, atol=1e-15)
    u, square, product, largest = blend(0.7, v, -1.3, w)
    expected = 0.7 * a - 1.3 * b
    np.testing.assert_allclose(np.asarray(u), expected, atol=1e-14)
    assert square == pytest.approx(float(np.sum(expected**2)), abs=1e-12)
    assert product == pytest.approx(float(np.sum(expected * a)), abs=1e-12)
    assert largest == pytest.approx(float(np.abs(expected).max()), abs=1e-14)


def test_arguments_are_left_as_they_are():
    v, w = drawn(5, 0, "numpy")
    kept = v.copy(), w.copy()
    moved(v, 1.0, w), blend(1.0, v, 2.0, w)
    assert (v == kept[0]).all() and (w == kept[1]).all()


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_moves_are_those_of_torchs_adam(kind):
    """Without the correction of the first steps, which the rate holds: the k-th rate is lr √(1 − β₂^k)/(1 − β₁^k)."""
    start, gradient = drawn(6, 3, "torch")
    parameter = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([parameter], lr=0.1, betas=(0.8, 0.9), eps=0.0)
    y, first, second = start.clone(), torch.zeros(6).double(), torch.zeros(6).double()
    y, first, second = (a.numpy().copy() if kind == "numpy" else a for a in (y, first, second))
    for k in range(1, 5):
        parameter.grad = gradient * k
        optimizer.step()
        g = gradient.numpy() * k if kind == "numpy" else gradient * k
        y = adam_move(y, g, first, second, 0.8, 0.9, 0.1 * (1 - 0.9**k) ** 0.5 / (1 - 0.8**k), 0.0)
    np.testing.assert_allclose(np.asarray(y), parameter.detach().numpy(), rtol=1e-12)
