"""Damped least-squares steps against a dense solution of the stacked problem."""

import numpy as np
import pytest
import scipy.sparse as sp

from unijam.linalg import Operator
from unijam.linalg.gauss_newton import GaussNewton, NormalEquations


def problem(m, n, seed=0):
    random = np.random.default_rng(seed)
    a, r, rest = random.standard_normal((m, n)), random.standard_normal(m), random.standard_normal(n)
    return a, r, rest


@pytest.mark.parametrize(("m", "n"), [(3, 9), (9, 3), (5, 5), (0, 4)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("damping", [1e-3, 10.0])
def test_a_step_minimises_the_damped_model(m, n, sparse, damping):
    a, r, rest = problem(m, n)
    p = GaussNewton(sp.csr_array(a) if sparse else a, r, rest).step(damping)
    expected = -np.linalg.solve(a.T @ a + damping * np.eye(n), a.T @ r + rest)
    np.testing.assert_allclose(p, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("bordered", [False, True])
def test_the_model_is_made_of_rows_and_their_weights(sparse, bordered):
    j, root, gradient = problem(4, 6, seed=1)[0], np.array([1.0, 2.0, 0.5, 1.5]), np.arange(6.0)
    r, border = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.0, 2.0, 1.0])
    whole = np.append(gradient, 3.0) if bordered else gradient
    rows = sp.csr_array(j) if sparse else j
    model = GaussNewton.of(rows, root, r, whole, border if bordered else None)
    p = np.linspace(-1, 1, len(whole))
    a = np.diag(root) @ j
    a = np.column_stack([a, border]) if bordered else a
    np.testing.assert_allclose(model.predicted(p), -(whole @ p + 0.5 * (a @ p) @ (a @ p)), rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "sparse", "operator"])
def test_normal_equations_are_solved_as_far_as_they_promise(kind):
    a, _, gradient = problem(9, 6, seed=2)
    h0, damping = a.T @ a, 0.1
    given = {"dense": h0, "sparse": sp.csc_array(h0), "operator": Operator(lambda v: h0 @ v, gradient)}[kind]
    model = NormalEquations(given, gradient)
    p = model.step(damping)
    left = np.linalg.norm(h0 @ p + damping * p + gradient) / np.linalg.norm(gradient)
    assert left < (1e-2 if kind == "operator" else 1e-12)
    assert model.predicted(p) == pytest.approx(-(gradient @ p + 0.5 * p @ h0 @ p))


def test_an_indefinite_matrix_gives_no_step():
    assert NormalEquations(np.diag([1.0, -1.0]), np.ones(2)).step(0.5).shape == (0,)
