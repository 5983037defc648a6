"""The paths from softplus to ReLU; Levenberg-Marquardt without matrices against the one with them."""

import itertools

import pytest
import torch

import unijam as uj
from unijam.solvers import Objective
from unijam.solvers.models import gauss_newton_model, largest_curvature


def network(n_data: int, seed: int = 0, **changes) -> uj.FullyConnected:
    shape = {"depth": 2, "width": 6, "input_dimension": 6, "activation": "relu", "weights": "free"}
    return uj.FullyConnected.random(**(shape | changes), n_data=n_data, seed=seed)


def test_the_path_ends_at_a_minimum_of_the_relu_network():
    system = network(400)
    result = uj.minimize(system, solver=uj.softplus_to_relu())
    assert result.status == "converged" and result.system.activation == "relu"
    assert uj.certify(result.system, result.x).minimum


@pytest.mark.parametrize("weights", ["free", "spherical"])
def test_steps_without_matrices_are_those_with_them(weights):
    """Damped strongly, conjugate gradients converge: the same step, the same promised gain."""
    system = network(60, activation="tanh", weights=weights)
    objective = Objective(system, conjugate=3.0 if weights == "spherical" else None)
    point = objective.first(system.initial)
    dense, free = gauss_newton_model(objective, point, False), gauss_newton_model(objective, point, True)
    damping = 0.3 * largest_curvature(objective, point)
    steps = [model.step(damping) for model in (dense, free)]
    torch.testing.assert_close(steps[1], steps[0], rtol=0, atol=0.02 * float(steps[0].abs().max()))
    promised = [model.predicted(steps[0]) for model in (dense, free)]
    assert promised[1] == pytest.approx(promised[0], rel=1e-9)


def test_levenberg_marquardt_without_matrices_fits_as_well():
    system = network(90, activation="tanh")
    results = [uj.minimize(system, solver=uj.LevenbergMarquardt(matrix_free=free)) for free in (False, True)]
    assert [r.status for r in results] == ["satisfied", "satisfied"]


def test_steps_of_the_whole_hessian_converge_quadratically_where_those_of_h0_do_not():
    """A minimum with U > 0: Hp is no small part of H, without which each step shrinks the gradient by a part only."""
    system = network(300, activation="tanh")
    start = uj.minimize(system, solver=uj.Stages((uj.Stage({}, uj.LevenbergMarquardt(max_steps=60), 0.0),))).x
    objective, last = Objective(system, 0.3), {}
    for prestress in (False, True):
        solver = uj.LevenbergMarquardt(max_steps=400, prestress=prestress)
        result = solver.run(objective, start, watch=uj.Watch(keep=tuple(range(401))))
        last[prestress] = [r.relative_gradient for r in result.history if r.relative_gradient]
        assert result.status == "converged" or not prestress
    best = {k: min(b / a for a, b in itertools.pairwise(last[k][-6:])) for k in last}
    assert best[True] < 1e-3 and best[False] > 0.01  # by how much one of the last steps shrinks the gradient


def test_a_run_that_gains_too_little_ends():
    system = network(400, activation="tanh", weights="spherical")
    patient = uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=200))
    hasty = uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=200, least_gain=0.05))
    assert hasty.status == "stalled" and "five steps" in hasty.reason
    ends = (uj.LevenbergMarquardt(max_steps=hasty.n_steps - k) for k in (5, 0))
    before, there = (uj.minimize(system, solver=solver) for solver in ends)
    assert torch.equal(there.x, hasty.x)  # the beginning of the run without that test
    assert before.energy - hasty.energy < 0.05 * hasty.energy
    assert hasty.energy < 1.5 * patient.energy
