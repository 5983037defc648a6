"""Iterations inside one compiled call against the same iterations one by one: the same path, tests and limits."""

import itertools
import sys
from dataclasses import replace

import numpy as np
import pytest
from numba import njit, typed

import unijam as uj
from unijam.compiled.dispatch import borrowed, named
from unijam.solvers import Objective
from unijam.solvers.first_order import base as first_order
from unijam.solvers.first_order import bursts
from unijam.solvers.first_order.base import FirstOrder
from unijam.solvers.loop import Solver

METHODS = {"ConjugateGradient": uj.ConjugateGradient, "Fire": uj.Fire}


@pytest.fixture
def one_by_one(monkeypatch):
    """A function that runs a solver without bursts."""

    def run(solver, objective, x):
        with monkeypatch.context() as patch:
            patch.setattr(FirstOrder, "visits", Solver.visits)
            return solver.run(objective, x)

    return run


SYSTEMS = {
    "discs": lambda: uj.SoftSpheres.random(n=150, packing_fraction=0.9, seed=3),
    "spheres": lambda: uj.SoftSpheres.random(n=150, dimension=3, packing_fraction=0.7, seed=3),
    "ellipses": lambda: uj.Ellipses.random(n=100, aspect_ratio=1.4, packing_fraction=0.95, seed=3),
    "spheroids": lambda: uj.Ellipsoids.random(n=100, aspect_ratios=(1, 1, 1.4), seed=3),
    "ellipsoids": lambda: uj.Ellipsoids.random(n=100, aspect_ratios=(1, 1.2, 1.4), seed=3),
}


def start(kind, moving):
    """A system, its objective twice, and where to start: from random, or, where the scale moves, from a minimum."""
    system = SYSTEMS[kind]()
    if not moving:
        return Objective(system), Objective(system), system.initial
    x = uj.minimize(system, None, uj.ConjugateGradient(max_steps=300)).x
    c = system.constraints(x)
    tau = 0.7 * float(system.potential.force(c.delta) @ c.loading())
    return Objective(system, conjugate=tau), Objective(system, conjugate=tau), x


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("kind", SYSTEMS)
@pytest.mark.parametrize("name", METHODS)
def test_bursts_follow_the_path_of_single_iterations(one_by_one, name, kind, moving):
    """Sums are taken in another order, so the paths part slowly: 120 iterations, lists renewed on the way.

    Those of ellipses and ellipsoids part sooner (by a factor 30 in 20 iterations).
    """
    ours, other, x = start(kind, moving)
    solver = METHODS[name](max_steps=80 if "ellips" in kind or kind == "spheroids" else 120)
    fast, slow = solver.run(ours, x), one_by_one(solver, other, x)
    np.testing.assert_allclose(fast.x, slow.x, rtol=0, atol=1e-8)
    assert fast.system.scale == pytest.approx(slow.system.scale, rel=1e-9)
    assert (fast.n_steps, fast.n_evaluations, fast.status) == (slow.n_steps, slow.n_evaluations, slow.status)
    assert [h.step for h in fast.history] == [h.step for h in slow.history]
    np.testing.assert_allclose([h.energy for h in fast.history], [h.energy for h in slow.history], rtol=1e-6)
    c = fast.system.constraints(fast.x)
    assert fast.energy == pytest.approx(uj.energy(fast.system, c), rel=1e-12)


def test_what_is_held_stays(one_by_one):
    system = uj.SoftSpheres.random(n=100, seed=4)
    mask = np.arange(200) % 3 > 0
    solver = uj.ConjugateGradient(max_steps=100)
    fast = solver.run(Objective(system, mask=mask), system.initial)
    slow = one_by_one(solver, Objective(system, mask=mask), system.initial)
    np.testing.assert_array_equal(fast.x[~mask], system.initial[~mask])
    np.testing.assert_allclose(fast.x, slow.x, rtol=0, atol=1e-8)


