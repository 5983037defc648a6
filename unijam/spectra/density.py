"""Densities of states D(ω), ω = √λ, pooled over systems, on logarithmic bins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..support.printing import Brief


@dataclass(frozen=True, eq=False, repr=False)
class DensityOfStates(Brief):
    """A density of states, in the units of √(eigenvalue).

    Attributes
    ----------
    omega : (bins,) array
        Geometric centres of the bins.
    density : (bins,) array
        D(ω): modes per degree of freedom and unit of ω.
    zero_modes : float
        The fraction of modes below the lowest bin.
    """

    omega: np.ndarray
    density: np.ndarray
    zero_modes: float


def density_of_states(
    eigenvalues: Sequence[np.ndarray], *, lowest: float = 1e-6, bins_per_decade: int = 5
) -> DensityOfStates:
    """D(ω) of the positive eigenvalues of several systems, normalised to all their modes.

    Parameters
    ----------
    eigenvalues : sequence of arrays
        One array of eigenvalues λ, (n,), per system.
    lowest : float
        ω up to which a mode counts as a zero mode, as negative λ do.
    bins_per_decade : int

    Returns
    -------
    DensityOfStates
        Without bins where all modes are zero modes.

    Raises
    ------
    ValueError
        Where no eigenvalue is given.
    """
    pooled = np.concatenate([np.asarray(e, dtype=float) for e in eigenvalues])
    if not pooled.size:
        raise ValueError("eigenvalues = [] is not valid: it must hold at least one eigenvalue.")
    omega = np.sqrt(np.maximum(pooled, 0.0))
    above = omega[omega > lowest]
    if not above.size:
        return DensityOfStates(np.empty(0), np.empty(0), 1.0)
    # Bins lie on a fixed grid, so that spectra can be compared bin by bin; the last bin ends at the band edge.
    first = np.floor(np.log10(above.min()) * bins_per_decade)
    inner = 10 ** (np.arange(first, np.log10(above.max()) * bins_per_decade) / bins_per_decade)
    edges = np.append(inner, above.max() * (1 + 1e-9))  # 1e-9: the largest ω lies inside
    if edges.size > 2 and edges[-1] < 1.2 * edges[-2]:  # too narrow a last bin is joined with the one before
        edges = np.delete(edges, -2)
    counts, _ = np.histogram(above, edges)
    density = counts / (np.diff(edges) * pooled.size)
    return DensityOfStates(np.sqrt(edges[1:] * edges[:-1]), density, 1.0 - above.size / pooled.size)


def missing_modes(eigenvalues: np.ndarray) -> float:
    """The number of modes missing below the softest one, ω₁, compared with a band that is flat down to ω = 0.

    It is ω₁ times the mean density of modes between ω₁ and the median: about 1 in a flat spectrum, whose lowest mode
    lies where one mode is expected, and many where a gap lies below the band.

    Parameters
    ----------
    eigenvalues : (n,) array
        Eigenvalues of H0; its kernel is left out (λ below 1e-10 of the largest).

    Returns
    -------
    float
    """
    values = np.sort(np.asarray(eigenvalues, dtype=float))
    omega = np.sqrt(values[values > 1e-10 * values[-1]])
    median = float(np.median(omega))
    # 1e-300: no division by zero where all ω are equal
    return float(omega[0] * (0.5 * omega.size) / max(median - omega[0], 1e-300))
