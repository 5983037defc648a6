"""The contract, on every system: derivatives, evaluators, loading, symmetries, gauge, dU/dλ, the virial."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import unijam as uj
from unijam.support.arrays import is_torch, to_numpy

STEP = 1e-5
# a stencil of fourth order: its truncation, STEP⁴, and its rounding, 1e-16/STEP, are far below 1e-6
STENCIL = ((2, -1 / 12), (1, 8 / 12), (-1, -8 / 12), (-2, 1 / 12))
SEEDS = st.integers(0, 10**6)
few = settings(max_examples=5)


def like(system, values):
    """Values in the kind of array that the system's x is."""
    return torch.as_tensor(values, dtype=torch.float64) if is_torch(system.initial) else np.asarray(values)


def point(system, seed):
    """A point in general position: three steps down the gradient, noise, each layer's norm off its sphere."""
    x, random = system.initial, np.random.default_rng(seed)
    for _ in range(3):
        gradient = uj.gradient(system, system.constraints(x))
        x = x - 0.2 * gradient / max(float(abs(gradient).max()), 1.0)
    stretch = 1.3 if is_torch(x) and system.symmetries(x).shape[0] else 1.0
    return stretch * x + like(system, 0.02 * random.standard_normal(system.n_dof))


def named(c):
    """The members of each constraint, and which of the distances of these it is where they have several."""
    members = to_numpy(c.members)
    return np.column_stack([members, c.which]) if hasattr(c, "which") else members


def known_delta(system, x, pairs, reach):
    """Δ at x of the constraints with these members, in this order."""
    c = system.constraints(x, reach)
    found = {tuple(k): d for k, d in zip(named(c).tolist(), to_numpy(c.delta), strict=True)}
    return np.array([found[tuple(pair)] for pair in pairs.tolist()])


def columns(function, x):
    """∂function/∂x by finite differences, (outputs, n_dof)."""
    found = []
    for k in range(len(x)):
        e = 0 * x
        e[k] = STEP
        found.append(sum(weight * function(x + times * e) for times, weight in STENCIL) / STEP)
    return np.stack(found, axis=-1)


def pre_activations(system, x):
    """z of every hidden unit and datum of a network, by NumPy; nothing for other systems."""
    if not isinstance(system, uj.FullyConnected):
        return np.empty(0)
    h, start, all_z = to_numpy(system.inputs).T, 0, []
    for rows, width in system.shapes[:-1]:
        w = to_numpy(x)[start : start + rows * width].reshape(rows, width)
        start += rows * width
        z = w @ np.vstack([h, np.ones((1, h.shape[1]))])
        all_z.append(z.ravel())
        h = np.maximum(z, 0)
    return np.concatenate(all_z)


def far_from_kinks(system, x, reach):
    """Whether no Δ nor pre-activation of a ReLU lies within ten steps of zero."""
    c = system.constraints(x, reach)
    slopes = np.abs(to_numpy(c.jacobian())).max(initial=1.0)
    clear = np.abs(to_numpy(c.delta)).min(initial=1.0) > 10 * STEP * slopes
    if getattr(system, "activation", "") == "relu":
        reach_of_z = 10 * STEP * float(system.inputs.norm(dim=1).max()) * 3
        clear &= np.abs(pre_activations(system, x)).min(initial=1.0) > reach_of_z
    return bool(clear)


def energy_and_gradient(system, x):
    """U, then ∇U, (1 + n_dof,)."""
    c = system.constraints(x)
    return np.append(uj.energy(system, c), to_numpy(uj.gradient(system, c)))


@few
@given(seed=SEEDS)
def test_derivatives_are_those_of_finite_differences(make_system, seed):
    """∇U, J and H0 + Hp in raw x, where norms are not those of the gauge."""
    system = make_system(seed)
    x, reach = point(system, seed), 0.1
    assume(far_from_kinks(system, x, reach))
    c = system.constraints(x, reach)
    members = named(c)
    jacobian = to_numpy(c.jacobian())
    expected = columns(lambda y: known_delta(system, y, members, reach + 0.1), x)
    np.testing.assert_allclose(jacobian, expected, atol=1e-6 * np.abs(expected).max())
    gradient = to_numpy(uj.gradient(system, c))
    slopes, expected = np.split(columns(lambda y: energy_and_gradient(system, y), x), [1])
    assert np.abs(slopes).max() > 0
    np.testing.assert_allclose(gradient, slopes[0], atol=1e-6 * np.abs(slopes).max())
    h0, hp = (to_numpy(h) for h in uj.hessian(system, c))
    np.testing.assert_allclose(h0 + hp, expected, atol=1e-6 * np.abs(expected).max())
    overlaps = to_numpy(c.delta) > 0  # H0 of the harmonic potential: the overlaps' Jacobian squared
    np.testing.assert_allclose(h0, jacobian[overlaps].T @ jacobian[overlaps], atol=1e-10 * np.abs(h0).max())


