"""How a minimisation runs: interrupts, histories, statuses, saddles, seeds, stages, weight decay."""

import itertools
import math

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.linalg.gauss_newton import GaussNewton
from unijam.networks import FullyConnected
from unijam.particles.sphere_forces import SphereForces
from unijam.solvers import Objective
from unijam.solvers.models import newton_model
from unijam.support.arrays import to_numpy

SOLVERS = [
    None,
    uj.TrustRegionNewton(),
    uj.LevenbergMarquardt(),
    uj.ConjugateGradient(),
    uj.Fire(),
    uj.GradientDescent(),
    uj.Adam(max_steps=3000),
]


def name_of(solver):
    return type(solver).__name__


class Saddle(uj.AutodiffSystem):
    """U = (1 + cos b)² + a² near a = 0, turned by 45°: a maximum in b at b = 0, minima of U = 0 at b = ±π."""

    def __init__(self, a: float = 0.0, b: float = 0.0) -> None:
        self.initial = [(a + b) / 2, (a - b) / 2]

    def delta(self, x):
        a, b = x[0] + x[1], x[0] - x[1]
        return torch.stack([1 + torch.cos(b) - a, 1 + torch.cos(b) + a])


def raise_at(call):
    def at_call(k):
        if k == call:
            raise KeyboardInterrupt

    return at_call


@pytest.mark.parametrize("solver", SOLVERS, ids=name_of)
def test_an_interrupt_returns_what_was_reached(users_perceptron, solver):
    """At each of the first calls, at some later ones, and at the last; it escapes only before there is a point."""
    system = users_perceptron()
    start = uj.energy(system, system.constraints(system.initial))
    system.met.clear()
    whole = uj.minimize(system, None, solver)
    last, returned = len(system.met), False
    for call in sorted({*range(1, min(last, 30)), *np.linspace(1, last, 12, dtype=int).tolist()}):
        system = users_perceptron()
        system.at_call = raise_at(call)
        try:
            result = uj.minimize(system, None, solver)
        except KeyboardInterrupt:
            assert not returned, f"the interrupt at call {call} escaped, and with it what was reached"
            continue
        system.at_call, returned = raise_at(-1), True
        assert result.status == "interrupted"
        assert result.n_steps <= whole.n_steps and result.energy <= start * (1 + 1e-12)
        assert result.energy == pytest.approx(
            uj.energy(system, system.constraints(result.x)), rel=1e-9, abs=1e-25
        )
        assert result.history[-1].step == result.n_steps
        same = [(r.step, r.energy) for r in whole.history if r.step < result.n_steps]
        assert [(r.step, r.energy) for r in result.history[: len(same)]] == same
    assert returned


def test_an_interrupt_ends_the_stages(users_perceptron, ctrl_c):
    """Pressed in the first, the second is not begun; all positions are those of an undisturbed run."""
    stages = (uj.Stage(solver=uj.GradientDescent(max_steps=20)), uj.Stage(solver=uj.Fire(max_steps=20)))

    def run(number, path):
        system = users_perceptron()
        system.at_call = lambda k: ctrl_c() if k == number else None
        return uj.minimize(system, None, path), system.met

    (whole, every), (_, first) = run(0, uj.Stages(stages)), run(0, uj.Stages(stages[:1]))
    assert (whole.status, whole.n_steps) == ("step-limit", 40)
    for number in range(1, len(every), 4):
        result, met = run(number, uj.Stages(stages))
        assert result.interrupted and (result.status == "interrupted" or torch.equal(result.x, whole.x))
        assert set(met) <= set(first if result.n_steps < 20 else every)
        same = [(r.step, r.energy) for r in whole.history if r.step < result.n_steps]
        assert [(r.step, r.energy) for r in result.history[: len(same)]] == same


def test_an_interrupt_between_two_stages_returns_the_first(users_perceptron):
    """At any call of Δ, also the first of a stage, once a stage has ended."""
    stages = uj.Stages(tuple(uj.Stage(solver=uj.GradientDescent(max_steps=k)) for k in (3, 2, 2)))
    system = users_perceptron()
    uj.minimize(system, None, stages)
    last, steps = len(system.met), set()
    for call in range(1, last + 1):
        system = users_perceptron()
        system.at_call = raise_at(call)
        try:
            result = uj.minimize(system, None, stages)
        except KeyboardInterrupt:
            assert not steps, f"the interrupt at call {call} escaped, and with it what was reached"
            continue
        system.at_call = raise_at(-1)
        assert result.status == "interrupted" and result.interrupted
        assert result.energy == pytest.approx(uj.energy(system, system.constraints(result.x)), rel=1e-9)
        steps.add(result.n_steps)
    assert {3, 5} <= steps


