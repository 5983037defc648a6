"""Kinks that a user writes with torch, and those of the potential: minima known in closed form."""

import pytest
import torch

import unijam as uj


class Folded(uj.AutodiffSystem):
    """A parabola with a fold: Δ = c + ½ |x − a|² + b |x₀| + max(x₁, 0); for b > a₀ the minimum sits at x₀ = 0."""

    def __init__(self, b: float = 2.0, a: float = 0.5) -> None:
        self.initial, self.b, self.a = [1.0, 0.7, -0.4], b, torch.tensor([a, -0.3, 0.2], dtype=torch.float64)

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        fold = 1.0 + 0.5 * (x - self.a).square().sum() + self.b * x[0].abs() + torch.relu(x[1])
        return fold[None]


class Wall(uj.AutodiffSystem):
    """U = 5 + ½ |x|² + max(1 − 2 x₀, 0) + max(x₁ − 1, 0), of a linear hinge: the minimum touches the wall x₀ = ½."""

    potential = uj.LinearHinge()

    def __init__(self) -> None:
        self.initial = [-0.4, 0.7]

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([5 + 0.5 * x @ x, 1 - 2 * x[0], x[1] - 1])


def test_an_autodiff_system_with_a_modulus():
    """Stationary where b (2t − 1) = a₀: the slope of |x₀| is a₀/b."""
    system = Folded()
    result = uj.minimize(system)
    assert result.status == "converged" and result.relative_gradient < 1e-9
    torch.testing.assert_close(
        result.x, torch.tensor([0.0, -0.3, 0.2], dtype=torch.float64), atol=1e-10, rtol=0
    )
    assert result.energy == pytest.approx(0.5 * (1 + 0.5 * 0.25) ** 2)
    members, slopes = result.system.kinks
    assert members.tolist() == [[0, 0]] and float(slopes[0]) == pytest.approx(0.25)
    found = uj.certify(result.system, result.x)
    assert found.minimum and found.slopes == pytest.approx((0.625, 0.625)) and found.n_kinks == 1
    # U rises by Δ (b ∓ a₀) to the two sides; the smaller of them over u' = Δ
    assert found.rise == pytest.approx(1.5, rel=1e-5)


def test_a_weak_fold_is_passed():
    """For b < a₀ the minimum lies at x₀ = a₀ − b, where U is smooth."""
    result = uj.minimize(Folded(b=0.2))
    assert result.status == "converged" and result.system.kinks is None
    assert float(result.x[0]) == pytest.approx(0.3, abs=1e-10)