@few
@given(seed=SEEDS)
def test_a_users_potential_has_its_own_forces_and_stiffness(make_system, hertzian, seed):
    """u = Δ^(5/2)/(5/2): ∇U, H and both evaluators, against differences of Σ u(Δ) along a direction."""
    system = make_system(seed).at(potential=hertzian)
    x = point(system, seed)
    assume(far_from_kinks(system, x, 0.0))
    v = like(system, np.random.default_rng(seed).standard_normal(system.n_dof))

    def along(function):
        return sum(weight * function(x + times * STEP * v) for times, weight in STENCIL) / STEP

    def summed(y):
        delta = to_numpy(system.constraints(y).delta)
        return (np.maximum(delta, 0) ** 2.5).sum() / 2.5

    c = system.constraints(x)
    gradient = uj.gradient(system, c)
    slope = along(summed)
    assert float(gradient @ v) == pytest.approx(slope, rel=1e-6, abs=1e-6 * float(abs(gradient).max()))
    change = along(lambda y: to_numpy(uj.gradient(system, system.constraints(y))))
    h0, hp = (to_numpy(h) for h in uj.hessian(system, c))
    # Δ^½ bends near Δ = 0: ten steps away, its fifth derivative makes 1e-5 of the stiffness of one contact
    np.testing.assert_allclose((h0 + hp) @ to_numpy(v), change, atol=1e-5 * np.abs(change).max())
    u, g, square, _ = system.evaluator()(x)
    force = np.maximum(to_numpy(c.delta), 0) ** 1.5
    assert [u, square] == pytest.approx([summed(x), force @ force], rel=1e-10)
    np.testing.assert_allclose(to_numpy(g), to_numpy(gradient), atol=1e-11)
    if system.scale is not None:
        pull = system.scaled_evaluator()(x, system.scale)[4]
        assert pull == pytest.approx(force @ to_numpy(c.loading()), rel=1e-10)


@few
@given(seed=SEEDS)
def test_products_and_weighted_curvature_agree_with_the_jacobian(make_system, seed):
    system = make_system(seed)
    x = point(system, seed)
    assume(far_from_kinks(system, x, 0.1))
    c, random = system.constraints(x, 0.1), np.random.default_rng(seed)
    w, v = random.standard_normal(len(c.delta)), random.standard_normal(system.n_dof)
    jacobian = to_numpy(c.jacobian())
    np.testing.assert_allclose(to_numpy(c.vjp(like(system, w))), jacobian.T @ w, atol=1e-11)
    np.testing.assert_allclose(to_numpy(c.jvp(like(system, v))), jacobian @ v, atol=1e-11)
    chosen = to_numpy(c.delta) > 0
    rows = to_numpy(c.jacobian(torch.from_numpy(chosen) if is_torch(x) else chosen))
    np.testing.assert_allclose(rows, jacobian[chosen], atol=1e-13)
    members = named(c)

    def weighted(y):  # Σ w Δ, forces held, gaps included
        there = system.constraints(y, 0.2)
        known = {tuple(k): weight for k, weight in zip(members.tolist(), w, strict=True)}
        held = [known.get(tuple(k), 0.0) for k in named(there).tolist()]
        return to_numpy(there.vjp(like(system, held)))

    expected = sum(weight * weighted(x + times * STEP * like(system, v)) for times, weight in STENCIL) / STEP
    curvature = to_numpy(c.curvature(like(system, w)))
    np.testing.assert_allclose(curvature @ v, expected, atol=1e-6 * np.abs(expected).max(initial=1e-3))
    a = like(system, random.random(len(w)) * chosen)
    in_one = to_numpy(c.hessian(a, like(system, w)))
    np.testing.assert_allclose(in_one, to_numpy(c.stiffness(a)) + curvature, atol=1e-12 * abs(in_one).max())


@few
@given(seed=SEEDS)
def test_evaluators_agree_with_the_constraints(make_system, seed):
    """Along a walk of small steps and jumps, so that neighbour lists age and are made anew."""
    system = make_system(seed)
    random = np.random.default_rng(seed)
    evaluate = system.evaluator()
    moving = system.scaled_evaluator() if system.scale is not None else None
    x = point(system, seed)
    for size in (0.0, 1e-3, 0.01, 0.5, 1e-3):
        x = x + like(system, size * random.standard_normal(system.n_dof))
        c = system.constraints(x)
        delta = to_numpy(c.delta)
        force = np.maximum(delta, 0)
        expected = [0.5 * force @ force, force @ force, (delta > 15 * system.resolution(x)).sum()]
        found = [evaluate(x)]
        if moving is not None:
            shifted = system.at(scale=1.01 * system.scale)
            there = shifted.constraints(x)
            other = moving(x, shifted.scale)
            pull = np.maximum(to_numpy(there.delta), 0)
            assert other[0] == pytest.approx(0.5 * pull @ pull, rel=1e-11)
            assert other[4] == pytest.approx(pull @ to_numpy(there.loading()), rel=1e-10)
            found.append(moving(x, system.scale)[:4])
        for u, gradient, square, n_overlaps in found:
            assert [u, square, n_overlaps] == pytest.approx(expected, rel=1e-11)
            np.testing.assert_allclose(
                to_numpy(gradient), to_numpy(c.jacobian()).T @ force, atol=1e-12 * max(1, len(force))
            )


