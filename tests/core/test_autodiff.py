"""AutodiffSystem: derivatives against finite differences, symmetries, parameters, bad input."""

import re

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.core.derivatives import energy, gradient, hessian


class BreathingDiscs(uj.AutodiffSystem):
    def __init__(self, n=12, packing_fraction=1.1, breath=0.3, seed=0):
        self.n, self.packing_fraction, self.breath = n, packing_fraction, breath
        random = torch.Generator().manual_seed(seed)
        self.initial = n**0.5 * torch.rand(3 * n, generator=random, dtype=torch.float64)
        self.members = torch.combinations(torch.arange(n))

    def delta(self, x):
        (i, j), r = self.members.T, x[: 2 * self.n].reshape(-1, 2)
        radii = 1 + self.breath * torch.sin(x[2 * self.n :])
        radii = radii * (self.packing_fraction * self.n / (torch.pi * (radii**2).sum())) ** 0.5
        away = r[i] - r[j]
        return radii[i] + radii[j] - (away - self.n**0.5 * torch.round(away / self.n**0.5)).norm(dim=1)


class Margin(uj.AutodiffSystem):
    """Δ = 2κ − data·x/|x|."""

    control = "margin"

    def __init__(self, margin=0.5):
        self.margin = margin
        self.data = torch.from_numpy(np.random.default_rng(1).standard_normal((7, 4)))
        self.initial = [1.0, 2, 3, 4]

    def delta(self, x):
        return 2 * self.margin - self.data @ x / x.norm()


def finite_difference(function, x, step=1e-5):
    rows = torch.eye(len(x), dtype=x.dtype)
    return torch.stack([(function(x + step * e) - function(x - step * e)) / (2 * step) for e in rows], -1)


