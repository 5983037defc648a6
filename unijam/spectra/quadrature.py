"""Spectra of what is no matrix: stochastic Lanczos quadrature, with the intervals that it allows.

Of a probe z, uniform on the sphere, Lanczos' method gives a Gauss quadrature of Σ (z·e_i)² δ(λ − λ_i), whose mean
over probes is the density of eigenvalues.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantiles; scipy.stats takes as long to import as all the rest

from ..linalg import Operator, Projection, Tridiagonal, lanczos
from ..statistics import Estimate
from ..support.arrays import is_torch, namespace
from ..support.printing import Brief

CONVERGED = (
    1e-3  # residual of a node, in units of its distance from a threshold, that leaves its side in no doubt
)


@dataclass(frozen=True, eq=False, repr=False)
class SpectralQuadrature(Brief):
    """Quadratures of the spectrum of an operator, one a probe.

    Attributes
    ----------
    size : int
        The number of eigenvalues, n.
    probes : sequence of Tridiagonal
    """

    size: int
    probes: Sequence[Tridiagonal]

    @property
    def largest(self) -> float:
        """The largest |Ritz value|."""
        return max(float(abs(p.nodes).max()) for p in self.probes)

    def density(self, at: np.ndarray, width: float) -> np.ndarray:
        """Eigenvalues per unit of λ, of integral 1, each broadened to a Gaussian of this standard deviation."""
        at = np.asarray(at, dtype=float)
        total = sum(p.weights @ np.exp(-0.5 * ((at - p.nodes[:, None]) / width) ** 2) for p in self.probes)
        density: np.ndarray = total / (len(self.probes) * width * np.sqrt(2 * np.pi))
        return density

    def below(self, threshold: float) -> Estimate:
        """How many eigenvalues lie below a threshold.

        What a quadrature of m nodes leaves open is bounded by Chebyshev, Markov and Stieltjes: the weight below lies
        between that of all nodes below but the last, and that of these and the next one. A node that has converged
        (its residual below 1e-3 of its distance from the threshold) leaves nothing open. The scatter of the probes is
        added, by Student's t.
        """
        bounds = np.array([_bounds(p, threshold) for p in self.probes])  # (probes, 3)
        low, value, high = bounds.mean(axis=0)
        if len(bounds) > 1:
            error = stdtrit(len(bounds) - 1, 0.975) * bounds.std(axis=0, ddof=1) / len(bounds) ** 0.5
            low, high = low - error[0], high + error[2]
        return Estimate(self.size * value, self.size * max(low, 0.0), self.size * min(high, 1.0))


def spectral_quadrature(
    operator: Operator,
    n_probes: int = 10,
    steps: int = 100,
    seed: int = 0,
    *,
    project: Projection | None = None,
    size: int | None = None,
) -> SpectralQuadrature:
    """Stochastic Lanczos quadrature of an operator, n_probes × steps products.

    Parameters
    ----------
    operator : Operator
    n_probes, steps : int
        Random starts, and Lanczos steps from each: counts scatter as 1/√(n × probes), and of structures narrower
        than about (range of λ)/steps only the weight is seen.
    seed : int
    project : function, optional
        Onto the subspace whose spectrum is meant, of dimension `size`.

    References
    ----------
    S. Ubaru, J. Chen, Y. Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).
    """
    like, random = operator.like, np.random.default_rng(seed)
    probes = []
    for _ in range(n_probes):
        drawn = random.standard_normal(len(like))
        start = (
            namespace(like).asarray(drawn, dtype=like.dtype, device=like.device) if is_torch(like) else drawn
        )
        start = start if project is None else project(start)
        probes.append(lanczos(operator, start, min(steps, size or len(like)), project))
    return SpectralQuadrature(len(like) if size is None else size, probes)


def _bounds(probe: Tridiagonal, threshold: float) -> tuple[float, float, float]:
    """The least, the likely and the largest weight below a threshold."""
    below = probe.nodes < threshold
    likely, k = float(probe.weights[below].sum()), int(below.sum())
    open_ = probe.residuals > CONVERGED * abs(probe.nodes - threshold)
    lost = float(probe.weights[k - 1]) if k and open_[k - 1] else 0.0
    won = float(probe.weights[k]) if k < len(open_) and open_[k] else 0.0
    return likely - lost, likely, likely + won