@few
@given(seed=SEEDS, change=st.sampled_from([-0.02, 0.01, 0.03]))
def test_delta_is_linear_in_the_scale_and_loading_is_its_slope(make_scaled_system, seed, change):
    system = make_scaled_system(seed)
    x = point(system, seed)
    c, other = system.constraints(x, 0.1), system.at(scale=system.scale + change)
    assert other.scale == pytest.approx(system.scale + change, rel=1e-14)
    moved = known_delta(other, x, named(c), 0.3) - to_numpy(c.delta)
    np.testing.assert_allclose(moved, change * to_numpy(c.loading()), atol=1e-14 * system.initial.shape[0])


@few
@given(seed=SEEDS)
def test_symmetries_move_no_delta(make_system, seed):
    """J Z = 0, and the rows are independent."""
    system = make_system(seed)
    x = point(system, seed)
    c, z = system.constraints(x, 0.1), to_numpy(system.symmetries(x))
    jacobian = to_numpy(c.jacobian())
    np.testing.assert_allclose(
        jacobian @ z.T, 0, atol=1e-11 * np.abs(jacobian).max() * np.abs(z).max(initial=1)
    )
    assert np.linalg.matrix_rank(z) == len(z)


@pytest.mark.parametrize(
    ("name", "rank"),
    [("discs", 2), ("spheres", 3), ("ellipses", 2), ("capsules", 2),
     ("spheroids", 21), ("triaxial ellipsoids", 23),
     ("tanh spherical", 3), ("tanh free", 0), ("gelu spherical", 4),
     ("relu free", 10), ("three classes", 6), ("perceptron", 1), ("breathing discs", 3), ("user's perceptron", 1)],
)  # fmt: skip
def test_number_of_symmetries(systems, name, rank):
    """Translations; a norm an orientation or a layer; a rescaling a hidden ReLU unit; a common factor of all radii."""
    system = systems[name](0)
    assert len(system.symmetries(point(system, 0))) == rank


@few
@given(seed=SEEDS)
def test_the_gauge_changes_no_delta_and_is_reached_at_once(make_system, seed):
    system = make_system(seed)
    x = point(system, seed)
    kept = system.canonical(x)
    members = named(system.constraints(x, 0.1))
    before, after = (known_delta(system, y, members, 0.2) for y in (x, kept))
    np.testing.assert_allclose(after, before, atol=1e-12 * max(1.0, np.abs(before).max()))
    np.testing.assert_allclose(to_numpy(system.canonical(kept)), to_numpy(kept), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name",
    [
        "discs",
        "spheres",
        "ellipses",
        "triaxial ellipsoids",
        "superellipses",
        "tanh spherical",
        "perceptron",
        "user's perceptron",
    ],
)
def test_energy_along_the_branch_has_the_slope_of_the_conjugate_force(systems, name):
    """dU_min/dλ = Σ u'c (Hellmann-Feynman)."""
    system = systems[name](3)
    tight = uj.TrustRegionNewton(gradient_tolerance=1e-12)
    here = uj.minimize(system, uj.minimize(system).x, tight)
    assert here.status == "converged"
    change = 1e-5 * abs(system.scale)  # no contact is lost so near; error ~ change² and 1e-16/change
    ends = [uj.minimize(system.at(scale=system.scale + s * change), here.x, tight) for s in (1, -1)]
    assert [e.n_overlaps for e in ends] == [here.n_overlaps] * 2
    slope = (ends[0].energy - ends[1].energy) / (2 * change)
    assert uj.conjugate_force(system, here.x) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("name", ["discs", "spheres", "ellipses", "spheroids", "superellipses"])
def test_virial_connects_conjugate_force_and_pressure(systems, name):
    """λτ = dVp + Σ u'Δ, with p = −dU/dV of the box and all positions stretched, radii held."""
    system = systems[name](1)
    x = uj.minimize(system).x
    c, n_lengths = system.constraints(x), system.n * system.dimension
    force = np.maximum(c.delta, 0)

    def stretched(factor):
        y = x.copy()
        y[:n_lengths] *= factor
        there = system.at(box_length=system.box_length * factor)
        return uj.energy(there, there.constraints(y))

    h = 1e-6
    p = -(stretched(1 + h) - stretched(1 - h)) / (2 * h * system.dimension * system.volume)
    assert system.pressure(c) == pytest.approx(p, rel=1e-6)
    tau = uj.conjugate_force(system, x)
    assert system.scale * tau == pytest.approx(
        system.dimension * system.volume * p + force @ c.delta, rel=1e-6
    )
