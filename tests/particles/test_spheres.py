"""Soft spheres: derivatives by finite differences, evaluators against constraints, the virial, bad input."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj
from unijam import Fire, jam, minimize
from unijam.core.derivatives import energy, gradient, hessian
from unijam.core.potentials import Harmonic, Hertzian, Potential
from unijam.core.tolerances import OVERLAP_RESOLUTIONS
from unijam.particles import SoftSpheres

RADII = ["monodisperse", "bidisperse", "uniform"]


@dataclass(frozen=True)
class Quartic(Potential):
    """u = ¼ Δ⁴: a potential that no kernel knows."""

    def energy(self, delta):
        return 0.25 * self.force(delta) * delta

    def force(self, delta):
        return (delta * (delta > 0)) ** 3

    def stiffness(self, delta):
        return 3.0 * (delta * (delta > 0)) ** 2


def dense(n=120, dimension=2, packing_fraction=0.9, seed=0, potential=None, radii="uniform"):
    """Overlapping spheres after a few steps down the gradient, so that no pair is nearly coincident."""
    system = SoftSpheres.random(
        n=n, dimension=dimension, packing_fraction=packing_fraction, radii=radii, seed=seed
    )
    x = system.initial
    for _ in range(6):
        x = x - 0.3 * gradient(system, system.constraints(x))
    changes = {"initial": x} if potential is None else {"initial": x, "potential": potential}
    return system.at(**changes)


@pytest.mark.parametrize("potential", [Harmonic(), Quartic()])
@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_derivatives_are_those_of_the_energy(dimension, potential):
    system = dense(n=200 if dimension > 2 else 60, dimension=dimension, potential=potential)
    x, h = system.initial, 1e-6
    v = np.random.default_rng(1).normal(size=system.n_dof)
    here, ahead, behind = (system.constraints(x + t * v) for t in (0.0, h, -h))
    slope = (energy(system, ahead) - energy(system, behind)) / (2 * h)
    assert gradient(system, here) @ v == pytest.approx(slope, rel=1e-6)
    h0, hp = hessian(system, here)
    change = (gradient(system, ahead) - gradient(system, behind)) / (2 * h)
    np.testing.assert_allclose((h0 + hp) @ v, change, atol=2e-6 * np.abs(change).max())


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_matrices_agree_with_each_other(dimension):
    system = dense(n=100, dimension=dimension)
    c = system.constraints(system.initial, reach=0.2)
    rng = np.random.default_rng(2)
    v, w = rng.normal(size=system.n_dof), rng.normal(size=len(c.delta))
    w[::3] = 0.0
    jacobian = c.jacobian()
    assert jacobian.format == "csr" and jacobian.has_sorted_indices
    np.testing.assert_allclose(jacobian @ v, c.jvp(v), atol=1e-13)
    np.testing.assert_allclose(jacobian.T @ w, c.vjp(w), atol=1e-13)
    for select in (w != 0, np.flatnonzero(w != 0), np.zeros(len(w), dtype=bool)):
        assert abs(c.jacobian(select) - jacobian[select]).sum() == 0
    stiffness, curvature = c.stiffness(w), c.curvature(w)
    assert stiffness.format == curvature.format == "csc"
    for matrix in (stiffness, curvature):
        pattern = matrix.copy()
        pattern.has_sorted_indices = False
        pattern.sort_indices()
        np.testing.assert_array_equal(pattern.indices, matrix.indices)
        np.testing.assert_allclose(matrix.toarray(), matrix.T.toarray(), atol=1e-15)
    np.testing.assert_allclose(
        stiffness.toarray(), (jacobian.T.toarray() * w) @ jacobian.toarray(), atol=1e-13
    )
    h = 1e-6
    change = (
        system.constraints(system.initial + h * v, reach=0.4),
        system.constraints(system.initial - h * v, reach=0.4),
    )
    known = {tuple(pair): k for k, pair in enumerate(c.members)}
    ends = []
    for there in change:
        weights = np.array([w[known[tuple(p)]] if tuple(p) in known else 0.0 for p in there.members])
        ends.append(there.vjp(weights))
    np.testing.assert_allclose(curvature @ v, (ends[0] - ends[1]) / (2 * h), atol=1e-6)


def test_reach_lists_every_gap_and_nothing_beyond():
    system = dense()
    c, overlaps = system.constraints(system.initial, reach=0.3), system.constraints(system.initial)
    assert c.delta.min() > -0.3 and c.delta.min() < -0.25 and (overlaps.delta > 0).all()
    np.testing.assert_array_equal(c.members[c.delta > 0], overlaps.members)
    i, j = c.members.T
    x = system.positions(system.initial)
    r = x[i] - x[j]
    r -= system.box_length * np.round(r / system.box_length)
    np.testing.assert_allclose(
        c.delta, system.radii[i] + system.radii[j] - np.linalg.norm(r, axis=1), atol=1e-14
    )


@pytest.mark.parametrize("dimension", [2, 3])
def test_prestress_never_holds(dimension):
    """Hp ≤ 0 for spheres, with the translations in its kernel."""
    system = dense(n=60, dimension=dimension)
    _, hp = hessian(system, system.constraints(system.initial))
    values = np.linalg.eigvalsh(hp.toarray())
    assert values.max() < 1e-13 and values.min() < -1e-3
    np.testing.assert_allclose(hp @ system.symmetries(system.initial).T, 0.0, atol=1e-13)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_translations_change_nothing(dimension):
    system = dense(n=90, dimension=dimension)
    x = system.initial
    moved = x + np.random.default_rng(0).normal(size=dimension) @ system.symmetries(x)
    a, b = system.constraints(x), system.constraints(moved)
    np.testing.assert_array_equal(a.members, b.members)
    np.testing.assert_allclose(a.delta, b.delta, atol=1e-13)
    np.testing.assert_allclose(a.jacobian() @ system.symmetries(x).T, 0.0, atol=1e-14)


def compare(system, x, found, tolerance=1e-11):
    """What an evaluator found against the constraints at x."""
    c = system.constraints(x)
    force = system.potential.force(c.delta)
    assert found[0] == pytest.approx(energy(system, c), rel=tolerance, abs=1e-20)
    np.testing.assert_allclose(found[1], c.vjp(force), atol=1e-12)
    assert found[2] == pytest.approx(force @ force, rel=tolerance, abs=1e-20)
    assert found[3] == int((c.delta > OVERLAP_RESOLUTIONS * system.resolution(x)).sum())
    if len(found) == 5:
        assert found[4] == pytest.approx(force @ c.loading(), rel=tolerance, abs=1e-20)


@pytest.mark.parametrize("potential", [Harmonic(), Quartic(), Hertzian(), Hertzian(2.0), Hertzian(3.2)])
@pytest.mark.parametrize(
    ("dimension", "n"), [(1, 12), (2, 8), (2, 30), (2, 1500), (3, 60), (3, 700), (4, 300)]
)
def test_evaluators_on_a_walk_with_jumps(dimension, n, potential):
    system = SoftSpheres.random(n=n, dimension=dimension, packing_fraction=0.75, radii="uniform", seed=n)
    system = system.at(potential=potential)
    rng = np.random.default_rng(n)
    fixed, scaled = system.evaluator(), system.scaled_evaluator()
    x = system.initial
    for step in range(24):
        x = x + (0.01, 0.04, 0.15, 4.0, 0.0)[step % 5] * rng.normal(size=x.shape)
        compare(system, x, fixed(x))
        scale = system.scale * rng.uniform(0.8, 1.05)
        compare(system.at(scale=scale), x, scaled(x, scale))


def test_a_growing_scale_finds_new_contacts():
    """x rests, only λ moves: the list must be renewed for the sake of λ alone."""
    system = dense(n=400, packing_fraction=0.5)
    scaled = system.scaled_evaluator()
    for scale in system.scale * np.geomspace(1.0, 1.5, 12):
        compare(system.at(scale=scale), system.initial, scaled(system.initial, scale))


def test_evaluators_own_what_they_return():
    system = dense()
    evaluate = system.evaluator()
    first = evaluate(system.initial)[1]
    kept = first.copy()
    evaluate(system.initial + 0.01)
    evaluate(system.initial + np.random.default_rng(0).normal(size=system.n_dof))
    np.testing.assert_array_equal(first, kept)
    frozen = system.initial.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(evaluate(frozen)[3], system.evaluator()(system.initial)[3])


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_coincident_centres_push_nowhere(dimension):
    system = dense(n=60, dimension=dimension)
    x = system.initial.copy()
    x[dimension : 2 * dimension] = x[:dimension]
    c = system.constraints(x)
    value, slope, *_ = system.evaluator()(x)
    assert np.isfinite(slope).all() and value == pytest.approx(energy(system, c))
    np.testing.assert_allclose(slope, gradient(system, c), atol=1e-13)
    assert np.isfinite(hessian(system, c)[1].toarray()).all()


def test_not_a_number_is_seen():
    system = dense()
    x = system.initial.copy()
    evaluate = system.evaluator()
    before = evaluate(x)
    x[3] = np.nan
    assert np.isnan(evaluate(x)[0])
    with pytest.raises(ValueError, match="x has 1 entries that are NaN"):
        system.constraints(x)
    assert evaluate(system.initial)[0] == pytest.approx(before[0])


def test_evaluators_in_threads_do_not_meet():
    systems = [dense(n=300, seed=seed) for seed in range(4)]

    def descend(system):
        evaluate, x = system.evaluator(), system.initial
        for _ in range(200):
            x = x - 0.2 * evaluate(x)[1]
        return x

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(descend, systems))
    for system, x in zip(systems, together, strict=True):
        np.testing.assert_array_equal(x, descend(system))


def test_packings_in_threads_are_those_of_one_thread():
    """To the last bit: one packing a thread, minimised and jammed, potentials mixed."""
    systems = [
        dense(n=200, seed=k, dimension=2 + k % 2).at(potential=Hertzian() if k % 4 > 1 else Harmonic())
        for k in range(4)
    ]

    def work(system):
        return minimize(system, None, Fire(max_steps=200)).x, jam(system, pressure=1e-2).x

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, systems))
    for system, found in zip(systems, together, strict=True):
        for ours, alone in zip(found, work(system), strict=True):
            np.testing.assert_array_equal(ours, alone)


@pytest.mark.parametrize("exponent", [2.0, 2.3, 2.5, 3.0])
def test_contacts_that_just_touch_are_finite(exponent):
    """Δ = 0 and just above it: no NaN from 0^(a − 2), and forces Δ^(a − 1)."""
    for gap in (0.0, -1e-12, -1e-3):
        system = SoftSpheres(
            initial=[1.0, 1.0, 2.0 + gap, 1.0, 4.5, 4.5],
            radii=[0.5] * 3,
            box_length=6.0,
            potential=Hertzian(exponent),
        )
        value, slope, square, *_ = system.evaluator()(system.initial)
        force = max(-gap, 0.0) ** (exponent - 1)
        assert value == pytest.approx(max(-gap, 0.0) ** exponent / exponent, rel=1e-3, abs=1e-30)
        np.testing.assert_allclose(slope, [force, 0, -force, 0, 0, 0], rtol=1e-3, atol=1e-20)
        assert square == pytest.approx(force**2, rel=2e-3, abs=1e-40)
        assert np.isfinite(hessian(system, system.constraints(system.initial))[0].toarray()).all()


@pytest.mark.parametrize("dimension", [1, 2])
def test_wrong_arguments_of_evaluators_are_refused(dimension):
    system = dense(n=30, dimension=dimension)
    for call in (
        system.evaluator(),
        system.constraints,
        lambda x: system.scaled_evaluator()(x, system.scale),
    ):
        with pytest.raises(ValueError, match="shape of x"):
            call(system.initial[:-1])
    scaled = system.scaled_evaluator()
    for scale in (np.nan, -1.0, 0.0, 100.0):
        with pytest.raises(ValueError, match=r"scale = |half the box"):
            scaled(system.initial, scale)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_loading_and_virial(dimension):
    """c = ∂Δ/∂λ; p = −dU/dV at fixed radii; λτ = dVp + Σ u'Δ."""
    system = dense(n=90, dimension=dimension)
    x, scale, h = system.initial, system.scale, 1e-6
    c = system.constraints(x, reach=0.1)
    pairs = {tuple(pair): delta for pair, delta in zip(c.members, c.delta, strict=True)}
    other = system.at(scale=scale + h).constraints(x, reach=0.1)
    loading = dict(zip(map(tuple, c.members), c.loading(), strict=True))
    for pair, delta in zip(map(tuple, other.members), other.delta, strict=True):
        if pair in pairs:
            assert (delta - pairs[pair]) / h == pytest.approx(loading[pair], rel=1e-6)

    def energy_in(side):
        stretched = system.at(box_length=side)
        return energy(stretched, stretched.constraints(x * side / system.box_length))

    side = system.box_length
    growth = (side + h) ** dimension - (side - h) ** dimension
    pressure = -(energy_in(side + h) - energy_in(side - h)) / growth
    assert system.pressure(c) == pytest.approx(pressure, rel=1e-6)
    force = system.potential.force(c.delta)
    tau = force @ c.loading()
    assert scale * tau == pytest.approx(dimension * system.volume * system.pressure(c) + force @ c.delta)
    assert tau == pytest.approx(
        (
            energy(system, system.at(scale=scale + h).constraints(x))
            - energy(system, system.at(scale=scale - h).constraints(x))
        )
        / (2 * h),
        rel=1e-6,
    )


