"""Densities of states against quadrature, random matrices and moments."""

import numpy as np
import pytest
from scipy.integrate import quad

from unijam.theory.spectra import effective_medium, marchenko_pastur, marchenko_pastur_edges


@pytest.mark.parametrize("ratio", [0.4, 0.9, 1.0, 1.7])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_marchenko_pastur_holds_the_mass_of_the_nonzero_eigenvalues(ratio, shift):
    lower, upper = marchenko_pastur_edges(ratio, shift)
    middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower)

    def integrand(angle):  # ω² = middle − half cos(angle) takes the square roots away
        omega = np.sqrt(middle - half * np.cos(angle))
        return marchenko_pastur(omega, ratio, shift) * half * np.sin(angle) / (2 * omega)

    mass = quad(integrand, 1e-9, np.pi - 1e-9, limit=200)[0]
    assert mass == pytest.approx(min(1, ratio), abs=1e-5)


@pytest.mark.parametrize(("ratio", "shift"), [(1.8, -0.05), (0.6, 0.2), (1.0, 0.1)])
def test_marchenko_pastur_is_the_spectrum_of_random_matrices(ratio, shift):
    n = 600
    inputs = np.random.default_rng(3).standard_normal((n, round(ratio * n)))
    eigenvalues = np.linalg.eigvalsh(inputs @ inputs.T / n + shift * np.eye(n))
    lower, upper = marchenko_pastur_edges(ratio, shift)
    for quantile in (0.2, 0.5, 0.8):
        omega = np.sqrt(lower + quantile * (upper - lower))
        expected = quad(lambda w: float(marchenko_pastur(w, ratio, shift)), omega, np.sqrt(upper))[0]
        found = np.mean(eigenvalues > omega**2)
        assert found == pytest.approx(expected, abs=5e-3)  # counts of eigenvalues fluctuate by about 1/n
    band = eigenvalues[eigenvalues > shift + 1e-9]
    root = np.sqrt(ratio)
    tracy_widom = (root + 1) * (1 / root + 1) ** (1 / 3) * n ** (-2 / 3)  # fluctuations −1.2 ± 1.3 of this
    assert band.max() == pytest.approx(upper, abs=5 * tracy_widom)
    assert band.min() == pytest.approx(lower, abs=5 * tracy_widom)


def test_isostatic_plateau_reaches_zero_frequency():
    assert marchenko_pastur(0.0, 1.0, 0.0) == pytest.approx(2 / np.pi)
    assert marchenko_pastur(1e-6, 1.0, 0.0) == pytest.approx(2 / np.pi)
    assert effective_medium(0.0, 2 / np.pi, 0.0, 0.0) == pytest.approx(2 / np.pi)


@pytest.mark.parametrize("prestress", [0.0, 0.5, 1.0])
def test_effective_medium_is_the_small_frequency_limit_of_marchenko_pastur(prestress):
    ratio = 1.02
    lower, upper = marchenko_pastur_edges(ratio)
    omega_star, omega_0 = np.sqrt(lower), np.sqrt(lower * (1 - prestress))
    omega = omega_star * np.array([0.5, 0.9, 1.1, 2.0, 4.0])
    exact = marchenko_pastur(omega, ratio, -prestress * lower)
    scaling = effective_medium(omega, np.sqrt(upper) / np.pi, omega_star, omega_0)
    np.testing.assert_allclose(scaling, exact, rtol=2 * (4 * omega_star) ** 2 / upper)


def test_effective_medium_refuses_an_onset_above_omega_star():
    with pytest.raises(ValueError, match=r"omega_0 = 0\.2"):
        effective_medium(np.ones(3), 1.0, 0.1, 0.2)


@pytest.mark.parametrize(("ratio", "shift"), [(0.6, 0.2), (1.0, 0.0), (1.8, 0.1)])
def test_moments_of_marchenko_pastur_are_those_of_wishart_matrices(ratio, shift):
    """tr M/n = r and tr M²/n = r (1 + r) for M = Σ ξξᵀ/n of r n vectors; at r < 1 a part 1 − r is zero: M's kernel."""
    lower, upper = marchenko_pastur_edges(ratio, shift)
    middle, half = 0.5 * (lower + upper), 0.5 * (upper - lower)

    def moment(power):
        def integrand(angle):
            omega = np.sqrt(middle - half * np.cos(angle))
            density = marchenko_pastur(omega, ratio, shift) * half * np.sin(angle) / (2 * omega)
            return density * (omega**2 - shift) ** power

        return quad(integrand, 1e-9, np.pi - 1e-9, limit=200)[0]

    assert moment(1) == pytest.approx(ratio, abs=1e-5)
    assert moment(2) == pytest.approx(ratio * (1 + ratio), abs=1e-5)
