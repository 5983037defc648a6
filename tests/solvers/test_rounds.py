"""Rounds on systems that they cannot minimise: they end, and say why."""

import numpy as np
import scipy.sparse as sp

import unijam as uj
from unijam.solvers.kink_probe import KINK
from unijam.solvers.sequences.rounds import IDLE


class Folded(uj.ConstrainedSystem):
    """Δ = 1 + Σ |x_i| b_i + (x − a)²/2 with NumPy, sparse, and without a word about its kinks: U is least on them."""

    initial = np.array([1.0, 0.7, -0.4, 0.3])
    a = np.array([0.5, -0.3, 0.2, 0.1])

    def constraints(self, x, reach=0.0):
        return FoldedConstraints(
            self, x, np.array([1 + 0.5 * (x - self.a) @ (x - self.a) + 2 * abs(x).sum()])
        )


class FoldedConstraints(uj.Constraints):
    def __init__(self, system, x, delta):
        self.system, self.x, self.delta, self.members = system, x, delta, np.zeros((1, 1), int)

    def vjp(self, weights):
        return self.jacobian().T @ weights

    def jvp(self, direction):
        return self.jacobian() @ direction

    def jacobian(self, select=None):
        rows = sp.csr_array((self.x - self.system.a + 2 * np.sign(self.x))[None])
        return rows if select is None else rows[select]

    def curvature(self, weights):
        return sp.csc_array(float(weights.sum()) * np.eye(4))


def test_a_kink_that_a_numpy_system_does_not_name_ends_the_run_with_that_reason():
    result = uj.minimize(Folded(), solver=uj.Rounds(descent=uj.ConjugateGradient(max_steps=500)))
    assert (result.status, result.reason) == ("stalled", KINK)
    assert result.n_evaluations < 5000


def test_rounds_that_gain_nothing_end(monkeypatch):
    """The same where the kink is not found."""
    monkeypatch.setattr("unijam.solvers.kink_probe.kink_ahead", lambda *_: False)
    result = uj.minimize(Folded(), solver=uj.Rounds(descent=uj.ConjugateGradient(max_steps=500)))
    assert (result.status, result.reason) == ("stalled", IDLE)
    assert result.n_evaluations < 5000


def test_a_packing_that_stops_early_is_not_told_of_kinks():
    discs = uj.SoftSpheres.random(n=64, radii="uniform", packing_fraction=0.95, seed=0)
    for steps in (3, 10, 30):
        descent = uj.ConjugateGradient(max_steps=steps)
        for solver in (descent, uj.Rounds(max_rounds=1, descent=descent, gradient_tolerance=1e-13)):
            result = uj.minimize(discs, solver=solver)
            assert result.status == "converged" or (result.reason and result.reason != KINK)
