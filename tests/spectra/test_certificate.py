"""What `certify` says of a point, against dense numbers of NumPy and central differences of U."""

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.spectra import decomposition

PACKINGS = {
    "discs": uj.SoftSpheres.random(n=24, radii="uniform", packing_fraction=1.0, seed=0),
    "ellipses": uj.Ellipses.random(n=16, aspect_ratio=1.6, packing_fraction=1.1, seed=0),
}


def plain_energy(system):
    """U of a position, by the constraints alone."""
    return lambda x: 0.5 * float((np.maximum(system.constraints(x).delta, 0) ** 2).sum())


def central_gradient(energy, x, step=1e-6):
    return np.array([(energy(x + e) - energy(x - e)) / (2 * step) for e in step * np.eye(len(x))])


@pytest.mark.parametrize("name", PACKINGS)
def test_of_a_minimum_every_number_is_that_of_the_dense_hessian(name):
    system = PACKINGS[name]
    state = uj.minimize(system)
    found, c = uj.certify(system, state.x), system.constraints(state.x)
    assert state.status == "converged" and found.minimum
    assert found.n_overlaps == (c.delta[c.bearing()[1] & c.overlaps] > 0).sum()
    bears = c.bearing()[0]
    h = sum(part.toarray() for part in uj.hessian(system, c))[np.ix_(bears, bears)]
    values = np.linalg.eigvalsh(h)
    far = 1e-6 * values.max()
    assert found.n_negative == (values < -far).sum() == 0
    assert found.n_zero == (abs(values) < far).sum() == found.n_symmetries == 2  # translations
    assert (found.n_kinks, found.n_degenerate, found.slopes, found.rise) == (0, 0, (0.5, 0.5), 0.0)


@pytest.mark.parametrize("name", PACKINGS)
def test_off_a_minimum_the_gradient_is_that_of_differences_and_the_answer_no(name):
    system = PACKINGS[name]
    x = uj.minimize(system).x
    x = x + 1e-3 * np.random.default_rng(0).standard_normal(len(x))
    found, delta = uj.certify(system, x), system.constraints(x).delta
    slope, lengths = (
        central_gradient(plain_energy(system), x),
        uj.core.capabilities.coordinate_lengths(system),
    )
    slope = slope if lengths is None else slope / lengths
    expected = np.linalg.norm(slope) / np.linalg.norm(np.maximum(delta, 0))
    assert found.relative_gradient == pytest.approx(expected, rel=1e-6)
    assert found.relative_gradient > found.gradient_tolerance and not found.minimum


class Ridge(uj.AutodiffSystem):
    """U = (1 + cos b)² + a² with (a, b) = (x + y, x − y), or (x, y) as it is: at the origin a maximum in b."""

    initial = torch.zeros(2, dtype=torch.float64)

    def __init__(self, turned):
        self.turned = turned

    def delta(self, x):
        a, b = (x[0] + x[1], x[0] - x[1]) if self.turned else x
        return torch.stack([1 + torch.cos(b) - a, 1 + torch.cos(b) + a])


@pytest.mark.parametrize("turned", [True, False])
def test_a_saddle_is_stationary_and_no_minimum(turned):
    """∂²U/∂b² = −4 at the origin, ∂²U/∂a² = 2: one negative mode, no zero one."""
    found = uj.certify(Ridge(turned), Ridge.initial)
    assert found.relative_gradient < 1e-15
    assert (found.n_negative, found.n_zero, found.minimum) == (1, 0, False)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", PACKINGS)
def test_a_large_sparse_state_has_the_certificate_of_dense_matrices(name, moved, monkeypatch):
    """At a minimum, and far from it."""
    system = PACKINGS[name]
    x = uj.minimize(system).x + (
        0.3 * np.random.default_rng(0).standard_normal(system.n_dof) if moved else 0.0
    )
    dense = uj.certify(system, x)
    monkeypatch.setattr(decomposition, "SMALL", 0)
    monkeypatch.setattr(uj.HessianDecomposition, "eigenvalues", lambda *_, **__: pytest.fail("dense"))
    sparse = uj.certify(system, x)
    assert sparse == dense and sparse.minimum == (not moved)
