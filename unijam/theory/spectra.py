"""Densities of states: Marchenko-Pastur and the effective medium.

Conventions: N degrees of freedom, ω² an eigenvalue of the Hessian H in units of the contact stiffness.
"""

import numpy as np

from ..support.validation import Finite, Positive, checked, require


def marchenko_pastur_edges(ratio: float, shift: float = 0.0) -> tuple[float, float]:
    """The edges (√ratio ∓ 1)² + shift of the band of eigenvalues ω² of H = W + shift, W a Wishart matrix.

    Parameters
    ----------
    ratio : float
        N_Δ/N of W = (1/N) Σ ξ ξᵀ, a sum over N_Δ vectors of variance 1. Below 1, N − N_Δ eigenvalues lie at
        `shift`, outside the band.
    shift : float
        The prestress; negative where it softens, as in spheres and in the perceptron at negative margin.

    Returns
    -------
    (float, float)
        Lower and upper edge, in units of the contact stiffness.
    """
    return (np.sqrt(ratio) - 1) ** 2 + shift, (np.sqrt(ratio) + 1) ** 2 + shift


@checked
def marchenko_pastur(omega: np.ndarray | float, ratio: Positive, shift: Finite = 0.0) -> np.ndarray:
    """The density of states D(ω) = ω √((x − x₋)(x₊ − x)) / (π x), x = ω² − shift, of H = W + shift.

    Exact for the perceptron as N → ∞; x∓ = (√ratio ∓ 1)². Its integral over ω is min(1, ratio) as long as the
    band lies at ω² ≥ 0; the rest is a peak at ω² = shift.

    Parameters
    ----------
    omega : array
        Frequencies, any shape; the result has the same shape.
    ratio, shift : float
        As in `marchenko_pastur_edges`.

    Source: Franz, Parisi, Urbani, Zamponi, PNAS 112, 14539 (2015).
    """
    omega = np.asarray(omega, dtype=float)
    lower, upper = marchenko_pastur_edges(ratio)
    x = omega**2 - shift
    band = (omega >= 0) & (x >= lower) & (x <= upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        near_zero = np.where(x > 0, omega / np.sqrt(x), 1.0 if shift == 0 else np.inf)
        factor = 1.0 if lower == 0 else np.sqrt(np.maximum(1 - lower / x, 0))
        density = near_zero * factor * np.sqrt(np.maximum(upper - x, 0)) / np.pi
    return np.where(band, density, 0.0)


@checked
def effective_medium(
    omega: np.ndarray | float, plateau: Positive, omega_star: Finite, omega_0: Finite
) -> np.ndarray:
    """The density of states of effective medium theory, D_p ω √(ω² − ω₀²) / (ω² + ω*² − ω₀²) above ω₀.

    ω* grows with the number of contacts beyond isostaticity, and ω₀² = ω*² (1 − e/e_c) falls with the compressive
    strain e: ω₀ = ω* without prestress, and ω₀ = 0 at marginal stability. The formula holds for small frequencies,
    where the shifted Marchenko-Pastur law has the same form, with ω*² = x₋ and D_p = √x₊/π.

    Parameters
    ----------
    omega : array
        Frequencies, any shape; the result has the same shape.
    plateau, omega_star, omega_0 : float
        D_p, ω* and ω₀, 0 ≤ ω₀ ≤ ω*.

    Source: DeGiuli, Laversanne-Finot, During, Lerner, Wyart, Soft Matter 10, 5628 (2014).
    """
    require(0 <= omega_0 <= omega_star, "omega_0", omega_0, f"between 0 and omega_star = {omega_star!r}")
    omega = np.asarray(omega, dtype=float)
    above = np.sqrt(np.maximum(omega**2 - omega_0**2, 0))
    denominator = omega**2 + omega_star**2 - omega_0**2
    isostatic = denominator == 0  # ω = ω* = ω₀ = 0: the plateau reaches down to zero
    density = plateau * omega * above / np.where(isostatic, 1, denominator)
    return np.where(isostatic, plateau, np.where(omega < omega_0, 0.0, density))