def test_histories_are_logarithmically_spaced():
    system = uj.SoftSpheres.random(n=40, packing_fraction=0.9, seed=1)
    result = uj.minimize(system, None, uj.GradientDescent(max_steps=3000))
    steps = [r.step for r in result.history]
    assert steps[0] == 0 and steps[-1] == result.n_steps == 3000
    assert all(b >= 1.1 * a for a, b in itertools.pairwise(steps[:-1]))
    assert 40 < len(steps) < 25 + math.log(3000) / math.log(1.1)
    assert [r.seconds for r in result.history] == sorted(r.seconds for r in result.history)
    energies = [r.energy for r in result.history]
    assert energies == sorted(energies, reverse=True)  # a small learning rate
    assert energies[-1] == result.energy and result.history[-1].n_overlaps == result.n_overlaps
    both = uj.minimize(system)  # two stages: one history
    steps = [r.step for r in both.history]
    assert steps == sorted(steps) and steps[-1] == both.n_steps


def test_every_status_is_met():
    loose = uj.SoftSpheres.random(n=40, packing_fraction=0.4, seed=1)
    tight = uj.SoftSpheres.random(n=40, packing_fraction=0.95, seed=1)
    assert uj.minimize(loose).status == "satisfied"
    assert uj.minimize(tight).status == "converged"
    short = uj.minimize(tight, None, uj.Fire(max_steps=7))
    assert (short.status, short.n_steps) == ("step-limit", 7)
    linear = FullyConnected.random(depth=0, input_dimension=4, n_data=40, weights="free", seed=0)
    far = uj.minimize(linear, None, uj.GradientDescent(learning_rate=10.0))  # ten times too fast: overflows
    assert far.status == "stalled" and bool(far.x.isfinite().all()) and math.isfinite(far.energy)


def test_a_saddle_is_named_where_the_steps_run_out_and_left_where_they_do_not():
    """A loose tolerance, met on the ridge b = 0 while a falls to 0, and met again at the minimum."""
    solvers = [uj.TrustRegionNewton(gradient_tolerance=1e-2, max_steps=k) for k in range(1, 40)]
    ends = [uj.minimize(Saddle(a=0.3), None, solver) for solver in solvers]
    assert {e.status for e in ends} >= {"step-limit", "saddle", "converged"}
    for e in ends:
        on_the_ridge = e.energy > 3.9
        assert e.status == "step-limit" or (e.status == "saddle") == on_the_ridge
    assert ends[-1].status == "converged" and ends[-1].energy < 1e-8


@pytest.mark.parametrize("solver", [None, uj.TrustRegionNewton()], ids=name_of)
def test_an_exact_saddle_is_left(solver):
    result = uj.minimize(Saddle(), None, solver)
    assert result.status in ("converged", "satisfied") and result.energy < 1e-15
    b = float(result.x[0] - result.x[1])
    assert abs(b) == pytest.approx(math.pi, abs=1e-3)


def test_a_symmetric_saddle_of_discs_is_left():
    """Equal discs on a square lattice: balanced, and unstable."""
    side = 6
    points = np.stack(np.meshgrid(*[np.arange(side) + 0.5] * 2), axis=-1).reshape(-1).astype(float)
    system = uj.SoftSpheres(initial=points, radii=np.full(side**2, 0.51), box_length=float(side))
    start = uj.energy(system, system.constraints(points))
    result = uj.minimize(system)
    assert result.n_steps > 0 and result.energy < 0.5 * start
    assert result.status in ("converged", "satisfied")


@pytest.mark.parametrize("name", ["discs", "ellipses", "gelu spherical", "breathing discs"])
def test_the_same_seed_gives_the_same_bits(systems, name):
    first, second = (uj.minimize(systems[name](7)) for _ in range(2))
    assert (to_numpy(first.x) == to_numpy(second.x)).all()
    assert [(r.step, r.energy) for r in first.history] == [(r.step, r.energy) for r in second.history]


def soft_network(n_data=60):
    return FullyConnected.random(
        depth=2, width=4, input_dimension=4, n_data=n_data, activation="softplus", weights="free", seed=3
    )


