"""Which data a network keeps: as NumPy indexes, and one sentence instead of torch's own errors."""

import numpy as np
import pytest
import torch
from torch import nn

import unijam as uj

P = 30


@pytest.fixture(params=["fully connected", "module"])
def network(request):
    plain = uj.FullyConnected.random(depth=1, width=4, input_dimension=4, n_data=P, seed=0)
    if request.param == "module":
        torch.manual_seed(0)
        return uj.Network(nn.Linear(4, 1), plain.inputs, plain.labels)
    return plain


@pytest.mark.parametrize(
    ("select", "kept"),
    [
        (10, range(10)),
        (np.int64(10), range(10)),
        (torch.tensor(10), range(10)),
        (P, range(P)),
        (slice(5, 10), range(5, 10)),
        (slice(None, None, -3), range(29, -1, -3)),
        (slice(-4, None), range(26, 30)),
        ([3, 1, 1], [3, 1, 1]),
        ((3, -1), [3, 29]),
        (np.array([0, 7], dtype=np.uint8), [0, 7]),
        (torch.tensor([0, 7], dtype=torch.int32), [0, 7]),
        (torch.tensor([-1, 7]), [29, 7]),
        (range(4), range(4)),
        (np.arange(P) % 2 == 0, range(0, P, 2)),
        (torch.arange(P) < 3, range(3)),
        ((np.arange(P) < 3).tolist(), range(3)),
    ],
)
def test_some_of_the_data(network, select, kept):
    kept, part = list(kept), network.subset(select)
    assert part.n_data == len(kept)
    assert torch.equal(part.inputs, network.inputs[kept]) and torch.equal(part.labels, network.labels[kept])
    x = network.initial
    torch.testing.assert_close(part.constraints(x).delta, network.constraints(x).delta[kept])
    assert part.evaluator()(x)[0] == pytest.approx(uj.energy(part, part.constraints(x)), rel=1e-12)


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (0, "select = 0 .* from 1 to 30"),
        (-1, "select = -1 .* from 1 to 30"),
        (31, "select = 31 .* from 1 to 30"),
        (True, "shape of select|select = True"),
        (1.5, "select"),
        ([], r"select"),
        ([30], "select = 30 .* whole numbers from -30 to 29"),
        ([-31], "select = -31"),
        (torch.tensor([0, 30]), "select = 30"),
        ([0.0, 1.0], "select"),
        ([[0, 1]], r"shape of select"),
        ("ten", "select"),
        (None, "select"),
        (slice(5, 5), "select = slice.5, 5, None. .* at least one"),
        (slice(0, 4, 0), "select = slice"),
        (slice("a"), "select = slice"),
        (np.ones(29, bool), "length of the mask select = 29 .* 30"),
        (np.zeros(P, bool), "at least one"),
    ],
)
def test_one_sentence(network, select, says):
    with pytest.raises(ValueError, match=says) as error:
        network.subset(select)
    assert "\n" not in str(error.value)


def test_kinks_held_follow_their_data():
    network = uj.FullyConnected.random(
        depth=1, width=4, input_dimension=4, n_data=P, activation="relu", weights="free"
    )
    held = network.at(kinks=([[2, 5], [1, 20]], [0.5, 0.25]))
    assert held.subset(10).kinks[0].tolist() == [[2, 5]]
    assert held.subset([20, -10]).kinks[0].tolist() == [[1, 0], [1, 1]]
