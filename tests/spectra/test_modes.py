"""Vibrational modes: dense against Lanczos, residuals, exact cases, what is left out."""

import numpy as np
import pytest
import scipy.sparse as sp

import unijam as uj
from unijam.linalg import factor_sparse
from unijam.spectra.modes import lowest_dense, lowest_sparse, vibrational_modes


@pytest.fixture(scope="module")
def discs():
    """A minimum of 400 discs: 800 degrees of freedom."""
    return uj.minimize(uj.SoftSpheres.random(n=400, packing_fraction=0.87, radii="uniform", seed=2))


def matrices(state):
    """H on the whole x, from bearing contacts, in plain NumPy; and its symmetries."""
    c = state.system.constraints(state.x)
    dof, bearing = c.bearing()
    h = sum(uj.hessian(state.system, c, c.overlaps & bearing))
    return np.array(h.toarray() if sp.issparse(h) else h), np.array(dof)


def check(state, modes):
    h, dof = matrices(state)
    u, k = modes.vectors, len(modes.eigenvalues)
    top = np.abs(h).sum(axis=0).max()
    assert u.shape == (state.system.n_dof, k)
    np.testing.assert_allclose(u.T @ u, np.eye(k), atol=1e-12)
    np.testing.assert_allclose(np.asarray(state.system.symmetries(state.x)) @ u, 0, atol=1e-11)
    assert not u[~dof].any()
    residual = h @ u - u * modes.eigenvalues
    np.testing.assert_allclose(residual[dof], 0, atol=1e-11 * top)
    assert (np.diff(modes.eigenvalues) >= -1e-14 * top).all()
    np.testing.assert_allclose(
        modes.frequencies * abs(modes.frequencies), modes.eigenvalues, rtol=1e-12, atol=1e-300
    )
    assert ((modes.participation > 0) & (modes.participation <= 1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["discs", "spheres", "ellipses"])
def test_all_modes_of_jammed_packings(jammed, name):
    packing = jammed(name, 0).settled()
    modes = vibrational_modes(packing.system, packing.x)
    check(packing, modes)
    count = uj.count_constraints(packing.system, packing.x)
    assert len(modes.eigenvalues) == count.n_effective
    whole = uj.decompose_hessian(packing.system, packing.x).eigenvalues("total", symmetries=False)
    np.testing.assert_allclose(modes.eigenvalues, whole, atol=1e-13 * whole[-1])


def test_few_modes_by_lanczos_are_the_lowest_of_all(discs):
    every = vibrational_modes(discs.system, discs.x)
    few = vibrational_modes(discs.system, discs.x, n_modes=20)
    check(discs, every)
    check(discs, few)
    np.testing.assert_allclose(few.eigenvalues, every.eigenvalues[:20], atol=1e-13 * every.eigenvalues[-1])
    np.testing.assert_allclose(few.participation, every.participation[:20], rtol=1e-6)
    again = vibrational_modes(discs.system, discs.x, n_modes=20)
    np.testing.assert_array_equal(again.vectors, few.vectors)


def test_unstable_modes_come_first():
    """Discs at random places: H has many negative modes, and neither way misses any."""
    system = uj.SoftSpheres.random(n=400, packing_fraction=1.2, seed=0)
    c = system.constraints(system.initial)
    dof, bearing = c.bearing()
    h = sum(uj.hessian(system, c, c.overlaps & bearing))[dof][:, dof].tocsc()
    z = system.symmetries(system.initial)[:, dof] / np.sqrt(dof.sum() / 2)
    dense, sparse = lowest_dense(h.toarray(), z, 8)[0], lowest_sparse(h, z, 8)[0]
    assert dense[7] < 0
    np.testing.assert_allclose(sparse, dense, rtol=1e-9)
    modes = vibrational_modes(system, system.initial, n_modes=8)
    np.testing.assert_allclose(modes.eigenvalues, dense, rtol=1e-9)
    np.testing.assert_allclose(modes.frequencies, -np.sqrt(-dense), rtol=1e-9)


def test_modes_of_a_ring_of_rods():
    """n equal springs in a ring: λ = 4 sin²(π k/n), k = 1, 1, 2, 2, …; H has no prestress in one dimension."""
    n = 30
    system = uj.SoftSpheres(
        initial=0.99 * np.arange(n), radii=np.full(n, 0.5), box_length=0.99 * n, dimension=1
    )
    modes = vibrational_modes(system, system.initial)
    expected = np.sort(4 * np.sin(np.pi * np.arange(1, n) / n) ** 2)
    np.testing.assert_allclose(modes.eigenvalues, expected, atol=1e-13)
    assert modes.participation[-1] == pytest.approx(1.0)  # neighbours move against each other, all as far
    pair = modes.vectors[:, :2]  # two plane waves: whichever way they are turned, Σ over both is uniform
    np.testing.assert_allclose((pair**2).sum(axis=1), 2 / n, atol=1e-12)


def test_participation_counts_particles():
    """One particle alone: 1/n. The angle of an ellipse belongs to it."""
    system = uj.Ellipses.random(n=30, packing_fraction=1.0, seed=1)
    state = uj.minimize(system)
    modes = vibrational_modes(state.system, state.x)
    amplitude = state.system.positions(modes.vectors[:, 3]) ** 2
    amplitude = amplitude.sum(axis=1) + state.system.angles(modes.vectors[:, 3]) ** 2
    c = state.system.constraints(state.x)
    bearing = c.bearing()[0][:60].reshape(30, 2).any(axis=1).sum()
    assert modes.participation[3] == pytest.approx(1 / (bearing * (amplitude**2).sum()))
    assert (modes.participation >= 1 / bearing - 1e-12).all()


def test_networks_have_modes_too():
    network = uj.FullyConnected.random(depth=2, width=5, input_dimension=4, n_data=60, seed=0)
    state = uj.minimize(network)
    modes = vibrational_modes(state.system, state.x)
    values = uj.decompose_hessian(state.system, state.x).eigenvalues("total", symmetries=False)
    np.testing.assert_allclose(modes.eigenvalues, values, atol=1e-12 * values[-1])
    np.testing.assert_allclose(modes.vectors.T @ modes.vectors, np.eye(len(values)), atol=1e-12)
    few = vibrational_modes(state.system, state.x, n_modes=3)
    np.testing.assert_allclose(few.eigenvalues, values[:3], atol=1e-12 * values[-1])


def test_nothing_bears_force():
    system = uj.SoftSpheres.random(n=20, packing_fraction=0.05, seed=0)
    modes = vibrational_modes(system, uj.minimize(system).x)
    assert modes.vectors.shape == (40, 0) and not modes.frequencies.size


@pytest.mark.parametrize("n_modes", [0, -1, 10**6, 2.5, "all", True])
def test_bad_numbers_of_modes_are_answered(discs, n_modes):
    with pytest.raises(ValueError, match=r"n_modes = .* is not valid: it must be an integer from 1 to \d+\."):
        vibrational_modes(discs.system, discs.x, n_modes=n_modes)


@pytest.mark.slow
def test_the_lowest_modes_of_many_discs():
    state = uj.minimize(uj.SoftSpheres.random(n=4096, packing_fraction=0.86, seed=0))
    modes = vibrational_modes(state.system, state.x, n_modes=20)
    c = state.system.constraints(state.x)
    dof, bearing = c.bearing()
    h = sum(uj.hessian(state.system, c, c.overlaps & bearing))
    np.testing.assert_allclose((h @ modes.vectors)[dof], (modes.vectors * modes.eigenvalues)[dof], atol=1e-12)
    np.testing.assert_allclose(modes.vectors.T @ modes.vectors, np.eye(20), atol=1e-12)
    # Sylvester: as many eigenvalues lie below a level as H less the level has negative pivots; two translations
    inside = h.tocsc()[dof][:, dof]
    for k in (1, 10, 20):
        level = modes.eigenvalues[k - 1] * (1 + 1e-7)
        assert factor_sparse(inside.tocsc(), -level).n_negative == k + 2
