"""Packings of ellipsoids: exact limits, the evaluator against the constraints, counts at jamming.

Derivatives, products, evaluators and symmetries against finite differences: tests/core/test_contract.py.
"""

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
from unijam.core.system import ConstrainedSystem
from unijam.measurements import measure_kernel_energies

SHAPES = {"prolate": (1, 1, 1.5), "oblate": (1, 1, 0.7), "triaxial": (1, 1.2, 1.4)}
FACTORS = {"prolate": 5, "oblate": 5, "triaxial": 6}  # degrees of freedom of a body


def draw(name="prolate", n=48, seed=0, packing_fraction=0.8, **more):
    return uj.Ellipsoids.random(
        n=n, aspect_ratios=SHAPES[name], seed=seed, packing_fraction=packing_fraction, **more
    )


def test_random_packing_is_as_asked():
    system = draw("triaxial", n=101, seed=3, packing_fraction=0.7, radii="uniform")
    assert system.packing_fraction == pytest.approx(0.7, rel=1e-14)
    np.testing.assert_allclose(system.semi_axes / system.semi_axes[:, :1], np.tile([1, 1.2, 1.4], (101, 1)))
    np.testing.assert_allclose(system.semi_axes.prod(axis=1), system.radii**3)
    assert system.n_dof == 7 * 101 and system.box_length == pytest.approx(101 ** (1 / 3))
    again = draw("triaxial", n=101, seed=3, packing_fraction=0.7, radii="uniform")
    np.testing.assert_array_equal(system.initial, again.initial)
    x = system.initial
    np.testing.assert_array_equal(system.pack(system.positions(x), system.orientations_of(x)), x)
    np.testing.assert_allclose(np.linalg.norm(system.orientations_of(x), axis=1), 1.0)


def test_places_and_orientations_are_groups_of_their_own():
    spheroids = uj.Ellipsoids.random(n=2, aspect_ratios=(1, 1, 1.1), packing_fraction=0.1)
    assert spheroids.coordinates.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    bodies = uj.Ellipsoids.random(n=2, aspect_ratios=(1, 1.05, 1.1), packing_fraction=0.1)
    assert bodies.coordinates.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("ratios", [(3, 2, 2), (2, 3, 2), (2, 2, 3)])
def test_the_axis_of_a_spheroid_is_the_odd_one(ratios):
    system = uj.Ellipsoids.random(n=64, aspect_ratios=ratios)
    assert system.orientations == 3
    np.testing.assert_allclose(system.shape, np.array([1.5, 1, 1]) / np.cbrt(1.5))
    axes = system.frames(system.initial)[:, 0]
    np.testing.assert_allclose(axes, system.orientations_of(system.initial), atol=1e-15)


def test_a_triaxial_body_of_two_equal_axes_is_a_spheroid():
    """By quaternions and by axis vectors: the same Δ, forces, counts and spectra, but for a spin that nothing feels."""
    nearly = np.nextafter(1.0, 2.0)
    spheroids = draw("prolate", n=40, seed=4)
    rest = uj.minimize(spheroids).x  # away from a minimum a norm is no zero mode of H
    x = spheroids.pack(spheroids.positions(rest), quaternions(spheroids.frames(rest)))
    bodies = uj.Ellipsoids(
        initial=x, radii=spheroids.radii, box_length=spheroids.box_length, aspect_ratios=(1.5, 1, nearly)
    )
    assert bodies.orientations == 4
    c, d = spheroids.constraints(rest, 0.1), bodies.constraints(x, 0.1)
    np.testing.assert_array_equal(c.members, d.members)
    np.testing.assert_allclose(c.delta, d.delta, atol=1e-14)
    values = [
        uj.decompose_hessian(system, y).eigenvalues("total", symmetries=False)
        for system, y in ((spheroids, rest), (bodies, x))
    ]
    spin = abs(values[1]) < 1e-8
    assert spin.sum() == len(values[1]) - len(values[0]) == uj.count_constraints(bodies, x).n_dof // 7
    np.testing.assert_allclose(values[1][~spin], values[0], rtol=1e-7)


