"""Ctrl-C: what was reached is handed back, wherever it strikes; none is swallowed."""

import signal

import numpy as np
import pytest

import unijam as uj
from unijam.support.interrupts import deferred, pressed


@pytest.fixture
def discs(monkeypatch):
    """Discs that press Ctrl-C when their constraints are looked at for the n-th time."""
    before, plain = signal.signal(signal.SIGINT, signal.default_int_handler), uj.SoftSpheres.constraints
    system = uj.SoftSpheres.random(n=64, radii="uniform", seed=0)

    def press(nth):
        press.calls = 0

        def constraints(self, x):
            press.calls += 1
            if press.calls == nth:
                signal.raise_signal(signal.SIGINT)
            return plain(self, x)

        monkeypatch.setattr(uj.SoftSpheres, "constraints", constraints)
        return system

    yield press
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("nth", [1, 4, 8, 20, 60])
def test_a_jam_hands_back_what_it_reached(discs, nth):
    result = uj.jam(discs(nth))
    assert discs.calls >= nth
    assert result.status == "interrupted" and np.isfinite(result.x).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert uj.jam(discs(10**9)).status == "converged"


@pytest.mark.parametrize("nth", [1, 4])
def test_a_minimisation_hands_back_what_it_reached(discs, nth):
    result = uj.minimize(discs(nth))
    assert result.status == "interrupted"


def test_the_last_moment_counts_too(discs):
    uj.minimize(discs(10**9), None, uj.TrustRegionNewton())
    result = uj.minimize(discs(discs.calls), None, uj.TrustRegionNewton())
    assert result.status == "interrupted"


def test_one_that_nobody_asked_for_is_raised_at_the_end(discs):
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done and not pressed()


def test_the_second_is_raised_at_once(discs):
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        with deferred():
            signal.raise_signal(signal.SIGINT)
            pytest.fail("the second was deferred")


def test_a_second_one_at_the_very_end_leaves_nothing_pressed(discs, monkeypatch):
    plain = signal.signal

    def struck(number, handler):
        plain(number, handler)
        signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(signal, "signal", struck)
    monkeypatch.undo()
    assert not pressed()


def test_a_handler_of_the_user_stays(discs):
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    result = uj.jam(discs(20))
    assert heard == [1] and result.status == "converged"


def test_replicas_are_handed_back(discs):
    def press(system, x):
        if not pressing:
            pressing.append(1)
            signal.raise_signal(signal.SIGINT)
        return 0.0

    pressing = []
    networks = [
        uj.FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=9, seed=s) for s in (0, 1)
    ]
    watch = uj.Watch(observables={"press": press})
    result = uj.minimize(uj.FullyConnected.stack(networks), None, uj.Adam(max_steps=1000), watch=watch)
    assert pressing and set(result.status) == {"interrupted"}


def test_a_transition_hands_back_the_starts_that_are_finished(discs):
    def linear(n_data, seed):
        if seed == interrupted:
            signal.raise_signal(signal.SIGINT)
        shape = {"depth": 0, "input_dimension": 8, "weights": "free", "bias": False}
        return uj.FullyConnected.random(**shape, n_data=n_data, seed=seed)

    quick = {"tolerance": 0.2, "search": uj.FitSearch(reheats=0, finish=False)}
    interrupted: int | None = 2
    found = uj.find_transition(linear, 4, 40, seeds=9, **quick)
    assert found.status == "interrupted" and len(found.samples) == 2
    interrupted = None
    whole = uj.find_transition(linear, 4, 40, seeds=2, **quick)
    assert whole.status == "complete" and found.n_data == whole.n_data
    interrupted = 0
    with pytest.raises(KeyboardInterrupt):
        uj.find_transition(linear, 4, 40, seeds=2, **quick)
