"""Ground states solved exactly, against quadrature, direct minimisation and published numbers."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

from unijam.theory.ground_states import (
    gardner_capacity,
    linear_network_ground_state,
    perceptron_delta_density,
    perceptron_ground_state,
)
from unijam.theory.spectra import marchenko_pastur_edges


@pytest.mark.parametrize(("margin", "capacity"), [(0, 2), (0.25, 1.3646), (0.5, 0.9612), (1, 0.51957)])
def test_capacity_of_the_perceptron(margin, capacity):
    integral = quad(lambda t: norm.pdf(t) * (t + margin) ** 2, -margin, np.inf)[0]
    assert gardner_capacity(margin) == pytest.approx(1 / integral, rel=1e-7)
    assert gardner_capacity(margin) == pytest.approx(capacity, abs=5e-5)


def test_values_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"margin = -0\.1"):
        gardner_capacity(-0.1)
    with pytest.raises(ValueError, match=r"load = 1\.9.*above 2"):
        perceptron_ground_state(0.0, 1.9)
    with pytest.raises(ValueError, match=r"load = 2\.0"):
        linear_network_ground_state(2.0)


@pytest.mark.parametrize(("margin", "load"), [(0.0, 2.6), (0.2, 2.4), (0.5, 1.4), (1.0, 0.9)])
def test_the_perceptrons_numbers_follow_from_its_delta_density(margin, load):
    state = perceptron_ground_state(margin, load)

    def moment(f, low=0.0, high=np.inf):
        return quad(lambda d: float(perceptron_delta_density(d, margin, load)) * f(d), low, high)[0]

    total = moment(lambda d: 1, -np.inf, 0.0) + moment(lambda d: 1)
    assert total == pytest.approx(1, abs=1e-7)
    assert state.overlap_ratio == pytest.approx(load * moment(lambda d: 1), rel=1e-6)
    assert state.energy == pytest.approx(load * moment(lambda d: d**2 / 2), rel=1e-6)
    assert state.force == pytest.approx(load * moment(lambda d: d), rel=1e-6)
    assert state.shift == pytest.approx(-load * moment(lambda d: d * (d - margin)), rel=1e-5, abs=1e-9)
    assert state.edges == pytest.approx(marchenko_pastur_edges(state.overlap_ratio, state.shift))


@pytest.mark.parametrize(("margin", "load"), [(0.2, 2.4), (1.0, 0.9)])
def test_the_force_is_the_derivative_of_the_perceptrons_energy(margin, load):
    step = 1e-5
    ahead, behind = (perceptron_ground_state(margin + s, load).energy for s in (step, -step))
    assert perceptron_ground_state(margin, load).force == pytest.approx(
        (ahead - behind) / (2 * step), rel=1e-6
    )


def test_the_perceptron_at_jamming_is_isostatic_without_margin_and_hypostatic_with_it():
    for margin, ratio in [(0.0, 1.0), (0.2, 0.8511), (0.5, 0.6646), (1.0, 0.4371)]:
        state = perceptron_ground_state(margin, gardner_capacity(margin) * (1 + 1e-9))
        assert state.overlap_ratio == pytest.approx(ratio, abs=5e-5)


@pytest.mark.statistical
def test_a_simulated_perceptron_has_the_predicted_energy_overlaps_and_prestress():
    """Four standard errors of the mean of four instances, measured at n = 400."""
    n, margin = 300, 0.5
    load = 1.44 * gardner_capacity(margin)
    states = []
    for seed in range(4):
        inputs = np.random.default_rng(seed).standard_normal((round(load * n), n))

        def energy(w, inputs=inputs):
            unit = w / np.linalg.norm(w)
            overlap = np.maximum(0, margin - inputs @ unit)
            gradient = -inputs.T @ overlap
            return 0.5 * overlap @ overlap, (gradient - unit * (unit @ gradient)) / np.linalg.norm(w)

        start = inputs.mean(axis=0)
        w = minimize(
            energy, start / np.linalg.norm(start), jac=True, method="L-BFGS-B", options={"ftol": 1e-13}
        ).x
        delta = margin - inputs @ w / np.linalg.norm(w)
        overlap = delta[delta > 0]
        states.append([0.5 * overlap @ overlap, len(overlap), overlap.sum(), -overlap @ (overlap - margin)])
    found = np.mean(states, axis=0) / n
    theory = perceptron_ground_state(margin, load)
    # scatter of one instance at n = 400: 0.004, 0.024, 0.01, 0.004; four standard errors
    np.testing.assert_allclose(found[0], theory.energy, atol=0.01)
    np.testing.assert_allclose(found[1], theory.overlap_ratio, atol=0.06)
    np.testing.assert_allclose(found[2], theory.force, atol=0.03)
    np.testing.assert_allclose(found[3], theory.shift, atol=0.012)


@pytest.mark.parametrize(
    ("load", "energy", "ratio"),
    [(2.25, 0.5586, 1.630), (2.5, 0.7079, 1.998), (3, 0.9786, 2.637), (4, 1.4924, 3.787)],
)
def test_linear_network_minimises_the_perceptrons_energy_over_the_norm(load, energy, ratio):
    def energy_at(t):
        second_moment = quad(lambda s: norm.pdf(s) * (s + t) ** 2, -t, np.inf)[0]
        return 0.5 * ((np.sqrt(load * second_moment) - 1) / t) ** 2

    best = minimize_scalar(energy_at, bounds=(1e-3, 5), method="bounded", options={"xatol": 1e-9})
    state = linear_network_ground_state(load)
    assert state.energy == pytest.approx(best.fun, rel=1e-7)
    assert state.inverse_norm == pytest.approx(best.x, rel=1e-3)
    assert state.energy == pytest.approx(energy, abs=1e-4)
    assert state.overlap_ratio == pytest.approx(ratio, abs=1e-3)


def test_linear_network_jumps_at_its_capacity():
    state = linear_network_ground_state(2 + 1e-10)
    assert state.energy == pytest.approx(1 / np.pi, rel=1e-4)
    assert state.overlap_ratio == pytest.approx(1, rel=1e-4)
