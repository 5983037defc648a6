"""Minima on kinks: the box-constrained QP, the derivatives of kinks, certified minima of ReLU networks."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unijam as uj
from unijam.linalg.box_quadratic import minimize_in_box
from unijam.solvers import Objective
from unijam.solvers.second_order.kinked_objective import KinkedObjective
from unijam.solvers.second_order.proximal_model import ProximalModel

STEP = 1e-6
SMALL = {"depth": 2, "width": 6, "input_dimension": 6, "weights": "free"}  # N = 91, 12 hidden units


def path() -> uj.Stages:
    """From softplus at full weight decay to ReLU without."""
    rough = uj.TrustRegionNewton(gradient_tolerance=1e-3, max_steps=40)
    soft = [
        uj.Stage({"activation": "softplus", "beta": beta}, rough, weight_decay=1.0)
        for beta in (2.0, 4.0, 8.0, 16.0)
    ]
    near = uj.ProximalNewton(gradient_tolerance=1e-3, max_steps=100)
    sharp = [uj.Stage({"activation": "relu"}, near, weight_decay=mu) for mu in (1.0,)]
    sharp += [uj.Stage({}, near, weight_decay=mu) for mu in (0.1, 0.01)]
    return uj.Stages((*soft, *sharp, uj.Stage({}, uj.ProximalNewton())))


@cache
def minimum(n_data: int, seed: int) -> uj.MinimizeResult:
    """A minimum of a small ReLU network well above its transition."""
    return uj.minimize(uj.FullyConnected.random(**SMALL, n_data=n_data, seed=seed), solver=path())


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 6), rank=st.integers(1, 6))
def test_the_quadratic_in_a_box_is_at_its_minimum(seed, size, rank):
    """The conditions of Karush, Kuhn and Tucker, which are sufficient: Q is positive semidefinite.

    Of some variables the box has no end, as of the forces of gaps; these have a diagonal of their own.
    """
    random = np.random.default_rng(seed)
    a = torch.from_numpy(random.standard_normal((max(rank, size if seed % 2 else 1), size)))
    q, c = a.T @ a, torch.from_numpy(random.standard_normal(size))
    endless = torch.from_numpy(random.random(size) < 0.3)
    q.diagonal().add_(1.0 * endless)
    upper = torch.where(endless, torch.inf, torch.ones_like(c))
    s = minimize_in_box(q, c, torch.from_numpy(random.random(size)), upper)
    gradient = q @ s + c
    assert bool(((s >= 0) & (s <= upper)).all())
    inside = (s > 0) & (s < upper)
    assert float(gradient[inside].abs().max() if inside.any() else 0.0) < 1e-8
    assert bool((gradient[s == 0] > -1e-8).all()) and bool((gradient[s == upper] < 1e-8).all())


def test_variables_of_the_box_without_curvature():
    """Units that have died away leave rows of zeros, or of what is left after underflow."""
    q = torch.diag(torch.tensor([2.0, 0.0, 1e-300, 0.0, 5e-324], dtype=torch.float64))
    c = torch.tensor([-1.0, -1e-200, 1e-310, 0.0, -1e-323], dtype=torch.float64)
    s = minimize_in_box(q, c, torch.full((5,), 0.3, dtype=torch.float64), torch.ones_like(c))
    assert s.tolist() == [pytest.approx(0.5), 1.0, 0.0, 0.3, 1.0]
    s = minimize_in_box(0 * q, c, torch.full((5,), 0.3, dtype=torch.float64), torch.ones_like(c))
    assert s.tolist() == [1.0, 1.0, 0.0, 0.3, 1.0]


@pytest.mark.parametrize("seed", [0, 1])
def test_gaps_that_close_are_in_the_model(seed):
    """Of a linear network U is a sum of ½ max(Δ, 0)²: the whole step descends, as it promised, though gaps close."""
    system = uj.FullyConnected.random(depth=0, input_dimension=20, n_data=90, weights="free", seed=seed)
    objective = KinkedObjective.of(Objective(system))
    point = objective.first(system.initial)
    step = ProximalModel(objective, point, 1e9).step(0.0)
    there = objective(step.y)
    before, after = (system.constraints(y).delta for y in (point.y, step.y))
    assert int(((before <= 0) & (after > 0)).sum()) >= 3
    opened = float(
        0.5 * (after[(before > 0) & (after <= 0)] ** 2).sum()
    )  # an overlap is not let go by the model
    assert point.value - there.value == pytest.approx(step.promised + opened, rel=1e-9)
    found = uj.minimize(system, solver=uj.ProximalNewton())
    exact = uj.minimize(system, solver=uj.TrustRegionNewton())
    assert found.status == "converged" and found.energy == pytest.approx(exact.energy, rel=1e-12)


@pytest.mark.parametrize("weights", ["free", "spherical"])
def test_derivatives_with_kinks_held(weights):
    """∇U, Hp + H0, ∇z and ∂U/∂h of a network with some h = s z, against finite differences."""
    system = uj.FullyConnected.random(
        depth=3, width=4, input_dimension=3, n_data=15, activation="relu", weights=weights, seed=2
    )
    random = torch.Generator().manual_seed(0)
    x = system.initial + 0.2 * torch.randn(system.n_dof, generator=random, dtype=torch.float64)
    members = torch.tensor([[0, 3], [5, 3], [2, 7], [10, 1], [11, 14], [5, 0]])
    slopes = torch.tensor([0.3, 0.9, 0.5, 0.1, 0.7, 0.2], dtype=torch.float64)
    system = system.at(kinks=(members, slopes))
    c = system.constraints(x)
    kinks = c.kinks(system.potential.force(c.delta))
    assert torch.equal(kinks.members(kinks.held), members)

    def columns(function):
        eye = STEP * torch.eye(len(x), dtype=x.dtype)
        return torch.stack([(function(x + e) - function(x - e)) / (2 * STEP) for e in eye], -1)

    def z(y):
        there = system.constraints(y)
        return there.kinks(there.delta).values[kinks.held.flip(0)]

    near = {"atol": 2e-7, "rtol": 1e-6}
    torch.testing.assert_close(kinks.jacobian(kinks.held.flip(0)), columns(z), **near)
    force = system.evaluator()
    torch.testing.assert_close(
        uj.gradient(system, c), columns(lambda y: torch.tensor(force(y)[0], dtype=x.dtype)), **near
    )
    torch.testing.assert_close(uj.gradient(system, c), force(x)[1])
    torch.testing.assert_close(sum(uj.hessian(system, c)), columns(lambda y: force(y)[1]), **near)
    # ∂U/∂s = ∂U/∂h z
    for k, e in enumerate(STEP * torch.eye(len(slopes), dtype=x.dtype)):
        ends = [
            uj.energy(s, s.constraints(x))
            for s in (system.at(kinks=(members, slopes + t * e)) for t in (1, -1))
        ]
        expected = kinks.forces[kinks.held[k]] * kinks.values[kinks.held[k]]
        assert (ends[0] - ends[1]) / (2 * STEP) == pytest.approx(float(expected), abs=1e-7)


@pytest.mark.parametrize("seed", [0, 1])
def test_minima_sit_on_kinks(seed):
    """Stationary with slopes inside (0, 1), one-sided slopes of U not negative, stable on the tangent space."""
    result = minimum(330, seed)
    assert result.status == "converged" and result.relative_gradient < 1e-9
    system, x = result.system, result.x
    slopes = system.kinks[1]
    assert len(slopes) > 5 and bool(((slopes > 0) & (slopes < 1)).all())
    plain = system.at(kinks=None)
    c = plain.constraints(x)
    there = system.constraints(x)
    kinks = there.kinks(system.potential.force(there.delta))
    assert float(kinks.values[kinks.held].abs().max()) < 1e-10
    assert uj.energy(plain, c) == pytest.approx(result.energy, rel=1e-12)
    # U along each kink's two sides, by plain forward passes, is Σ F [max(z, 0) − s z] of what the z become
    sides = torch.linalg.pinv(kinks.jacobian(kinks.held)).T
    sides, step, force = sides / sides.norm(dim=1, keepdim=True), 1e-8, kinks.forces[kinks.held]
    for direction in torch.cat([sides, -sides]):
        moved = plain.constraints(x + step * direction)
        z = moved.kinks(moved.delta).values[kinks.held] / step
        slope = (uj.energy(plain, moved) - result.energy) / step
        expected = float(force @ (z.clamp_min(0) - slopes * z))
        assert slope > 0 and slope == pytest.approx(expected, rel=1e-3, abs=1e-4 * float(force.max()))


@pytest.mark.parametrize("seed", [0, 1])
def test_hessian_on_the_tangent_space(seed):
    """Against torch.autograd along the tangent space; one zero mode a hidden unit, no negative one."""
    result = minimum(330, seed)
    system, x = result.system, result.x
    h = uj.decompose_hessian(system, x)
    values = h.eigenvalues("total")
    alive = sum(system.widths)
    assert values.shape == (len(x) - len(system.kinks[1]),)
    zero = np.abs(values) < 1e-7 * values.max()
    assert zero.sum() == alive and (values[~zero] > 0).all()
    assert h.eigenvalues("total", symmetries=False).min() > 0
    assert np.linalg.matrix_rank(h.kinks) == len(h.kinks)
    (units, data), slopes = system.kinks[0].T, system.kinks[1]

    def energy(y):
        first, second, last = (
            part.view(s) for part, s in zip(y.split(system.sizes), system.shapes, strict=True)
        )
        hidden = system.inputs.T
        for layer, theta in enumerate((first, second)):
            z = theta[:, :-1] @ hidden + theta[:, -1:]
            here = (units >= 6 * layer) & (units < 6 * layer + 6)
            mask = torch.zeros_like(z).index_put(
                (units[here] - 6 * layer, data[here]), torch.tensor(1.0).to(z)
            )
            line = torch.zeros_like(z).index_put((units[here] - 6 * layer, data[here]), slopes[here]) * z
            hidden = torch.where(mask > 0, line, torch.relu(z))
        f = (last[:, :-1] @ hidden + last[:, -1:])[0]
        return 0.5 * torch.relu(system.margin - system.labels * f).square().sum()

    expected = torch.func.hessian(energy)(x)
    torch.testing.assert_close(torch.as_tensor(h.total), expected, atol=1e-10, rtol=1e-10)
    count = uj.count_constraints(system, x)
    assert count.n_kinks == len(slopes) and count.n_overlaps == result.n_overlaps
    assert count.n_overlaps + count.n_kinks >= h.n_negative_hp


def test_a_certificate_says_what_is_missing():
    """All holds at a minimum; off it, or with a kink let go, something does not."""
    result = minimum(330, 0)
    system, x = result.system, result.x
    found = uj.certify(system, x)
    assert found.minimum and found.n_zero == 12 and found.n_kinks == len(system.kinks[1])
    assert found.n_overlaps + found.n_kinks >= found.n_negative_hp
    assert not uj.certify(system, x + 1e-6 * torch.sin(torch.arange(len(x)))).minimum
    members, slopes = system.kinks
    assert uj.certify(system.at(kinks=(members[1:], slopes[1:])), x).relative_gradient > 1e-4


@pytest.mark.parametrize("slope", [0.0, 5e-10, 1 - 5e-10, 1.0])
def test_the_solver_and_the_certificate_agree_on_degenerate_slopes(slope):
    """Where a slope is that of a side to rounding, neither calls the point a minimum, whatever its gradient."""
    result = minimum(330, 0)
    members, slopes = result.system.kinks
    changed = slopes.clone()
    changed[0] = slope
    loose = uj.ProximalNewton(gradient_tolerance=0.99)
    for held, expected in ((slopes, True), (changed, False)):
        system = result.system.at(kinks=(members, held))
        objective = loose.prepared(Objective(system))
        assert loose.converged(objective, objective.first(result.x)) == expected
        assert uj.certify(system, result.x).n_degenerate == (not expected)


def test_other_solvers_let_kinks_go():
    result = minimum(330, 0)
    x = result.x + 1e-3
    stage = uj.Adam(max_steps=3)
    held = uj.minimize(result.system, x, stage)
    plain = uj.minimize(result.system.at(kinks=None), x, stage)
    assert held.system.kinks is None and torch.equal(held.x, plain.x)


def test_kinks_follow_a_subset_of_the_data():
    result = minimum(330, 0)
    system = result.system
    keep = torch.ones(330, dtype=torch.bool)
    keep[system.kinks[0][0, 1]] = False
    keep[5] = False
    fewer = system.subset(keep)
    everything, some = system.constraints(result.x), fewer.constraints(result.x)
    torch.testing.assert_close(some.delta, everything.delta[keep])
    old = everything.kinks(everything.delta)
    new = some.kinks(some.delta)
    kept = keep[system.kinks[0][:, 1]]
    assert len(new.held) == int(kept.sum()) < len(old.held)
    torch.testing.assert_close(new.values[new.held], old.values[old.held[kept]])
    assert system.at(labels=-system.labels).kinks is None and system.at(margin=0.5).kinks is not None


@pytest.mark.parametrize(
    "kinks", [([[0, 0]], [0.5, 0.5]), ([[24, 0]], [0.5]), ([[0, 400]], [0.5]), ([[0, 0, 0]], [0.5])]
)
def test_bad_kinks_are_answered_by_one_sentence(kinks):
    system = uj.FullyConnected.random(**SMALL, n_data=330, activation="relu")
    with pytest.raises(ValueError, match="kinks"):
        system.at(kinks=kinks)


@cache
def jammed(depth: int, width: int, n_data: int, seed: int) -> uj.JamResult:
    """A spherical ReLU network at jamming, quenched at a margin that kills few units."""
    shape = {"depth": depth, "width": width, "input_dimension": width, "n_data": n_data, "margin": 0.3}
    return uj.jam(uj.FullyConnected.random(**shape, activation="relu", seed=seed))


# the first way of (1, 10, 182, 4) traps two data of different labels
@pytest.mark.parametrize(
    ("depth", "width", "n_data", "seed"), [(1, 8, 120, 0), (2, 6, 110, 4), (1, 10, 182, 4)]
)
def test_spherical_relu_networks_jam(depth, width, n_data, seed):
    """One state of self stress of overlaps and kinks together, hypostatic by what Hp holds on the kernel."""
    result = jammed(depth, width, n_data, seed)
    assert result.status == "converged" and result.threshold > 1e-3
    state = result.settled()
    system, x = state.system, state.x
    assert state.typical_overlap < 1e-6 and len(system.kinks[1]) > 3
    count, h = uj.count_constraints(system, x), uj.decompose_hessian(system, x)
    smaller, net = count.reduced or count, (system.reduced(x) or (system,))[0]  # without dead units
    assert smaller.n_effective == count.n_effective == net.n_dof - sum(net.widths) - 1
    assert h.self_stress.shape[1] == 1
    assert h.kernel.shape[1] == count.n_effective + 1 - count.n_overlaps - count.n_kinks
    assert (h.kernel_prestress() > 0).all()
    found = uj.certify(system, x)
    assert not found.n_negative and found.rise > 0 and found.slopes[0] > 0 and found.slopes[1] < 1
    # the same constraints over the last decades
    last = [uj.count_constraints(s.system, s.x) for s in result.states[-3:]]
    assert len({(c.n_overlaps, c.n_kinks) for c in last}) == 1
    assert 0.8 < smaller.ratio <= 1 + 1 / smaller.n_effective
