"""Adam and gradient descent as dynamics: against torch's own, mini-batches, continuation, records, early stopping."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.solvers.first_order.descent import Batches
from unijam.support.arrays import to_numpy

StepLR = partial(torch.optim.lr_scheduler.StepLR, step_size=30, gamma=0.5)


def network(seed=0, **changes):
    shape = {
        "depth": 2,
        "width": 5,
        "input_dimension": 4,
        "n_data": 60,
        "activation": "relu",
        "weights": "free",
    }
    return uj.FullyConnected.random(**(shape | changes), seed=seed)


def discs(seed=0):
    return uj.SoftSpheres.random(n=32, packing_fraction=1.1, radii="uniform", seed=seed)


SYSTEMS = {"network": network, "discs": discs}


def torchs(system, optimizer, n_steps, schedule=None, data=None):
    """x after steps of an optimizer of torch, with gradients of `Constraints.vjp` (or of autograd for a network)."""
    x = torch.as_tensor(to_numpy(system.initial).copy()).requires_grad_()
    descent = optimizer([x])
    scheduler = schedule and schedule(descent)
    for step in range(n_steps):
        if isinstance(system, uj.FullyConnected):
            some = slice(None) if data is None else data(step)
            delta = system.margin - system.labels[some] * system.output(x, system.inputs[some])
            loss = 0.5 * torch.relu(delta).square().sum() * len(system.labels) / len(delta)
            x.grad = torch.autograd.grad(loss, x)[0]
        else:
            point = x.detach().numpy()
            x.grad = torch.from_numpy(uj.gradient(system, system.constraints(point)))
        descent.step()
        if scheduler:
            scheduler.step()
    return x.detach().numpy()


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("scheduled", [False, True])
def test_adam_takes_the_steps_of_torch(name, scheduled):
    system = SYSTEMS[name](1)
    typical = system.potential.force_unit(system.unit)  # ours takes ε in units of a typical force
    adam = partial(torch.optim.Adam, lr=0.01, eps=1e-8 * typical)
    expected = torchs(system, adam, 100, StepLR if scheduled else None)
    rate = uj.TorchSchedule(0.01, StepLR) if scheduled else 0.01
    result = uj.minimize(system, None, uj.Adam(learning_rate=rate, max_steps=100))
    kept = system.canonical(torch.from_numpy(expected)) if name == "network" else expected
    np.testing.assert_allclose(to_numpy(result.x), to_numpy(kept), atol=1e-10)


def test_a_function_of_the_step_is_a_learning_rate():
    system = network(2)
    expected = torchs(system, partial(torch.optim.SGD, lr=1e-3), 80, StepLR)
    solver = uj.GradientDescent(learning_rate=lambda step: 1e-3 * 0.5 ** (step // 30), max_steps=80)
    x = uj.minimize(system, None, solver).x
    np.testing.assert_allclose(
        to_numpy(x), to_numpy(system.canonical(torch.from_numpy(expected))), atol=1e-11
    )


def test_mini_batches_take_the_steps_of_torch_on_the_same_draws():
    system = network(3)

    def drawn(step):
        epoch, k = divmod(step, 4)
        return torch.from_numpy(np.random.default_rng([7, epoch]).permutation(60)[15 * k : 15 * k + 15])

    expected = torchs(system, partial(torch.optim.Adam, lr=0.01), 50, data=drawn)
    result = uj.minimize(system, None, uj.Adam(learning_rate=0.01, batch_size=15, seed=7, max_steps=50))
    kept = system.canonical(torch.from_numpy(expected))
    np.testing.assert_allclose(to_numpy(result.x), to_numpy(kept), atol=1e-10)
    whole = uj.energy(system, system.constraints(result.x))
    assert result.energy == pytest.approx(whole, rel=1e-12)
    assert result.history[-1].energy == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_every_datum_is_drawn_once_in_an_epoch(n_classes):
    system = network(4)
    if n_classes > 2:
        labels = torch.arange(60) % n_classes
        system = uj.FullyConnected.from_data(system.inputs, labels, 2, 5, "tanh", n_classes=n_classes)
    batches = Batches(system, 20, seed=1)
    drawn = [batches.of(step).inputs for step in range(3)]
    assert torch.equal(torch.cat(drawn).sort(0)[0], system.inputs.sort(0)[0])
    assert not torch.equal(batches.of(3).inputs, drawn[0])
    parts = sum(uj.energy(p, p.constraints(system.initial)) for p in map(batches.of, (6, 7, 8)))
    assert parts == pytest.approx(uj.energy(system, system.constraints(system.initial)), rel=1e-13)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize(
    "solver",
    [
        uj.Adam(),
        uj.Adam(learning_rate=0.003, batch_size=7),
        uj.GradientDescent(),
        uj.GradientDescent(batch_size=20),
    ],
    ids=["Adam", "Adam, mini-batches", "GradientDescent", "GradientDescent, mini-batches"],
)
def test_a_run_goes_on_as_if_it_had_not_been_stopped(name, solver):
    if solver.batch_size and name == "discs":
        pytest.skip("packings have no data")
    system = SYSTEMS[name](5)
    short, long = (type(solver)(**(vars(solver) | {"max_steps": n})) for n in (100, 250))
    whole = uj.minimize(system, None, long)
    half = uj.minimize(system, None, short)
    for _ in range(2):  # the first continuation leaves the result as it was
        result = uj.minimize(system, half, long)
        if name == "network":
            assert torch.equal(result.x, whole.x)
        else:  # a new neighbour list adds up the same forces in another order
            np.testing.assert_allclose(result.x, whole.x, atol=1e-11)
        assert (result.n_steps, result.status) == (250, whole.status)
        steps = [record.step for record in result.history]
        assert steps == sorted(set(steps)) and {0, 100, 250} <= set(steps)


def test_any_result_of_any_system_is_a_start(make_system):
    """By the default solver, whatever solver had been at work; its steps then count from nothing."""
    system = make_system(3)
    rough = uj.minimize(system, None, uj.Adam(max_steps=5))
    fine = uj.minimize(system, rough)
    alone = uj.minimize(system, rough.x)
    assert (to_numpy(fine.x) == to_numpy(alone.x)).all()
    assert (fine.status, fine.n_steps) == (alone.status, alone.n_steps)
    assert fine.solver == alone.solver != rough.solver == "Adam"
    again = uj.minimize(fine.system, fine)
    assert again.status == fine.status and again.energy == pytest.approx(fine.energy, rel=1e-9, abs=1e-25)
    assert again.n_steps >= fine.n_steps and again.history[0].energy == fine.history[0].energy


@pytest.mark.parametrize("name", SYSTEMS)
def test_only_the_same_run_goes_on(name):
    """Another solver or another system takes x and nothing else; a system made the same is the same."""
    system, other = SYSTEMS[name](9), SYSTEMS[name](10)
    first = uj.minimize(system, None, uj.Adam(max_steps=20))
    longer = uj.Adam(max_steps=50)
    for made, solver, together in (
        (system, longer, True),
        (SYSTEMS[name](9), longer, True),
        (system, uj.GradientDescent(max_steps=50), False),
        (other, longer, False),
    ):
        result = uj.minimize(made, first, solver)
        fresh = uj.minimize(made, first.x, solver)
        assert result.n_steps == 50 and (result.history[0] is first.history[0]) == together
        assert (to_numpy(result.x) == to_numpy(fresh.x)).all() != together
    descent = uj.minimize(system, None, uj.GradientDescent(max_steps=20))
    assert uj.minimize(system, descent, longer).history[0].energy == descent.energy


def test_the_rounds_of_discs_are_those_of_one_run():
    system = discs(4)
    half = uj.minimize(system, None, uj.Rounds(first_residual=1e-3, max_rounds=1))
    whole = uj.minimize(system, half)
    rest = uj.minimize(system, half.x)
    assert whole.status == rest.status == "converged" and (whole.x == rest.x).all()
    assert whole.n_steps == half.n_steps + rest.n_steps
    assert [record.step for record in whole.history[: len(half.history)]] == [r.step for r in half.history]
    assert whole.seconds > half.seconds


def test_records_hold_what_is_watched():
    system = network(6)
    test_inputs, test_labels = network(60).inputs, network(60).labels

    def error(system, x):
        return (system.output(x, test_inputs) * test_labels <= 0).to(x.dtype).mean()

    watch = uj.Watch(
        {"ratio": lambda s, x: uj.count_constraints(s, x).ratio, "error": error},
        keep=(0, 17, 60),
        spacing=1.5,
    )
    result = uj.minimize(system, None, uj.Adam(learning_rate=0.01, max_steps=60), watch=watch)
    steps = [record.step for record in result.history]
    assert steps == [0, 1, 3, 6, 10, 16, 17, 27, 42, 60]
    for record in result.history:
        assert (record.x is not None) == (record.step in (0, 17, 60))
        assert set(record.observed) == {"ratio", "error"}
        if record.x is not None:
            c = system.constraints(record.x)
            assert record.n_overlaps == int((c.delta > 1e-12).sum())
            assert record.observed["error"] == float(error(system, record.x))
            assert record.observed["ratio"] == uj.count_constraints(system, record.x).ratio
    alone = uj.minimize(system, None, uj.Adam(learning_rate=0.01, max_steps=60))
    assert (alone.x == result.x).all()  # looking changes nothing


def test_minima_on_kinks_are_watched():
    """Each record of a solver that holds kinks sees the system that holds them, as the result does."""
    system = network(8, n_data=160)
    near = 1.001 * uj.minimize(system, None, uj.softplus_to_relu()).x
    watch = uj.Watch({"kinks": lambda s, x: 0 if s.kinks is None else len(s.kinks[1])}, keep=(2,))
    result = uj.minimize(system, near, uj.ProximalNewton(), watch=watch)
    assert result.status == "converged"
    assert result.history[0].observed["kinks"] == 0
    assert result.history[-1].observed["kinks"] == uj.count_constraints(result.system, result.x).n_kinks > 0


@pytest.mark.parametrize("batch_size", [None, 20])
def test_patience_ends_a_run_at_its_best_record(batch_size):
    """The observable falls until a known step, then rises."""
    system, seen = network(7, n_data=200), []

    def observable(system, x):
        seen.append(x)
        return abs(len(seen) - 12)

    watch = uj.Watch({"error": observable}, stop="error", patience=5)
    solver = uj.Adam(learning_rate=0.01, max_steps=1000, batch_size=batch_size)
    result = uj.minimize(system, None, solver, watch=watch)
    assert result.status == "stopped"
    assert len(result.history) == 12 + 5
    assert torch.equal(result.x, system.canonical(seen[11]))
    assert result.n_steps == result.history[-1].step < 1000


@pytest.mark.parametrize(
    ("wanted", "call"),
    [
        ("learning_rate = -1", lambda: uj.Adam(learning_rate=-1)),
        ("learning_rate = nan", lambda: uj.GradientDescent(learning_rate=math.nan)),
        ("batch_size = 0", lambda: uj.Adam(batch_size=0)),
        ("batch_size = 2.5", lambda: uj.Adam(batch_size=2.5)),
        ("batch_size = 61", lambda: uj.minimize(network(), None, uj.Adam(batch_size=61))),
        ("batch_size = 4", lambda: uj.minimize(discs(), None, uj.Adam(batch_size=4))),
        ("seed = -1", lambda: uj.Adam(seed=-1)),
        ("spacing = 1.0", lambda: uj.Watch(spacing=1.0)),
        ("patience = 0", lambda: uj.Watch(patience=0)),
        ("stop = 'error'", lambda: uj.Watch(stop="error")),
        ("keep = (-1,)", lambda: uj.Watch(keep=(-1,))),
        ("observables", lambda: uj.Watch({"error": 3})),
        ("learning_rate = 0", lambda: uj.TorchSchedule(0, StepLR)),
        ("make", lambda: uj.TorchSchedule(0.1, torch.optim.lr_scheduler.ReduceLROnPlateau)),
        ("watch = Watch", lambda: uj.minimize(discs(), None, uj.Rounds(), watch=uj.Watch())),
        ("x0 = Fire", lambda: uj.minimize(discs(), uj.Fire())),
    ],
)
def test_bad_input_is_answered_by_one_sentence(wanted, call):
    with pytest.raises(ValueError, match=wanted.replace("(", r"\(").replace(")", r"\)")) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_early_stopping_on_an_observable_that_is_no_number():
    """At the first record it is refused; later it does not count as lower."""
    network = uj.FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=12, weights="free")
    solver, values = uj.Adam(max_steps=500), iter([math.nan])
    watch = uj.Watch({"error": lambda *_: next(values, math.nan)}, stop="error", patience=3)
    with pytest.raises(ValueError, match="observable 'error' at the first record = nan is not valid"):
        uj.minimize(network, network.initial, solver, watch=watch)
    values = iter([math.inf, 1.0])
    result = uj.minimize(network, network.initial, solver, watch=watch)
    assert result.status in ("stopped", "satisfied") and len(result.history) <= 6