@pytest.mark.parametrize("system", [BreathingDiscs(), Margin()])
def test_derivatives_against_finite_differences(system):
    x = system.initial
    c = system.constraints(x)
    assert c.overlaps.any()
    jacobian = finite_difference(lambda y: system.constraints(y).delta, x)
    torch.testing.assert_close(c.jacobian(), jacobian, atol=1e-8, rtol=1e-7)
    w = torch.linspace(-1, 1, len(c.delta), dtype=x.dtype)
    v = torch.linspace(1, 2, len(x), dtype=x.dtype)
    torch.testing.assert_close(c.vjp(w), c.jacobian().T @ w)
    torch.testing.assert_close(c.jvp(v), c.jacobian() @ v)
    torch.testing.assert_close(c.jacobian(c.overlaps), c.jacobian()[c.overlaps])
    assert c.jacobian(c.delta > 1e9).shape == (0, len(x))
    few = torch.tensor([3, 0])
    torch.testing.assert_close(c.jacobian(few), c.jacobian()[few])
    weighted = finite_difference(lambda y: system.constraints(y).vjp(w), x)
    torch.testing.assert_close(c.curvature(w), weighted, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(gradient(system, c), finite_difference(lambda y: torch.tensor(
        energy(system, system.constraints(y)), dtype=torch.float64), x), atol=1e-8, rtol=1e-6)  # fmt: skip
    total = finite_difference(lambda y: gradient(system, system.constraints(y)), x)
    torch.testing.assert_close(sum(hessian(system, c)), total, atol=1e-6, rtol=1e-6)


def test_breathing_discs_have_two_translations_and_the_common_breath():
    system = BreathingDiscs()
    x, n = system.initial, system.n
    z = system.symmetries(x)
    torch.testing.assert_close(z @ z.T, torch.eye(3, dtype=x.dtype), atol=1e-12, rtol=0)
    expected = torch.zeros(3, len(x), dtype=x.dtype)
    expected[0, : 2 * n : 2] = expected[1, 1 : 2 * n : 2] = 1
    s = x[2 * n :]  # all radii by one factor, which the fixed area takes back
    expected[2, 2 * n :] = (1 + system.breath * torch.sin(s)) / torch.cos(s)
    torch.testing.assert_close(expected @ z.T @ z, expected)
    assert float(system.constraints(x).jvp(z[0]).abs().max()) < 1e-12


def test_no_symmetries_with_few_constraints_and_the_norm_with_many():
    assert BreathingDiscs(n=3).symmetries(BreathingDiscs(n=3).initial).shape == (0, 9)
    z = Margin().symmetries(Margin().initial)
    torch.testing.assert_close(z.abs(), torch.tensor([[1.0, 2, 3, 4]], dtype=z.dtype) / 30**0.5)


def test_parameters_and_loading():
    system = Margin()
    c = system.constraints(system.initial)
    torch.testing.assert_close(c.loading(), torch.full((7,), 2.0, dtype=torch.float64))
    higher = system.at(scale=0.75)
    assert (system.margin, higher.margin, higher.scale) == (0.5, 0.75, 0.75)
    torch.testing.assert_close(higher.constraints(system.initial).delta, c.delta + 0.5)
    assert system.at(initial=np.ones(4, dtype=np.float32)).initial.dtype == torch.float64
    with pytest.raises(ValueError, match="scale"):
        BreathingDiscs().constraints(BreathingDiscs().initial).loading()
    with pytest.raises(ValueError, match="colour"):
        system.at(colour=1)


def test_evaluators_agree_with_constraints():
    system = Margin()
    x = system.initial
    c = system.constraints(x)
    u, g, square, overlaps = system.evaluator()(x)
    force = system.potential.force(c.delta)
    assert u == pytest.approx(energy(system, c)) and square == pytest.approx(float(force @ force))
    assert overlaps == int(c.overlaps.sum()) and isinstance(u, float)
    torch.testing.assert_close(g, gradient(system, c))
    assert system.scaled_evaluator()(x, 0.5)[4] == pytest.approx(2 * float(force.sum()))


def test_breathing_discs_find_a_minimum():
    result = uj.minimize(BreathingDiscs(seed=1))
    assert result.status == "converged" and result.relative_gradient < 1e-8


def test_members():
    assert BreathingDiscs().constraints(BreathingDiscs().initial).members.shape == (66, 2)
    assert Margin().constraints(Margin().initial).members.tolist() == [[k] for k in range(7)]


class Wrong(uj.AutodiffSystem):
    def __init__(self, initial, delta):
        self.initial, self.written = initial, delta

    def delta(self, x):
        return self.written(x)


def test_bad_input_is_answered_by_a_sentence():
    with pytest.raises(ValueError, match="initial has 1 entries that are NaN"):
        Wrong([1.0, float("nan")], lambda x: x)
    with pytest.raises(ValueError, match="shape of initial"):
        Wrong([[1.0]], lambda x: x)
    with pytest.raises(ValueError, match="the shape of Wrong"):
        system = Wrong([1.0], lambda x: x.sum())
        system.constraints(system.initial)
    with pytest.raises(ValueError, match="function of x"):
        system = Wrong([1.0], lambda x: torch.ones(3))
        system.constraints(system.initial)


def test_degrees_of_freedom_that_move_nothing_are_symmetries():
    system = Wrong([1.0, 2.0, 3.0], lambda x: 0.0 * x)
    assert system.symmetries(system.initial).shape == (3, 3)
    system = Wrong([1.0, 2.0, 3.0], lambda x: torch.cat([x[:2], x[:1] ** 2]))
    torch.testing.assert_close(system.symmetries(system.initial).abs(), torch.eye(3, dtype=torch.float64)[2:])


def test_linear_constraints_have_no_curvature():
    system = Wrong([1.0, 2.0], lambda x: 1 - x)
    c = system.constraints(system.initial)
    assert not c.curvature(torch.ones(2, dtype=torch.float64)).any()
    torch.testing.assert_close(c.jacobian(), -torch.eye(2, dtype=torch.float64))


class Point(uj.AutodiffSystem):
    def delta(self, x):
        return 1 - (x * x).sum().reshape(1)


def test_a_start_of_whole_numbers_or_a_list_is_taken_wherever_it_is_written():
    for start in (torch.arange(1, 3), [1, 2], np.array([1, 2])):
        of_class = type("OfClass", (Point,), {"initial": start})()
        of_object = Point()
        of_object.initial = start
        for system in (of_class, of_object):
            assert system.initial.dtype == torch.float64
            assert uj.minimize(system).status == "satisfied"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Point, "initial of Point = None is not valid: it must be a start"),
        (
            lambda: type("Flat", (Point,), {"initial": [[1.0, 2.0]]}),
            "the shape of initial = (1, 2) is not valid",
        ),
        (
            lambda: type("Back", (Point,), {"initial": [1.0], "delta": lambda self, x: x.detach().numpy()})(),
            "Back.delta(x) = 'ndarray' is not valid: it must be a tensor",
        ),
        (
            lambda: type("Fixed", (Point,), {"initial": property(lambda self: [1, 2])})(),
            "initial of Fixed = [1, 2] is not valid: it must be an array of floating numbers",
        ),
    ],
    ids=["none", "two axes", "NumPy", "no tensor"],
)
def test_what_breaks_the_contract_is_told_in_one_sentence(make, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        uj.minimize(make())
    assert "\n" not in str(caught.value)
