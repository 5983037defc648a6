"""Quadratures of spectra against all eigenvalues."""

import numpy as np
import pytest

from unijam.linalg import Operator
from unijam.spectra.quadrature import spectral_quadrature


def diagonal(values):
    return Operator(lambda v: values * v, np.zeros(len(values)))


def test_of_a_few_distinct_eigenvalues_the_weights_are_those_of_the_probes():
    """Lanczos' method ends after as many steps as there are eigenvalues: the nodes are exact."""
    values = np.repeat([1.0, 2.0, 5.0], [50, 30, 20])
    found = spectral_quadrature(diagonal(values), n_probes=4, steps=10)
    for probe in found.probes:
        np.testing.assert_allclose(probe.nodes, [1, 2, 5], atol=1e-10)
    assert found.largest == pytest.approx(5)


def test_whole_and_empty_counts_are_exact():
    found = spectral_quadrature(diagonal(np.linspace(1, 2, 60)), n_probes=3, steps=60)
    assert found.below(0.5).value == 0
    assert found.below(2.5).value == pytest.approx(60, rel=1e-12)


@pytest.mark.statistical
def test_the_interval_holds_the_count():
    """Student's 95 % of ten probes: of 40 seeds at most 6 may miss it (binomial, p = 0.05: 1 − 0.986)."""
    values, missed = np.random.default_rng(0).standard_normal(200), 0
    for seed in range(40):
        found = spectral_quadrature(diagonal(values), n_probes=10, steps=40, seed=seed).below(0.3)
        missed += not found.low <= (values < 0.3).sum() <= found.high
    assert missed <= 6


def test_the_density_has_the_mass_of_all_and_the_mean_of_the_trace():
    values = np.random.default_rng(1).standard_normal(300)
    found = spectral_quadrature(diagonal(values), n_probes=30, steps=50)
    at = np.linspace(-6, 6, 4001)
    density = found.density(at, 0.1)
    assert np.trapezoid(density, at) == pytest.approx(1, abs=1e-6)
    # the mean of z·A z over probes: its deviation is √(2 Σ λ²)/n a probe
    bound = 4 * np.sqrt(2 * np.sum(values**2)) / 300 / np.sqrt(30)
    assert np.trapezoid(density * at, at) == pytest.approx(values.mean(), abs=bound)


def test_a_projection_leaves_the_rest_of_the_spectrum():
    values = np.array([0.0, 0.0, 1.0, 2.0, 3.0])
    kept = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    found = spectral_quadrature(diagonal(values), 3, 10, project=lambda v: v * kept, size=3)
    for probe in found.probes:
        np.testing.assert_allclose(probe.nodes, [1, 2, 3], atol=1e-10)
    assert found.below(10.0).value == pytest.approx(3)