class Leaning(uj.AutodiffSystem):
    """U = ½ (1 + max(x − 3, 0))² + ½ (1 − s x + 3 s)²: the minimum sits on the kink with a slope s."""

    def __init__(self, slope: float) -> None:
        self.initial, self.slope = [3.0], slope

    def delta(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([1 + torch.relu(x - 3), 1 - self.slope * (x - 3)])


@pytest.mark.parametrize(
    ("slope", "n_degenerate"), [(0.4, 0), (1e-3, 0), (1e-7, 0), (1e-12, 1), (1e-15, 1), (1 - 1e-12, 1)]
)
def test_a_slope_at_its_bound_is_not_inside(slope, n_degenerate):
    slopes = torch.tensor([slope], dtype=torch.float64)
    held = Leaning(slope).at(kinks=(torch.zeros(1, 2, dtype=torch.long), slopes))
    found = uj.certify(held, held.initial)
    assert found.relative_gradient < 1e-15 and 0 < found.slopes[0] == slope and not found.n_negative
    assert found.n_degenerate == n_degenerate and found.minimum == (not n_degenerate)


@pytest.mark.parametrize(
    ("bend", "z", "sides"),
    [
        (torch.relu, lambda x: x, (0.0, 1.0)),
        (torch.nn.ReLU(), lambda x: x, (0.0, 1.0)),
        (torch.nn.LeakyReLU(0.1), lambda x: x, (0.1, 1.0)),
        (lambda x: abs(x), lambda x: x, (-1.0, 1.0)),
        (lambda x: torch.maximum(x, 2 * x.roll(1)), lambda x: x - 2 * x.roll(1), (0.0, 1.0)),
        (lambda x: torch.minimum(x, 2 * x.roll(1)), lambda x: x - 2 * x.roll(1), (1.0, 0.0)),
        (lambda x: x.clamp(min=0.3), lambda x: x - 0.3, (0.0, 1.0)),
        (lambda x: torch.clamp_max(x, 0.3), lambda x: x - 0.3, (1.0, 0.0)),
    ],
)  # fmt: skip
def test_what_torch_bends_is_seen(bend, z, sides):
    """Same values and derivatives as without a tracer; z, its gradient and the force on h as they are."""

    class Bent(uj.AutodiffSystem):
        def __init__(self):
            self.initial = torch.linspace(-1, 1.1, 6, dtype=torch.float64)

        def delta(self, x):
            return 0.2 + (bend(torch.sin(x)) * torch.arange(1, 7)).square()

    system = Bent()
    x = system.initial + 0.05
    c = system.constraints(x)
    torch.testing.assert_close(c.delta, system.delta(x))
    weights = torch.linspace(0.5, 1, 6, dtype=torch.float64)
    kinks = c.kinks(weights)
    torch.testing.assert_close(kinks.values, z(torch.sin(x)))
    every = torch.arange(6)
    torch.testing.assert_close(kinks.jacobian(every), torch.func.jacrev(lambda y: z(torch.sin(y)))(x))
    assert [float(side[0]) for side in kinks.sides(every)] == pytest.approx(sides)
    assert kinks.members(every[2:4]).tolist() == [[0, 2], [0, 3]]
    # held: h = slope z
    slopes = torch.tensor([0.5, 0.25], dtype=torch.float64)
    held = system.at(kinks=(torch.tensor([[0, 1], [0, 4]]), slopes)).constraints(x)
    shift = torch.zeros(6, dtype=torch.float64)
    ends = torch.tensor(sides, dtype=torch.float64)
    for k, s in zip((1, 4), slopes, strict=True):
        shift[k] = (s - ends[int(kinks.values[k] > 0)]) * kinks.values[k]
    expected = 0.2 + ((bend(torch.sin(x)) + shift) * torch.arange(1, 7)).square()
    torch.testing.assert_close(held.delta, expected)


def test_a_linear_hinge_without_rounding_is_held_at_contact():
    """x₀ = ½, where the wall bears a force of ¼: x₀ = 2 s."""
    result = uj.minimize(Wall())
    assert result.status == "converged" and result.relative_gradient < 1e-9
    torch.testing.assert_close(result.x, torch.tensor([0.5, 0.0], dtype=torch.float64), atol=1e-10, rtol=0)
    assert result.energy == pytest.approx(5.125)
    members, slopes = result.system.kinks
    assert members.tolist() == [[-1, 1]] and float(slopes[0]) == pytest.approx(0.25)
    found = uj.certify(result.system, result.x)
    assert found.minimum and found.n_kinks == 1 and found.n_overlaps == 1
    plain = result.system.at(kinks=None)
    assert plain.potential == uj.LinearHinge() and uj.energy(
        plain, plain.constraints(result.x)
    ) == pytest.approx(5.125)


def test_a_network_with_a_linear_hinge():
    """ReLU and hinge: data at the margin and units at their kinks bear force together."""
    network = uj.FullyConnected.random(
        depth=1, width=4, input_dimension=3, n_data=60, activation="relu", weights="free", seed=1
    ).at(potential=uj.LinearHinge())
    rough = uj.ProximalNewton(gradient_tolerance=1e-3)
    stages = [uj.Stage(solver=rough, weight_decay=mu) for mu in (1.0, 0.1)]
    result = uj.minimize(network, solver=uj.Stages((*stages, uj.Stage(solver=uj.ProximalNewton()))))
    found = uj.certify(result.system, result.x)
    assert result.status == "converged" and found.minimum
    units = result.system.kinks[0][:, 0]
    assert (units == -1).any() and (units >= 0).any()
    # without stiffness nothing but kinks can hold the weights: as many as there are but for rescalings
    assert found.n_kinks == network.n_dof - found.n_symmetries == 21 - 4