@pytest.mark.parametrize("mu", [0.0, 0.3])
def test_the_objective_has_the_gradient_and_curvature_of_its_value(mu):
    objective = Objective(soft_network(), weight_decay=mu)
    x, h = objective.system.initial + 0.05, 1e-6
    point = objective(x)
    assert point.value == pytest.approx(point.energy + 0.5 * mu * float(x @ x), rel=1e-13)
    v = torch.from_numpy(np.random.default_rng(0).standard_normal(len(x)))
    ahead, behind = objective(x + h * v), objective(x - h * v)
    assert float(point.gradient @ v) == pytest.approx((ahead.value - behind.value) / (2 * h), rel=1e-6)
    change = (ahead.gradient - behind.gradient) / (2 * h)
    torch.testing.assert_close(newton_model(objective, point).matrix @ v, change, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", ["discs", "ellipses", "perceptron"])
def test_the_objective_with_a_moving_scale_is_consistent(systems, name):
    """U − τλ over (x, λ): gradient and bordered curvature against differences."""
    system = systems[name](2)
    x = uj.minimize(system).x
    objective = Objective(system, conjugate=0.8 * uj.conjugate_force(system, x))
    y = objective.start(x)
    point, h = objective(y), 1e-7
    like_y = torch.from_numpy if isinstance(y, torch.Tensor) else np.asarray
    v = like_y(np.random.default_rng(1).standard_normal(len(y)))
    along_scale = like_y(np.eye(len(y))[-1])
    ahead, behind = objective(y + h * v), objective(y - h * v)
    assert float(point.gradient @ v) == pytest.approx((ahead.value - behind.value) / (2 * h), rel=1e-5)
    model = newton_model(objective, point)
    ahead, behind = objective(y + h * along_scale), objective(y - h * along_scale)
    change = to_numpy(ahead.gradient - behind.gradient) / (2 * h)
    found = np.append(to_numpy(model.border), model.corner)
    np.testing.assert_allclose(found, change, atol=1e-6 * np.abs(change).max())


@pytest.mark.parametrize("name", ["discs", "ellipses"])
def test_an_objective_that_goes_on_is_that_of_a_new_evaluator(systems, name):
    """At another scale, at a fixed one and with a mask, by the evaluator of the first."""
    system = systems[name](2)
    first = Objective(system, conjugate=0.5)
    x = first.x(first.first(system.initial).y)
    other = system.at(scale=1.02 * system.scale)
    mask = np.arange(system.n_dof) % 3 > 0
    for changes in ({}, {"conjugate": 0.1}, {"conjugate": None}, {"conjugate": None, "mask": mask}):
        on = first.going_on(other, **changes)
        fresh = Objective(other, **({"conjugate": 0.5} | changes))
        assert on.evaluate is first.evaluate
        a, b = on.first(x), fresh.first(x)
        assert (a.n_overlaps, a.value) == (b.n_overlaps, pytest.approx(b.value, rel=1e-12))
        np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-12)
        np.testing.assert_allclose(on.constraints_at(a).delta, other.constraints(x).delta, atol=1e-14)


def test_what_bears_no_force_is_relaxed_before_each_step(monkeypatch):
    """A rattler pressed into a packing at rest: set free by itself, the packing needs no step more.

    What that takes is counted among the evaluations.
    """
    state = uj.jam(uj.SoftSpheres.random(n=128, radii="uniform", seed=1)).states[3]
    c = state.system.constraints(state.x)
    loose = np.flatnonzero(~c.bearing()[0])
    near = state.system.constraints(state.x, reach=0.2)
    gaps = [k for k, (i, j) in enumerate(near.members) if 2 * i in loose and 2 * j not in loose]
    k = max(gaps, key=lambda k: near.delta[k] - (near.delta[k] > 0))
    i, x = near.members[k, 0], state.x.copy()
    x[2 * i : 2 * i + 2] += near.normals[k] * (near.delta[k] - 1e-3 * state.typical_overlap)  # just touching
    solver = uj.TrustRegionNewton(1e-9, loose=uj.ConjugateGradient(1e-10))
    objective = Objective(state.system)
    pressed = objective.first(x)
    assert 1e-6 < pressed.residual < 1e-2
    eased = next(solver.iterate(objective, pressed))
    assert eased.residual < 1e-7 and set(np.flatnonzero(eased.y != pressed.y)) <= set(loose)
    calls, evaluate = [], SphereForces.__call__
    monkeypatch.setattr(Objective, "in_bursts", False)
    monkeypatch.setattr(SphereForces, "__call__", lambda *given: calls.append(given) or evaluate(*given))
    result = solver.run(Objective(state.system), x)
    assert (result.status, result.n_evaluations) == ("converged", len(calls))


@pytest.mark.parametrize(
    "solver",
    [uj.TrustRegionNewton(), uj.LevenbergMarquardt(), uj.ConjugateGradient()],
    ids=name_of,
)
def test_weight_decay_is_balanced_by_the_force(solver):
    """∇U + μ x = 0 at the end of a run with weight decay."""
    system, mu = soft_network(), 0.5
    result = solver.run(Objective(system, weight_decay=mu), system.initial)
    c = system.constraints(result.x)
    assert result.status == "converged"
    balance = uj.gradient(system, c) + mu * result.x
    assert float(balance.norm()) <= 1e-9 * float(system.potential.force(c.delta).norm())
    assert result.energy == pytest.approx(uj.energy(system, c), rel=1e-12)  # U, without the decay


