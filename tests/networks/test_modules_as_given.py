"""Modules and arrays as people have them: derivatives are right whatever is inside, or one sentence refuses it."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import unijam as uj
from unijam.core.capabilities import gauge_directions


def data(n=24):
    random = np.random.default_rng(0)
    return random.standard_normal((n, 5)), np.where(np.arange(n) % 2, 1, -1)


class Between(nn.Module):
    """A function between two linear layers, or before them."""

    def __init__(self, function, first=False, returns=True):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(4, 1)
        self.function, self.first, self.returns = function, first, returns

    def forward(self, x):
        if not self.first:
            return self.b(self.function(self.a(x)))
        h = self.function(x)
        return self.b(torch.tanh(self.a(h if self.returns else x)))


def chain(*between):
    return nn.Sequential(nn.Linear(5, 4), *between, nn.Linear(4, 1))


def network_of(make, n=24):
    torch.manual_seed(0)
    return uj.Network(make() if not isinstance(make, nn.Module) else make, *data(n))


def require_derivatives(network):
    """J, H and their products against finite differences, away from the kinks."""
    x = network.initial + 0.01
    c, generator = network.constraints(x), torch.Generator().manual_seed(1)
    w = torch.rand(len(c.delta), generator=generator, dtype=torch.float64)
    v = torch.randn(len(x), generator=generator, dtype=torch.float64)
    step, jacobian, hessian = 1e-6, c.jacobian(), c.curvature(w)
    forth, back = network.constraints(x + step * v), network.constraints(x - step * v)
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(jacobian @ v, (forth.delta - back.delta) / (2 * step), **close)
    torch.testing.assert_close(hessian @ v, (forth.vjp(w) - back.vjp(w)) / (2 * step), **close)
    torch.testing.assert_close(c.jvp(v), jacobian @ v)
    torch.testing.assert_close(c.vjp(w), jacobian.T @ w)
    torch.testing.assert_close(c.curvature_product(v, None, w), hessian @ v)
    energy, gradient, *_ = network.evaluator()(x)
    assert energy == pytest.approx(uj.energy(network, c), rel=1e-12)
    torch.testing.assert_close(gradient, uj.gradient(network, c))


def first_set(x):
    x[:, 0] = 0.5
    return x


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1)),
        lambda: Between(lambda x: x.add_(1), first=True),
        lambda: Between(lambda x: x.mul_(2), first=True, returns=False),
        lambda: Between(lambda x: x.view(-1).add_(1), first=True, returns=False),
        lambda: Between(lambda x: x.data.add_(1), first=True, returns=False),
        lambda: Between(first_set, first=True),
    ],
)
def test_a_module_may_write_over_its_inputs_but_not_over_the_users(make):
    (a, y), before = data(), data()[0]
    torch.manual_seed(0)
    network = uj.Network(make(), a, y)
    kept = network.inputs.clone()
    require_derivatives(network)
    uj.minimize(network, None, uj.LevenbergMarquardt(max_steps=3))
    assert (a == before).all() and torch.equal(network.inputs, kept)


def test_what_the_user_changes_afterwards_changes_nothing():
    (a, y), module = data(), nn.Linear(5, 1)
    inputs, initial = torch.from_numpy(a), torch.zeros(6, dtype=torch.float64)
    network = uj.Network(module, inputs, y)
    plain = uj.FullyConnected.from_data(inputs, torch.from_numpy(y * 1.0), depth=1, width=3)
    systems = [network, network.at(initial=initial), plain, plain.at(inputs=inputs)]
    before = [(s.initial.clone(), s.constraints(s.initial).delta) for s in systems]
    a *= 2
    y *= -1
    initial += 1
    module.weight.data.add_(1)
    for system, (start, delta) in zip(systems, before, strict=True):
        assert torch.equal(system.initial, start) and torch.equal(system.constraints(start).delta, delta)


def test_constraints_do_not_follow_x():
    plain = uj.FullyConnected.random(depth=1, width=4, input_dimension=4, n_data=20, weights="free")
    for system in (plain, network_of(lambda: chain(nn.Tanh()))):
        x = system.initial.clone()
        c = system.constraints(x)
        jacobian = c.jacobian()
        x *= 2
        torch.testing.assert_close(system.constraints(system.initial).jacobian(), jacobian)
        torch.testing.assert_close(c.jacobian(), jacobian)


def test_lists_keep_double_precision():
    a, y = data()
    network = uj.Network(nn.Linear(5, 1), a.tolist(), y.tolist())
    np.testing.assert_array_equal(network.inputs.numpy(), a)


RELUS = {
    "inplace": nn.ReLU(inplace=True),
    "Tensor.relu_": lambda h: h.relu_(),
    "torch.relu_": torch.relu_,
    "inplace unused": lambda h: (F.relu(h, inplace=True), h)[1],
    "where": lambda h: torch.where(h > 0, h, 0.0),
    "where zeros": lambda h: torch.where(h > 0, h, torch.zeros_like(h)),
    "where turned": lambda h: torch.where(h < 0, torch.zeros_like(h), h),
    "Tensor.where": lambda h: h.where(h >= 0, 0.0),
    "maximum": lambda h: torch.maximum(h, torch.zeros_like(h)),
    "mask": lambda h: h * (h > 0),
    "number": lambda h: (h > 0).double() * h,
    "not": lambda h: h * ~(h <= 0),
    "clamp": lambda h: h.clamp(0),
    "clamp_": lambda h: h.clamp_(min=0),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0),
    "masked_fill_": lambda h: h.masked_fill_(h < 0, 0),
    "threshold": nn.Threshold(0.0, 0.0),
}


@pytest.mark.parametrize("name", RELUS)
def test_every_way_to_write_relu_has_the_same_kinks(name):
    relu, other = network_of(lambda: Between(torch.relu)), network_of(lambda: Between(RELUS[name]))
    assert other.kinked_units == relu.kinked_units == (4,) and other.unseen_kinks == ()
    x = relu.initial
    held = [[2, 5], [0, 7]], [0.3, 0.8]
    for a, b in ((relu, other), (relu.at(kinks=held), other.at(kinks=held))):
        ca, cb = a.constraints(x), b.constraints(x)
        torch.testing.assert_close(cb.delta, ca.delta)
        force = a.potential.force(ca.delta)
        torch.testing.assert_close(cb.vjp(force), ca.vjp(force))
        ka, kb = ca.kinks(force), cb.kinks(force)
        torch.testing.assert_close(kb.values, ka.values)
        torch.testing.assert_close(kb.forces, ka.forces)
        torch.testing.assert_close(kb.jacobian(kb.held), ka.jacobian(ka.held))


@pytest.mark.parametrize(
    ("layer", "units"),
    [
        (nn.LeakyReLU(0.2, inplace=True), (4,)),
        (lambda h: torch.where(h > 0, h, 0.2 * h), (4,)),
        (nn.PReLU(), (4,)),
        (nn.PReLU(4), (4,)),
        (nn.RReLU().eval(), (4,)),
        (nn.ELU(2.0), (4,)),
        (nn.SELU(), (4,)),
        (nn.ReLU6(), (4, 4)),
        (nn.Hardtanh(), (4, 4)),
        (nn.Hardsigmoid(), (4, 4)),
        (nn.Hardswish(), (4, 4)),
        (nn.Softshrink(), (4, 4)),
        (lambda h: h.clamp(-0.5, 0.5), (4, 4)),
        (torch.abs, (4,)),
        (nn.ELU(), ()),
        (nn.GELU(), ()),
        (nn.LayerNorm(4), ()),
        (nn.GroupNorm(2, 4), ()),
        (nn.BatchNorm1d(4).eval(), ()),
    ],
)
def test_layers(layer, units):
    network = network_of(lambda: Between(layer))
    assert network.kinked_units == units and network.unseen_kinks == ()
    require_derivatives(network)
    if units:  # what the tracer makes of a layer has the layer's own values
        held = network.at(kinks=([[0, 0]], [0.5]))
        x = network.initial
        torch.testing.assert_close(held.constraints(x).delta[1:], network.constraints(x).delta[1:])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda h: torch.where(h > 0, h, torch.exp(h) - 1), "torch.where"),
        (lambda h: h - h.amax(1, keepdim=True), "Tensor.amax"),
        (lambda h: h.sort(1).values, "Tensor.sort"),
        (lambda h: h * torch.sign(h), "torch.sign"),
        (lambda h: F.max_pool1d(h[:, None], 2).repeat(1, 1, 2)[:, 0], "functional.max_pool1d"),
        (lambda h: h * (h > 0.5), "Tensor.mul"),
        (lambda h: h.max(1, keepdim=True).values + h, "Tensor.max"),
    ],
)
def test_kinks_that_are_not_seen_are_named(function, name):
    network = network_of(lambda: Between(function))
    assert network.kinked_units == () and name in network.unseen_kinks


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.r, self.b = kind(5, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.b(self.r(x[:, None])[0][:, 0])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 1)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Recurrent(nn.LSTM),
        lambda: Recurrent(nn.GRU),
        Tied,
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 1)
        ),
        lambda: nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 1)
        ).eval(),
        lambda: nn.Sequential(nn.Linear(5, 4).requires_grad_(False), nn.Tanh(), nn.Linear(4, 1)),
    ],
)
def test_derivatives_of_modules_that_torch_has_no_batches_for(make):
    require_derivatives(network_of(make))


class Counting(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.a, self.kind = nn.Linear(5, 1), kind
        self.register_buffer("n", torch.zeros(1))
        self.calls = 0

    def forward(self, x):
        if self.kind == "buffer":
            self.n += 1
        self.calls += self.kind == "state"
        f = self.a(x) * (1 + self.calls)
        return f.detach() if self.kind == "detached" else f.float() if self.kind == "float" else f


def broken(value):
    module = nn.Linear(5, 1)
    module.weight.data[0, 0] = value
    return module


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: chain(nn.BatchNorm1d(4, track_running_stats=False)).eval(),
            "running_mean of BatchNorm1d '1' = None",
        ),
        (lambda: chain(nn.BatchNorm1d(4)), "mode of BatchNorm1d '1' = 'train'"),
        (lambda: chain(nn.Dropout()), "mode of Dropout '1' = 'train'"),
        (lambda: Between(lambda h: F.dropout(h)), "not random"),
        (lambda: chain(nn.RReLU()), "not random"),
        (lambda: Counting("buffer"), "buffer 'n' of Counting"),
        (lambda: Counting("state"), "does not depend on earlier calls"),
        (lambda: Counting("detached"), "follows its parameters"),
        (lambda: Counting("float"), r"precision of Counting's output = 'torch\.float32'"),
        (lambda: nn.Linear(5, 1).half(), r"precision of weight = 'torch\.float16'"),
        (lambda: nn.Linear(5, 1, dtype=torch.complex128), r"precision of weight = 'torch\.complex128'"),
        (lambda: nn.LazyLinear(1), "shape of weight = 'not known yet'"),
        (lambda: nn.Linear(5, 1, device="meta"), "device of weight = 'meta'"),
        (lambda: nn.Linear(5, 1).requires_grad_(False), "trainable parameters"),
        (lambda: nn.Flatten(), "trainable parameters"),
        (lambda: broken(np.nan), "parameters of Linear has 1 entries that are NaN"),
        (lambda: Between(lambda h: torch.log(h - 100)), "output has 3 entries that are NaN"),
        (lambda: Between(lambda h: torch.heaviside(h, h)), "twice differentiable"),
        (lambda: nn.Linear(4, 1), "does not take it"),
        (lambda: nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (2, 2))), r"output for 3 data = \(3, 2, 2\)"),
        (lambda: Recurrent, "module = 'Recurrent' .* a torch.nn.Module"),
    ],
)
def test_one_sentence(make, says):
    with pytest.raises(ValueError, match=says) as error:
        network_of(make)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_grad(mode):
    def run():
        torch.manual_seed(0)
        network = uj.Network(chain(nn.ReLU()), *data())
        result = uj.minimize(network)
        c = network.constraints(network.initial)
        found = [c.jacobian(), c.curvature(network.potential.force(c.delta)), c.kinks(c.delta).forces]
        x = network.at(kinks=([[0, 0]], [0.5])).constraints(network.initial).jacobian()
        return result.status, [t.detach().clone() for t in (*found, x)]

    with mode():
        status, found = run()
        made_there = uj.FullyConnected.random(depth=1, width=4, input_dimension=4, n_data=20)
        uj.minimize(made_there)
        module_there = uj.Network(nn.Linear(5, 1), *data())
    expected, others = run()
    assert status == expected == "satisfied"
    for one, other in zip(found, others, strict=True):
        torch.testing.assert_close(one, other)
    x = made_there.initial.clone().requires_grad_()  # what was made there may be differentiated outside
    made_there.output(x, torch.ones(2, 4)).sum().backward()
    assert x.grad is not None and bool(x.grad.any())
    require_derivatives(module_there)


def test_x_as_numpy():
    plain = uj.FullyConnected.random(
        depth=1, width=4, input_dimension=5, n_data=20, activation="relu", weights="free"
    )
    held = network_of(lambda: chain(nn.ReLU())).at(kinks=([[0, 0]], [0.5]))
    for system in (uj.Perceptron.random(n=10), plain, network_of(lambda: chain(nn.ReLU())), held):
        x = system.initial.numpy().copy()
        c, expected = system.constraints(x), system.constraints(system.initial)
        torch.testing.assert_close(c.delta, expected.delta)
        w = np.ones(len(c.delta))
        for name in ("vjp", "curvature") if system is not held else ():
            torch.testing.assert_close(getattr(c, name)(w), getattr(expected, name)(torch.from_numpy(w)))
        if system is not held:
            torch.testing.assert_close(c.jvp(x), expected.jvp(system.initial))
        assert system.evaluator()(x)[0] == pytest.approx(system.evaluator()(system.initial)[0], rel=1e-12)
        for call in (system.symmetries, partial(gauge_directions, system), system.canonical):
            torch.testing.assert_close(call(x), call(system.initial))
        assert system.resolution(x) == pytest.approx(system.resolution(system.initial))
        assert isinstance(uj.minimize(system, x, uj.LevenbergMarquardt(max_steps=2)).x, torch.Tensor)
        assert (
            uj.count_constraints(system, x).n_overlaps
            == uj.count_constraints(system, system.initial).n_overlaps
        )
        for wrong in (x[:-1], x.astype(str), None):
            with pytest.raises(ValueError, match="x"):
                system.constraints(wrong)
