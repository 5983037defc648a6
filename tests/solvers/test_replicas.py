"""Replicas against single runs: the same points but for rounding, ends included."""

import numpy as np
import pytest
import torch

import unijam as uj

SOLVERS = {
    "Adam": uj.Adam(learning_rate=0.01, max_steps=150),
    "Adam, untuned": uj.Adam(max_steps=60),
    "Adam, mini-batches": uj.Adam(learning_rate=0.01, max_steps=60, batch_size=16),
    "GradientDescent": uj.GradientDescent(max_steps=60),
    "Fire": uj.Fire(max_steps=60),
    "ConjugateGradient": uj.ConjugateGradient(max_steps=20),
    "LevenbergMarquardt": uj.LevenbergMarquardt(max_steps=20),
}


def networks(n=3, **changes):
    shape = {
        "depth": 2,
        "width": 5,
        "input_dimension": 4,
        "n_data": 48,
        "activation": "relu",
        "weights": "free",
    }
    return [uj.FullyConnected.random(**(shape | changes), seed=seed) for seed in range(n)]


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("weights", ["free", "spherical"])
def test_replicas_are_single_runs(name, weights):
    """To 1e-11: batched products round otherwise, by 1e-16, which grows by at most 1e5 in so few steps."""
    singles = networks(weights=weights, activation="relu" if weights == "free" else "tanh")
    result = uj.minimize(uj.FullyConnected.stack(singles), None, SOLVERS[name])
    assert result.x.shape == (3, singles[0].n_dof)
    for k, system in enumerate(singles):
        alone = uj.minimize(system, None, SOLVERS[name])
        torch.testing.assert_close(result.x[k], alone.x, rtol=0, atol=1e-11)
        assert result.energy[k] == pytest.approx(alone.energy, rel=1e-10)
        assert result.relative_gradient[k] == pytest.approx(alone.relative_gradient, rel=1e-8)
        found = (result.status[k], result.n_steps[k], result.n_overlaps[k])
        assert found == (alone.status, alone.n_steps, alone.n_overlaps)
        assert [r.step for r in result.history[k]] == [r.step for r in alone.history]
        assert result.n_evaluations[k] <= alone.n_evaluations + 1


def test_starts_along_two_axes_share_their_data():
    system = networks()[0]
    x0 = system.initial + 0.3 * torch.randn(2, 2, system.n_dof, generator=torch.Generator().manual_seed(0))
    result = uj.minimize(system, x0, uj.LevenbergMarquardt(max_steps=5))
    assert result.x.shape == x0.shape and result.energy.shape == result.status.shape == (2, 2)
    for k in np.ndindex(2, 2):
        alone = uj.minimize(system, x0[k], uj.LevenbergMarquardt(max_steps=5))
        torch.testing.assert_close(result.x[k], alone.x, rtol=0, atol=1e-11)
        assert result.replicas[k].energy == result.energy[k]
        assert result.typical_overlap[k] == pytest.approx(alone.typical_overlap)


