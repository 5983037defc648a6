"""Fully connected networks beyond matrices: products against matrices, symmetries, Newton steps, counts."""

import itertools

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.core.derivatives import hessian

EXACT = {"atol": 1e-10, "rtol": 1e-10}
KINDS = list(itertools.product(("tanh", "softplus", "relu"), ("spherical", "free"), (2, 3), (True, False)))


def network(activation="tanh", weights="free", classes=2, bias=True, depth=2, n_data=23, **more):
    random = np.random.default_rng(5)
    labels = np.arange(n_data) % 2 * 2 - 1 if classes == 2 else np.arange(n_data) % classes
    return uj.FullyConnected.from_data(
        random.standard_normal((n_data, 4)),
        labels,
        depth,
        width=5,
        activation=activation,
        weights=weights,
        bias=bias,
        seed=3,
        n_classes=classes,
        **more,
    )


def moved(system, noise=0.3):
    random = torch.Generator().manual_seed(1)
    drawn = torch.randn(system.n_dof, generator=random, dtype=torch.float64)
    return system.initial + noise * drawn, drawn.flip(0)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_products_are_those_of_the_matrices(kind):
    system = network(*kind)
    potentials = [uj.Harmonic()] if kind[2] == 2 else [uj.Harmonic(), uj.CrossEntropy(classes=3)]
    for potential in potentials:
        system = system.at(potential=potential)
        free, (x, v) = system.at(dense_limit=0), moved(system)
        dense, products = hessian(system, system.constraints(x)), hessian(free, free.constraints(x))
        both = products[0] + products[1]
        for matrix, product in zip((*dense, sum(dense)), (*products, both), strict=True):
            torch.testing.assert_close(product @ v, matrix @ v, **EXACT)
        z = free.symmetries(x)
        assert z.is_sparse
        rows = system.symmetries(x)
        torch.testing.assert_close(z.to_dense(), rows)
        jacobian = system.constraints(x).jacobian()
        if len(rows):
            assert float((jacobian @ rows.T).abs().max()) < 1e-10


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_a_net_that_is_no_matrix_reaches_the_same_minimum(activation):
    """Newton by conjugate gradients and Newton by factors, from near a minimum."""
    system = network(activation, "spherical", n_data=80)
    start = uj.minimize(system)
    assert start.status == "converged"
    nearby = start.x + 1e-3 * moved(system)[1]
    solver = uj.TrustRegionNewton(gradient_tolerance=1e-9)
    exact, free = (uj.minimize(s, nearby, solver) for s in (system, system.at(dense_limit=0)))
    assert free.status == exact.status == "converged"
    assert free.energy == pytest.approx(exact.energy, rel=1e-9)
    counts = [uj.count_constraints(s, free.x) for s in (system, system.at(dense_limit=0))]
    assert counts[0] == counts[1]


def test_a_saddle_is_left_without_a_matrix():
    """x = 0 of a network without biases: no force but from the margin, and curvature of both signs."""
    system = network("tanh", "free", bias=False, depth=1).at(dense_limit=0)
    x = 1e-9 * moved(system)[1]
    result = uj.minimize(system, x, uj.TrustRegionNewton())
    assert result.energy < 0.9 * uj.energy(system, system.constraints(x))
