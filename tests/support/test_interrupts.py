"""Ctrl-C: wherever it is pressed, what was reached is handed back and says so; none is swallowed.

Tests press at the first call of something, at the second, and so on, until a run ends before the press is reached:
how many calls a run makes does not matter.
"""

import itertools
import signal

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.support.interrupts import deferred, pressed, uncut


@pytest.fixture
def press(ctrl_c):
    """A counter of calls that presses Ctrl-C at the n-th."""

    class Counter:
        calls, nth = 0, 0

        def at(self, nth):
            self.calls, self.nth = 0, nth

        def __call__(self, *_):
            self.calls += 1
            if self.calls == self.nth:
                ctrl_c()

        @property
        def reached(self):
            return self.calls >= self.nth

    return Counter()


@pytest.fixture
def watched(press, monkeypatch):
    """A class whose constraints are counted."""

    def count(kind):
        plain = kind.constraints

        def constraints(self, *arguments, **options):
            press()
            return plain(self, *arguments, **options)

        monkeypatch.setattr(kind, "constraints", constraints)

    return count


def everywhere(press, call, every=1):
    """Press at each call, one run each (at each third, say, of long runs); (run, result) until a press is not met."""
    for nth in itertools.count(1, every):
        press.at(nth)
        found = call()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and not pressed()
        if not press.reached:
            assert not found.interrupted
            return
        assert found.interrupted, nth
        yield nth, found


DISCS = uj.SoftSpheres.random(n=12, radii="uniform", seed=0)
NETWORK = uj.FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=14, weights="free", seed=0)
SPHERICAL = uj.FullyConnected.random(depth=0, input_dimension=5, n_data=20, seed=0)


@pytest.mark.parametrize("target", [{}, {"excess": 1e-2}, {"pressure": 1e-3}, {"packing_fraction": 0.95}])
def test_a_jam_hands_back_what_it_reached(press, watched, target):
    watched(uj.SoftSpheres)
    whole = uj.jam(DISCS, **target)
    assert whole.status == "converged" and not whole.interrupted
    statuses = set()
    for nth, found in everywhere(press, lambda: uj.jam(DISCS, **target), 1 if not target else 5):
        statuses.add(found.status)
        assert np.isfinite(found.x).all() and found.seconds > 0 and found.target == whole.target, nth
        if found.status == "converged":  # the press came too late
            assert found.threshold == pytest.approx(whole.threshold, rel=1e-9) and not found.reason
        else:
            assert found.status == "interrupted" and found.reason
    assert "interrupted" in statuses


def test_a_jam_of_a_network_hands_back_what_it_reached(press, watched):
    watched(uj.FullyConnected)
    whole = uj.jam(SPHERICAL)
    for _, found in everywhere(press, lambda: uj.jam(SPHERICAL), 11):
        assert found.status in ("interrupted", whole.status)


def test_the_last_call_of_a_jam_changes_nothing(press, watched):
    watched(uj.SoftSpheres)
    press.at(0)
    whole, calls = uj.jam(DISCS), press.calls
    press.at(calls)
    found = uj.jam(DISCS)
    assert found.interrupted and found.status == whole.status == "converged"
    assert found.threshold == pytest.approx(whole.threshold, rel=1e-9)


SOLVERS = [
    *(None, uj.TrustRegionNewton(max_steps=20), uj.ConjugateGradient(max_steps=300), uj.Fire(max_steps=500)),
    *(
        uj.LevenbergMarquardt(max_steps=20),
        uj.Adam(max_steps=40),
        uj.GradientDescent(max_steps=40),
        uj.Rounds(),
    ),
    uj.Stages((uj.Stage(solver=uj.Fire(max_steps=20)), uj.Stage())),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("system", [DISCS, NETWORK], ids=["discs", "network"])
def test_a_minimisation_hands_back_what_it_reached(press, watched, system, solver):
    if isinstance(solver, uj.Rounds) and system is NETWORK:
        pytest.skip("rounds are for packings")
    watched(type(system))
    whole = uj.minimize(system, None, solver)
    for _, found in everywhere(press, lambda: uj.minimize(system, None, solver)):
        assert found.status in ("interrupted", whole.status)
        assert bool(np.isfinite(np.asarray(found.x)).all()) and found.history[-1].step == found.n_steps
        if found.status == "interrupted":
            assert found.reason
        else:
            assert found.energy == pytest.approx(whole.energy, rel=1e-6, abs=1e-18)


@pytest.mark.parametrize(
    "solver", [None, uj.Adam(max_steps=15), uj.Fire(max_steps=40), uj.LevenbergMarquardt()]
)
def test_every_evaluation_counts(press, solver):
    class Corner(uj.AutodiffSystem):
        initial = torch.tensor([0.3, 0.4], dtype=torch.float64)

        def delta(self, x):
            press()
            corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=x.dtype)
            return 0.8 - (x - corners).norm(dim=1)

    whole = uj.minimize(Corner(), None, solver)
    for _, found in everywhere(press, lambda: uj.minimize(Corner(), None, solver)):
        assert found.status in ("interrupted", whole.status)


