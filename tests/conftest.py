"""What all tests share: one thread, the systems of the contract, jammed states computed once, helpers."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

import unijam as uj
from unijam.particles.pairs.shapes import Capsules, Superellipses

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

    def __init__(self, n: int = 12, packing_fraction: float = 1.0, seed: int = 0) -> None:
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

    `at_call(k)` is called with the number of each evaluation of Δ, at the position `met[k - 1]`; copies share both.
    """

    control = "margin"

    def __init__(self, n: int = 8, load: float = 3.0, margin: float = 0.5, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.data = torch.from_numpy(random.standard_normal((round(load * n), n)))
        self.initial, self.margin = random.standard_normal(n), margin
        self.met, self.at_call = [], lambda k: None

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        self.met.append(tuple(x.tolist()))
        self.at_call(len(self.met))
        return self.margin - self.data @ x / x.norm()


@dataclass(frozen=True)
class Hertzian(uj.Potential):
    """What a user writes: u = Δ^(5/2)/(5/2)."""

    def energy(self, delta):
        return (delta * (delta > 0)) ** 2.5 / 2.5

    def force(self, delta):
        return (delta * (delta > 0)) ** 1.5

    def stiffness(self, delta):
        return 1.5 * (delta * (delta > 0)) ** 0.5


def network(**changes) -> Callable[[int], uj.ConstrainedSystem]:
    """A maker of small fully connected networks."""
    shape = {"depth": 2, "width": 5, "input_dimension": 4, "n_data": 40}
    return lambda seed: uj.FullyConnected.random(**(shape | changes), seed=seed)


def three_classes(seed: int) -> uj.ConstrainedSystem:
    """A small network of three outputs, two constraints a datum."""
    random = np.random.default_rng(seed)
    inputs, labels = random.standard_normal((20, 4)), random.permutation(np.arange(20) % 3)
    return uj.FullyConnected.from_data(
        inputs, labels, depth=1, width=5, weights="free", seed=seed, n_classes=3
    )


SYSTEMS: dict[str, Callable[[int], uj.ConstrainedSystem]] = {
    "discs": lambda seed: uj.SoftSpheres.random(n=18, packing_fraction=1.0, radii="uniform", seed=seed),
    "spheres": lambda seed: uj.SoftSpheres.random(
        n=32, dimension=3, packing_fraction=0.8, radii="uniform", seed=seed
    ),
    "ellipses": lambda seed: uj.Ellipses.random(n=20, aspect_ratio=1.6, packing_fraction=1.1, seed=seed),
    "spheroids": lambda seed: uj.Ellipsoids.random(
        n=18, aspect_ratios=(1, 1, 0.75), packing_fraction=0.8, seed=seed
    ),
    "triaxial ellipsoids": lambda seed: uj.Ellipsoids.random(
        n=20, aspect_ratios=(1, 1.15, 1.3), packing_fraction=0.8, seed=seed
    ),
    "superellipses": lambda seed: Superellipses.random(n=16, packing_fraction=1.1, seed=seed),
    "capsules": lambda seed: Capsules.random(n=16, packing_fraction=1.1, seed=seed),
    "tanh spherical": network(),
    "tanh free": network(weights="free"),
    "softplus free": network(activation="softplus", beta=2.0, weights="free"),
    "gelu spherical": network(activation="gelu", depth=3),
    "relu free": network(activation="relu", weights="free"),
    "three classes": three_classes,
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


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Presses Ctrl-C, which is Python's own within the test, whatever the shell left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def hertzian() -> uj.Potential:
    return Hertzian()


@pytest.fixture(scope="session")
def stiffer() -> Callable[[type[uj.Potential], float], uj.Potential]:
    """The potential times a number, as a user may write it."""

    def make(kind, k):
        class Stiffer(kind):
            def energy(self, delta):
                return k * super().energy(delta)

            def force(self, delta):
                return k * super().force(delta)

            def stiffness(self, delta):
                return k * super().stiffness(delta)

        return Stiffer()

    return make


@pytest.fixture(scope="session")
def users_perceptron() -> type[uj.AutodiffSystem]:
    return UsersPerceptron


def square_network(depth: int) -> Callable[[int], uj.ConstrainedSystem]:
    """A maker of spherical tanh networks, about 120 parameters, 1.2 data each."""
    side = {1: 10, 2: 7, 3: 6}[depth]
    shape = {"depth": depth, "width": side, "input_dimension": side, "n_data": 150}
    return lambda seed: uj.FullyConnected.random(**shape, seed=seed)


JAMMING = {
    "discs": lambda seed: uj.SoftSpheres.random(n=64, packing_fraction=0.9, radii="uniform", seed=seed),
    "spheres": lambda seed: uj.SoftSpheres.random(
        n=64, dimension=3, packing_fraction=0.7, radii="uniform", seed=seed
    ),
    "ellipses": lambda seed: uj.Ellipses.random(n=48, aspect_ratio=1.4, packing_fraction=0.9, seed=seed),
    "perceptron": lambda seed: uj.Perceptron.random(n=50, load=5.0, margin=-0.3, seed=seed),
    "network 1": square_network(1),
    "network 2": square_network(2),
    "network 3": square_network(3),
}


@pytest.fixture(scope="session")
def systems_to_jam() -> dict[str, Callable[[int], uj.ConstrainedSystem]]:
    """Makers of the systems that are jammed, by name."""
    return JAMMING


@pytest.fixture(scope="session")
def jammed() -> Callable[[str, int], uj.JamResult]:
    """The jammed state of a kind of system and a seed, computed once a session."""
    return cache(lambda name, seed: uj.jam(JAMMING[name](seed)))


def near(value: float, states) -> uj.MinimizeResult:
    """The state whose typical overlap is nearest to a value, in decades."""
    return min(states, key=lambda s: abs(np.log(s.typical_overlap / value)))


@pytest.fixture(scope="session")
def on_the_way(jammed) -> Callable[[str, int, float], uj.MinimizeResult]:
    """A converged state on the way to jamming, of about this typical overlap (finite differences need it)."""
    return lambda name, seed, overlap: near(overlap, jammed(name, seed).states)


def contacts(system, x) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Overlapping pairs of discs or spheres and their Δ, by looking at every pair."""
    found, deltas = [], []
    position, side = x.reshape(system.n, system.dimension), system.box_length
    for i in range(system.n):
        for j in range(i + 1, system.n):
            r = position[i] - position[j]
            r -= side * np.round(r / side)
            delta = system.radii[i] + system.radii[j] - np.sqrt(r @ r)
            if delta > 15 * system.resolution(x):
                found.append((i, j))
                deltas.append(delta)
    return found, np.array(deltas)


def backbone(pairs: list[tuple[int, int]], n: int, least: int) -> set[int]:
    """Particles left after taking away, again and again, those with fewer than `least` contacts."""
    kept = set(range(n))
    while True:
        degree = dict.fromkeys(kept, 0)
        for i, j in pairs:
            if i in kept and j in kept:
                degree[i] += 1
                degree[j] += 1
        gone = {i for i in kept if degree[i] < least}
        if not gone:
            return kept
        kept -= gone


@pytest.fixture(scope="session")
def find_backbone() -> Callable[[uj.ConstrainedSystem, np.ndarray], tuple[int, list[int]]]:
    """N_Δ between particles that are no rattlers, and which these are, in plain Python."""

    def find(system, x):
        if isinstance(system, uj.Ellipses):
            c = system.constraints(x)
            pairs, least = [tuple(pair) for pair in c.members[c.overlaps].tolist()], 3
        else:
            pairs, least = contacts(system, x)[0], system.dimension + 1
        held = backbone(pairs, system.n, least)
        return sum(i in held and j in held for i, j in pairs), sorted(held)

    return find
