"""What statuses say: satisfied is no overlap, converged a minimum as far as was looked; reasons; certified."""

import numpy as np
import pytest
import torch

import unijam as uj


def relu_network(n_data=60, **shape):
    shape = {"depth": 2, "width": 6, "input_dimension": 6, "activation": "relu", "weights": "free"} | shape
    return uj.FullyConnected.random(n_data=n_data, seed=0, **shape)


@pytest.mark.parametrize(
    "solver", [uj.Adam(max_steps=6000, learning_rate=3e-3), uj.LevenbergMarquardt(), None]
)
@pytest.mark.parametrize("network", [{}, {"activation": "tanh", "depth": 1}, {"n_data": 30, "width": 4}])
def test_satisfied_means_that_no_constraint_overlaps(solver, network):
    system = relu_network(**network)
    result = uj.minimize(system, None, solver)
    count = uj.count_constraints(result.system, result.x).n_overlaps
    assert result.n_overlaps == count == result.history[-1].n_overlaps
    assert (result.status == "satisfied") == (count == 0)
    if result.status == "satisfied":
        resolution = 15 * result.system.resolution(result.x)
        assert float(result.system.constraints(result.x).delta.max()) <= resolution
        assert result.fitted and not result.reason


def test_the_last_overlaps_are_opened_not_waited_for():
    """A point with tiny overlaps out of balance: one look opens them, where descent would halve them for ever."""
    system = uj.FullyConnected.random(depth=0, input_dimension=20, n_data=12, weights="free", seed=0)
    wanted, x = torch.linspace(-1e-10, 3e-11, 12, dtype=torch.float64), system.initial  # some are gaps
    for _ in range(6):
        c = system.constraints(x)
        x = x + torch.linalg.lstsq(c.jacobian(), wanted - c.delta).solution
    assert uj.energy(system, system.constraints(x)) < 1e-20
    assert uj.count_constraints(system, x).n_overlaps == 3
    for solver in (uj.Adam(max_steps=1, learning_rate=1e-300), uj.LevenbergMarquardt(max_steps=1), uj.Fire()):
        result = uj.minimize(system, x, solver)
        assert result.status == "satisfied" and result.n_overlaps == 0 and result.n_steps <= 1
        assert float((result.x - x).norm()) < 1e-8


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_a_packing_just_above_jamming_is_not_satisfied(unit):
    packing = uj.jam(uj.SoftSpheres.random(n=32, radii="uniform", seed=1), excess=1e-5)
    system, x = packing.system, np.asarray(packing.x)
    x = x + 1e-6 * np.random.default_rng(0).standard_normal(x.size)
    scaled = uj.SoftSpheres(
        initial=x * unit,
        radii=np.asarray(system.radii) * unit,
        box_length=float(np.ravel(system.box_length)[0]) * unit,
        dimension=2,
    )
    result = uj.minimize(scaled)
    assert result.status != "satisfied" and result.n_overlaps > 32


def test_below_jamming_descent_opens_every_contact():
    system = uj.SoftSpheres.random(n=32, radii="uniform", packing_fraction=0.7, seed=1)
    for solver in (uj.ConjugateGradient(), uj.Fire(), None):
        result = uj.minimize(system, None, solver)
        assert result.status == "satisfied"
        assert uj.count_constraints(result.system, result.x).n_overlaps == 0 == result.n_overlaps


class Top(uj.AutodiffSystem):
    """Two points that keep apart; both at one place is the maximum."""

    initial = torch.zeros(4, dtype=torch.float64)

    def delta(self, x):
        r = x.reshape(2, 2)
        return 1.0 - ((r[:1] - r[1:]) ** 2).sum(1)


class Flat(Top):
    """The same, with no curvature at the top."""

    def delta(self, x):
        return 1.0 - (1.0 - super().delta(x)) ** 2


class Ridge(uj.AutodiffSystem):
    """A valley in all directions but one of many; x = 0 is a saddle."""

    def __init__(self, n: int = 40, unit: float = 1.0, dtype=torch.float64) -> None:
        self.unit, self.initial = unit, torch.zeros(n, dtype=dtype)

    def delta(self, x):
        y = x / self.unit
        return self.unit * torch.cat([1.0 - y[:1] ** 2, y[1:] + 1.0, 1.0 - y[1:]])


FIRST_ORDER = [uj.Fire(), uj.ConjugateGradient(), uj.LevenbergMarquardt(), uj.Adam(), uj.GradientDescent()]


