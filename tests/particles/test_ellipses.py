"""Packings of ellipses: contents of the contract, exact limits, the evaluator against the constraints."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import unijam as uj
from unijam.compiled.dispatch import renewed_list
from unijam.core.constraints import Constraints
from unijam.core.derivatives import energy, gradient, hessian
from unijam.core.potentials import Harmonic, Potential
from unijam.core.system import ConstrainedSystem
from unijam.particles.ellipses import Ellipses
from unijam.particles.spheres import SoftSpheres
from unijam.solvers import Objective
from unijam.solvers.models import newton_model


@dataclass(frozen=True)
class Cubic(Potential):
    """u = Δ³/3: not the harmonic fast path."""

    def energy(self, delta):
        return np.maximum(delta, 0.0) ** 3 / 3.0

    def force(self, delta):
        return np.maximum(delta, 0.0) ** 2

    def stiffness(self, delta):
        return 2.0 * np.maximum(delta, 0.0)


def draw(alpha=1.4, n=48, seed=0, **changes):
    system = Ellipses.random(n=n, aspect_ratio=alpha, seed=seed)
    return system.at(**changes) if changes else system


def test_random_packing_is_as_asked():
    system = Ellipses.random(n=101, aspect_ratio=2.0, packing_fraction=0.7, seed=3)
    assert system.packing_fraction == pytest.approx(0.7, rel=1e-14)
    a, b = system.semi_axes
    np.testing.assert_allclose(a / b, 2.0)
    np.testing.assert_allclose(a * b, system.radii**2)
    assert system.box_length == pytest.approx(np.sqrt(101)) and system.n_dof == 303
    np.testing.assert_array_equal(system.initial, Ellipses.random(n=101, aspect_ratio=2.0, seed=3).initial)
    x = system.initial
    np.testing.assert_array_equal(system.pack(system.positions(x), system.angles(x)), x)


@pytest.mark.parametrize("alpha", [1.0, 1.4, 4.0])
@pytest.mark.parametrize("potential", [Harmonic(), Cubic()])
def test_gradient_and_hessian_agree_with_finite_differences(alpha, potential):
    system = draw(alpha, n=40, potential=potential)
    x, h = system.initial, 1e-6
    c = system.constraints(x)
    steps = h * np.eye(system.n_dof)

    def gradient_at(y):
        return gradient(system, system.constraints(y))

    def energy_at(y):
        return energy(system, system.constraints(y))

    slopes = np.array([energy_at(x + e) - energy_at(x - e) for e in steps]) / (2 * h)
    np.testing.assert_allclose(gradient_at(x), slopes, atol=1e-7 * abs(slopes).max())
    h0, hp = hessian(system, c)
    bends = np.array([gradient_at(x + e) - gradient_at(x - e) for e in steps]) / (2 * h)
    np.testing.assert_allclose((h0 + hp).toarray(), bends, atol=1e-6 * abs(bends).max())


@pytest.mark.parametrize("alpha", [1.0, 1.4])
def test_matrices_are_consistent(alpha):
    system = draw(alpha)
    c = system.constraints(system.initial, reach=0.2)
    rng = np.random.default_rng(1)
    w, v = rng.normal(size=len(c.delta)), rng.normal(size=system.n_dof)
    w[::3] = 0.0
    jacobian = c.jacobian()
    np.testing.assert_allclose(c.vjp(w), jacobian.T @ w, atol=1e-13)
    np.testing.assert_allclose(c.jvp(v), jacobian @ v, atol=1e-13)
    mask = w > 0
    np.testing.assert_array_equal(c.jacobian(mask).toarray(), jacobian.toarray()[mask])
    np.testing.assert_allclose(c.stiffness(w).toarray(), Constraints.stiffness(c, w).toarray(), atol=1e-13)
    for matrix in (c.stiffness(w), c.curvature(w)):
        fresh = sp.csc_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
        assert fresh.has_sorted_indices and fresh.has_canonical_format
        fresh.check_format()
        assert abs(matrix - matrix.T).max() < 1e-13
        used = sum((c.members[w != 0] == i).any(axis=1).sum() for i in range(system.n))
        assert matrix.nnz == 9 * (system.n + used)  # zero weights are not stored
    np.testing.assert_allclose(system.symmetries(system.initial) @ jacobian.T, 0.0, atol=1e-14)
    for lengths in (None, rng.random(system.n_dof) + 0.5):
        assert c.sensitivity(lengths) == pytest.approx(Constraints.sensitivity(c, lengths), rel=1e-13)
    assert c.curvature(0.0 * w).nnz == 9 * system.n and c.jacobian(w > 99.0).shape == (0, system.n_dof)


def test_circles_are_soft_spheres():
    system = draw(1.0, n=80)
    discs = SoftSpheres(
        initial=system.initial[:160], radii=system.radii, box_length=system.box_length, dimension=2
    )
    for potential in (Harmonic(), Cubic()):
        system, discs = system.at(potential=potential), discs.at(potential=potential)
        ours, theirs = system.constraints(system.initial, 0.1), discs.constraints(discs.initial, 0.1)
        np.testing.assert_array_equal(ours.members, theirs.members)
        np.testing.assert_allclose(ours.delta, theirs.delta, atol=1e-13)
        np.testing.assert_allclose(ours.loading(), theirs.loading(), rtol=1e-14)
        forces = gradient(system, ours)
        np.testing.assert_allclose(forces[:160], gradient(discs, theirs), atol=1e-13)
        assert not forces[160:].any()
        for block, disc_block in zip(hessian(system, ours), hessian(discs, theirs), strict=True):
            np.testing.assert_allclose(block.toarray()[:160, :160], disc_block.toarray(), atol=1e-12)
            assert not block.toarray()[160:].any()
    bearing, _ = ours.bearing()
    assert bearing.dtype == bool and not bearing[160:].any()
    np.testing.assert_array_equal(bearing[:160], theirs.bearing()[0])


@pytest.mark.parametrize("alpha", [1.0, 1.4, 4.0])
def test_every_pair_within_reach_is_found(alpha):
    system, reach = draw(alpha, n=40, seed=5, packing_fraction=0.5), 0.5
    c = system.constraints(system.initial, reach)
    everything = system.constraints(system.initial, reach=0.45 * system.box_length)
    wanted = everything.delta > -reach
    np.testing.assert_array_equal(c.members, everything.members[wanted])
    np.testing.assert_allclose(c.delta, everything.delta[wanted], atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.0, 4.0), st.integers(-3, 3), st.integers(-3, 3))
def test_images_and_half_turns_are_the_same_packing(seed, alpha, images, turns):
    system = draw(alpha, seed=seed)
    x = system.initial
    moved = x.copy()
    system.positions(moved)[::2] += images * system.box_length
    system.angles(moved)[::3] += turns * np.pi
    c, d = system.constraints(x), system.constraints(moved)
    assert energy(system, c) == pytest.approx(energy(system, d), rel=1e-12)
    np.testing.assert_allclose(gradient(system, c), gradient(system, d), atol=1e-12)


def test_distances_are_linear_in_the_scale():
    system = draw(2.0)
    c = system.constraints(system.initial, reach=0.3)
    for factor in (0.9, 1.0001, 1.2):
        other = system.at(scale=factor * system.scale)
        assert other.scale == pytest.approx(factor * system.scale, rel=1e-14)
        d = other.constraints(other.initial, reach=1.0)
        scaled = {tuple(pair): delta for pair, delta in zip(d.members, d.delta, strict=True)}
        expected = c.delta + (factor - 1.0) * system.scale * c.loading()
        np.testing.assert_allclose(
            [scaled[tuple(p)] for p in c.members], expected, atol=2e-15 * system.box_length
        )


def test_pressure_is_minus_du_dv():
    system = draw(1.7)
    x, c = system.initial, system.constraints(system.initial)

    def energy_at(stretch):
        other = system.at(box_length=system.box_length * stretch)
        y = system.pack(system.positions(x) * stretch, system.angles(x))
        return energy(other, other.constraints(y)), other.volume

    (above, more), (below, less) = energy_at(1.0 + 1e-6), energy_at(1.0 - 1e-6)
    pressure = -(above - below) / (more - less)
    assert system.pressure(c) == pytest.approx(pressure, rel=1e-7)
    force = system.potential.force(c.delta)
    work = 2.0 * pressure * system.volume + force @ c.delta
    assert system.scale * (force @ c.loading()) == pytest.approx(work, rel=1e-7)


def compare(found, wanted):
    scale = max(1.0, wanted[0])
    assert found[0] == pytest.approx(wanted[0], abs=1e-13 * scale)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-13 * scale)
    assert found[2] == pytest.approx(wanted[2], abs=1e-13 * scale)
    assert found[3] == wanted[3]
    if len(wanted) > 4:
        assert found[4] == pytest.approx(wanted[4], abs=1e-13 * scale)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 1.05, 1.4, 4.0]), st.booleans())
def test_evaluators_agree_with_the_constraints(seed, alpha, harmonic):
    system = draw(alpha, potential=Harmonic() if harmonic else Cubic())
    rng, x = np.random.default_rng(seed), system.initial
    evaluate, scaled = system.evaluator(), system.scaled_evaluator()
    for step in range(40):
        x = x + rng.normal(size=x.size) * 10.0 ** rng.uniform(-8.0, -1.0)
        if step % 10 == 3:  # jumps: a few particles, out of the box, everything anew
            x[rng.integers(0, x.size, 3)] += rng.normal(size=3) * 3.0
        if step % 10 == 7:
            x[: 2 * system.n] += system.box_length * rng.integers(-4, 5, 2 * system.n)
        scale = system.scale * (1.0 + 0.05 * rng.normal() * (step % 4 == 0))
        compare(evaluate(x), ConstrainedSystem.evaluator(system)(x))
        compare(scaled(x, scale), ConstrainedSystem.scaled_evaluator(system)(x, scale))


def test_evaluator_returns_fresh_arrays_and_survives_nan():
    system = draw()
    evaluate, start = system.evaluator(), system.initial
    broken = np.where(np.arange(system.n_dof) == 7, np.nan, start)
    for _ in range(2):  # before there is a list, and with one
        assert np.isnan(evaluate(broken)[0]) and np.isnan(evaluate(broken)[1]).all()
        first = evaluate(start)[1]
    kept = first.copy()
    assert evaluate(start + 1e-3)[1] is not first
    np.testing.assert_array_equal(first, kept)
    frozen = start.copy()
    frozen.flags.writeable = False
    assert (
        evaluate(frozen)[0] == evaluate(start)[0] == pytest.approx(energy(system, system.constraints(frozen)))
    )
    with pytest.raises(ValueError, match="x has 1 entries that are NaN"):
        system.constraints(broken)
    for scale, words in ((10.0, "largest diameter"), (-1.0, "scale = -"), (np.nan, "scale = nan")):
        evaluate = system.scaled_evaluator()
        for _ in range(2):
            with pytest.raises(ValueError, match=words):
                evaluate(start, scale * system.scale)
            evaluate(start, system.scale)


def test_compiled_code_leaves_lists_that_cannot_be_made_to_others():
    """As of ellipses wider than half the box: outside there is somebody to say so."""
    system = draw()
    evaluate, nowhere = system.evaluator(), np.full(system.n_dof + 1, np.nan)
    evaluate(system.initial)

    @njit
    def order(kernel, origin, y, scale):
        return renewed_list(kernel, origin, y, scale, 10)[2]

    def numbers(y, factor):
        return order(evaluate.kernel, evaluate.origin, y, factor * system.scale)

    y = np.append(system.initial, 0.0)
    np.testing.assert_array_equal(numbers(y, 1.1), np.arange(system.n_dof + 1))
    for impossible in (0.0, -1.0, np.nan, np.inf, 10.0):
        assert len(numbers(y, impossible)) == 0
    assert len(numbers(nowhere, 1.0)) == 0


def test_gradient_has_no_noise_from_the_history():
    system = draw(4.0)
    evaluate, rng = system.evaluator(), np.random.default_rng(0)
    reference = evaluate(system.initial)[1]
    for _ in range(30):
        evaluate(system.initial + 1e-3 * rng.normal(size=system.n_dof))
        np.testing.assert_allclose(evaluate(system.initial)[1], reference, rtol=0.0, atol=1e-14)


def test_particles_with_fewer_than_three_overlaps_are_rattlers():
    # a triangle of wide discs, one more that leans on it with two contacts, one that touches nothing
    centres = np.array([[3.0, 3.0], [4.0, 3.0], [3.5, 3.87], [3.5, 2.13], [8.0, 8.0]])
    x = Ellipses.pack(centres, np.array([0.1, 0.5, 1.0, 1.5, 2.0]))
    system = Ellipses(initial=x, radii=np.full(5, 0.6), box_length=10.0, aspect_ratio=1.1)
    bearing, constraints = system.constraints(x, reach=1.0).bearing()
    assert not bearing.any() and not constraints.any() and bearing.dtype == constraints.dtype == bool
    crowded = system.at(radii=np.full(5, 0.95))  # now four touch one another
    c = crowded.constraints(x, reach=1.0)
    bearing, constraints = c.bearing()
    np.testing.assert_array_equal(
        bearing, np.tile([True] * 4 + [False], 3)[[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, *range(10, 15)]]
    )
    assert constraints.sum() == 6


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"n": 0}, "n = 0"),
        ({"n": 2.5}, "n = 2.5"),
        ({"packing_fraction": 3.0}, "packing_fraction = 3"),
        ({"packing_fraction": float("nan")}, "packing_fraction = nan"),
        ({"aspect_ratio": 0.5}, "aspect_ratio = 0.5"),
        ({"aspect_ratio": 1e3}, "aspect_ratio = 1000"),
        ({"aspect_ratio": float("nan")}, "aspect_ratio = nan"),
        ({"radii": "large"}, "radii = 'large'"),
        ({"seed": -1}, "seed = -1"),
        ({"n": 4}, "largest diameter"),
    ],
)
def test_bad_input_is_answered_by_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words) as caught:
        Ellipses.random(**wrong)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", ")."))


@pytest.mark.parametrize("wrong", [{"aspect_ratio": 0.9}, {"dimension": 3}, {"initial": np.zeros(96)}])
def test_at_checks_what_it_is_given(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        draw().at(**wrong)


@pytest.mark.parametrize("alpha", [1.0001, 1.003, 1.4, 4.0])
def test_in_lengths_a_turn_is_as_stiff_as_a_move_however_round(alpha):
    """So that solvers see one scale: in radians the ratio of the typical entries of diag H falls as α − 1."""
    system = draw(alpha, packing_fraction=0.97)
    x = uj.minimize(system).x
    stiffness = sum(hessian(system, system.constraints(x))).diagonal()
    moves, turns = stiffness[: 2 * system.n], stiffness[2 * system.n :]
    lengths = system.lengths(x)[2 * system.n :]
    assert 0.1 < np.median(turns / lengths**2) / np.median(moves) < 10
    assert alpha > 1.01 or np.median(turns) / np.median(moves) < alpha - 1


@pytest.mark.parametrize("alpha", [1.001, 1.003])
def test_nearly_round_ellipses_jam(alpha):
    """With angles in radians, 1024 of them did not."""
    for seed in range(4):
        packing = uj.jam(Ellipses.random(n=48, aspect_ratio=alpha, packing_fraction=0.97, seed=seed))
        assert packing.status == "converged"


@pytest.mark.parametrize("alpha", [1.0, 1.003, 1.4, 6.0])
def test_solvers_see_energies_of_ellipses_in_lengths_and_results_do_not(alpha):
    """The gradient and H of what is minimised, by finite differences in y = (x in lengths, scale)."""
    system = Ellipses.random(n=64, aspect_ratio=alpha, packing_fraction=1.3, seed=2)
    objective = Objective(system, conjugate=1.0)
    point = objective.first(system.initial)
    lengths = system.lengths(system.initial)
    assert (lengths is None) == (alpha == 1.0)
    assert lengths is None or (lengths[:128].min() == 1.0 and lengths.min() > 0)
    assert lengths is None or lengths.max() <= max(1.0, system.unit)
    np.testing.assert_allclose(objective.x(point.y), system.initial, rtol=1e-15)
    model, step = newton_model(objective, point), 1e-6
    direction = np.random.default_rng(0).standard_normal(len(point.y))
    ahead, behind = (objective(point.y + s * direction) for s in (step, -step))
    slope = (ahead.value - behind.value) / (2 * step)
    assert slope == pytest.approx(float(point.gradient @ direction), rel=1e-6)
    regular = np.zeros(len(direction))  # pins and tethers, which are no part of H
    plain = sum(uj.hessian(system, system.constraints(system.initial)))
    regular[:-1] = model.matrix.diagonal() - plain.diagonal() / (1.0 if lengths is None else lengths**2)
    product = np.append(model.matrix @ direction[:-1], model.border @ direction[:-1])
    product += np.append(model.border, model.corner) * direction[-1] - regular * direction
    curvature = (ahead.gradient - behind.gradient) / (2 * step)
    np.testing.assert_allclose(product, curvature, rtol=0, atol=1e-5 * abs(curvature).max())
    result = uj.minimize(system, None, uj.ConjugateGradient(max_steps=30))
    c = result.system.constraints(result.x)
    force = system.potential.force(c.delta)
    assert result.relative_gradient == pytest.approx(
        np.linalg.norm(c.vjp(force)) / np.linalg.norm(force), rel=1e-9
    )
