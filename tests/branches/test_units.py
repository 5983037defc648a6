"""Lengths, forces and energies have no absolute size: a packing in any unit behaves as it does at number density one.

Units that are powers of two change no bit of a mantissa, so that whole runs are equal bit by bit.
"""

import numpy as np
import pytest
import torch

import unijam as uj

POWERS = (-20, -13, 7, 20)


def scaled(system, unit):
    """The same packing with every length times `unit`; the width of a linear hinge is a length too."""
    potential = system.potential
    if isinstance(potential, uj.LinearHinge):
        potential = uj.LinearHinge(potential.width * unit)
    lengths = {
        "radii": system.radii * unit,
        "box_length": system.sides * unit,
        "dimension": system.dimension,
        "potential": potential,
    }
    if isinstance(system, uj.Ellipses):
        return uj.Ellipses(
            initial=to_unit(system, system.initial, unit), aspect_ratio=system.aspect_ratio, **lengths
        )
    if isinstance(system, uj.Ellipsoids):
        start = to_unit(system, system.initial, unit)
        return uj.Ellipsoids(initial=start, aspect_ratios=system.aspect_ratios, **lengths)
    return uj.SoftSpheres(initial=system.initial * unit, **lengths)


def to_unit(system, x, unit):
    """x with its positions times `unit`; angles have none."""
    moved = np.array(x)
    moved[: system.n * system.dimension] *= unit
    return moved


PACKINGS = {
    "discs": uj.SoftSpheres.random(n=32, radii="uniform", packing_fraction=0.9, seed=1),
    "few discs in a long box": uj.SoftSpheres.random(n=12, radii="uniform", box=(1, 1.5), seed=2),
    "dilute discs": uj.SoftSpheres.random(n=24, radii="uniform", packing_fraction=0.3, seed=1),
    "spheres": uj.SoftSpheres.random(n=24, dimension=3, radii="uniform", packing_fraction=0.75, seed=1),
    "ellipses": uj.Ellipses.random(n=20, seed=1),
    "long ellipses": uj.Ellipses.random(n=24, aspect_ratio=3.0, seed=1),
    "spheroids": uj.Ellipsoids.random(n=24, aspect_ratios=(1, 1, 0.8), seed=1),
    "triaxial ellipsoids": uj.Ellipsoids.random(n=24, aspect_ratios=(1, 1.1, 1.25), seed=1),
    "linear hinge": uj.SoftSpheres.random(n=24, radii="uniform", packing_fraction=0.9, seed=3).at(
        potential=uj.LinearHinge(0.2)
    ),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_at_powers_of_two_every_bit_is_the_same(name):
    system = PACKINGS[name]
    for run in (uj.minimize, uj.jam):
        one = run(system)
        numbers = _numbers(one)
        for k in POWERS:
            other = run(scaled(system, 2.0**k))
            assert np.array_equal(to_unit(system, other.x, 2.0**-k), one.x)
            assert _numbers(other) == numbers


def _numbers(result):
    """All of a result that has no unit."""
    states = getattr(result, "states", (result,))
    numbers = [result.status, getattr(result, "threshold", None)]
    numbers += [(s.n_steps, s.n_evaluations, s.n_overlaps, s.relative_gradient, s.status) for s in states]
    numbers += [s.typical_overlap / s.system.unit for s in states]
    if result.status == "converged":
        system, x = result.system, result.x
        hessian, certificate = uj.decompose_hessian(system, x), uj.certify(system, x)
        numbers += [str(uj.count_constraints(system, x)), certificate.n_zero, certificate.minimum]
        numbers += [certificate.relative_gradient, hessian.n_negative_hp, hessian.kernel_prestress().size]
        if isinstance(system.potential, uj.Harmonic):
            numbers += hessian.eigenvalues("total").tolist()
            numbers += uj.vibrational_modes(system, x, 3).participation.tolist()
    return numbers


SOLVERS = {
    "conjugate gradients": uj.ConjugateGradient(),
    "FIRE": uj.Fire(),
    "Newton": uj.TrustRegionNewton(),
    "Levenberg-Marquardt": uj.LevenbergMarquardt(max_steps=50),
    "gradient descent": uj.GradientDescent(max_steps=300),
    "Adam": uj.Adam(max_steps=300),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["discs", "ellipses"])
def test_every_solver_is_the_same_in_every_unit(name, solver):
    system = PACKINGS[name]
    one = uj.minimize(system, None, SOLVERS[solver])
    for k in (-20, 7):
        other = uj.minimize(scaled(system, 2.0**k), None, SOLVERS[solver])
        assert (other.status, other.n_steps) == (one.status, one.n_steps)
        assert np.allclose(to_unit(system, other.x, 2.0**-k), one.x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-6, 1e-4, 0.7, 1e6])