@pytest.mark.parametrize("solver", FIRST_ORDER, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize(
    "system",
    [Top(), Flat(), Ridge(), Ridge(unit=1e-5), Ridge(unit=1e5), Ridge(dtype=torch.float32)],
    ids=["top", "flat", "ridge", "small", "large", "single"],
)
def test_a_maximum_or_a_saddle_is_no_minimum(system, solver):
    result = uj.minimize(system, None, solver)
    assert result.status in ("saddle", "stalled") and result.energy > 0
    assert result.reason and not result.certified


@pytest.mark.parametrize("solver", FIRST_ORDER, ids=lambda s: type(s).__name__)
def test_minima_stay_converged(solver):
    """Symmetries, rattlers and prestress do not look like negative curvature."""
    discs = uj.SoftSpheres.random(n=24, radii="bidisperse", packing_fraction=0.92, seed=2)
    network = uj.FullyConnected.random(depth=0, input_dimension=5, n_data=40, weights="free", seed=0)
    for system in (discs, network):
        found = uj.minimize(system, uj.minimize(system).x, solver)
        assert found.status == "converged" and not found.certified and not found.reason


def test_certified_says_that_inertia_was_computed():
    discs = uj.SoftSpheres.random(n=24, radii="bidisperse", packing_fraction=0.92, seed=2)
    assert uj.minimize(discs).certified
    assert uj.minimize(discs, None, uj.TrustRegionNewton()).certified
    assert not uj.minimize(discs, None, uj.ConjugateGradient()).certified
    assert not uj.minimize(discs, None, uj.Fire(max_steps=3)).certified
    linear = uj.FullyConnected.random(depth=0, input_dimension=5, n_data=40, weights="free", seed=0)
    assert uj.minimize(linear, None, uj.TrustRegionNewton()).certified


def test_a_reason_is_given_where_a_run_is_not_at_its_end():
    discs = uj.SoftSpheres.random(n=24, packing_fraction=0.92, seed=2)
    short = uj.minimize(discs, None, uj.Fire(max_steps=3))
    assert short.status == "step-limit" and "max_steps" in short.reason
    assert uj.minimize(discs).reason == ""
    replicas = uj.FullyConnected.stack([relu_network(), relu_network()])
    found = uj.minimize(replicas, None, uj.Adam(max_steps=3))
    assert found.reason.shape == (2,) and all("max_steps" in one for one in found.reason)


class Nearest(uj.AutodiffSystem):
    """Each of n points keeps from the nearest other: a minimum over distances, which has kinks."""

    def __init__(self, how: str, n: int = 6) -> None:
        generator = torch.Generator().manual_seed(0)
        self.how, self.n = how, n
        self.initial = 1.5 * torch.rand(2 * n, generator=generator, dtype=torch.float64)

    def delta(self, x):
        r = x.reshape(self.n, 2)
        d = r[:, None] - r[None]
        square = (d * d).sum(-1) + 0.1 * (r * r).sum(1)[:, None] + 1e3 * torch.eye(self.n, dtype=x.dtype)
        if self.how == "amin":
            least = square.amin(1)
        elif self.how == "min":
            least = square.min(dim=1).values
        elif self.how == "sort":
            least = square.sort(dim=1).values[:, 0]
        else:
            least = torch.where(square[:, :1] < square[:, 1:2], square[:, :1], square[:, 1:2])[:, 0]
        return 1.1 - least.sqrt() + 0.3 * (r * r).sum(1)


@pytest.mark.parametrize("how", ["amin", "min", "sort", "where"])
def test_a_kink_that_no_step_can_follow_is_named(how):
    result = uj.minimize(Nearest(how))
    if result.status in ("converged", "satisfied"):
        assert result.reason == ""
        return
    assert result.status == "stalled" and "kink" in result.reason
    r = result.x.reshape(6, 2)
    squares = ((r[:, None] - r[None]) ** 2).sum(-1).fill_diagonal_(torch.inf).sort(1).values
    assert float((squares[:, 1] - squares[:, 0]).min()) < 1e-9  # a point with two nearest others


def test_a_point_between_two_walls_sits_on_a_kink():
    """Δ = 1 − min(|x − a|, |x − b|)² between a and b: the maximum over two parabolas, with its minimum on the kink."""

    class Walls(uj.AutodiffSystem):
        initial = torch.tensor([0.2], dtype=torch.float64)

        def delta(self, x):
            return 2.0 - torch.stack([(x[0] + 1) ** 2, (x[0] - 1) ** 2]).amin(0, keepdim=True)

    for solver in (None, uj.TrustRegionNewton(), uj.Fire(max_steps=300), uj.LevenbergMarquardt()):
        result = uj.minimize(Walls(), None, solver)
        assert result.status in ("stalled", "step-limit") and "kink" in result.reason
        assert abs(float(result.x)) < 0.1
