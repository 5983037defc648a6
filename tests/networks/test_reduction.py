"""Reduced networks: dead units dropped, copies merged, the function on the data kept."""

import pytest
import torch

import unijam as uj
from tests.networks.points import moved
from unijam.networks import FullyConnected


def network(activation="tanh", weights="spherical", bias=True, depth=2):
    """One of whose units none is silent for all data."""
    return FullyConnected.random(depth, 5, 4, 30, activation, 2.0, weights, bias=bias, seed=8)


def layers_of(system, x):
    parts = zip(x.split(system.sizes), system.shapes, strict=True)
    return [part.reshape(shape).clone() for part, shape in parts]


def flat(layers):
    return torch.cat([theta.reshape(-1) for theta in layers])


def agree(system, x, reduced):
    smaller, y = reduced
    before, after = system.constraints(x).delta, smaller.constraints(y).delta
    size = max(abs(system.margin), float((system.margin - before).square().mean().sqrt()))
    assert float((before - after).abs().max()) < 1e-6 * size
    assert smaller.canonical(y) is y or system.weights == "free"
    return smaller.widths


def test_nothing_to_reduce():
    system = network()
    assert system.reduced(moved(system)) is None
    assert FullyConnected.random(depth=0).reduced(FullyConnected.random(depth=0).initial) is None


@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu", "relu"])
@pytest.mark.parametrize("weights", ["spherical", "free"])
@pytest.mark.parametrize("small", [0.0, 1e-5])
def test_dead_units_are_dropped(activation, weights, small):
    system = network(activation, weights)
    theta = layers_of(system, moved(system))
    theta[0][1] *= small
    theta[1][:, 1] *= small
    theta[1][3:] *= small
    theta[2][:, 3:5] *= small
    x = flat(theta)
    assert agree(system, x, system.reduced(x)) == (4, 3)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "gelu", "relu"])
@pytest.mark.parametrize("weights", ["spherical", "free"])
@pytest.mark.parametrize("bias", [True, False])
def test_copies_are_merged(activation, weights, bias):
    system = network(activation, weights, bias)
    theta = layers_of(system, moved(system))
    sign = -1 if activation == "tanh" else 1
    scale = 3.0 if activation == "relu" else 1.0
    theta[0][2] = sign * scale * theta[0][0]
    theta[0][4] = theta[0][0] * (1 + 1e-7)
    theta[1][3] = theta[1][1]
    x = flat(theta)
    smaller, y = system.reduced(x)
    assert agree(system, x, (smaller, y)) == (3, 4)
    assert smaller.reduced(y) is None


def test_units_of_opposite_sign_are_no_copies_of_softplus():
    system = network("softplus")
    theta = layers_of(system, moved(system))
    theta[0][2] = -theta[0][0]
    assert system.reduced(flat(theta)) is None


def test_one_unit_a_layer_stays():
    system = network()
    theta = layers_of(system, moved(system))
    theta[0][:] = theta[0][0]
    theta[1][:] = theta[1][0]
    x = flat(theta)
    assert agree(system, x, system.reduced(x)) == (1, 1)


def test_near_copies_that_matter_are_kept():
    system = network()
    theta = layers_of(system, moved(system))
    theta[0][2] = theta[0][0]
    theta[0][2, 0] += 1e-3
    theta[1][:, 2] -= 2 * theta[1][:, 0]
    assert system.reduced(flat(theta)) is None


def with_a_cluster():
    """Data that one unit moves, and five whose signal it does not pass: three of one label and two of the other."""
    inputs = torch.tensor([[-1.0], [-0.5], [0.0], [0.5], [1.0], [3.0], [4.0]], dtype=torch.float64)
    labels = [1, 1, -1, 1, -1, 1, 1]
    system = FullyConnected.from_data(inputs, labels, depth=1, width=3, activation="relu", weights="free")
    first = torch.tensor([[1.0, -2.0], [0.0, 0.0], [-1.0, -5.0]], dtype=torch.float64)
    last = torch.tensor([[3.0, 0.5, 2.0, 0.1]], dtype=torch.float64)
    return system, flat([first, last])


def test_trapped_data_and_units_are_named():
    """U = 2 n₊n₋/n where the bias alone answers; the data and the two units without effect are named."""
    system, x = with_a_cluster()
    result = uj.minimize(system, x, uj.LevenbergMarquardt())
    assert result.status == "converged" and result.energy == pytest.approx(2 * 3 * 2 / 5, rel=1e-12)
    found = system.redundancy(result.x)
    assert found.trapped == (0, 1, 2, 3, 4) and found.dead == (1, 2) and found.copies == ()
    signal = torch.autograd.functional.jacobian(lambda v: system.output(result.x, v), system.inputs)
    assert not signal[:5].any() and signal[5, 5].abs() > 1 and signal[6, 6].abs() > 1
    count = uj.count_constraints(system, result.x)
    assert (count.trapped, count.dead) == (found.trapped, found.dead)
    assert count.reduced.n_dof == 4 and count.reduced.n_overlaps == count.n_overlaps == 5
    text = str(count)
    assert (
        "2 dead units (1, 2)" in text and "5 trapped data (0, 1, 2, 3, 4)" in text and "without them" in text
    )


def test_copies_are_named():
    system = network()
    theta = layers_of(system, moved(system))
    theta[0][2] = -theta[0][0]
    theta[1][3] = theta[1][1]
    x = flat(theta)
    assert system.redundancy(x).copies == ((2, 0), (8, 6))
    assert "2 copies (2 of 0, 8 of 6)" in str(uj.count_constraints(system, x))
    assert system.redundancy(moved(system)).reduced is None and not system.redundancy(moved(system)).trapped


def test_a_unit_held_on_a_kink_is_not_dead():
    system, x = with_a_cluster()
    assert system.redundancy(x).dead == (1, 2)
    held = system.at(kinks=([[2, 6]], [0.5]))
    assert held.redundancy(x).dead == (1,)
    assert system.at(kinks=([[0, 4]], [0.5])).redundancy(x).trapped == (0, 1, 2, 3)