@pytest.mark.parametrize(
    "solver",
    [
        uj.Adam(learning_rate=0.02, max_steps=3000),
        uj.LevenbergMarquardt(max_steps=200),
        uj.Fire(max_steps=3000),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_finished_replica_is_frozen(solver):
    """Few data: all are fitted, each after steps of its own (one at the start), and stay where they were."""
    singles = networks(n=4, n_data=12, activation="tanh")
    singles[1] = singles[1].at(initial=uj.minimize(singles[1]).x)
    result = uj.minimize(uj.FullyConnected.stack(singles), None, solver)
    assert set(result.status) == {"satisfied"}
    assert result.n_steps[1] == 0 < result.n_steps[0]
    for k, system in enumerate(singles):
        assert uj.energy(system, system.constraints(result.x[k])) == pytest.approx(
            result.energy[k], abs=1e-20
        )
        alone = uj.minimize(system, None, solver)
        assert (alone.status, alone.n_steps) == ("satisfied", result.n_steps[k])


@pytest.mark.parametrize("batch_size", [None, 16])
def test_replicas_go_on_from_a_result(batch_size):
    stacked = uj.FullyConnected.stack(networks())
    short, long = (uj.Adam(learning_rate=0.01, max_steps=n, batch_size=batch_size) for n in (40, 90))
    half, whole = uj.minimize(stacked, None, short), uj.minimize(stacked, None, long)
    result = uj.minimize(stacked, half, long)
    assert torch.equal(result.x, whole.x)
    assert (result.n_steps == 90).all() and result.history[0][0].step == 0


def test_replicas_are_watched_and_stopped_one_by_one():
    stacked = uj.FullyConnected.stack(networks())
    watch = uj.Watch({"size": lambda s, x: (x @ x).item()}, keep=(10,), stop="size", patience=4)
    result = uj.minimize(stacked, None, uj.Adam(learning_rate=0.05, max_steps=300), watch=watch)
    for k, system in enumerate(networks()):
        alone = uj.minimize(system, None, uj.Adam(learning_rate=0.05, max_steps=300), watch=watch)
        assert (alone.status, alone.n_steps) == (result.status[k], result.n_steps[k])
        torch.testing.assert_close(result.x[k], alone.x, rtol=0, atol=1e-11)
    assert "stopped" in result.status


def test_a_users_system_runs_replicas_too(users_perceptron):
    system = users_perceptron(n=6, load=5.0)
    x0 = torch.stack([system.initial, -system.initial, 2 * system.initial.roll(1)])
    for solver in (uj.GradientDescent(max_steps=300), uj.ConjugateGradient(max_steps=100)):
        result = uj.minimize(system, x0, solver)
        for k in range(3):
            torch.testing.assert_close(result.x[k], uj.minimize(system, x0[k], solver).x, atol=1e-9, rtol=0)


def test_an_error_of_one_replica_is_raised(users_perceptron):
    system = users_perceptron(n=6)

    def fail(call):
        if call > 60:
            raise RuntimeError("the system fails")

    system.at_call = fail
    x0 = torch.stack([system.initial, -system.initial])
    for solver in (uj.ConjugateGradient(), uj.Adam()):
        with pytest.raises(RuntimeError, match="the system fails"):
            uj.minimize(system, x0, solver)


@pytest.mark.parametrize(
    "solver",
    [uj.ConjugateGradient(gradient_tolerance=1e-15), uj.Adam(max_steps=10**6)],
    ids=lambda s: type(s).__name__,
)
def test_an_interrupt_returns_what_was_reached(users_perceptron, solver):
    system = users_perceptron(n=30, load=3.0)

    def interrupt(call):
        if call == 100:
            raise KeyboardInterrupt

    system.at_call = interrupt
    result = uj.minimize(system, torch.stack([system.initial, -system.initial]), solver)
    assert "interrupted" in result.status
    assert np.isfinite(result.energy).all()


@pytest.mark.parametrize(
    ("wanted", "call"),
    [
        ("packings", lambda: uj.minimize(discs(), np.stack([discs().initial] * 2), uj.Adam())),
        ("the shape of x", lambda: uj.minimize(networks()[0], torch.zeros(3, 7), uj.Adam())),
        ("the shape of x", lambda: uj.minimize(networks()[0], torch.zeros(0, 61), uj.Adam())),
        ("the shape of x", lambda: uj.minimize(uj.FullyConnected.stack(networks()), torch.zeros(2, 61))),
        ("the shape of x", lambda: uj.jam(networks(weights="spherical")[0], torch.zeros(2, 61))),
        ("solver", lambda: uj.minimize(networks()[0], torch.zeros(2, 61), uj.Rounds())),
        ("widths", lambda: uj.FullyConnected.stack(networks() + networks(width=6))),
        ("the shapes of inputs", lambda: uj.FullyConnected.stack(networks() + networks(n_data=50))),
    ],
)  # fmt: skip
def test_bad_input_is_answered_by_one_sentence(wanted, call):
    with pytest.raises(ValueError, match=wanted) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def discs():
    return uj.SoftSpheres.random(n=16)
