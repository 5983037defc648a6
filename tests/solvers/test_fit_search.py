"""The search for U = 0 of networks with free weights: what it fits, how it fails, and that its seed is its identity."""

import pytest
import torch

import unijam as uj
from unijam.core.capabilities import HasData, Layered, Softened


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


class OneLayer(uj.AutodiffSystem, Softened, HasData, Layered):
    """A network of one hidden layer, as a user would write it; ReLU where β is None, else softplus."""

    softest = 2.0

    def __init__(self, plain: uj.FullyConnected) -> None:
        self.plain, self.beta = plain, None
        self.initial = plain.initial
        self.n_data, self.n_hidden = plain.n_data, plain.n_hidden

    def subset(self, select):
        return OneLayer(self.plain.subset(select))

    def softened(self, beta):
        return self.at(beta=beta, softest=None)

    def delta(self, x):
        first, last = (p.view(s) for p, s in zip(x.split(self.plain.sizes), self.plain.shapes, strict=True))
        z = self.plain.inputs @ first[:, :-1].T + first[:, -1]
        h = torch.relu(z) if self.beta is None else torch.nn.functional.softplus(z, beta=self.beta)
        return 1 - self.plain.labels * (h @ last[0, :-1] + last[0, -1])


@pytest.mark.parametrize(("n_data", "status"), [(90, "satisfied"), (300, "converged")])
def test_a_users_network_is_searched_by_way_of_its_own_softened_ones(n_data, status):
    plain = network(n_data, depth=1)
    result = uj.minimize(OneLayer(plain))
    assert result.status == uj.minimize(plain).status == status and result.system.beta is None
    if status == "satisfied":
        assert float(OneLayer(plain).delta(result.x).max()) < 1e-9
    else:
        assert uj.certify(result.system, result.x).minimum


@pytest.mark.parametrize("weights", ["free", "spherical"])
def test_a_system_is_no_network_because_its_attributes_are_called_so(weights):
    class Namesake(uj.AutodiffSystem):
        activation, beta, depth, widths = "relu", None, 2, (3,)
        control = "margin"

        def __init__(self, margin=0.5):
            self.margin, self.weights = margin, weights
            self.initial = [1.0, 2, 3, 4]

        def delta(self, x):
            data = torch.linspace(-1, 1, 28, dtype=x.dtype).sin().reshape(7, 4)
            return self.margin - data @ x / x.norm()

    assert uj.jam(Namesake()).status == "converged"
    free = Namesake()
    free.control = None
    assert uj.minimize(free).status == "converged"


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
