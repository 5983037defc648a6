"""Spectra of operators that are no matrices, by stochastic Lanczos quadrature, with intervals for counts.

For a probe z, uniform on the sphere, Lanczos' method gives a Gauss quadrature of Σ (z·e_i)² δ(λ − λ_i). Its mean over
probes is the density of eigenvalues.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit  # Student's quantiles; scipy.stats takes as long to import as all the rest

from ..linalg import Operator, Projection, Tridiagonal, lanczos
from ..statistics import Estimate
from ..support.arrays import is_torch, namespace
from ..support.printing import Brief

# Residual of a node, over its distance from a threshold, below which its side of the threshold is certain.
CONVERGED = 1e-3


@dataclass(frozen=True, eq=False, repr=False)
class SpectralQuadrature(Brief):
    """Quadratures of the spectrum of an operator, one for each probe.

    Attributes
    ----------
    size : int
        The number of eigenvalues, n.
    probes : sequence of Tridiagonal
        Nodes, weights and residuals of each quadrature.
    """

    size: int
    probes: Sequence[Tridiagonal]

    @property
    def largest(self) -> float:
        """The largest |Ritz value| over all probes, a float: nearly the largest |eigenvalue|."""
        return max(float(abs(p.nodes).max()) for p in self.probes)

    def density(self, at: np.ndarray, width: float) -> np.ndarray:
        """The density of eigenvalues at these λ, (k,), normalised to one.

        Each eigenvalue is broadened to a Gaussian whose standard deviation is `width`, in units of λ.
        """
        at = np.asarray(at, dtype=float)
        total = sum(p.weights @ np.exp(-0.5 * ((at - p.nodes[:, None]) / width) ** 2) for p in self.probes)
        density: np.ndarray = total / (len(self.probes) * width * np.sqrt(2 * np.pi))
        return density

    def below(self, threshold: float) -> Estimate:
        """The number of eigenvalues below a threshold, with a 95 % interval.

        The inequality of Chebyshev, Markov and Stieltjes bounds the error of a quadrature: the weight below the
        threshold lies between that of all nodes below but the last, and that of all nodes below and the next one. A
        node that has converged (its residual is below 1e-3 of its distance from the threshold) adds no error. The
        scatter of the probes is added, by Student's t.
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
        Random starts, and Lanczos steps from each. Counts scatter as 1/√(n × probes). Of structures narrower than about
        (range of λ)/steps only the weight is resolved.
    seed : int
    project : function, optional
        Projects a vector, (n,), onto the subspace whose spectrum is wanted.
    size : int, optional
        The dimension of this subspace; n by default.

    Returns
    -------
    SpectralQuadrature

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
    """The least, the likely and the largest weight of one quadrature below a threshold, three floats."""
    below = probe.nodes < threshold
    likely, k = float(probe.weights[below].sum()), int(below.sum())
    open_ = probe.residuals > CONVERGED * abs(probe.nodes - threshold)
    lost = float(probe.weights[k - 1]) if k and open_[k - 1] else 0.0
    won = float(probe.weights[k]) if k < len(open_) and open_[k] else 0.0
    return likely - lost, likely, likely + won
