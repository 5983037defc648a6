"""Counting at jamming: isostatic discs, spheres and perceptrons, hypostatic ellipses and networks."""

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.support.arrays import to_numpy


def test_discs_are_isostatic(jammed, find_backbone):
    """2(n − rattlers) − 1 overlaps: one state of self stress (Goodrich, Liu, Nagel, PRL 109, 095704)."""
    exact = 0
    for seed in range(20):
        packing = jammed("discs", seed)
        n_overlaps, held = find_backbone(packing.system, packing.x)
        count = uj.count_constraints(packing.system, packing.x)
        assert (count.n_overlaps, count.n_effective) == (n_overlaps, 2 * len(held) - 2)
        exact += packing.status == "converged" and n_overlaps == 2 * len(held) - 1 and count.isostatic
    assert exact >= 19


def test_spheres_are_isostatic(jammed, find_backbone):
    """3(n − rattlers) − 2 overlaps."""
    for seed in range(5):
        packing = jammed("spheres", seed)
        n_overlaps, held = find_backbone(packing.system, packing.x)
        assert packing.status == "converged" and n_overlaps == 3 * len(held) - 2
        assert uj.count_constraints(packing.system, packing.x).isostatic


@pytest.mark.parametrize("seed", range(5))
def test_perceptrons_of_negative_margin_are_isostatic(jammed, seed):
    """N_Δ = n exactly: n − 1 directions on the sphere and one state of self stress (Franz, Parisi 2016)."""
    solution = jammed("perceptron", seed)
    w = to_numpy(solution.x)
    n = len(w)
    delta = solution.system.margin - to_numpy(solution.system.labels) * (
        to_numpy(solution.system.inputs) @ w / np.linalg.norm(w) * np.sqrt(n)
    )
    assert solution.status == "converged" and solution.threshold < 0
    assert (delta > 1e-13).sum() == n
    count = uj.count_constraints(solution.system, solution.x)
    assert (count.n_overlaps, count.n_effective, count.isostatic) == (n, n - 1, True)


HYPOSTATIC = [("ellipses", 0), ("ellipses", 1), ("network 1", 0), ("network 2", 0), ("network 3", 0)]


@pytest.mark.parametrize(("name", "seed"), HYPOSTATIC)
def test_ellipses_and_networks_are_hypostatic(jammed, name, seed):
    packing = jammed(name, seed)
    assert packing.status == "converged"
    count = uj.count_constraints(packing.system, packing.x)
    assert 0 < count.n_overlaps < count.n_effective and 0 < count.ratio < 1 and not count.isostatic
    last = [uj.count_constraints(s.system, s.x).n_overlaps for s in packing.states[-3:]]
    assert last == [count.n_overlaps] * 3  # N_Δ is constant over the last decades of the overlap


def test_effective_degrees_of_freedom_of_a_network_are_those_its_data_feel(jammed):
    """Rank of J over all data and of random directions: parameters less one radial direction a layer."""
    solution = jammed("network 2", 0)
    count = uj.count_constraints(solution.system, solution.x)
    assert count.n_dof == 2 * 7 * 8 + 8 and count.n_effective == count.n_dof - 3


def test_nothing_is_counted_where_nothing_overlaps():
    system = uj.SoftSpheres.random(n=64, packing_fraction=0.3, radii="uniform", seed=0)
    x = uj.minimize(system).x
    count = uj.count_constraints(system, x)
    assert (count.n_overlaps, count.n_effective, count.ratio) == (0, 0, 0.0)


def test_two_touching_discs_are_rattlers_and_a_degree_of_freedom_without_force_counts_as_none(
    users_perceptron,
):
    x = np.array([1.0, 1.0, 1.9, 1.0, 3.0, 3.0])
    system = uj.SoftSpheres(initial=x, radii=np.full(3, 0.5), box_length=4.0)
    assert len(system.constraints(x).delta) == 1 and uj.count_constraints(system, x).n_overlaps == 0
    user = users_perceptron(n=4, load=3.0)
    user.data[:, 3] = 0.0  # the last weight acts only through the norm
    weights = torch.tensor([1.0, 2.0, -1.0, 0.0], dtype=torch.float64)
    assert uj.count_constraints(user, weights).n_effective == 2


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "side"), [(1, 10), (2, 7), (3, 6)])
@pytest.mark.parametrize("n_data", [120, 180])
def test_all_spherical_networks_below_the_threshold_are_hypostatic(depth, side, n_data):
    """Four seeds each: one state of self stress, a kernel of N_eff − N_Δ + 1 modes, all held by Hp."""
    for seed in range(4):
        packing = uj.jam(
            uj.FullyConnected.random(depth=depth, width=side, input_dimension=side, n_data=n_data, seed=seed)
        )
        assert packing.status == "converged" and packing.threshold > 1e-4
        state = packing.settled()
        count, h = uj.count_constraints(state.system, state.x), uj.decompose_hessian(state.system, state.x)
        assert count.n_overlaps < count.n_effective and h.self_stress.shape[1] == 1
        assert len(h.kernel_prestress()) == count.n_effective - count.n_overlaps + 1
        assert h.kernel_prestress().min() > 0