def test_stages_change_the_system_and_end_without_decay():
    system = soft_network(n_data=100)
    quick = uj.LevenbergMarquardt(max_steps=100)
    path = uj.Stages(
        [
            uj.Stage({"beta": 2.0}, quick, weight_decay=1.0),
            uj.Stage({"beta": 4.0}, quick, weight_decay=0.1),
            uj.Stage({}, quick, weight_decay=0.01),
            uj.Stage({}, uj.LevenbergMarquardt(max_steps=30)),
        ]
    )
    result = uj.minimize(system, None, path)
    assert (system.beta, result.system.beta, result.system.activation) == (1.0, 4.0, "softplus")
    c = result.system.constraints(result.x)
    assert result.energy == pytest.approx(uj.energy(result.system, c), rel=1e-12) and c.overlaps.any()
    steps = [r.step for r in result.history]
    assert steps == sorted(steps) and steps[-1] == result.n_steps
    with pytest.raises(ValueError, match="weight_decay"):
        uj.Stages([uj.Stage(weight_decay=0.1)])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("m", "n"), [(8, 20), (20, 8), (1, 5)])
@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_levenberg_marquardt_steps_are_those_of_the_normal_equations(sparse, m, n, decay):
    """Through AᵀA or AAᵀ, whichever is smaller."""
    import scipy.sparse as sp

    random = np.random.default_rng(m)
    jacobian, force, root = random.standard_normal((m, n)), random.random(m), 1 + random.random(m)
    rest = decay * random.standard_normal(n)
    a, r = jacobian * root[:, None], force / root
    model = GaussNewton.of(sp.csr_array(jacobian) if sparse else jacobian, root, r, a.T @ r + rest, None)
    for damping in (1e-6, 1e-2, 10.0):
        step = model.step(damping)
        balance = a.T @ (r + a @ step) + damping * step + rest
        np.testing.assert_allclose(balance, 0, atol=1e-7)  # rounding 1e-16 × rest/damping²
        gain = 0.5 * r @ r - 0.5 * (r + a @ step) @ (r + a @ step) - rest @ step
        assert model.predicted(step) == pytest.approx(gain, rel=1e-9, abs=1e-9)


def test_levenberg_marquardt_fits_few_data_exactly():
    system = soft_network(n_data=12)
    result = uj.minimize(system, None, uj.LevenbergMarquardt(max_steps=200))
    assert result.status == "satisfied"
    assert float(system.constraints(result.x).delta.max()) < 1e-9


def test_a_mask_holds_degrees_of_freedom():
    system = uj.SoftSpheres.random(n=30, packing_fraction=0.9, seed=2)
    mask = np.arange(60) >= 20
    result = uj.Fire(max_steps=5000).run(Objective(system, mask=mask), system.initial)
    assert (result.x[:20] == system.initial[:20]).all() and result.status == "converged"
    gradient = uj.gradient(system, system.constraints(result.x))
    assert np.abs(gradient[20:]).max() < 1e-9 < np.abs(gradient[:20]).max()


@pytest.mark.parametrize("solver", SOLVERS, ids=name_of)
@pytest.mark.parametrize("name", ["discs", "ellipses", "gelu spherical"])
def test_starts_and_systems_are_left_as_they_are(systems, name, solver):
    system = systems[name](4)
    x0 = system.initial + 0
    kept = x0 + 0
    solver = None if solver is None else type(solver)(max_steps=5)
    result = uj.minimize(system, x0, solver)
    assert (x0 == kept).all() and (system.initial == kept).all()
    assert result.x is not x0 and not getattr(result.x, "requires_grad", False)


def test_progress_changes_nothing(systems, capsys):
    system = systems["discs"](4)
    shown, hidden = uj.minimize(system, progress=True), uj.minimize(system)
    assert (shown.x == hidden.x).all() and capsys.readouterr().out == ""


def test_single_precision_converges_to_what_it_can_resolve():
    """The minimum of a convex problem, to the square of single precision's 1e-7 and a sum over 80 data."""
    single, double = (
        FullyConnected.random(depth=0, input_dimension=20, n_data=80, weights="free", seed=2, dtype=dtype)
        for dtype in ("float32", "float64")
    )
    found, expected = uj.minimize(single), uj.minimize(double)
    assert found.status == expected.status == "converged" and found.x.dtype == torch.float32
    assert found.energy == pytest.approx(expected.energy, rel=1e-5)


@pytest.mark.parametrize("solver", [uj.ConjugateGradient, uj.Fire, uj.TrustRegionNewton])
def test_a_force_tolerance_bounds_every_component(solver):
    system = uj.SoftSpheres.random(n=64, packing_fraction=0.95, seed=0)
    result = uj.minimize(system, None, solver(force_tolerance=1e-9))
    assert result.status == "converged"
    assert abs(system.evaluator()(result.x)[1]).max() <= 1e-9
