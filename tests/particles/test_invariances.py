"""What must not change: reduced scalars of packings moved, renumbered, turned with their box, in other units."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj

PACKINGS = {
    "discs": lambda: uj.SoftSpheres.random(n=40, packing_fraction=0.9, radii="uniform", seed=2, box=(1, 2)),
    "spheres": lambda: uj.SoftSpheres.random(
        n=64, dimension=3, packing_fraction=0.7, radii="uniform", seed=1, box=(3, 4, 5)
    ),
    "ellipses": lambda: uj.Ellipses.random(n=40, aspect_ratio=1.4, seed=1, box=(3, 2)),
}
PRESSURE = 1e-3


@dataclass(frozen=True)
class Springs(uj.Potential):
    """u = ½ k Δ²: another unit of energy."""

    k: float

    def energy(self, delta):
        return 0.5 * self.force(delta) * delta

    def force(self, delta):
        return self.k * delta * (delta > 0)

    def stiffness(self, delta):
        return self.k * (delta > 0)


@cache
def packing(name):
    """A minimum to the last digits of its force balance."""
    state = uj.jam(PACKINGS[name](), pressure=PRESSURE)
    return uj.minimize(state.system, state.x, uj.TrustRegionNewton(gradient_tolerance=1e-13))


def angles(system, x):
    return system.angles(x) if isinstance(system, uj.Ellipses) else np.empty(0)


def packed(system, positions, turned):
    return np.concatenate((np.ravel(positions), turned))


def moved(system, x, rng):
    """Translated, each particle to an image of its own, and half turns of the ellipses."""
    folds = system.sides * rng.integers(-3, 4, (system.n, system.dimension))
    turns = np.pi * rng.integers(-3, 4, len(angles(system, x)))
    shift = rng.uniform(-10, 10, system.dimension)
    return system, packed(system, system.positions(x) + folds + shift, angles(system, x) + turns)


def renumbered(system, x, rng):
    order = rng.permutation(system.n)
    turned = angles(system, x)
    y = packed(system, system.positions(x)[order], turned[order] if len(turned) else turned)
    return system.at(initial=y, radii=system.radii[order]), y


def turned(system, x, rng):
    """By 90° in a plane of two axes, with the box."""
    a, b = rng.permutation(system.dimension)[:2]
    turn, sides = np.eye(system.dimension), system.sides.copy()
    turn[[a, b]], sides[[a, b]] = 0.0, sides[[b, a]]
    turn[a, b], turn[b, a] = 1.0, -1.0
    clockwise = 1.0 if a < b else -1.0
    y = packed(system, system.positions(x) @ turn.T, angles(system, x) - clockwise * 0.5 * np.pi)
    return system.at(initial=y, box_length=sides), y


def in_another_unit_of_length(system, x, rng):
    unit = 10.0 ** rng.uniform(-3, 3)
    y = packed(system, unit * system.positions(x), angles(system, x))
    return system.at(initial=y, box_length=unit * system.sides, radii=unit * system.radii), y


def in_another_unit_of_energy(system, x, rng):
    k = getattr(system.potential, "k", 1.0) * 10.0 ** rng.uniform(-3, 3)
    return system.at(potential=Springs(k)), x


CHANGES = [moved, renumbered, turned, in_another_unit_of_length, in_another_unit_of_energy]


def reduced(system, x):
    """Scalars and sorted numbers in units of the mean distance of particles and of the stiffness.

    An angle counts as a length in the unit of x; here its unit is that distance.
    """
    d, n, k = system.dimension, system.n, getattr(system.potential, "k", 1.0)
    length = (system.volume / n) ** (1 / d)
    unit = np.ones(system.n_dof)
    unit[n * d :] = 1 / length
    c = system.constraints(x)
    force, overlaps = system.potential.force(c.delta), c.overlaps & c.bearing()[1]
    slope = c.vjp(force)
    inside = np.flatnonzero(c.bearing()[0])
    energy, gradient, squares, count, load = system.scaled_evaluator()(x, system.scale)
    np.testing.assert_allclose(gradient, slope, atol=1e-9 * k * length)
    found = {
        "overlaps": np.sort(c.delta[overlaps]) / length,
        "energy": energy / (k * length**2),
        "forces": squares**0.5 / (k * length),
        "count": count,
        "load": load / (k * length),
        "packing fraction": system.packing_fraction,
        "pressure": system.pressure(c) * length ** (d - 2) / k,
        "relative gradient": np.linalg.norm(unit * slope) / np.linalg.norm(force),
    }
    for part, matrix in zip(("H0", "Hp", "H"), (*uj.hessian(system, c, overlaps), None), strict=True):
        matrix = sum(uj.hessian(system, c, overlaps)) if matrix is None else matrix
        scaled = (unit[:, None] * matrix.toarray() * unit)[np.ix_(inside, inside)] / k
        found[f"eigenvalues of {part}"] = np.linalg.eigvalsh(scaled)
    counts = uj.count_constraints(system, x)
    found |= {name: getattr(counts, name) for name in ("n_overlaps", "n_dof", "n_effective", "ratio")}
    return found


def response(system, x):
    """Those that only a minimum has."""
    moduli = uj.elastic_moduli(system, x)
    values = np.sort(np.linalg.eigvalsh(0.5 * (moduli.stress + moduli.stress.T)))
    return {
        "G/K": moduli.shear / moduli.bulk,
        "simple/pure": moduli.simple_shear / moduli.pure_shear,
        "p/K": moduli.pressure / moduli.bulk,
        "stress": values / moduli.pressure,
    }


@cache
def before(name, minimum):
    state = packing(name)
    x = state.x if minimum else state.x + 0.02 * np.random.default_rng(0).normal(size=len(state.x))
    return x, reduced(state.system, x) | (response(state.system, x) if minimum else {})


@settings(max_examples=25)
@given(
    changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
    minimum=st.booleans(),
    seed=st.integers(0, 10**6),
)
@pytest.mark.parametrize("name", PACKINGS)
def test_reduced_scalars_do_not_change(name, changes, minimum, seed):
    rng, system = np.random.default_rng(seed), packing(name).system
    x, expected = before(name, minimum)
    for change in changes:
        system, x = change(system, x, rng)
    of_minimum = response(system, x) if minimum else {}
    found = reduced(system, x) | of_minimum
    assert found.keys() == expected.keys()
    for quantity, value in expected.items():
        rounding = 1e-8 if quantity in of_minimum else 1e-10  # G is the small difference of numbers like K
        np.testing.assert_allclose(found[quantity], value, rtol=1e-7, atol=rounding, err_msg=quantity)


@settings(max_examples=3)
@given(changes=st.lists(st.sampled_from(CHANGES[:4]), min_size=1, max_size=3), seed=st.integers(0, 10**6))
@pytest.mark.parametrize("name", PACKINGS)
def test_the_jamming_point_of_a_branch_does_not_change(name, changes, seed):
    """From a state near it, where no contact is made or broken on the way."""
    rng, state = np.random.default_rng(seed), near_jamming(name)
    system, x = state.system, state.x
    for change in changes:
        system, x = change(system, x, rng)
    packing = uj.jam(system, x)
    assert packing.status == "converged"
    assert packing.threshold == pytest.approx(jamming_point(name).threshold, rel=1e-9)
    expected, found = (uj.count_constraints(p.system, p.x) for p in (jamming_point(name), packing))
    assert found == expected


@cache
def near_jamming(name):
    return next(s for s in uj.jam(PACKINGS[name]()).states if s.typical_overlap < 1e-5)


@cache
def jamming_point(name):
    state = near_jamming(name)
    return uj.jam(state.system, state.x)