def quaternions(frames):
    """(w, x, y, z) of rotations whose rows are the axes of bodies, (n, 3, 3), by SciPy."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(frames.transpose(0, 2, 1)).as_quat()[:, [3, 0, 1, 2]]


def test_ellipsoids_of_equal_axes_are_soft_spheres():
    system = uj.Ellipsoids.random(n=60, aspect_ratios=(1, 1, 1), packing_fraction=0.8, radii="uniform")
    x, n = system.initial, system.n
    spheres = uj.SoftSpheres(
        initial=x[: 3 * n], radii=system.radii, box_length=system.box_length, dimension=3
    )
    ours, theirs = system.constraints(x, 0.1), spheres.constraints(spheres.initial, 0.1)
    np.testing.assert_array_equal(ours.members, theirs.members)
    np.testing.assert_allclose(ours.delta, theirs.delta, atol=1e-13)
    np.testing.assert_allclose(ours.loading(), theirs.loading(), rtol=1e-14)
    forces = gradient(system, ours)
    np.testing.assert_allclose(forces[: 3 * n], gradient(spheres, theirs), atol=1e-13)
    assert not forces[3 * n :].any()
    for block, of_spheres in zip(hessian(system, ours), hessian(spheres, theirs), strict=True):
        np.testing.assert_allclose(block.toarray()[: 3 * n, : 3 * n], of_spheres.toarray(), atol=1e-12)
        assert abs(block.toarray()[3 * n :]).max() < 1e-12
    bearing, _ = ours.bearing()
    assert not bearing[3 * n :].any()
    np.testing.assert_array_equal(bearing[: 3 * n], theirs.bearing()[0])
    assert system.lengths(x) is None


def test_spheres_as_ellipsoids_jam_as_spheres_do():
    system = uj.Ellipsoids.random(n=48, aspect_ratios=(1, 1, 1), packing_fraction=0.7, radii="uniform")
    packing = uj.jam(system)
    state = packing.settled()
    count = uj.count_constraints(state.system, state.x)
    assert packing.status == "converged" and count.n_overlaps == count.n_effective + 1
    x = state.x[: 3 * system.n]
    spheres = uj.SoftSpheres(initial=x, radii=state.system.radii, box_length=system.box_length, dimension=3)
    theirs = uj.count_constraints(spheres, x)
    assert (count.n_overlaps, count.n_effective) == (theirs.n_overlaps, theirs.n_effective)


@pytest.mark.parametrize("name", SHAPES)
def test_matrices_are_consistent(name):
    system = draw(name)
    c = system.constraints(system.initial, reach=0.1)
    rng, wide = np.random.default_rng(1), 3 + system.orientations
    w = rng.normal(size=len(c.delta))
    w[::3] = 0.0
    np.testing.assert_allclose(c.stiffness(w).toarray(), Constraints.stiffness(c, w).toarray(), atol=1e-12)
    for matrix in (c.stiffness(w), c.curvature(w)):
        fresh = sp.csc_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)
        assert fresh.has_sorted_indices and fresh.has_canonical_format
        fresh.check_format()
        assert abs(matrix - matrix.T).max() < 1e-12
        used = sum((c.members[w != 0] == i).any(axis=1).sum() for i in range(system.n))
        assert matrix.nnz == wide**2 * (system.n + used)  # zero weights are not stored
    for lengths in (None, rng.random(system.n_dof) + 0.5):
        assert c.sensitivity(lengths) == pytest.approx(Constraints.sensitivity(c, lengths), rel=1e-12)
    assert c.curvature(0.0 * w).nnz == wide**2 * system.n


@pytest.mark.parametrize("name", SHAPES)
def test_every_pair_within_reach_is_found(name):
    system, reach = draw(name, n=30, seed=5, packing_fraction=0.3), 0.4
    c = system.constraints(system.initial, reach)
    everything = system.constraints(system.initial, reach=0.45 * system.box_length)
    wanted = everything.delta > -reach
    np.testing.assert_array_equal(c.members, everything.members[wanted])
    np.testing.assert_allclose(c.delta, everything.delta[wanted], atol=1e-13)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(SHAPES)), images=st.integers(-3, 3))
def test_images_reversals_and_norms_are_the_same_packing(seed, name, images):
    system = draw(name, seed=seed)
    x, moved = system.initial, system.initial.copy()
    system.positions(moved)[::2] += images * system.box_length
    system.orientations_of(moved)[::3] *= -2.5
    c, d = system.constraints(x), system.constraints(moved)
    assert energy(system, c) == pytest.approx(energy(system, d), rel=1e-12)
    back = np.where(np.arange(system.n) % 3 == 0, -2.5, 1.0)
    torques = system.orientations_of(gradient(system, d)) * back[:, None]
    np.testing.assert_allclose(torques, system.orientations_of(gradient(system, c)), atol=1e-12)


def compare(found, wanted):
    size = max(1.0, wanted[0])
    assert found[0] == pytest.approx(wanted[0], abs=1e-12 * size)
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-12 * size)
    assert found[2] == pytest.approx(wanted[2], abs=1e-12 * size)
    assert found[3] == wanted[3]
    if len(wanted) > 4:
        assert found[4] == pytest.approx(wanted[4], abs=1e-12 * size)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(SHAPES)))
def test_evaluators_agree_with_the_constraints_along_a_walk(seed, name):
    """Small steps and jumps, so that lists age; norms drift, as in a descent."""
    system = draw(name, packing_fraction=0.7)
    rng, x = np.random.default_rng(seed), system.initial
    evaluate, scaled = system.evaluator(), system.scaled_evaluator()
    for step in range(30):
        x = x + rng.normal(size=x.size) * 10.0 ** rng.uniform(-8.0, -1.0)
        if step % 10 == 3:  # jumps: a few particles, out of the box, everything anew
            x[rng.integers(0, x.size, 3)] += rng.normal(size=3) * 3.0
        if step % 10 == 7:
            x[: 3 * system.n] += system.box_length * rng.integers(-4, 5, 3 * system.n)
            system.orientations_of(x)[:] *= rng.uniform(0.2, 5.0, (system.n, 1))
        scale = system.scale * (1.0 + 0.03 * rng.normal() * (step % 4 == 0))
        compare(evaluate(x), ConstrainedSystem.evaluator(system)(x))
        compare(scaled(x, scale), ConstrainedSystem.scaled_evaluator(system)(x, scale))


def test_evaluator_returns_fresh_arrays_and_survives_what_is_no_state():
    system = draw()
    evaluate, start = system.evaluator(), system.initial
    broken, lost = start.copy(), start.copy()
    broken[7], system.orientations_of(lost)[5] = np.nan, 0.0
    for _ in range(2):  # before there is a list, and with one
        for bad in (broken, lost):
            assert np.isnan(evaluate(bad)[0]) and np.isnan(evaluate(bad)[1]).all()
        first = evaluate(start)[1]
    kept = first.copy()
    assert evaluate(start + 1e-3)[1] is not first
    np.testing.assert_array_equal(first, kept)
    with pytest.raises(ValueError, match="x has 1 entries that are NaN"):
        system.constraints(broken)
    with pytest.raises(ValueError, match="the shortest orientation in x"):
        system.constraints(lost)
    for scale, words in ((10.0, "largest diameter"), (-1.0, "scale = -"), (np.nan, "scale = nan")):
        evaluate = system.scaled_evaluator()
        for _ in range(2):
            with pytest.raises(ValueError, match=words):
                evaluate(start, scale * system.scale)
            evaluate(start, system.scale)


def test_compiled_code_leaves_lists_that_cannot_be_made_to_others():
    system = draw()
    evaluate = system.evaluator()
    evaluate(system.initial)

    @njit
    def order(kernel, origin, y, scale):
        return renewed_list(kernel, origin, y, scale, 10)[2]

    y = np.append(system.initial, 0.0)
    numbers = order(evaluate.kernel, evaluate.origin, y, 1.01 * system.scale)
    np.testing.assert_array_equal(numbers, np.arange(system.n_dof + 1))
    for impossible in (0.0, -1.0, np.nan, np.inf, 10.0):
        assert not len(order(evaluate.kernel, evaluate.origin, y, impossible * system.scale))
    assert not len(order(evaluate.kernel, evaluate.origin, np.nan * y, system.scale))


def test_particles_with_fewer_than_four_overlaps_are_rattlers():
    # a tetrahedron of flat bodies that all touch, one body that leans on three of them, one that touches nothing
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.4
    places = np.vstack([corners, [0.57, 0.57, -0.57], [4.0, 4.0, 4.0]]) + 5.0
    x = uj.Ellipsoids.pack(places, np.random.default_rng(0).standard_normal((6, 3)))
    system = uj.Ellipsoids(initial=x, radii=np.full(6, 0.6), box_length=10.0, aspect_ratios=(1, 1, 0.9))
    c = system.constraints(x, reach=1.0)
    bearing, constraints = c.bearing()
    degrees = np.bincount(c.members[c.overlaps].ravel(), minlength=6)
    assert degrees[4] == 3 and degrees[5] == 0 and not bearing.any() and not constraints.any()
    joined = system.pack(np.vstack([places[:4], [5.0, 5.0, 5.0], places[5:]]), system.orientations_of(x))
    c = system.constraints(joined)  # now the fifth touches all four, and each of these touches four
    np.testing.assert_array_equal(c.bearing()[0], np.tile([True] * 5 + [False], 2).repeat(3))


@pytest.mark.parametrize(("name", "seed"), [("prolate", 0), ("prolate", 1), ("triaxial", 0), ("triaxial", 1)])
def test_ellipsoids_are_hypostatic_with_one_state_of_self_stress(name, seed):
    check(draw(name, n=32, seed=seed), FACTORS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", range(20))
def test_larger_packings_too(name, seed):
    check(draw(name, n=128, seed=seed), FACTORS[name])


def check(system, of_a_body):
    """dim ker H0 = N_eff − N_Δ + 1, one self stress, Hp > 0 on the kernel, no other zero mode than the symmetries."""
    packing = uj.jam(system)
    assert packing.status == "converged", packing.reason
    state = packing.settled()
    count = uj.count_constraints(state.system, state.x)
    h = uj.decompose_hessian(state.system, state.x)
    held = int(h.bearing[: 3 * system.n : 3].sum())
    assert count.n_effective == of_a_body * held - 3  # spins and norms are no modes
    assert h.self_stress.shape[1] == 1
    assert h.kernel.shape[1] == count.n_effective - count.n_overlaps + 1
    prestress = h.kernel_prestress()
    assert (prestress > 0).all()
    values = h.eigenvalues("total", symmetries=False)
    assert len(values) == count.n_effective and values.min() > 0


@pytest.mark.parametrize("name", ["prolate", "triaxial"])
def test_results_have_orientations_of_norm_one(name):
    system = draw(name, n=32)
    start = system.initial.copy()
    system.orientations_of(start)[:] *= 3.0
    state = uj.minimize(system, start)
    norms = np.linalg.norm(system.orientations_of(state.x), axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-14)
    assert uj.certify(state.system, state.x).minimum


@pytest.mark.parametrize("name", ["prolate", "triaxial"])
def test_energy_along_kernel_modes_is_quartic_at_jamming(name):
    """U ~ δ⁴ where Hp no longer counts; the median over five packings, in some of which a gap closes before."""
    slopes = []
    for seed in range(5):
        pushed = measure_kernel_energies(draw(name, n=32, seed=seed), (1e-9,), (3e-3, 6e-3))
        assert pushed.status == "converged"
        slopes.append(np.log2(pushed.energy[0, :, 1] / pushed.energy[0, :, 0]))
    assert np.nanmedian(slopes) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("name", ["oblate", "triaxial"])
def test_stress_and_bulk_modulus_are_those_of_strained_boxes(name):
    state = uj.minimize(draw(name, n=40, packing_fraction=0.85))
    state = uj.minimize(state.system, state.x, uj.TrustRegionNewton(gradient_tolerance=1e-12))
    system, moduli, step = state.system, uj.elastic_moduli(state.system, state.x), 1e-5

    def strained(strains, relaxed):
        factors, y = np.exp(strains), state.x.copy()
        system.positions(y)[:] *= factors
        there = system.at(box_length=system.sides * factors)
        if not relaxed:
            return uj.energy(there, there.constraints(y))
        rest = uj.minimize(there, y, uj.TrustRegionNewton(gradient_tolerance=1e-12))
        return there.pressure(there.constraints(rest.x))

    for axis in range(3):
        along = step * np.eye(3)[axis]
        slope = (strained(along, False) - strained(-along, False)) / (2 * step)
        assert moduli.stress[axis, axis] == pytest.approx(-slope / system.volume, rel=1e-6)
    np.testing.assert_allclose(moduli.stress, moduli.stress.T, atol=1e-10)  # torques balance
    every = np.full(3, step / 3)
    slope = (strained(-every, True) - strained(every, True)) / (2 * step)
    assert moduli.bulk == pytest.approx(slope, rel=1e-5)
    modes = uj.vibrational_modes(state.system, state.x)
    values = uj.decompose_hessian(state.system, state.x).eigenvalues("total", symmetries=False)
    np.testing.assert_allclose(modes.eigenvalues, values, rtol=1e-9, atol=1e-12)


def test_what_is_not_written_yet_says_so(tmp_path):
    system = draw()
    with pytest.raises(ValueError, match=r"Ellipsoids.* uj.save takes any system"):
        uj.write_gsd(tmp_path / "a.gsd", (system, system.initial))


@pytest.mark.parametrize("name", SHAPES)
def test_in_lengths_a_turn_is_about_as_stiff_as_a_move(name):
    """Across the norms: by the stiffness of turns about two or three axes, of the typical body."""
    system = draw(name, packing_fraction=0.75)
    x = uj.minimize(system).x
    stiffness = sum(hessian(system, system.constraints(x))).diagonal() / system.lengths(x) ** 2
    moves = stiffness[: 3 * system.n].reshape(-1, 3).mean(axis=1)
    turns = system.orientations_of(stiffness).sum(axis=1) / (system.orientations - 1)
    assert 0.1 < np.median(turns) / np.median(moves) < 10


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n": 0}, "n = 0"),
        ({"packing_fraction": 3.0}, "packing_fraction = 3"),
        ({"aspect_ratios": (1, 2)}, r"the shape of aspect_ratios = \(2,\)"),
        ({"aspect_ratios": (1, 1, -1)}, "the smallest of aspect_ratios = -1"),
        ({"aspect_ratios": (1, 1, 11)}, "the largest ratio of two axes = 11"),
        ({"aspect_ratios": "long"}, "aspect_ratios = 'long'"),
        ({"aspect_ratios": (1, 1, np.nan)}, "aspect_ratios has 1 entries that are NaN"),
        ({"radii": "large"}, "radii = 'large'"),
        ({"seed": -1}, "seed = -1"),
        ({"n": 4}, "largest diameter"),
    ],
)
def test_bad_input_is_answered_by_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words) as caught:
        uj.Ellipsoids.random(**wrong)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", ")."))


@pytest.mark.parametrize(
    "wrong", [{"dimension": 2}, {"initial": np.zeros(96)}, {"initial": np.zeros(6 * 48)}]
)
def test_at_checks_what_it_is_given(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        draw().at(**wrong)
