"""The search for U = 0 of networks with free weights: what it fits, how it fails, and that its seed is its identity."""

import pytest
import torch

import unijam as uj


def network(n_data: int, seed: int = 0, depth: int = 2, width: int = 6, **changes) -> uj.FullyConnected:
    kind = {"activation": "relu", "weights": "free"} | changes
    return uj.FullyConnected.random(
        depth=depth, width=width, input_dimension=width, n_data=n_data, seed=seed, **kind
    )


@pytest.mark.parametrize(("depth", "width", "load"), [(1, 8, 2.5), (2, 6, 2.5), (3, 6, 1.6), (5, 5, 1.0)])
def test_relu_networks_of_every_depth_are_fitted(depth, width, load):
    """Every datum on its side of the margin by a plain forward pass of the ReLU network."""
    n_dof = network(2, depth=depth, width=width).n_dof
    system = network(int(load * (n_dof - depth * width)), depth=depth, width=width)
    result = uj.minimize(system, solver=uj.FitSearch(reheats=3))
    assert result.status == "satisfied" and result.system.activation == "relu"
    h, parts = system.inputs, result.x.split(system.sizes)
    for number, (part, shape) in enumerate(zip(parts, system.shapes, strict=True)):
        theta = part.view(shape)
        h = h @ theta[:, :-1].T + theta[:, -1]
        h = h if number == depth else torch.relu(h)
    assert float((system.labels * h[:, 0]).min()) > 1 - 1e-9


def test_smooth_and_linear_networks_are_searched_too():
    assert uj.minimize(network(180, activation="tanh"), solver=uj.FitSearch()).status == "satisfied"
    linear = network(40, depth=0, width=30, bias=False)
    assert uj.minimize(linear, solver=uj.FitSearch()).fitted


def test_a_search_that_fails_goes_on_to_a_minimum_if_asked():
    """Far above the transition (P/N_eff = 6.3) it may be certified."""
    system = network(500)
    left = uj.minimize(system, solver=uj.FitSearch(reheats=0, finish=False))
    ended = uj.minimize(system, solver=uj.FitSearch(reheats=0))
    assert left.system.activation == ended.system.activation == "relu"
    assert left.status != "converged" and ended.status == "converged"
    assert uj.certify(ended.system, ended.x).minimum


def test_relu_networks_are_searched_by_default_but_not_from_a_given_start():
    system = network(120)
    assert uj.minimize(system).status == "satisfied"
    far = network(500)
    state = uj.minimize(far)
    assert state.status == "converged"
    again = uj.minimize(far, state.x)
    torch.testing.assert_close(again.x, state.x, rtol=0, atol=1e-6)


def test_a_search_is_repeated_by_its_seed():
    system = network(300)
    found = [uj.minimize(system, solver=uj.FitSearch(reheats=1, seed=s, finish=False)) for s in (1, 1, 2)]
    energies = [[record.energy for record in result.history] for result in found]
    assert energies[0] == energies[1] != energies[2]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sharpness": 0.0}, "sharpness = 0"),
        ({"weight_decay": 0.0}, "weight_decay = 0"),
        ({"reheats": -1}, "reheats = -1"),
        ({"noise": 0.0}, "noise = 0"),
    ],
)
def test_bad_input_gets_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        uj.FitSearch(**options)
