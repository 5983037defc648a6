"""H = H0 + Hp at jamming: kernels, states of self stress, Hp on the kernel, against second differences."""

import itertools
import pickle

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.support.arrays import to_numpy

HYPOSTATIC = [("ellipses", 0), ("ellipses", 1), ("network 1", 0), ("network 2", 0), ("network 3", 0)]


def held_energy(system, x, reach=0.05):
    """The function y -> Σ f_i Δ_i(y) with the forces f of x held, by the constraints' members, ‖f‖ = 1."""
    c = system.constraints(x)
    held = c.overlaps & c.bearing()[1]
    force = to_numpy(system.potential.force(c.delta)[held])
    force = force / np.linalg.norm(force)
    weights = dict(zip(map(tuple, to_numpy(c.members)[to_numpy(held)].tolist()), force, strict=True))

    def energy(y, kept=None):
        there = system.constraints(y, reach)
        found = dict(zip(map(tuple, to_numpy(there.members).tolist()), to_numpy(there.delta), strict=True))
        return sum(
            f * found[pair] for k, (pair, f) in enumerate(weights.items()) if kept is None or k in kept
        )

    return energy


def second_differences(energy, x, directions, step):
    """vᵀ ∇∇E w of all pairs of directions (columns), by a stencil of fourth order."""

    def along(v):
        v = torch.from_numpy(v) if isinstance(x, torch.Tensor) else v
        values = [energy(x + t * step * v) for t in (-2, -1, 0, 1, 2)]
        return float(np.dot(values, [-1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12])) / step**2

    k = directions.shape[1]
    form = np.diag([along(directions[:, a]) for a in range(k)])
    for a, b in itertools.combinations(range(k), 2):
        both = along(directions[:, a] + directions[:, b])
        form[a, b] = form[b, a] = 0.5 * (both - form[a, a] - form[b, b])
    return form


def embedded(h, directions):
    """Directions of the bearing degrees of freedom, among all."""
    whole = np.zeros((len(h.bearing), directions.shape[1]))
    whole[h.bearing] = directions
    return whole


@pytest.mark.parametrize("seed", range(5))
def test_discs_without_some_contacts_lose_their_kernel_modes(jammed, seed):
    """Cut k contacts: k − 1 modes of zero stiffness, each of them unstable, by exactly Hp."""
    packing = jammed("discs", seed)
    whole = uj.decompose_hessian(packing.system, packing.x)
    assert whole.kernel.shape[1] == 0 and whole.self_stress.shape[1] == 1
    h = whole.cut(0.05, seed=seed)
    n_cut = round(0.05 * len(whole.force))
    assert len(h.force) == len(whole.force) - n_cut and h.kernel.shape[1] == n_cut - 1
    prestress = h.kernel_prestress() / np.linalg.norm(whole.force)
    assert (prestress < 0).all()
    kept = {k for k, row in enumerate(whole.jacobian) if (row == h.jacobian).all(axis=1).any()}
    assert len(kept) == len(h.force)
    energy = held_energy(packing.system, packing.x)
    modes = embedded(h, h.kernel)
    # truncation ~ step⁴; rounding ~ 1e-15/step²
    form = second_differences(lambda y: energy(y, kept), packing.x, modes, 2e-3)
    np.testing.assert_allclose(prestress, np.linalg.eigvalsh(form), rtol=1e-6, atol=1e-6 * abs(form).max())


def test_the_self_stress_of_forces_that_balance_poorly_is_counted():
    """Nearly round ellipses, moved along ker H0: σ_min rises with ‖Jᵀu'‖/‖u'‖ far above rounding, and is zero still."""
    jammed = uj.jam(uj.Ellipses.random(n=24, aspect_ratio=1.01, packing_fraction=0.97, seed=0), pressure=1e-6)
    system, x = jammed.system, jammed.x
    h, count = uj.decompose_hessian(system, x), uj.count_constraints(system, x)
    assert h.self_stress.shape[1] == 1 and h.kernel.shape[1] == count.n_effective - count.n_overlaps + 1
    mode = embedded(h, h.kernel) @ np.random.default_rng(0).standard_normal(h.kernel.shape[1])
    for size in (1e-7, 1e-6, 1e-5):
        moved = uj.decompose_hessian(system, x + size * mode)
        assert moved.self_stress.shape == h.self_stress.shape and moved.kernel.shape == h.kernel.shape
        assert abs(moved.self_stress[:, 0] @ h.self_stress[:, 0]) > 1 - 1e-3
    second, last = np.linalg.svd(moved.jacobian, compute_uv=False)[-2:]
    assert second < 1e-2 and last > 1e-8  # the gap down to rounding, 1e-14, is the larger one


@pytest.mark.parametrize("name", ["discs", "spheres"])
def test_prestress_of_spheres_never_holds(jammed, name):
    for seed in range(3):
        for state in jammed(name, seed).states[::2]:
            values = uj.decompose_hessian(state.system, state.x).eigenvalues("hp")
            assert values.max() <= 1e-13 * abs(values).max() and values.min() < 0