@pytest.mark.parametrize("name", ["discs", "spheres", "ellipses", "Hertzian"])
def test_a_jammed_state_has_its_threshold_in_any_unit(name, unit):
    system = PACKINGS["discs"].at(potential=uj.Hertzian()) if name == "Hertzian" else PACKINGS[name]
    one = uj.jam(system)
    state = one.states[-1]
    start = scaled(state.system.at(initial=state.x, scale=state.system.scale * 1.001), unit)
    here = uj.jam(state.system.at(initial=state.x, scale=state.system.scale * 1.001))
    there = uj.jam(start)
    assert here.status == there.status == "converged"
    assert there.threshold == pytest.approx(here.threshold, abs=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1e4])
def test_targets_and_moduli_in_any_unit(unit):
    system = PACKINGS["discs"]
    other = scaled(system, unit)
    p = 1e-3  # a force over a length: of harmonic discs it has no unit
    one, there = uj.jam(system, pressure=p), uj.jam(other, pressure=p)
    assert one.status == there.status == "converged"
    assert there.system.pressure(there.system.constraints(there.x)) == pytest.approx(p, rel=1e-5)
    for target in ({"excess": 1e-3}, {"packing_fraction": 0.88}):
        assert uj.jam(other, **target).status == "converged"
    near = scaled(one.system, unit)
    moved = to_unit(near, one.x, unit)
    a, b = uj.elastic_moduli(one.system, one.x), uj.elastic_moduli(near, moved)
    assert (b.bulk, b.shear) == pytest.approx((a.bulk, a.shear), rel=1e-6)


def test_micrometres_near_jamming_are_not_satisfied():
    near = uj.jam(PACKINGS["discs"], excess=1e-5)
    moved = near.x + 1e-6 * np.random.default_rng(0).standard_normal(near.x.size)
    result = uj.minimize(scaled(near.system.at(initial=moved), 1e-6))
    assert result.status == "converged" and result.n_overlaps > 50


@pytest.mark.parametrize("name", ["discs", "ellipses"])
def test_a_stiffness_is_but_a_unit_of_energy(name, stiffer):
    system, k = PACKINGS[name].at(potential=stiffer(uj.Harmonic, 1.0)), 2.0**20
    for run in (uj.minimize, uj.jam):
        one = run(system)
        for factor in (k, 1 / k):
            other = run(system.at(potential=stiffer(uj.Harmonic, factor)))
            assert np.array_equal(other.x, one.x) and _numbers(other)[:5] == _numbers(one)[:5]


class Corners(uj.AutodiffSystem):
    """Points that keep away from each other, and from the corners of a square, in any unit."""

    control, diameter = "diameter", 0.8

    def __init__(self, size, unit=None):
        self.size, self.diameter = size, 0.8 * size
        self.initial = size * torch.tensor([0.31, 0.42, 0.77, 0.6, 0.1, 0.9], dtype=torch.float64)
        if unit is not None:
            self.unit = unit

    def delta(self, x):
        corners = self.size * torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=x.dtype)
        r = x.reshape(3, 2)
        to_corners = (r[:, None] - corners).norm(dim=2).reshape(-1)
        pairs = torch.stack([(r[i] - r[j]).norm() for i, j in ((0, 1), (0, 2), (1, 2))])
        return self.diameter - torch.cat([to_corners, pairs])


