"""Every solver on every system, untuned; and all of them to the one minimum of a convex problem."""

import math

import numpy as np
import pytest

import unijam as uj
from unijam.core.capabilities import coordinate_lengths
from unijam.support.arrays import over, to_numpy

SOLVERS = {
    "default": None,
    "TrustRegionNewton": uj.TrustRegionNewton(),
    "LevenbergMarquardt": uj.LevenbergMarquardt(),
    "ConjugateGradient": uj.ConjugateGradient(),
    "Fire": uj.Fire(),
    "GradientDescent": uj.GradientDescent(),
    "Adam": uj.Adam(max_steps=20_000),
}
SIZES = {"TrustRegionNewton": 200, "LevenbergMarquardt": 200}
FALL = {"GradientDescent": 0.7, "Adam": 0.7}  # of U at most, in a thousand steps; others 0.5


@pytest.fixture(scope="module")
def linear():
    """Three times more data than weights: U > 0, convex, one minimum."""
    return {
        bias: uj.FullyConnected.random(
            depth=0, input_dimension=20, n_data=80, weights="free", bias=bias, seed=2
        )
        for bias in (False, True)
    }


@pytest.fixture(scope="module")
def least_energy(linear):
    """By an independent method: Newton on the active set, which ends exactly."""
    found = {}
    for bias, system in linear.items():
        data = (system.labels[:, None] * system.entering.T).numpy()
        w = 0 * data[0]
        for _ in range(100):
            active = data @ w < 1
            a = data[active]
            step = np.linalg.solve(a.T @ a, a.sum(axis=0)) - w
            energies = [0.5 * ((1 - data @ (w + t * step)).clip(0) ** 2).sum() for t in (1, 0.5, 0.25, 0.1)]
            best = min(range(4), key=energies.__getitem__)
            w = w + (1, 0.5, 0.25, 0.1)[best] * step
        found[bias] = energies[best]
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", SOLVERS)
def test_all_solvers_reach_the_minimum_of_a_convex_problem(linear, least_energy, name, bias):
    result = uj.minimize(linear[bias], None, SOLVERS[name])
    tolerance = 1e-4 if name == "Adam" else 1e-8
    assert result.energy == pytest.approx(least_energy[bias], rel=tolerance)
    assert name == "Adam" or result.status == "converged"


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_works_untuned_and_says_truly_where_it_stands(make_system, name):
    system = make_system(1)
    start = uj.energy(system, system.constraints(system.initial))
    solver = SOLVERS[name]
    if solver is not None:
        solver = type(solver)(max_steps=SIZES.get(name, 1000))
    result = uj.minimize(system, None, solver)
    c = result.system.constraints(result.x)
    assert result.energy == pytest.approx(uj.energy(system, c), rel=1e-9, abs=1e-25)
    assert result.energy < FALL.get(name, 0.5) * start
    force = system.potential.force(c.delta)
    square = float(force @ force)
    g = over(c.vjp(force), coordinate_lengths(system))  # angles count as lengths
    residual = math.sqrt(float(g @ g) / square) if square else 0.0
    resolution = (
        5 * system.resolution(result.x) / math.sqrt(square / max(result.n_overlaps, 1)) if square else 0
    )
    if result.status == "converged":
        assert result.n_overlaps > 0 and residual <= 1.1 * max(1e-10, resolution)
    elif result.status == "satisfied":
        assert result.n_overlaps == 0 or result.energy < 1e-20 * result.n_overlaps
    elif result.status == "step-limit":
        assert result.n_steps == solver.max_steps and residual > 1e-10
    else:
        assert result.status in ("stalled", "saddle")
        # the default solver has no excuse but kinks, on which minima of ReLU sit
        assert solver is not None or getattr(system, "activation", "") == "relu"
    assert result.relative_gradient == pytest.approx(residual, rel=1e-3, abs=1e-12)
    assert result.n_steps >= 0 and result.n_evaluations > 0


def test_converged_states_are_minima(make_system):
    """No negative mode of a Hessian from differences of ∇U, the symmetries projected out."""
    n_converged = 0
    for seed in range(3):
        result = uj.minimize(make_system(seed))
        if result.status != "converged":
            assert result.status == "satisfied" or getattr(result.system, "activation", "") == "relu"
            continue
        n_converged += 1
        system, x = result.system, result.x
        step, rows = 1e-7, []
        c = system.constraints(x)
        if system.kinks is not None or (abs(c.kinks(c.delta).values) < 100 * step).any():
            continue  # a difference across a kink is no curvature: `certify` has tests of its own
        for k in range(len(x)):
            e = 0 * x
            e[k] = step
            ends = [to_numpy(uj.gradient(system, system.constraints(x + s * e))) for s in (1, -1)]
            rows.append((ends[0] - ends[1]) / (2 * step))
        h = 0.5 * (np.array(rows) + np.array(rows).T)
        z = to_numpy(system.symmetries(x))
        basis = np.linalg.svd(z)[2][len(z) :].T if len(z) else np.eye(len(x))
        values = np.linalg.eigvalsh(basis.T @ h @ basis)
        # rounding of ∇U over the step: 1e-15 × its size, some 10 terms each
        assert values.min() > -1e-6 * values.max()
    # free weights fit these data; all else jams
    assert n_converged or getattr(make_system(0), "weights", "") == "free"
