"""The likelihood of a power law with a smooth cut-off, p(x) ∝ x^a exp(b₁y + b₂y² + …) with y = x/upper.

This is an exponential family: a sample enters only through the means of (log y, y, y², …), so that a thousand
bootstrap samples are fitted at once. The maximum is unique, and Newton's method finds it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import chdtrc

# Where lower = 0 the integral over log y starts at −REACH; for a > −0.9 the part left out is below e^(−12).
REACH = 120.0
_ABSCISSAE, _QUADRATURE = np.polynomial.legendre.leggauss(160)


@dataclass(frozen=True)
class CutOffPowerLaw:
    """The family p(x) ∝ x^a exp(Σ_j b_j (x/upper)^j), j = 1 … degree, on lower < x < upper.

    Its natural parameters are (1 + a, b₁, …, b_degree), with respect to d log x: k = 1 + degree numbers.
    """

    lower: float
    upper: float
    degree: int

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes in log y, dense at the upper end and sparse below (log y = −reach v³), and their weights."""
        reach = min(np.log(self.upper / self.lower), REACH) if self.lower > 0 else REACH
        v = 0.5 * (1 - _ABSCISSAE)
        return -reach * v**3, 1.5 * reach * v**2 * _QUADRATURE

    @cached_property
    def _table(self) -> np.ndarray:
        return self.statistics(self._grid[0])

    def statistics(self, log_y: np.ndarray) -> np.ndarray:
        """The sufficient statistics (log y, y, y², …) of values log(x/upper), (n,) -> (n, 1 + degree)."""
        y = np.exp(log_y)
        return np.stack([log_y, *(y**power for power in range(1, self.degree + 1))], axis=-1)

    def _alternatives(self, log_y: np.ndarray) -> np.ndarray:
        """One more term for either end, (n, 2): log² y for small y (log-normal), y^(degree + 1) for large y."""
        return np.stack([log_y**2, np.exp(log_y * (self.degree + 1))], axis=-1)

    def _probabilities(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of each node (…, nodes), and the log of the normalisation (…)."""
        exponent = parameters @ self._table.T
        top = exponent.max(axis=-1, keepdims=True)
        weights = np.exp(exponent - top) * self._grid[1]
        total = weights.sum(axis=-1, keepdims=True)
        return weights / total, (top + np.log(total))[..., 0]

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and covariance of the sufficient statistics, (…, k) -> (…, k), (…, k, k)."""
        probabilities, _ = self._probabilities(parameters)
        k = self.degree + 1
        products = (self._table[:, :, None] * self._table[:, None, :]).reshape(-1, k * k)
        mean = probabilities @ self._table
        covariance = (probabilities @ products).reshape(*mean.shape, k) - mean[..., :, None] * mean[
            ..., None, :
        ]
        # keeps the covariance invertible where its statistics hardly differ
        ridge = 1e-12 * np.trace(covariance, axis1=-2, axis2=-1)[..., None, None]
        return mean, covariance + ridge * np.eye(k)

    def fit(self, means: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """Maximum-likelihood parameters, (B, k), of B samples with these mean statistics, (B, k); `start` is (k,)."""
        if start is None:
            start = np.eye(self.degree + 1)[0]
        parameters = np.array(np.broadcast_to(start, means.shape), dtype=float)
        loss = self._loss(parameters, means)
        for _ in range(60):
            mean, covariance = self.moments(parameters)
            gradient = means - mean
            step = np.linalg.solve(covariance, gradient[..., None])[..., 0]
            decrement = (gradient * step).sum(axis=-1)
            if decrement.max() < 1e-14:  # half of it is the gain that is still possible: rounding
                break
            falling = step[:, 0] < 0  # 1 + a stays positive: integrable at zero
            length = np.where(
                falling, np.minimum(1, 0.5 * parameters[:, 0] / np.where(falling, -step[:, 0], 1)), 1
            )
            for _ in range(30):  # line search: halve the step until the likelihood rises
                trial = parameters + length[:, None] * step
                trial_loss = self._loss(trial, means)
                # Armijo's condition, with 1e-12 for the rounding of the loss
                uphill = ~(trial_loss <= loss - 1e-4 * length * decrement + 1e-12)
                if not uphill.any():
                    break
                length = np.where(uphill, 0.5 * length, length)
            parameters, loss = trial, trial_loss
        return parameters

    def _loss(self, parameters: np.ndarray, means: np.ndarray) -> np.ndarray:
        """Minus the log-likelihood per value, (B,)."""
        logarithm: np.ndarray = self._probabilities(parameters)[1] - (parameters * means).sum(axis=-1)
        return logarithm

    def goodness(self, parameters: np.ndarray, log_y: np.ndarray) -> float:
        """The p-value of the fit to values log(x/upper), (n,): Rao's score test of one more term at either end.

        The statistic has the χ² law of 2 degrees of freedom.
        """
        k = self.degree + 1
        probabilities, _ = self._probabilities(parameters)
        terms = np.concatenate([self._table, self._alternatives(self._grid[0])], axis=1)
        mean = probabilities @ terms
        covariance = (terms * probabilities[:, None]).T @ terms - np.outer(mean, mean)
        excess = self._alternatives(log_y).mean(axis=0) - mean[k:]
        explained = covariance[k:, :k] @ np.linalg.solve(covariance[:k, :k], covariance[:k, k:])
        scale = np.sqrt(np.diag(covariance)[k:])
        residual = (covariance[k:, k:] - explained) / np.outer(scale, scale)
        statistic = len(log_y) * (excess / scale) @ np.linalg.solve(residual, excess / scale)
        return float(chdtrc(len(excess), statistic))

    def quantile(self, parameters: np.ndarray, fraction: float) -> float:
        """The x below which this fraction (0 to 1) of the law with these parameters, (k,), lies."""
        probabilities = self._probabilities(parameters)[0]
        cumulative = np.cumsum(probabilities) - 0.5 * probabilities  # half of a node's own lies below it
        return float(self.upper * np.exp(np.interp(fraction, cumulative, self._grid[0])))
