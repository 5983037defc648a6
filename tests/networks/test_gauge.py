"""Symmetries and gauges: what moves no Δ, counted and checked on the Jacobian."""

import itertools

import pytest
import torch

import unijam as uj
from tests.networks.points import moved
from unijam.networks import FullyConnected

KINDS = list(itertools.product(("tanh", "relu"), ("spherical", "free"), (True, False), range(4)))


def network(activation, weights, bias, depth, n_data=40):
    return FullyConnected.random(depth, 5, 4, n_data, activation, 1.0, weights, bias=bias, seed=3)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_symmetries_move_no_constraint_and_are_independent(kind):
    system = network(*kind)
    x = moved(system)
    z = system.symmetries(x)
    activation, weights, _, depth = kind
    expected = 0 if weights == "free" else depth + 1
    if activation == "relu" and depth:
        expected += 5 * depth - (depth + 1 if weights == "spherical" else 0)
    assert z.shape == (expected, system.n_dof)
    if expected:
        assert torch.linalg.matrix_rank(z) == expected
        assert float((system.constraints(x).jacobian() @ z.T).abs().max()) < 1e-12


@pytest.mark.parametrize("kind", [k for k in KINDS if k[3] < 2], ids=str)
def test_symmetries_are_the_whole_kernel_of_many_constraints(kind):
    system = network(*kind, n_data=500)
    x = moved(system, noise=0.05)  # near the orthogonal start, where no unit is silent or always on
    sigma = torch.linalg.svdvals(system.constraints(x).jacobian())
    assert int((sigma < 1e-12 * sigma[0]).sum()) == len(system.symmetries(x))


def test_balanced_spherical_relu_has_one_rescaling_more():
    """Where σ_l |row|² = σ_{l+1} |column|² the conditions on the norms are dependent: L (h − 1) remain."""
    system = network("relu", "spherical", True, 1)
    theta = moved(system)[:25].reshape(5, 5)
    x = torch.cat([theta.reshape(-1), 0.7 * theta.norm(dim=1), theta.new_tensor([0.0])])
    assert len(system.symmetries(x)) == 2 + 4


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_canonical_keeps_delta_and_is_kept(kind):
    system = network(*kind)
    x = moved(system)
    y = system.canonical(x)
    torch.testing.assert_close(system.constraints(y).delta, system.constraints(x).delta, atol=1e-12, rtol=0)
    assert system.canonical(y) is y
    shapes, parts = system.shapes, y.split(system.sizes)
    layers = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    if system.weights == "spherical":
        torch.testing.assert_close(torch.stack([theta.norm() for theta in layers]), system.radii)
    elif system.activation == "relu":
        for below, above in itertools.pairwise(layers):
            torch.testing.assert_close(below.norm(dim=1), above[:, : len(below)].norm(dim=0))
    else:
        assert y is x


def test_dead_relu_units_stay_as_they_are():
    system = network("relu", "free", True, 1)
    x = moved(system)
    x[:5] = 0.0  # [w_in|b] of the first unit
    y = system.canonical(x)
    assert bool(torch.isfinite(y).all()) and float(y[25]) == float(x[25])
    assert len(system.symmetries(y)) == 5
    x[25] = 0.0
    assert len(system.symmetries(x)) == 4


def test_units_that_died_away_to_nothing_have_no_rescaling():
    """Weights whose squares underflow: no NaN among the symmetries."""
    system = uj.FullyConnected.random(
        depth=2, width=5, input_dimension=4, n_data=40, activation="relu", weights="spherical"
    )
    x = system.initial.clone()
    first, second, _ = (p.view(s) for p, s in zip(x.split(system.sizes), system.shapes, strict=True))
    first[2] *= 1e-200
    second[:, 2] *= 1e-200
    rows = system.symmetries(x)
    assert bool(torch.isfinite(rows.to_dense() if rows.is_sparse else rows).all())
