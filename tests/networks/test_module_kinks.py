"""Kinks of any module: those of a sequential one are the fully connected network's, with the same weights."""

from functools import cache

import pytest
import torch
from torch import nn

import unijam as uj

EXACT = {"atol": 1e-10, "rtol": 1e-10}


def pair(potential=None, n_data=120, seed=0):
    """A ReLU network, the same as a module, and where each of its parameters lies in the module's x."""
    plain = uj.FullyConnected.random(
        depth=2, width=5, input_dimension=4, n_data=n_data, activation="relu", weights="free", seed=seed
    )
    layers: list[nn.Module] = []
    order, first = [], 0
    for part, shape in zip(plain.initial.split(plain.sizes), plain.shapes, strict=True):
        theta, linear = part.view(shape), nn.Linear(shape[1] - 1, shape[0], dtype=torch.float64)
        linear.weight.data, linear.bias.data = theta[:, :-1].clone(), theta[:, -1].clone()
        places = torch.arange(first, first + part.numel()).view(shape)
        order += [places[:, :-1].reshape(-1), places[:, -1]]
        layers += [linear, nn.ReLU(inplace=len(layers) == 0)]
        first += part.numel()
    if potential is not None:
        plain = plain.at(potential=potential)
    return (
        plain,
        uj.Network(nn.Sequential(*layers[:-1]), plain.inputs, plain.labels, potential),
        torch.cat(order),
    )


@cache
def minimum():
    """A certified minimum of the fully connected network."""
    return uj.minimize(pair(n_data=160)[0], solver=uj.softplus_to_relu())


def sorted_by(members, values):
    key = members[:, 0] * 10_000 + members[:, 1]
    return values[key.argsort()]


def test_kinks_are_those_of_the_fully_connected_network():
    plain, module, order = pair()
    assert module.kinked_units == (5, 5)
    x = plain.initial + 0.1
    members = torch.tensor([[0, 3], [7, 11], [4, 3], [9, 0]])
    kinks = members, torch.tensor([0.2, 0.9, 0.5, 0.4], dtype=torch.float64)
    everything = torch.arange(10 * 120)
    for held in (None, kinks):
        a, b = plain.at(kinks=held), module.at(kinks=held)
        ca, cb = a.constraints(x), b.constraints(x[order])
        torch.testing.assert_close(cb.delta, ca.delta, **EXACT)
        torch.testing.assert_close(uj.gradient(b, cb), uj.gradient(a, ca)[order], **EXACT)
        for ours, theirs in zip(uj.hessian(b, cb), uj.hessian(a, ca), strict=True):
            torch.testing.assert_close(ours, theirs[order][:, order], **EXACT)
        ka, kb = (c.kinks(plain.potential.force(c.delta)) for c in (ca, cb))
        ma, mb = ka.members(everything), kb.members(everything)
        for name in ("values", "forces"):
            torch.testing.assert_close(
                sorted_by(mb, getattr(kb, name)), sorted_by(ma, getattr(ka, name)), **EXACT
            )
        assert held is None or torch.equal(kb.members(kb.held), members)
        if held is not None:
            torch.testing.assert_close(kb.jacobian(kb.held), ka.jacobian(ka.held)[:, order], **EXACT)
        assert b.evaluator()(x[order])[0] == pytest.approx(a.evaluator()(x)[0], rel=1e-12)


def test_a_minimum_on_kinks_is_certified_as_a_module_and_found_again():
    _, module, order = pair(n_data=160)
    result = minimum()
    assert result.status == "converged" and len(result.system.kinks[1]) > 5
    held = module.at(kinks=result.system.kinks)
    theirs, ours = uj.certify(result.system, result.x), uj.certify(held, result.x[order])
    assert theirs.minimum and ours.minimum
    assert (ours.n_overlaps, ours.n_kinks, ours.n_zero) == (theirs.n_overlaps, theirs.n_kinks, theirs.n_zero)
    noise = torch.randn(len(order), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    again = uj.minimize(module, result.x[order] + 1e-4 * noise, uj.ProximalNewton())
    assert again.status == "converged" and again.energy == pytest.approx(result.energy, rel=1e-9)
    assert len(again.system.kinks[1]) == len(result.system.kinks[1])
    assert uj.certify(again.system, again.x).minimum
    count = uj.count_constraints(again.system, again.x)
    assert (count.n_overlaps, count.n_kinks) == (theirs.n_overlaps, theirs.n_kinks)


def test_kinks_of_the_hinge_join_those_of_the_units():
    plain, module, order = pair(uj.LinearHinge())
    members = torch.tensor([[-1, 4], [6, 9]])
    kinks = members, torch.tensor([0.3, 0.6], dtype=torch.float64)
    a, b = plain.at(kinks=kinks), module.at(kinks=kinks)
    x = plain.initial
    torch.testing.assert_close(
        uj.gradient(b, b.constraints(x[order])), uj.gradient(a, a.constraints(x))[order], **EXACT
    )
    fewer = b.subset(torch.arange(5, 120))
    assert fewer.kinks[0].tolist() == [[6, 4]]
    assert b.at(labels=-b.labels).kinks is None and b.at(margin=0.5).kinks is not None


class Windows(nn.Module):
    """Two windows of a picture through the same ReLU, and the larger of two heads."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.heads = nn.Conv1d(1, 2, 3, dtype=torch.float64), nn.Linear(8, 2, dtype=torch.float64)

    def forward(self, x):
        h = torch.relu(self.first(x[:, None])).flatten(1)
        left, right = self.heads(h).T
        return torch.maximum(left, right)


def test_a_module_that_is_no_chain():
    """Convolution, ReLU and max: ∇z and ∂U/∂h against finite differences; a minimum on kinks is certified."""
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(150, 6, generator=random, dtype=torch.float64)
    system = uj.Network(Windows(), inputs, 2 * (torch.arange(150) % 2) - 1)
    assert system.kinked_units == (8, 1)
    x = system.initial
    c = system.constraints(x)
    kinks = c.kinks(system.potential.force(c.delta))
    chosen = torch.tensor([0, 20, 8 * 150 + 7])
    assert kinks.members(chosen).tolist() == [[0, 0], [4, 2], [8, 7]]
    step = 1e-6

    def z(y):
        there = system.constraints(y)
        return there.kinks(there.delta).values[chosen]

    columns = [(z(x + e) - z(x - e)) / (2 * step) for e in step * torch.eye(len(x), dtype=x.dtype)]
    torch.testing.assert_close(kinks.jacobian(chosen), torch.stack(columns, -1), atol=1e-8, rtol=1e-8)
    result = uj.minimize(system, solver=uj.ProximalNewton(max_steps=400))
    assert result.status == "converged" and len(result.system.kinks[1]) > 0
    found = uj.certify(result.system, result.x)
    assert found.independent and not found.n_negative and found.rise >= 0 and found.relative_gradient < 1e-9


def test_modules_without_kinks_and_bad_ones():
    smooth = uj.Network(
        nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)), torch.ones(4, 3), [1, -1, 1, -1]
    )
    assert smooth.kinked_units == ()
    _, module, _ = pair()
    assert module.at(dense_limit=0).kinked_units == ()
    for kinks in (([[10, 0]], [0.5]), ([[0, 120]], [0.5]), ([[-1, 0]], [0.5]), ([[0, 0]], [0.5, 0.5])):
        with pytest.raises(ValueError, match="kinks"):
            module.at(kinks=kinks)
    with pytest.raises(ValueError, match="kinks"):
        smooth.at(kinks=([[0, 0]], [0.5]))
