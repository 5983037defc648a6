"""Spectra without matrices against those of the matrices: extreme eigenvalues, densities, counts with intervals."""

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.linalg import Operator, Tridiagonal
from unijam.spectra import MatrixFreeHessian, spectral_quadrature
from unijam.spectra.quadrature import SpectralQuadrature


def state(activation="relu", weights="free", **shape):
    """A network on its way down, and the same as no matrix."""
    options = {"depth": 2, "width": 8, "input_dimension": 8, "n_data": 400} | shape
    system = uj.FullyConnected.random(activation=activation, weights=weights, **options)
    x = uj.minimize(system, solver=uj.Adam(max_steps=200)).x
    return system, system.at(dense_limit=0), x


@pytest.mark.parametrize("kind", [("relu", "free"), ("tanh", "spherical")], ids=str)
def test_extreme_eigenvalues_are_those_of_the_matrix(kind):
    system, free, x = state(*kind)
    dense, products = uj.decompose_hessian(system, x), uj.decompose_hessian(free, x)
    assert isinstance(products, MatrixFreeHessian)
    assert products.n_effective == uj.count_constraints(system, x).n_effective
    assert products.n_effective == uj.count_constraints(free, x).n_effective
    for which in ("h0", "hp", "total"):
        exact = dense.eigenvalues(which, symmetries=False)
        for lowest in (True, False):
            if which == "h0" and lowest and exact[0] < 1e-8 * exact[-1]:
                continue
            values, residuals = products.extreme_eigenvalues(which, 2, lowest=lowest, tolerance=1e-9)
            expected = exact[:2] if lowest else exact[-2:]
            np.testing.assert_allclose(values, expected, atol=1e-6 * abs(exact).max())
            assert (residuals <= 1e-8 * abs(exact).max()).all()


@pytest.mark.parametrize("kind", [("relu", "free"), ("tanh", "spherical")], ids=str)
def test_counts_and_densities_hold_the_exact_ones_in_their_intervals(kind):
    """Of 18 intervals of 95 %, at most three may miss; the number of negative modes of Hp is among them."""
    system, free, x = state(*kind)
    dense, products = uj.decompose_hessian(system, x), uj.decompose_hessian(free, x)
    missed, tried = 0, 0
    for which in ("h0", "hp", "total"):
        exact = dense.eigenvalues(which, symmetries=False)
        spectrum = products.spectrum(which, n_probes=12, steps=40)
        assert spectrum.largest == pytest.approx(abs(exact).max(), rel=1e-6)
        for quantile in (0.05, 0.3, 0.5, 0.7, 0.95):
            threshold = np.quantile(exact, quantile) + 1e-9 * exact[-1]
            count = spectrum.below(threshold)
            assert count.low <= count.value <= count.high
            tried, missed = tried + 1, missed + (not count.low <= (exact < threshold).sum() <= count.high)
        width = 0.03 * spectrum.largest
        at = np.linspace(exact[0] - 5 * width, exact[-1] + 5 * width, 400)
        smooth = np.exp(-0.5 * ((at - exact[:, None]) / width) ** 2).mean(0) / (width * np.sqrt(2 * np.pi))
        found = spectrum.density(at, width)
        assert np.trapezoid(found, at) == pytest.approx(1, abs=1e-3)
        assert np.trapezoid(abs(found - smooth), at) < 0.15  # 12 probes of N = 153: 1/√(12 N) a mode, summed
    count = products.n_negative_hp
    missed += not count.low <= dense.n_negative_hp <= count.high
    assert missed <= 3
    assert count.high - count.low < 0.35 * products.n_effective


def test_one_probe_of_few_steps_bounds_its_own_measure():
    """Chebyshev, Markov, Stieltjes: without scatter of probes the bounds are exact."""
    values = np.sort(np.random.default_rng(0).standard_normal(50))
    start = np.random.default_rng(1).standard_normal(50)
    spectrum = spectral_quadrature(Operator(lambda v: values * v, values), 1, 6, seed=1)
    weights = start**2 / (start @ start)
    for threshold in np.linspace(-3, 3, 40):
        count = spectrum.below(threshold)
        exact = 50 * weights[values < threshold].sum()
        assert count.low - 1e-9 <= exact <= count.high + 1e-9


def test_a_node_that_is_known_leaves_nothing_open():
    known = Tridiagonal(np.array([-1.0, 0.0, 1.0]), np.array([0.3, 0.5, 0.2]), np.array([1e-9, 1e-9, 1e-9]))
    count = SpectralQuadrature(10, [known]).below(-1e-6)
    assert (count.value, count.low, count.high) == pytest.approx((3.0, 3.0, 3.0))


def test_what_cannot_be_had_is_said_in_one_sentence():
    _, free, x = state("tanh", "spherical", width=5, n_data=60)
    products = uj.decompose_hessian(free, x)
    calls = (products.eigenvalues, products.kernel_prestress, products.cut, lambda: products.kernel)
    for call in (*calls, lambda: uj.vibrational_modes(free, x)):
        with pytest.raises(ValueError, match="is known by its products alone: ask for"):
            call()
    with pytest.raises(ValueError, match="which = 'h1'"):
        products.spectrum("h1")
    v = torch.ones(free.n_dof, dtype=torch.float64)
    torch.testing.assert_close(products.total @ v, products.h0 @ v + products.hp @ v)