@pytest.mark.parametrize("test", ["jam", "minimize"])
def test_a_loop_that_tests_interrupted_ends(press, watched, test):
    """Of 100 runs, with Ctrl-C anywhere in the first three: the result says so, or the call between two raises."""
    watched(uj.SoftSpheres)
    work = getattr(uj, test)
    press.at(0)
    for _ in range(3):
        work(DISCS)
    for nth in np.unique(np.linspace(1, press.calls, 12, dtype=int)).tolist():
        press.at(nth)
        done = 0
        for _ in range(100):
            found = work(DISCS)
            done += 1
            if found.interrupted:
                break
        assert found.interrupted and done <= 3 and press.calls >= nth
        assert not work(DISCS).interrupted  # the next run does not know of it


def test_between_two_runs_it_raises(press):
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            if uj.minimize(DISCS).interrupted:
                pytest.fail("nobody pressed within a run")
            signal.raise_signal(signal.SIGINT)


def test_one_that_nobody_tells_is_raised_at_the_end(press):
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        assert pressed()
        done.append(1)
    assert done and not pressed()


def test_one_that_is_told_is_not_raised(press):
    with deferred(told=True) as ctrl_c:
        with deferred():  # only the outermost block answers
            signal.raise_signal(signal.SIGINT)
        assert pressed()
    assert ctrl_c.pressed and not pressed()


def test_an_error_does_not_swallow_it(press):
    with pytest.raises(KeyboardInterrupt) as caught, deferred(told=True):
        signal.raise_signal(signal.SIGINT)
        raise ValueError("left by the interruption")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError), deferred():
        raise ValueError("nobody pressed")
    with pytest.raises(KeyboardInterrupt):
        uncut(lambda: signal.raise_signal(signal.SIGINT))


def test_the_second_is_raised_at_once(press):
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        with deferred():
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second was deferred")


def test_a_second_one_at_the_very_end_leaves_nothing_pressed(press, monkeypatch):
    plain = signal.signal

    def struck(number, handler):
        plain(number, handler)
        signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(signal, "signal", struck)
    monkeypatch.undo()
    assert not pressed()


def test_a_handler_of_the_user_stays(press, watched):
    heard = []
    watched(uj.SoftSpheres)
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    press.at(5)
    result = uj.jam(DISCS)
    assert heard == [1] and result.status == "converged" and not result.interrupted


@pytest.mark.parametrize("solver", [uj.Adam(max_steps=30), uj.LevenbergMarquardt(max_steps=5)])
def test_replicas_are_handed_back(press, solver):
    networks = [
        uj.FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=14, weights="free", seed=s)
        for s in (0, 1)
    ]
    together = uj.FullyConnected.stack(networks)

    def look(system, x):
        press()
        return 0.0

    watch = uj.Watch(observables={"press": look})
    for nth in itertools.count(1):
        press.at(nth)
        found = uj.minimize(together, None, solver, watch=watch)
        if not press.reached:
            assert not found.interrupted.any()
            break
        assert found.interrupted.all() and found.status.shape == (2,)


def linear(n_data, seed):
    shape = {"depth": 0, "input_dimension": 8, "weights": "free", "bias": False}
    return uj.FullyConnected.random(**shape, n_data=n_data, seed=seed)


def test_a_transition_hands_back_the_starts_that_are_finished(press, watched):
    quick = {"tolerance": 0.2, "search": uj.FitSearch(reheats=0, finish=False)}
    alone = [uj.find_transition(linear, 4, 40, seeds=n, **quick) for n in (1, 2, 3)]
    assert all(a.status == "complete" and not a.interrupted for a in alone)
    watched(uj.FullyConnected)
    seen = set()
    for nth in itertools.count(1, 9):
        press.at(nth)
        try:
            found = uj.find_transition(linear, 4, 40, seeds=3, **quick)
        except KeyboardInterrupt:  # no start was finished
            seen.add(0)
            continue
        if not press.reached:
            assert not found.interrupted
            break
        n = len(found.samples)
        seen.add(n)
        assert found.interrupted and found.status == ("complete" if n == 3 else "interrupted")
        assert found.n_data == alone[n - 1].n_data
    assert {0, 1, 2} <= seen


def test_a_branch_says_where_it_was_interrupted(press, watched):
    state = uj.minimize(
        uj.FullyConnected.random(depth=0, input_dimension=6, n_data=40, weights="free", bias=False, seed=0)
    )
    whole = uj.follow(state, least=36)
    watched(uj.FullyConnected)
    for _, found in everywhere(press, lambda: uj.follow(state, least=36)):
        assert found.ended in ("interrupted", whole.ended) and len(found.n_data) <= len(whole.n_data)