@pytest.mark.parametrize("k", POWERS)
def test_a_system_of_ones_own_in_any_unit(k):
    size = 2.0**k
    for solver in (None, uj.ConjugateGradient(), uj.Fire(), uj.LevenbergMarquardt()):
        one, other = (uj.minimize(Corners(s), None, solver) for s in (1.0, size))
        assert torch.equal(other.x / size, one.x) and other.n_steps == one.n_steps
        assert other.status == one.status
    one, other = uj.jam(Corners(1.0)), uj.jam(Corners(size))
    assert other.status == one.status == "converged"
    assert other.threshold == pytest.approx(size * one.threshold, rel=1e-12)


def test_the_unit_of_a_system_of_ones_own():
    assert Corners(1e-3).unit == pytest.approx(1e-3 * Corners(1.0).unit)
    assert Corners(1.0, unit=3.0).unit == 3.0
    assert Corners(1.0, unit=4.0).resolution(torch.zeros(6, dtype=torch.float64)) == 4e-15


@pytest.mark.parametrize("n", [6, 7, 8, 10, 12, 16])
@pytest.mark.parametrize("packing_fraction", [0.05, 0.3])
def test_few_particles_jam_from_a_dilute_start(n, packing_fraction):
    for radii in ("monodisperse", "bidisperse"):
        start = uj.SoftSpheres.random(n=n, radii=radii, packing_fraction=packing_fraction, seed=n)
        assert uj.jam(start).status == "converged"
    if n >= 10:
        assert uj.jam(uj.Ellipses.random(n=n, packing_fraction=packing_fraction)).status == "converged"


@pytest.mark.parametrize(
    "system",
    [
        *(uj.SoftSpheres.random(n=n, packing_fraction=0.05) for n in (1, 2, 3)),
        uj.SoftSpheres.random(n=4, radii="monodisperse", packing_fraction=0.3),
        uj.SoftSpheres.random(n=6, dimension=3, packing_fraction=0.05),
        uj.Ellipses.random(n=1, packing_fraction=0.1),
        uj.Ellipses.random(n=4, packing_fraction=0.3),
    ],
)
def test_where_no_particle_may_grow_as_far_as_to_jam_one_sentence_says_so(system):
    jammed = uj.jam(system)
    assert jammed.status == "stalled"
    assert jammed.reason.startswith("no overlap is left at packing_fraction = ")
    assert "the largest diameter = " in jammed.reason and "at most half the box side" in jammed.reason
    assert "\n" not in jammed.reason and jammed.reason.endswith(".")
    assert jammed.system.largest_diameter > 0.99 * 0.5 * system.narrowest_width


def test_arrays_of_the_user_are_copied():
    near = uj.minimize(PACKINGS["discs"])
    system, radii, sides = near.system, np.array(near.system.radii), np.array(near.system.sides)
    x = np.array(near.x)
    mine = uj.SoftSpheres(initial=x, radii=radii, box_length=sides)
    results = [run(mine, x) for run in (uj.minimize, uj.jam)]
    kept = [r.x.copy() for r in results]
    for array in (x, radii, sides):
        array *= 2
    assert np.array_equal(mine.initial, near.x) and np.array_equal(mine.radii, system.radii)
    assert np.array_equal(mine.sides, system.sides)
    assert all(np.array_equal(r.x, k) for r, k in zip(results, kept, strict=True))
    start = np.full(6, 0.3)
    own = Corners(1.0)
    own.initial = start
    start *= 2
    assert float(own.initial.max()) == 0.3


@pytest.mark.parametrize(
    "kind",
    [
        np.float32,
        list,
        np.asfortranarray,
        lambda a: np.repeat(a, 2)[::2],
        lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
    ],
)
def test_arrays_of_every_kind_make_packings(kind):
    plain = PACKINGS["discs"]
    system = uj.SoftSpheres(
        initial=kind(plain.initial), radii=kind(plain.radii), box_length=float(plain.sides[0])
    )
    assert system.initial.dtype == system.radii.dtype == np.float64
    jammed = uj.jam(system, kind(plain.initial))
    assert jammed.status == "converged"
    assert jammed.threshold == pytest.approx(0.84, abs=0.03)