@pytest.mark.parametrize("name", ["discs", "spheres", "perceptron"])
def test_isostatic_states_have_one_self_stress_and_no_kernel(jammed, name):
    for seed in range(3):
        state = jammed(name, seed).settled()
        h = uj.decompose_hessian(state.system, state.x)
        assert h.self_stress.shape[1] == 1 and h.kernel.shape[1] == 0 and h.kernel_prestress().size == 0
        stress = h.self_stress[:, 0]  # the forces themselves, to the balance that the state has
        np.testing.assert_allclose(
            stress, h.force / np.linalg.norm(h.force), atol=1e3 * state.relative_gradient
        )


@pytest.mark.parametrize(("name", "seed"), HYPOSTATIC)
def test_prestress_holds_the_kernel_of_hypostatic_states(jammed, name, seed):
    """One state of self stress, dim ker H0 = N_eff − N_Δ + 1, and Hp > 0 on all of it, of both signs elsewhere."""
    packing = jammed(name, seed)
    assert packing.status == "converged"
    state = packing.settled()
    h, count = uj.decompose_hessian(state.system, state.x), uj.count_constraints(state.system, state.x)
    n_kernel = count.n_effective - count.n_overlaps + 1
    assert h.self_stress.shape[1] == 1 and n_kernel > 1
    assert h.kernel.shape[1] == n_kernel
    # of H0 as such: its small eigenvalues are those modes and the symmetries, and a gap follows
    stiffness = h.eigenvalues("h0")
    n_soft = n_kernel + len(h.symmetries)
    assert stiffness[n_soft - 1] < 1e-10 * stiffness[-1] < 1e-3 * stiffness[n_soft]
    prestress = h.kernel_prestress()
    assert len(prestress) == n_kernel and prestress.min() > 0
    values = h.eigenvalues("hp", symmetries=False)
    assert values.min() < -1e-3 * values.max() < 0
    assert 0 < h.n_negative_hp < count.n_overlaps  # a stable state: H0 must hold each negative mode of Hp


@pytest.mark.parametrize(("name", "seed"), [("ellipses", 1), ("network 1", 0), ("network 2", 0)])
def test_kernel_prestress_is_the_curvature_of_the_held_energy(jammed, name, seed):
    state = jammed(name, seed).settled()
    h = uj.decompose_hessian(state.system, state.x)
    modes = embedded(h, h.kernel[:, :8])
    energy = held_energy(state.system, state.x)
    step = 2e-3 if name == "ellipses" else 1e-2  # a weight of order one in many, of order 0.3 each
    expected = second_differences(energy, state.x, modes, step)
    found = h.kernel[:, :8].T @ to_numpy(h.hp) @ h.kernel[:, :8] / np.linalg.norm(h.force)
    np.testing.assert_allclose(
        found, expected, atol=1e-6 * float(np.linalg.norm(to_numpy(h.hp), 2) / np.linalg.norm(h.force))
    )
    whole = h.kernel.T @ to_numpy(h.hp) @ h.kernel
    np.testing.assert_allclose(h.kernel_prestress(), np.linalg.eigvalsh(whole), atol=1e-12 * abs(whole).max())


def without_rattlers(state, held):
    """The system and the state of the particles held alone."""
    system = state.system
    n_lengths = system.n * system.dimension
    x = state.x[:n_lengths].reshape(system.n, -1)[held].ravel()
    x = np.concatenate([x, state.x[n_lengths:].reshape(system.n, -1)[held].ravel()])  # angles
    return system.at(initial=x, radii=system.radii[held]), x


def numerical_hessian(system, x):
    """H by differences of ∇U, with a step that crosses no contact, and its rounding error."""
    nearest = np.abs(system.constraints(x, 1e-3).delta).min()
    step = min(1e-6, 0.1 * nearest)

    def gradient(y):
        return uj.gradient(system, system.constraints(y))

    rows = step * np.eye(len(x))
    h = np.stack([(gradient(x + e) - gradient(x - e)) / (2 * step) for e in rows])
    return 0.5 * (h + h.T), 4 * system.resolution(x) / step  # each entry sums a few Δ


def across(rows, n):
    """An orthonormal basis, as columns, of what is orthogonal to these rows."""
    return np.linalg.svd(rows, full_matrices=True)[2][len(rows) :].T if len(rows) else np.eye(n)


@pytest.mark.parametrize("name", ["discs", "spheres", "ellipses"])
@pytest.mark.parametrize("overlap", [1e-2, 1e-4])
def test_converged_packings_are_minima_of_the_energy(on_the_way, find_backbone, name, overlap):
    """No negative mode of a Hessian from differences of ∇U, rattlers and translations apart."""
    for seed in range(3):
        state = on_the_way(name, seed, overlap)
        assert state.status == "converged"
        system, x = without_rattlers(state, find_backbone(state.system, state.x)[1])
        h, rounding = numerical_hessian(system, x)
        assert rounding < 1e-4
        basis = across(system.symmetries(x), len(x))
        values = np.linalg.eigvalsh(basis.T @ h @ basis)
        assert values.min() > -rounding
        found = uj.decompose_hessian(state.system, state.x).eigenvalues(symmetries=False)
        np.testing.assert_allclose(found, values, atol=1e-6 + rounding * len(x) ** 0.5)


