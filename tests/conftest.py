"""What all tests share: one thread, the systems of the contract, jammed states computed once, independent helpers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

import unijam as uj

torch.set_num_threads(1)
settings.register_profile(
    "unijam",
    deadline=None,  # numba compiles at the first call
    derandomize=True,  # the same draws in every run
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("unijam")


class BreathingDiscs(uj.AutodiffSystem):
    """What a user writes: discs whose radii may change while their total area is kept."""

    def __init__(self, n: int = 10, packing_fraction: float = 1.0, seed: int = 0) -> None:
        self.n, self.side, self.area = n, n**0.5, packing_fraction * n
        random = np.random.default_rng(seed)
        self.initial = np.concatenate([self.side * random.random(2 * n), random.standard_normal(n)])
        self.members = torch.combinations(torch.arange(n))

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        (i, j), r = self.members.T, x[: 2 * self.n].reshape(-1, 2)
        radii = 1 + 0.3 * torch.sin(x[2 * self.n :])
        radii = radii * (self.area / (torch.pi * (radii**2).sum())) ** 0.5
        away = r[i] - r[j]
        return radii[i] + radii[j] - (away - self.side * torch.round(away / self.side)).norm(dim=1)


class UsersPerceptron(uj.AutodiffSystem):
    """What a user writes: a perceptron by `delta` alone, with its margin as control.

    `at_call(k)` is called with the number of each evaluation of Δ.
    """

    control = "margin"

    def __init__(self, n: int = 8, load: float = 3.0, margin: float = 0.5, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.data = torch.from_numpy(random.standard_normal((round(load * n), n)))
        self.initial, self.margin = random.standard_normal(n), margin
        self.calls, self.at_call = [0], lambda k: None

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        self.calls[0] += 1
        self.at_call(self.calls[0])
        return self.margin - self.data @ x / x.norm()


def network(**changes) -> Callable[[int], uj.ConstrainedSystem]:
    """A maker of small fully connected networks."""
    shape = {"depth": 2, "width": 5, "input_dimension": 4, "n_data": 40}
    return lambda seed: uj.FullyConnected.random(**(shape | changes), seed=seed)


SYSTEMS: dict[str, Callable[[int], uj.ConstrainedSystem]] = {
    "discs": lambda seed: uj.SoftSpheres.random(n=18, packing_fraction=1.0, radii="uniform", seed=seed),
    "spheres": lambda seed: uj.SoftSpheres.random(
        n=32, dimension=3, packing_fraction=0.8, radii="uniform", seed=seed
    ),
    "ellipses": lambda seed: uj.Ellipses.random(n=20, aspect_ratio=1.6, packing_fraction=1.1, seed=seed),
    "tanh spherical": network(),
    "tanh free": network(weights="free"),
    "softplus free": network(activation="softplus", beta=2.0, weights="free"),
    "gelu spherical": network(activation="gelu", depth=3),
    "relu free": network(activation="relu", weights="free"),
    "perceptron": lambda seed: uj.Perceptron.random(n=12, load=4.0, margin=-0.3, seed=seed),
    "breathing discs": lambda seed: BreathingDiscs(seed=seed),
    "user's perceptron": lambda seed: UsersPerceptron(seed=seed),
}
SCALED = [name for name in SYSTEMS if SYSTEMS[name](0).scale is not None]


@pytest.fixture(params=SYSTEMS)
def make_system(request) -> Callable[[int], uj.ConstrainedSystem]:
    """Each kind of system, as a function of a seed."""
    return SYSTEMS[request.param]


@pytest.fixture(params=SCALED)
def make_scaled_system(request) -> Callable[[int], uj.ConstrainedSystem]:
    """Each kind of system that has a scale."""
    return SYSTEMS[request.param]


@pytest.fixture(scope="session")
def systems() -> dict[str, Callable[[int], uj.ConstrainedSystem]]:
    """All makers by name."""
    return SYSTEMS


@pytest.fixture(scope="session")
def breathing_discs() -> type[uj.AutodiffSystem]:
    return BreathingDiscs


@pytest.fixture(scope="session")
def users_perceptron() -> type[uj.AutodiffSystem]:
    return UsersPerceptron