def test_rattlers_bear_nothing():
    """Three discs in a row touch, one stands alone: with fewer than three contacts nobody bears force."""
    x = np.array([0.0, 0.0, 0.9, 0.0, 1.8, 0.0, 5.0, 5.0])
    system = SoftSpheres(initial=x, radii=np.full(4, 0.5), box_length=10.0)
    freedom, constraints = system.constraints(x, reach=1.0).bearing()
    assert freedom.dtype == constraints.dtype == bool
    assert freedom.shape == (8,) and not freedom.any() and not constraints.any()

    packing = dense(n=100)
    c = packing.constraints(packing.initial, reach=0.2)
    freedom, constraints = c.bearing()
    held = freedom[::2]
    np.testing.assert_array_equal(constraints, held[c.members[:, 0]] & held[c.members[:, 1]])
    contacts = np.bincount(c.members[c.overlaps & constraints].ravel(), minlength=packing.n)
    assert (contacts[held] >= 3).all() and constraints[c.delta < 0].any()


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(20, 80),
    dimension=st.integers(1, 2),
    packing_fraction=st.floats(0.1, 0.9),
    radii=st.sampled_from(RADII),
    seed=st.integers(0, 1000),
)
def test_draws_have_what_was_asked_for(n, dimension, packing_fraction, radii, seed):
    a, b = (SoftSpheres.random(n, dimension, packing_fraction, radii, seed) for _ in range(2))
    assert a.packing_fraction == pytest.approx(packing_fraction, rel=1e-12)
    assert a.volume == pytest.approx(n) and a.n_dof == n * dimension
    np.testing.assert_array_equal(a.initial, b.initial)
    np.testing.assert_array_equal(a.radii, b.radii)
    other = a.at(packing_fraction=0.7 * packing_fraction)
    assert other.packing_fraction == pytest.approx(0.7 * packing_fraction, rel=1e-12)
    rescaled = a.at(scale=0.9 * a.scale)
    assert rescaled.scale == pytest.approx(0.9 * a.scale, rel=1e-15)
    np.testing.assert_allclose(rescaled.radii / a.radii, 0.9, rtol=1e-14)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 0}, "n = 0"),
        ({"n": 2}, "half the box side"),
        ({"dimension": 0}, "dimension = 0"),
        ({"packing_fraction": 3}, "packing_fraction = 3"),
        ({"packing_fraction": np.nan}, "packing_fraction = nan"),
        ({"packing_fraction": 0.0}, "packing_fraction = 0"),
        ({"radii": "tridisperse"}, "radii = 'tridisperse'"),
        ({"radii": np.full(30, np.nan)}, "radii has 30 entries"),
        ({"radii": np.ones(7)}, "shape of radii"),
        ({"radii": -np.ones(30)}, "smallest of radii"),
        ({"seed": -1}, "seed = -1"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_input_to_random_is_answered_in_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words) as error:
        SoftSpheres.random(**{"n": 30, **changes})
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"initial": np.full(60, np.inf)}, "initial has 60 entries"),
        ({"initial": np.zeros(59)}, "shape of initial"),
        ({"radii": np.zeros((30, 1))}, "shape of radii"),
        ({"radii": "large"}, "radii = 'large'"),
        ({"box_length": np.nan}, "box_length = nan"),
        ({"box_length": -1.0}, "box_length = -1"),
        ({"dimension": 1.5}, "dimension = 1.5"),
        ({"potential": "harmonic"}, "potential = 'harmonic'"),
        ({"scale": np.inf}, "scale = inf"),
        ({"scale": 1.0, "packing_fraction": 0.8}, "at most one of"),
        ({"scale": 100.0}, "half the box side"),
        ({"temperature": 1.0}, "temperature"),
    ],
)
def test_bad_changes_are_answered_in_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words) as error:
        SoftSpheres.random(30).at(**changes)
    assert "\n" not in str(error.value)