def independent_energy(network):
    """U of a spherical tanh network written anew for torch.func."""
    shapes, radii = network.shapes, network.radii

    def energy(x):
        h, start = network.inputs.T, 0
        for layer, (rows, width) in enumerate(shapes):
            theta = x[start : start + rows * width]
            theta = (radii[layer] * theta / theta.norm()).reshape(rows, width)
            start += rows * width
            z = theta[:, : len(h)] @ h + (theta[:, len(h) :] if width > len(h) else 0.0)
            h = torch.tanh(z) if layer < len(shapes) - 1 else z
        return 0.5 * (network.margin - network.labels * h[0]).clamp_min(0).square().sum()

    return energy


@pytest.mark.parametrize("name", ["perceptron", "network 1", "network 2", "network 3"])
@pytest.mark.parametrize("overlap", [1e-1, 1e-3, 1e-5])
def test_converged_networks_are_minima_of_the_energy(on_the_way, name, overlap):
    """No negative mode of torch's own Hessian across the radial directions."""
    state = on_the_way(name, 0, overlap)
    assert state.status == "converged"
    system, x = state.system, state.x
    h = torch.func.hessian(independent_energy(system))(x).numpy()
    radial, start = [], 0
    for size in system.sizes:
        radial.append(np.zeros(len(x)))
        radial[-1][start : start + size] = x[start : start + size]
        start += size
    basis = across(np.array(radial), len(x))
    values = np.linalg.eigvalsh(basis.T @ h @ basis)
    assert values.min() > -1e-13 * values.max()  # rounding of eigvalsh and of a product over 150 data
    total = to_numpy(uj.decompose_hessian(system, x).total)
    if len(total) == len(x):
        np.testing.assert_allclose(total, h, atol=1e-11 * values.max())


def test_minimised_states_are_minima_too(find_backbone):
    """Without jam: quenches at fixed packing fraction."""
    for make in (uj.SoftSpheres.random, uj.Ellipses.random):
        state = uj.minimize(make(n=40, packing_fraction=0.95, radii="uniform", seed=5))
        assert state.status == "converged"
        system, x = without_rattlers(state, find_backbone(state.system, state.x)[1])
        h, rounding = numerical_hessian(system, x)
        assert np.linalg.eigvalsh(h).min() > -rounding  # translations give zeros


def test_the_norm_of_hp_goes_with_the_root_of_the_energy():
    """‖Hp‖ ∝ U^½ on the way of a satisfiable network to U = 0, over ten decades of U."""
    system = uj.FullyConnected.random(
        depth=2, width=8, input_dimension=8, n_data=40, weights="free", activation="tanh", seed=0
    )
    x, energies, norms = system.initial, [], []
    for _ in range(60):
        state = uj.minimize(system, x, uj.GradientDescent(max_steps=40))
        x = state.x
        if state.status == "satisfied" or state.energy < 1e-14:
            break
        hp = uj.hessian(system, system.constraints(x))[1]
        energies.append(state.energy)
        norms.append(float(torch.linalg.matrix_norm(hp, 2)))
    u, norm = np.log10(energies), np.log10(norms)
    late = u < u[0] - 1
    assert u[late].max() - u[late].min() > 8
    assert np.polyfit(u[late], norm[late], 1)[0] == pytest.approx(0.50, abs=0.03)


def test_cutting_again_and_which_are_answered(jammed):
    packing = jammed("discs", 0)
    h = uj.decompose_hessian(packing.system, packing.x)
    twice = h.cut(0.1, seed=0).cut(0.1, seed=1)
    np.testing.assert_allclose(to_numpy(twice.h0), twice.jacobian.T @ twice.jacobian, atol=1e-12)
    assert (h.cut(0.1, seed=3).jacobian == h.cut(0.1, seed=3).jacobian).all()
    for wrong in (lambda: h.cut(0.0), lambda: h.cut(float("nan")), lambda: h.eigenvalues("h1")):
        with pytest.raises(ValueError, match="is not valid: it must"):
            wrong()


@pytest.mark.parametrize("name", ["discs", "network 1"])
def test_a_decomposition_can_be_pickled(jammed, name):
    state = jammed(name, 0)
    h = uj.decompose_hessian(state.system, state.x)
    again = pickle.loads(pickle.dumps(h))
    for a, b in ((h, again), (h.cut(0.1), again.cut(0.1))):
        assert (a.eigenvalues("hp") == b.eigenvalues("hp")).all() and (a.force == b.force).all()


def test_a_satisfied_state_has_nothing_to_decompose():
    for system in (
        uj.SoftSpheres.random(n=64, packing_fraction=0.5),
        uj.Perceptron.random(n=20, load=0.5, margin=-5.0),
    ):
        x = uj.minimize(system).x
        hessian = uj.decompose_hessian(system, x)
        assert hessian.eigenvalues().size == hessian.kernel_prestress().size == hessian.n_negative_hp == 0
        assert uj.count_constraints(system, x).ratio == 0
