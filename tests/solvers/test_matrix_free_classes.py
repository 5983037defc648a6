"""Levenberg-Marquardt without a Jacobian on C > 2 classes: the same model and the same way as with matrices."""

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.linalg import gauss_newton
from unijam.solvers.models import gauss_newton_model
from unijam.solvers.objective import Objective

C = 4
POTENTIALS = [uj.CrossEntropy(C), uj.Harmonic(), uj.LinearHinge(0.5)]


def network(potential, weights="free", n_data=60):
    random = np.random.default_rng(7)
    inputs, labels = random.standard_normal((n_data, 5)), random.permutation(np.arange(n_data) % C)
    shape = {"depth": 2, "width": 7, "activation": "tanh", "weights": weights, "n_classes": C}
    return uj.FullyConnected.from_data(inputs, labels, **shape, potential=potential, seed=3)


def module(potential, n_data=60):
    """The same weights in torch's own layers."""
    system = network(potential, n_data=n_data)
    layers: list[torch.nn.Module] = []
    for part, shape in zip(system.initial.split(system.sizes), system.shapes, strict=True):
        theta, linear = part.view(shape), torch.nn.Linear(shape[1] - 1, shape[0], dtype=torch.float64)
        linear.weight.data, linear.bias.data = theta[:, :-1].clone(), theta[:, -1].clone()
        layers += [linear, torch.nn.Tanh()]
    chain = torch.nn.Sequential(*layers[:-1])
    return uj.Network(chain, system.inputs, system.labels, potential, dense_limit=0)


@pytest.mark.parametrize("potential", POTENTIALS)
@pytest.mark.parametrize("made", ["free", "spherical", "module"])
def test_products_with_h0_are_those_of_the_matrix(potential, made):
    system = module(potential) if made == "module" else network(potential, made)
    objective = Objective(system)
    noise = torch.randn(system.n_dof, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    point = objective.first(system.initial + 0.2 * noise)
    c = objective.constraints_at(point)
    weights, j = system.potential.stiffness(c.delta), c.jacobian()
    rows = j.view(-1, C - 1, j.shape[1])
    if weights.ndim == 3:
        dense = torch.einsum("mia,mij,mjb->ab", rows, weights, rows)
    else:
        dense = j.T @ (weights[:, None] * j)
    free = gauss_newton_model(objective, point, matrix_free=True)
    v = torch.linspace(-1, 1, system.n_dof, dtype=torch.float64)
    torch.testing.assert_close(free.h0 @ v, dense @ v, atol=1e-10, rtol=1e-10)
    assert free.predicted(v) == pytest.approx(-float(point.gradient @ v + 0.5 * v @ dense @ v), rel=1e-10)


@pytest.mark.parametrize("potential", POTENTIALS)
def test_steps_by_products_go_where_those_by_matrices_go(potential, monkeypatch):
    """With steps solved to rounding, ten of each lead to the same point."""
    monkeypatch.setattr(gauss_newton, "INEXACT", 1e-13)
    system = network(potential)
    begin = uj.energy(system, system.constraints(system.initial))
    ends = [
        uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=10, matrix_free=free))
        for free in (True, False)
    ]
    assert ends[0].n_steps == ends[1].n_steps and ends[0].energy < 0.9 * begin
    assert ends[0].energy == pytest.approx(ends[1].energy, rel=1e-6, abs=1e-12)
    torch.testing.assert_close(ends[0].x, ends[1].x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("potential", POTENTIALS[:2])
def test_all_data_are_fitted_without_a_matrix(potential):
    for system in (network(potential), module(potential)):
        result = uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=200, matrix_free=True))
        assert uj.accuracy(result.system, result.x) == 1.0