def test_a_subclass_of_the_harmonic_potential_is_not_taken_for_it():
    class Stiff(uj.Harmonic):
        def energy(self, delta):
            return 10 * Harmonic().energy(delta)

        def force(self, delta):
            return 10 * super().force(delta)

        def stiffness(self, delta):
            return 10 * super().stiffness(delta)

    system = uj.SoftSpheres.random(n=64, packing_fraction=0.95)
    stiff = system.at(potential=Stiff())
    x = system.initial
    assert stiff.evaluator()(x)[0] == pytest.approx(10 * system.evaluator()(x)[0], rel=1e-12)


def test_centres_at_one_point_are_set_apart():
    """There is no direction to push in, and H vanishes: not a minimum, nor a crash."""
    system = uj.SoftSpheres.random(n=64, packing_fraction=0.5)
    result = uj.minimize(system, np.zeros(128))
    assert (result.status, result.energy) == ("satisfied", 0.0)
    assert system.canonical(result.x) is result.x


@pytest.mark.parametrize("solver", [None, uj.Fire(), uj.ConjugateGradient(), uj.TrustRegionNewton()])
@pytest.mark.parametrize("packing_fraction", [0.2, 0.95])
@pytest.mark.parametrize("kind", ["discs", "ellipses"])
def test_two_coincident_particles_are_no_minimum(kind, packing_fraction, solver):
    """Alone, or with others around them; exactly at one place, or a box side apart."""
    random = {"discs": uj.SoftSpheres.random, "ellipses": uj.Ellipses.random}[kind]
    system = random(n=32, packing_fraction=packing_fraction, seed=1, box=(1, 2))
    start = uj.minimize(system).x.copy()
    positions = system.positions(start)
    positions[0] = 0.0
    positions[1] = system.sides * [2, -1]
    if kind == "ellipses":
        system.angles(start)[1] = system.angles(start)[0]
    result = uj.minimize(system, start, solver)
    assert result.status == ("satisfied" if packing_fraction < 0.8 else "converged")
    r = system.positions(result.x)[1] - system.positions(result.x)[0]
    r -= system.sides * np.round(r / system.sides)
    assert np.linalg.norm(r) > 0.5 * system.radii.min()