CRITERIA = {
    "gradient": (0.9, {"gradient_tolerance": 1e-6}, "converged"),
    "force": (0.9, {"gradient_tolerance": 1e-15, "force_tolerance": 1e-6}, "converged"),
    "no overlap": (0.4, {}, "satisfied"),
}


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", METHODS)
def test_bursts_stop_where_single_iterations_do(one_by_one, name, criterion):
    """At the first point that meets the criterion: the last of the path does, and the one before does not.

    The paths themselves part before (chaos), so that their lengths are not compared.
    """
    packing_fraction, options, status = CRITERIA[criterion]
    system = uj.SoftSpheres.random(n=64, packing_fraction=packing_fraction, seed=1)
    solver = METHODS[name](**options)
    fast = solver.run(Objective(system), system.initial)
    slow = one_by_one(solver, Objective(system), system.initial)
    before = replace(solver, max_steps=fast.n_steps - 1).run(Objective(system), system.initial)
    assert (before.status, before.n_steps) == ("step-limit", fast.n_steps - 1)

    def met(result):
        c = system.constraints(result.x)
        force = np.maximum(c.delta, 0)
        gradient = c.vjp(force)
        if criterion == "no overlap":
            return not (c.delta > 0).any()
        if criterion == "force":
            return abs(gradient).max() <= 1e-6 * (1 + 1e-9)
        return np.linalg.norm(gradient) <= 1e-6 * (1 + 1e-9) * np.linalg.norm(force)

    assert fast.status == slow.status == status
    assert met(fast) and met(slow) and not met(before)


@pytest.mark.parametrize("limit", [1, 2, 7, 33, 150])
def test_no_burst_oversteps_its_limit(limit):
    """FIRE evaluates the start and then once a step, by definition; so few steps do not bring it to rest."""
    result = uj.minimize(uj.SoftSpheres.random(n=64), None, uj.Fire(max_steps=limit))
    assert (result.n_steps, result.n_evaluations, result.status) == (limit, limit + 1, "step-limit")
    assert result.history[-1].step == limit


@pytest.mark.parametrize("kind", ["discs", "ellipses"])
def test_where_bursts_end_does_not_change_the_path(monkeypatch, kind):
    """To the last bit: what goes in and out of the list's numbering is only permuted."""
    system = SYSTEMS[kind]()
    whole = uj.minimize(system, None, uj.ConjugateGradient(max_steps=300))
    monkeypatch.setattr(first_order, "SHORTEST", 3)
    monkeypatch.setattr(first_order, "LONGEST", 0)
    pieces = uj.minimize(system, None, uj.ConjugateGradient(max_steps=300))
    np.testing.assert_array_equal(whole.x, pieces.x)


def test_an_interrupt_between_bursts_keeps_what_was_reached(monkeypatch):
    """Before the first, the fourth, and so on: the steps of the bursts until then, and their point."""
    advance, system = bursts.Bursts.advance, uj.SoftSpheres.random(n=32)
    for nth in itertools.count(0, 3):
        taken = []

        def interrupted(self, *arguments, nth=nth, taken=taken):
            if len(taken) == nth:
                raise KeyboardInterrupt
            reached, more = advance(self, *arguments)
            taken.append(more)
            return reached, more

        monkeypatch.setattr(bursts.Bursts, "advance", interrupted)
        result = uj.minimize(system, None, uj.Fire())
        if len(taken) < nth:
            break
        assert (result.status, result.n_steps) == ("interrupted", sum(taken))
        assert result.energy == pytest.approx(uj.energy(system, system.constraints(result.x)), rel=1e-12)
    assert nth > 0 and result.status != "interrupted"


def test_an_interrupt_while_rattlers_relax_is_not_forgotten(monkeypatch):
    run = uj.ConjugateGradient.run

    def interrupted(self, objective, x, progress=False, watch=None):
        result = run(self, objective, x, progress, watch)
        if objective.mask is None:
            return result
        relaxed.append(objective)
        return replace(result, status="interrupted")

    relaxed: list[Objective] = []
    monkeypatch.setattr(uj.ConjugateGradient, "run", interrupted)
    for seed in range(40):  # until a packing comes whose rattlers are pressed
        system = uj.SoftSpheres.random(n=64, radii="uniform", seed=seed)
        result = uj.minimize(system, None, uj.Rounds(first_residual=1e-4))
        if relaxed:
            break
    assert relaxed and result.status == "interrupted"
    assert result.energy == pytest.approx(
        uj.energy(system, result.system.constraints(result.x)), rel=1e-9, abs=1e-25
    )
    assert uj.jam(system).status == "interrupted"


@pytest.mark.parametrize("kind", ["SoftSpheres", "Ellipses"])
def test_a_step_longer_than_the_list_serves_is_taken(one_by_one, kind):
    system = getattr(uj, kind).random(n=64, packing_fraction=0.9, seed=1)
    solver = uj.Fire(max_step=2.0, max_time_step=3.0, max_steps=20)
    fast = solver.run(Objective(system), system.initial)
    slow = one_by_one(solver, Objective(system), system.initial)
    np.testing.assert_allclose(fast.x, slow.x, rtol=0, atol=1e-6)
    assert fast.n_steps == slow.n_steps


