"""The interior-point method: the minima of other solvers, in few steps, however many contacts change."""

import numpy as np
import pytest

import unijam as uj
from unijam.solvers import Objective
from unijam.solvers.second_order.interior_point import _carried, _central, _numbers


def nearly_jammed(kind, seed=0):
    """A state at a typical overlap near 1e-5."""
    made = {
        "discs": lambda: uj.SoftSpheres.random(64, seed=seed),
        "spheres": lambda: uj.SoftSpheres.random(64, dimension=3, packing_fraction=0.7, seed=seed),
        "Hertzian discs": lambda: uj.SoftSpheres.random(64, seed=seed).at(potential=uj.Hertzian()),
        "ellipses": lambda: uj.Ellipses.random(48, seed=seed),
    }
    return uj.jam(made[kind](), pressure=1e-6 if kind == "Hertzian discs" else 1e-5).settled()


@pytest.mark.parametrize("kind", ["discs", "spheres", "Hertzian discs", "ellipses"])
def test_the_minimum_at_a_hundredth_of_the_force_is_a_certified_one(kind):
    state = nearly_jammed(kind)
    objective = Objective(state.system, conjugate=0.01 * uj.conjugate_force(state.system, state.x))
    reached = uj.InteriorPoint(gradient_tolerance=1e-6).run(objective, state.x)
    assert reached.status == "converged" and reached.n_overlaps > 0
    assert uj.conjugate_force(reached.system, reached.x) == pytest.approx(objective.conjugate, rel=1e-5)
    assert reached.typical_overlap < 0.3 * state.typical_overlap
    # the same minimum for a second algorithm that starts there
    again = uj.Rounds().run(objective.on(reached.system), reached.x)
    assert again.status == "converged" and again.n_overlaps == reached.n_overlaps
    assert again.energy == pytest.approx(reached.energy, rel=1e-4)


@pytest.mark.parametrize("unit", [1e-4, 1e6])
def test_any_unit_of_length(unit):
    state = nearly_jammed("discs", seed=1)
    large = uj.SoftSpheres(
        initial=unit * state.x,
        radii=unit * state.system.radii,
        box_length=unit * state.system.sides,
        dimension=2,
    )
    found = []
    for system, x in ((state.system, state.x), (large, large.initial)):
        objective = Objective(system, conjugate=0.1 * uj.conjugate_force(system, x))
        found.append(uj.InteriorPoint(gradient_tolerance=1e-6).run(objective, x))
    assert [r.status for r in found] == ["converged", "converged"]
    assert found[0].n_overlaps == found[1].n_overlaps
    assert found[1].system.packing_fraction == pytest.approx(found[0].system.packing_fraction, rel=1e-9)


def test_jam_reaches_the_exact_count_by_it():
    for seed in range(3):
        packing = uj.jam(uj.SoftSpheres.random(64, radii="uniform", packing_fraction=0.9, seed=seed))
        count = uj.count_constraints(packing.system, packing.x)
        assert packing.status == "converged" and count.kind == "isostatic"


def test_overlap_and_slack_of_a_distance():
    delta = np.array([-1e3, -1.0, -1e-9, 0.0, 1e-9, 2.0, 1e5])
    s, w = _central(delta, 1e-12)
    assert (s > 0).all() and (w > 0).all()
    np.testing.assert_allclose(s - w, delta, rtol=1e-12)
    np.testing.assert_allclose(s * w, 1e-12, rtol=1e-12)


def test_constraints_keep_their_numbers_as_others_come_and_go():
    class Near:
        members = np.array([[0, 1], [0, 2], [0, 2], [3, 4]])
        delta = np.array([0.5, -0.1, -0.2, -0.3])

    old = np.array([[0, 2], [0, 2], [1, 5], [3, 4]])
    values = np.array([1.0, 2.0, 3.0, 4.0])
    s, w = _carried(old, values, 10 * values, Near(), 1e-4)
    np.testing.assert_array_equal(s[1:], [1.0, 2.0, 4.0])
    np.testing.assert_array_equal(w[1:], [10.0, 20.0, 40.0])
    assert s[0] - w[0] == pytest.approx(0.5) and s[0] * w[0] == pytest.approx(1e-4)
    assert len(set(_numbers(Near.members, 9))) == 4


def test_systems_for_which_it_is_not_made_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"InteriorPoint.*sparse"):
        uj.minimize(uj.Perceptron.random(n=10, load=2.0, margin=0.5), None, uj.InteriorPoint())
    with pytest.raises(ValueError, match="reach = -1"):
        uj.InteriorPoint(reach=-1.0)


def test_without_an_overlap_it_has_nothing_to_do():
    system = uj.SoftSpheres.random(32, packing_fraction=0.1)
    apart = uj.minimize(system).x
    assert uj.minimize(system, apart, uj.InteriorPoint()).status == "satisfied"
