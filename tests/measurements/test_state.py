"""One measurement of a state: the same numbers as from its parts, and as from other formulas."""

import numpy as np
import pytest

import unijam as uj
from unijam.measurements import measure_jammed, measure_state


@pytest.mark.parametrize("name", ["discs", "ellipses", "network 1"])
def test_a_state_has_the_numbers_of_its_parts(name, on_the_way):
    reached = on_the_way(name, 0, 1e-3)  # far above rounding
    state = measure_state(reached.system, reached.x)
    hessian = uj.decompose_hessian(state.system, state.x)
    assert state.count == uj.count_constraints(state.system, state.x)
    assert state.energy == pytest.approx(reached.energy, rel=1e-9)
    assert state.relative_gradient == pytest.approx(reached.relative_gradient, abs=1e-9)
    for which, field in (("h0", "eigenvalues_h0"), ("hp", "eigenvalues_hp"), ("total", "eigenvalues")):
        assert np.array_equal(getattr(state, field), hessian.eigenvalues(which, symmetries=False))
    assert np.array_equal(state.kernel_prestress, hessian.kernel_prestress())
    assert state.n_negative == 0 and state.n_self_stresses == hessian.self_stress.shape[1]


def test_kernel_modes_are_of_no_stiffness_and_have_the_eigenvalues(on_the_way):
    reached = on_the_way("ellipses", 0, 1e-3)
    state = measure_state(reached.system, reached.x)
    c = reached.system.constraints(state.x)
    _, hp = uj.hessian(reached.system, c)
    modes = state.kernel_modes
    assert modes.shape == (reached.system.n_dof, len(state.kernel_prestress)) and modes.shape[1] > 0
    assert np.allclose(modes.T @ modes, np.eye(modes.shape[1]), atol=1e-10)
    bearing = c.stressed & c.bearing()[1]
    assert abs(c.jacobian(bearing) @ modes).max() < 1e-6
    curvature = np.einsum("ik,ik->k", modes, hp @ modes)
    assert np.allclose(
        curvature, state.kernel_prestress, rtol=1e-4, atol=1e-6 * abs(state.kernel_prestress).max()
    )


def test_distances_are_in_reported_units(jammed):
    reached = jammed("discs", 0).settled()
    state = measure_state(reached.system, reached.x)
    overlaps = state.distances()
    assert len(overlaps) >= state.count.n_overlaps > 0
    wide = state.distances(0.25)
    assert wide.min() > -0.25 and len(wide) > len(overlaps)
    assert overlaps.max() * state.system.unit == pytest.approx(
        float(state.system.constraints(state.x).delta.max())
    )


def test_a_sample_is_that_of_the_state(jammed):
    sample = measure_jammed(uj.SoftSpheres.random(n=64, packing_fraction=0.9, radii="uniform", seed=0))
    reached = jammed("discs", 0).settled()
    state = measure_state(reached.system, reached.x)
    assert sample.n_overlaps == state.count.n_overlaps and sample.negative_modes == state.n_negative
    assert sample.eigenvalues.shape == state.eigenvalues.shape


def test_a_satisfied_state_has_nothing_to_measure():
    system = uj.SoftSpheres.random(n=8, packing_fraction=0.05, seed=0)
    x = uj.minimize(system).x
    state = measure_state(system, x)
    assert (
        state.count.n_overlaps == 0 and state.energy == state.relative_gradient == state.typical_overlap == 0
    )
    assert state.n_negative == state.n_self_stresses == len(state.kernel_prestress) == 0
    with pytest.raises(ValueError, match="the shape of x"):
        measure_state(system, x[:3])
