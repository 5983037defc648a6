"""Exact ground states: the perceptron and the linear network.

Conventions: N degrees of freedom, ω² an eigenvalue of the Hessian H in units of the contact stiffness. The
perceptron has Δ = κ − ξ·w/‖w‖ with ‖ξ‖ ≈ √N, that is inputs of variance 1, and N_Δ overlaps. Φ and φ are the
cumulative distribution and the density of the standard normal law. Energies, forces and counts are divided by N.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from ..support.validation import Finite, Positive, checked, require


def _phi(x: Any) -> Any:
    return np.exp(-0.5 * np.square(x)) / np.sqrt(2 * np.pi)


def _second_moment(margin: float) -> Any:
    """I(κ) = ∫_{−κ}^∞ Dt (t + κ)² = (1 + κ²) Φ(κ) + κ φ(κ)."""
    return (1 + margin**2) * ndtr(margin) + margin * _phi(margin)


@checked
def gardner_capacity(margin: Finite) -> float:
    """The largest load α_c = 1 / ∫_{−κ}^∞ Dt (t + κ)², a float, that a perceptron of margin κ ≥ 0 can satisfy.

    A negative margin raises a `ValueError`: there this number is only an upper bound.

    Source: Gardner, J. Phys. A 21, 257 (1988).

    Examples
    --------
    >>> gardner_capacity(0.0)
    2.0
    """
    require(margin >= 0, "margin", margin, "at least 0, where replica symmetry is exact")
    return float(1 / _second_moment(margin))


@dataclass(frozen=True)
class PerceptronGroundState:
    """The ground state of the perceptron beyond its capacity, margin κ ≥ 0, as N → ∞.

    Attributes
    ----------
    energy : float
        U/N, with U = ½ Σ Δ² over the overlaps.
    overlap_ratio : float
        N_Δ/N; below one (hypostatic) near the capacity where κ > 0.
    force : float
        Σ Δ/N over the overlaps, the derivative of U/N with respect to κ.
    shift : float
        Hp on the tangent space, −Σ Δ(Δ − κ)/N, where weights have ‖w‖ = √N.
    edges : (float, float)
        Edges of the band of eigenvalues of H; for N_Δ < N the other N − N_Δ eigenvalues lie at `shift`.
    """

    energy: float
    overlap_ratio: float
    force: float
    shift: float
    edges: tuple[float, float]


@checked
def perceptron_ground_state(margin: Finite, load: Positive) -> PerceptronGroundState:
    """Energy, overlaps and spectrum of the perceptron's ground state, from the replica-symmetric solution.

    U on the sphere behaves as a convex function only where `shift` ≥ 0, which is r ≤ 1/(α_c Φ(κ)); at κ = 0 this
    holds nowhere beyond the capacity. Elsewhere U has other minima than this one: for N = 60, 12 starts find up to five
    at κ = 0, load 3, and two at κ = 0.2, load 4. A descent may end in any of them, some above the ground state.

    With r² = load/α_c: U/N = (r − 1)²/2, N_Δ/N = load Φ(κ), and band edges r (1 ∓ √c_J)², c_J = α_c Φ(κ).

    Parameters
    ----------
    margin : float
        κ ≥ 0, where the weights that satisfy all constraints form one convex cone and replica symmetry holds.
    load : float
        Constraints per degree of freedom, above `gardner_capacity(margin)`.

    Returns
    -------
    PerceptronGroundState

    Raises
    ------
    ValueError
        For a negative margin, or a load that can be satisfied.

    Source: Franz, Parisi, Sevelev, Urbani, Zamponi, SciPost Phys. 2, 019 (2017).
    """
    r = _stretch(margin, load)
    capacity = gardner_capacity(margin)
    at_jamming = capacity * ndtr(margin)
    force = (r - 1) * r * capacity * (margin * ndtr(margin) + _phi(margin))
    edges = r * (1 - np.sqrt(at_jamming)) ** 2, r * (1 + np.sqrt(at_jamming)) ** 2
    return PerceptronGroundState(
        energy=0.5 * (r - 1) ** 2,
        overlap_ratio=float(load * ndtr(margin)),
        force=float(force),
        shift=float((r - 1) * (1 - at_jamming * r)),
        edges=(float(edges[0]), float(edges[1])),
    )


@checked
def perceptron_delta_density(delta: np.ndarray | float, margin: Finite, load: Positive) -> np.ndarray:
    """The density of all Δ in the perceptron's ground state, normalised to one; Δ > 0 overlaps, Δ < 0 gaps.

    Gaps are Gaussian, φ(κ − Δ); overlaps are compressed, s φ(κ − sΔ) with s = r/(r − 1). Both are finite at
    zero: θ = γ = 0. At Δ = 0 the density of gaps is returned.

    Parameters
    ----------
    delta : array
        In units of the margin, any shape; the result has the same shape.
    margin, load : float
        As in `perceptron_ground_state`; a `ValueError` for the same reasons.

    Source: Franz, Parisi, Sevelev, Urbani, Zamponi, SciPost Phys. 2, 019 (2017).
    """
    r = _stretch(margin, load)
    delta = np.asarray(delta, dtype=float)
    compression = np.where(delta > 0, r / (r - 1), 1.0)
    density: np.ndarray = compression * _phi(margin - compression * delta)
    return density


def _stretch(margin: float, load: float) -> float:
    """r = √(load/α_c) of a load that cannot be satisfied."""
    capacity = gardner_capacity(margin)
    require(load > capacity, "load", load, f"above {capacity:.6g}, what a margin of {margin!r} can satisfy")
    return float(np.sqrt(load / capacity))


@dataclass(frozen=True)
class LinearNetworkGroundState:
    """Ground state of the linear network of free norm and margin 1.

    Attributes
    ----------
    energy, overlap_ratio : float
        U/N and N_Δ/N.
    inverse_norm : float
        1 over the standard deviation of w·x.
    """

    energy: float
    overlap_ratio: float
    inverse_norm: float


@checked
def linear_network_ground_state(load: Positive) -> LinearNetworkGroundState:
    """The ground state of U = ½ Σ max(0, 1 − y w·x)² for random labels, load = P/N > 2, as N → ∞.

    The norm is free: w·x has variance 1/t², and t = `inverse_norm` is the margin in units of its standard
    deviation. With I(t) = ∫_{−t}^∞ Ds (s + t)², minimising the perceptron's energy over t gives
    I(t)/Φ(t)² = load, N_Δ/N = load Φ(t) and U/N = (t + φ(t)/Φ(t))²/2. At load 2 both jump, from 0 to 1 and
    to 1/π. Hp = 0: the null model of deep networks.

    Raises
    ------
    ValueError
        For a load up to 2, which is satisfied.
    """
    require(load > 2, "load", load, "above 2, what a linear network satisfies")
    t = brentq(lambda t: _second_moment(t) / ndtr(t) ** 2 - load, 0.0, np.sqrt(load), xtol=1e-14)
    energy = 0.5 * (t + _phi(t) / ndtr(t)) ** 2
    return LinearNetworkGroundState(float(energy), float(load * ndtr(t)), float(t))
