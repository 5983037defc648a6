"""Boxes whose sides differ: sums over images one by one, tilings, isostatic jamming, stress axis by axis, files."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import unijam as uj
from unijam.core.derivatives import energy, hessian
from unijam.core.tolerances import OVERLAP_RESOLUTIONS
from unijam.particles import neighbour_pairs

PACKINGS = {
    "discs": lambda seed=0: uj.SoftSpheres.random(
        n=48, packing_fraction=0.9, radii="uniform", seed=seed, box=(1, 3)
    ),
    "spheres": lambda seed=0: uj.SoftSpheres.random(
        n=96, dimension=3, packing_fraction=0.7, radii="uniform", seed=seed, box=(1, 1, 2)
    ),
    "ellipses": lambda seed=0: uj.Ellipses.random(
        n=48, aspect_ratio=1.4, packing_fraction=0.95, seed=seed, box=(3, 1)
    ),
}


def tight(name, packing_fraction, seed=0):
    """A minimum to the last digits of its force balance."""
    state = uj.minimize(PACKINGS[name](seed).at(packing_fraction=packing_fraction))
    return uj.minimize(state.system, state.x, uj.TrustRegionNewton(gradient_tolerance=1e-12))


def separations(system, x):
    """Of each pair i < j the separations r_j − r_i of all images that may be near: i, j and (27 or more, d)."""
    at = system.positions(x)
    at = at - system.sides * np.floor(at / system.sides)
    shifts = np.array(list(product((-1, 0, 1), repeat=system.dimension))) * system.sides
    for i in range(system.n):
        for j in range(i + 1, system.n):
            yield i, j, at[j] - at[i] + shifts


def touching_scale(r, system, angles, i, j):
    """√F of two ellipses by the definition: the largest of t (1 − t) rᵀ[(1 − t) A + t B]⁻¹ r."""

    def shape(k):
        (c, s), a, b = (np.cos(angles[k]), np.sin(angles[k])), *(axis[k] for axis in system.semi_axes)
        turn = np.array([[c, -s], [s, c]])
        return turn @ np.diag([a * a, b * b]) @ turn.T

    first, second = shape(i), shape(j)
    found = minimize_scalar(
        lambda t: -t * (1 - t) * r @ np.linalg.solve((1 - t) * first + t * second, r),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return np.sqrt(-found.fun)


def overlaps_one_by_one(system, x):
    """Δ > 0 of every image of every pair."""
    angles = system.angles(x) if isinstance(system, uj.Ellipses) else None
    found = {}
    for i, j, images in separations(system, x):
        sigma = system.radii[i] + system.radii[j]
        for r in images:
            distance = np.linalg.norm(r)
            if angles is None:
                delta = sigma - distance
            elif distance < 2 * system.semi_axes[0].max():
                delta = sigma * (1 - touching_scale(r, system, angles, i, j))
            else:
                continue
            if delta > 0:
                assert (i, j) not in found  # one image only
                found[i, j] = delta
    return found


@pytest.mark.parametrize("name", PACKINGS)
def test_contacts_and_energy_are_those_of_a_sum_over_images(name):
    system = PACKINGS[name](3)
    x = system.initial + 2.5 * np.arange(system.n_dof) % 7  # outside the box too
    for factor in (1.0, 0.6):
        there = system.at(scale=factor * system.scale)
        c, expected = there.constraints(x), overlaps_one_by_one(there, x)
        assert [tuple(pair) for pair in c.members[c.delta > 0].tolist()] == list(expected)
        np.testing.assert_allclose(c.delta[c.delta > 0], list(expected.values()), atol=1e-12)
        u = 0.5 * sum(delta**2 for delta in expected.values())
        assert energy(there, c) == pytest.approx(u, rel=1e-11)
        assert there.evaluator()(x)[0] == pytest.approx(u, rel=1e-11)
        assert system.scaled_evaluator()(x, there.scale)[0] == pytest.approx(u, rel=1e-11)


@settings(max_examples=80)
@given(
    n=st.integers(1, 150),
    sides=st.lists(st.floats(0.1, 100), min_size=1, max_size=4),
    reach=st.floats(0.001, 0.6),
    seed=st.integers(0, 10**6),
)
def test_pairs_in_any_box_are_those_of_all_images(n, sides, reach, seed):
    rng, sides = np.random.default_rng(seed), np.array(sides)
    positions = sides * rng.uniform(0, 1, (n, len(sides)))
    reaches = sides.min() * reach * rng.uniform(0.1, 1, n)
    squares = np.full((n, n), np.inf)
    for shift in product((-1, 0, 1), repeat=len(sides)):
        apart = positions[:, None] - positions[None] + shift * sides
        squares = np.minimum(squares, (apart**2).sum(axis=-1))
    near = np.sqrt(squares) < reaches[:, None] + reaches[None]
    folds = sides * rng.integers(-2, 3, positions.shape)
    np.testing.assert_array_equal(neighbour_pairs(positions, sides, reaches), np.argwhere(np.triu(near, 1)))
    moved = neighbour_pairs(positions + folds, sides, reaches * (1 + 1e-12))
    assert {tuple(pair) for pair in np.argwhere(np.triu(near, 1))} <= {tuple(pair) for pair in moved}


@pytest.mark.parametrize("box", [(1, 30), (40, 1), (1, 1, 60), (1, 25, 25), (7, 1, 2), (1, 2, 1, 3)])
@pytest.mark.parametrize("n", [70, 1200])
def test_evaluators_on_a_walk_in_a_thin_box(box, n):
    """Down to a box half as thick as a particle is allowed to be."""
    system = uj.SoftSpheres.random(n=n, dimension=len(box), packing_fraction=1e-3, radii="uniform", box=box)
    system = system.at(
        scale=system.scale * 0.5 * system.narrowest_width / system.largest_diameter / (1 + 1e-9)
    )
    if system.packing_fraction > 1:
        system = system.at(packing_fraction=1.0)
    rng, x = np.random.default_rng(n), system.initial
    fixed, scaled = system.evaluator(), system.scaled_evaluator()
    for step in range(12):
        x = x + (0.01, 0.15, 4.0)[step % 3] * rng.normal(size=x.shape)
        scale = system.scale * rng.uniform(0.8, 1.0)
        for there, found in ((system, fixed(x)), (system.at(scale=scale), scaled(x, scale))):
            c = there.constraints(x)
            force = there.potential.force(c.delta)
            assert found[0] == pytest.approx(energy(there, c), rel=1e-11)
            np.testing.assert_allclose(found[1], c.vjp(force), atol=1e-11)
            assert found[3] == (c.delta > OVERLAP_RESOLUTIONS * system.resolution(x)).sum()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["discs", "spheres"])
def test_packings_in_a_long_box_are_isostatic(name, seed, find_backbone):
    packing = uj.jam(PACKINGS[name](seed))
    assert packing.status == "converged"
    state = packing.settled()
    contacts, held = find_backbone(state.system, state.x)
    d = state.system.dimension
    assert contacts == d * (len(held) - 1) + 1 and len(held) > 0.8 * state.system.n


def tiled(system, x, axis):
    """The packing twice along an axis: the system and its x."""
    shift = np.zeros(system.dimension)
    shift[axis] = system.sides[axis]
    at, n_lengths = system.positions(x), system.n * system.dimension
    sides = system.sides.copy()
    sides[axis] *= 2
    y = np.concatenate([at.ravel(), (at + shift).ravel(), x[n_lengths:], x[n_lengths:]])
    return system.at(initial=y, radii=np.tile(system.radii, 2), box_length=sides), y


@pytest.mark.parametrize(("name", "packing_fraction"), [("discs", 1.3), ("spheres", 1.0), ("ellipses", 1.1)])
def test_a_packing_laid_twice_is_twice_the_packing(name, packing_fraction):
    """Of moduli where it is still a minimum: longer waves fit in, and some are unstable."""
    stable = 0
    for seed in range(4):
        state = tight(name, packing_fraction, seed)
        system, x = state.system, state.x
        moduli = uj.elastic_moduli(system, x)
        slope = np.linalg.norm(uj.gradient(system, system.constraints(system.initial)))
        for axis in range(system.dimension):
            double, y = tiled(system, x, axis)
            assert double.packing_fraction == pytest.approx(system.packing_fraction, rel=1e-12)
            c = double.constraints(y)
            assert energy(double, c) == pytest.approx(2 * state.energy, rel=1e-12)
            assert double.evaluator()(y)[0] == pytest.approx(2 * state.energy, rel=1e-12)
            assert c.overlaps.sum() == 2 * state.n_overlaps
            assert double.pressure(c) == pytest.approx(moduli.pressure, rel=1e-12)
            np.testing.assert_allclose(uj.stress(double, y), moduli.stress, atol=1e-12 * moduli.pressure)
            start, z = tiled(system, system.initial, axis)
            gradient = uj.gradient(start, start.constraints(z))
            assert np.linalg.norm(gradient) == pytest.approx(2**0.5 * slope, rel=1e-12)
            inside = np.flatnonzero(c.bearing()[0])
            modes = np.linalg.eigvalsh(sum(hessian(double, c)).toarray()[np.ix_(inside, inside)])
            if modes[0] < -1e-10:
                continue
            stable += 1
            found = uj.elastic_moduli(double, y)
            np.testing.assert_allclose(found.stiffness, moduli.stiffness, atol=1e-8 * moduli.bulk)
            for modulus in ("bulk", "shear", "simple_shear", "pure_shear"):
                assert getattr(found, modulus) == pytest.approx(getattr(moduli, modulus), rel=1e-7)
    assert stable >= 2


@pytest.mark.parametrize(
    ("name", "packing_fraction"), [("discs", 0.95), ("spheres", 0.75), ("ellipses", 0.95)]
)
def test_stress_and_stiffness_axis_by_axis(name, packing_fraction):
    """Vσ_aa = −dU/ds and d²U/ds² = V₀ (C_aaaa − 2σ_aa) at s = 0, when side a is L_a e^s."""
    state, h = tight(name, packing_fraction), 1e-5
    system, moduli = state.system, uj.elastic_moduli(state.system, state.x)

    def stretched(axis, s):
        factor, y = np.ones(system.dimension), state.x.copy()
        factor[axis] = np.exp(s)
        system.positions(y)[:] *= factor
        other = system.at(box_length=system.sides * factor)
        solver = uj.TrustRegionNewton(gradient_tolerance=1e-12)
        relaxed = uj.minimize(other, y, solver)
        return energy(other, other.constraints(y)), other.volume * uj.stress(other, relaxed.x)[axis, axis]

    for axis in range(system.dimension):
        (above, more), (below, less) = stretched(axis, h), stretched(axis, -h)
        slope, sigma = (above - below) / (2 * h) / system.volume, moduli.stress[axis, axis]
        assert sigma == pytest.approx(-slope, rel=1e-6)
        curvature = -(more - less) / (2 * h) / system.volume
        assert curvature == pytest.approx(moduli.stiffness[axis, axis] - 2 * sigma, rel=1e-4)


@pytest.mark.parametrize("name", PACKINGS)
def test_files_keep_the_box(tmp_path, name):
    system = PACKINGS[name]()
    x = system.initial
    uj.write_gsd(tmp_path / "a.gsd", (system, x))
    read, y = uj.read_gsd(tmp_path / "a.gsd")
    assert read.sides.tobytes() == system.sides.tobytes() and y.tobytes() == x.tobytes()
    if name != "ellipses":
        uj.write_lammps(tmp_path / "a.data", system, x)
        read, y = uj.read_lammps(tmp_path / "a.data")
        assert read.sides.tobytes() == system.sides.tobytes() and y.tobytes() == x.tobytes()


def test_a_box_of_equal_sides_has_one_length():
    system = uj.SoftSpheres.random(n=64, box=(2, 2))
    cube = uj.SoftSpheres.random(n=64)
    assert system.box_length == cube.box_length == 8.0 and isinstance(system.box_length, float)
    np.testing.assert_array_equal(system.initial, cube.initial)
    long = uj.SoftSpheres.random(n=64, box=[1, 4])
    np.testing.assert_allclose(long.box_length, [4, 16], rtol=1e-15)
    np.testing.assert_array_equal(long.at(box_length=8.0).sides, [8, 8])
    np.testing.assert_array_equal(long.at(box_length=long.box_length * 2).sides, 2 * long.sides)
    assert long.volume == pytest.approx(64) and long.packing_fraction == pytest.approx(0.86)
    at = long.positions(long.initial)
    assert (at >= 0).all() and (at < long.sides).all() and (at.max(axis=0) > 0.9 * long.sides).all()


DISCS, ELLIPSES = uj.SoftSpheres.random, uj.Ellipses.random
WRONG = [
    ("largest diameter", "half the shortest side", lambda: DISCS(n=64, box=(1, 40))),
    ("largest diameter", "half the shortest side", lambda: DISCS(n=64, dimension=3, box=(1, 9, 9))),
    ("largest diameter", "half the shortest side", lambda: ELLIPSES(n=64, aspect_ratio=4.0, box=(1, 8))),
    ("largest diameter", "half the shortest side", lambda: DISCS(n=64).at(box_length=(2.0, 32.0))),
    ("the shape of box = (3,)", "(2,)", lambda: DISCS(n=64, box=(1, 1, 1))),
    ("the shape of box = ()", "(3,)", lambda: DISCS(n=64, dimension=3, box=2.0)),
    ("the smallest of box = -1.0", "positive", lambda: DISCS(n=64, box=(1, -1))),
    ("the smallest of box = 0.0", "positive", lambda: ELLIPSES(n=64, box=(0, 1))),
    ("box has 1 entries that are NaN", "finite", lambda: ELLIPSES(n=64, box=(np.nan, 1))),
    ("box = 'long'", "numbers", lambda: DISCS(n=64, box="long")),
    ("box_length = None", "positive", lambda: DISCS(n=64).at(box_length=None)),
    ("box_length = inf", "finite", lambda: DISCS(n=64).at(box_length=np.inf)),
    ("the shape of box_length = (1,)", "(2,)", lambda: DISCS(n=64).at(box_length=[8.0])),
    ("the smallest of box_length = -8.0", "positive", lambda: DISCS(n=64).at(box_length=[8.0, -8.0])),
    ("box_length has 1 entries", "finite", lambda: DISCS(n=64).at(box_length=[8.0, np.nan])),
]


@pytest.mark.parametrize(("field", "range_", "call"), WRONG, ids=[f"{k}-{w[0]}" for k, w in enumerate(WRONG)])
def test_one_sentence_says_what_is_wrong_with_a_box(field, range_, call):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert field in message and range_ in message and "\n" not in message and message.endswith(".")


def test_the_scale_does_not_grow_beyond_the_box():
    system = uj.SoftSpheres.random(n=64, packing_fraction=0.1, box=(1, 4))
    most = 0.5 * system.narrowest_width / system.largest_diameter * system.scale
    scaled = system.scaled_evaluator()
    scaled(system.initial, 0.999 * most)
    with pytest.raises(ValueError, match="half the shortest side"):
        scaled(system.initial, 1.5 * most)