@pytest.mark.parametrize("name", METHODS)
def test_compiled_code_runs_no_python(name):
    """A signal that raised in it, as in the making of a NamedTuple, would crash the process."""
    system = SYSTEMS["ellipses"]()
    objective, method = Objective(system), METHODS[name]()
    state = method.begin(objective, objective.first(system.initial))
    under_way = bursts.Bursts(objective, state, method.advance)
    origin = under_way.evaluator.origin
    plain, *_ = bursts._burst(under_way.state, under_way.compiled, origin, 0, 3, bursts.Ends(*5 * (0.0,)))
    assert type(plain) is tuple and not any(hasattr(member, "_fields") for member in plain)
    assert type(named(plain, state)) is type(state)
    assert named(plain, state).point.y.shape == (system.n_dof + 1,)


def test_what_runs_in_bursts():
    system = uj.SoftSpheres.random(n=64)
    assert Objective(system).in_bursts and Objective(system, conjugate=1.0).in_bursts
    assert not Objective(system, weight_decay=1e-3).in_bursts
    assert Objective(uj.Ellipses.random(n=64, aspect_ratio=1.4)).in_bursts
    assert not Objective(uj.SoftSpheres.random(n=500, dimension=4, packing_fraction=0.3)).in_bursts


def under_way_from_random(system, moving, method):
    """Bursts of a method from the system's start."""
    objective = Objective(system, conjugate=1.0 if moving else None)
    return bursts.Bursts(objective, method.begin(objective, objective.first(system.initial)), method.advance)


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("kind", ["discs", "ellipses"])
@pytest.mark.parametrize("name", METHODS)
def test_a_burst_with_many_renewals_is_its_iterations_one_by_one(name, kind, moving):
    """To the last bit: a list is renewed where the last point is, wherever a burst ends."""
    system, method, ends = SYSTEMS[kind](), METHODS[name](), bursts.Ends(*5 * (0.0,))
    together, single = (under_way_from_random(system, moving, method) for _ in range(2))
    point, taken = together.advance(150, ends)
    lists = {id(single.evaluator.kernel): single.evaluator.kernel}
    for _ in range(150):
        alone, one = single.advance(1, ends)
        lists[id(single.evaluator.kernel)] = single.evaluator.kernel
        assert one == 1
    assert taken == 150 and len(lists) > 4
    np.testing.assert_array_equal(point.y, alone.y)
    np.testing.assert_array_equal(point.gradient, alone.gradient)
    assert (point.value, together.evaluator.served) == (alone.value, single.evaluator.served)


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("kind", ["discs", "ellipses"])
def test_lists_renewed_in_compiled_code_are_those_made_outside(kind, moving):
    """After a burst with renewals the evaluator's list serves where it stands, and finds what a fresh one does."""
    system = SYSTEMS[kind]()
    under_way = under_way_from_random(system, moving, uj.Fire())
    objective = under_way.objective
    first = objective.evaluate.kernel
    point, taken = under_way.advance(60, bursts.Ends(*5 * (0.0,)))
    evaluator = objective.evaluate
    assert taken == 60 and evaluator.kernel is not first and 0 < evaluator.served < 60
    fresh = Objective(system, conjugate=1.0 if moving else None)
    fresh.start(system.initial)
    again = fresh(point.y)
    np.testing.assert_allclose(point.gradient, again.gradient, rtol=0, atol=1e-12 * abs(again.gradient).max())
    assert (point.n_overlaps, point.value) == (again.n_overlaps, pytest.approx(again.value, rel=1e-12))
    np.testing.assert_array_equal(evaluator.origin.places[evaluator.origin.back], np.arange(system.n_dof))
    kept = evaluator.kernel
    assert objective(point.y).value == pytest.approx(point.value, rel=1e-12) and evaluator.kernel is kept


def test_only_arrays_and_numbers_are_borrowed():
    """Of anything else with a count of references the count would fall below what it is."""

    @njit
    def first(v, more):
        return borrowed((v, 2, (None, v)))[0][0] + borrowed((v, more))[1][0]

    v = np.ones(3)
    before = sys.getrefcount(v)
    assert first(v, v) == 2.0 and sys.getrefcount(v) == before
    with pytest.raises(TypeError, match="cannot be borrowed"):
        first(v, typed.List([1.0]))
