"""Confidence intervals of any number computed from an ensemble, by resampling its systems; power laws through means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95  # probability that an interval shall contain


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval, three floats; NaN where unknown."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def estimate(
    statistic: Callable[..., float], *tables: Sequence[Any] | np.ndarray, n_draws: int = 200, seed: int = 0
) -> Estimate:
    """A statistic of ensembles, and the interval that holds 95 % of its values over resampled ensembles (bootstrap).

    Parameters
    ----------
    statistic : function
        Takes one array per table and returns a number; draws at which it is not finite are left out.
    *tables : (systems, …) arrays
        One row a system. The rows of each table are drawn with replacement, independently of the other tables.
    n_draws, seed : int

    Returns
    -------
    Estimate
        The interval is NaN where no draw gives a finite number.

    Examples
    --------
    >>> heights = np.random.default_rng(1).normal(1.0, 0.1, 100)
    >>> mean = estimate(np.mean, heights)
    >>> bool(mean.low < 1.0 < mean.high and mean.high - mean.low < 0.06)
    True
    """
    rng, arrays = np.random.default_rng(seed), [np.asarray(table) for table in tables]
    draws = [
        statistic(*(table[rng.integers(0, len(table), len(table))] for table in arrays))
        for _ in range(n_draws)
    ]
    draws = [draw for draw in draws if np.isfinite(draw)]
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if draws else (np.nan, np.nan)
    return Estimate(float(statistic(*arrays)), float(low), float(high))


def half_crossing(x: np.ndarray, trials: Sequence[np.ndarray]) -> Estimate:
    """The x at which the fraction of trials that succeed falls to one half, by interpolation.

    Parameters
    ----------
    x : (k,) array
        Ascending.
    trials : sequence of k arrays of bool
        Whether each trial at x succeeded.

    Returns
    -------
    Estimate
        NaN where the fraction does not fall through one half. The interval contains the two x on either side of the
        value, because nothing is known between them.
    """
    x = np.asarray(x, dtype=float)

    def crossing(*drawn: np.ndarray) -> float:
        share = np.minimum.accumulate([d.mean() for d in drawn])
        above = share >= 0.5
        if above.all() or not above.any():
            return float("nan")
        last = int(above.sum()) - 1
        part = (share[last] - 0.5) / (share[last] - share[last + 1])
        return float(x[last] + part * (x[last + 1] - x[last]))

    found = estimate(crossing, *trials)
    if not np.isfinite(found.value):
        return found
    low, high = x[x <= found.value].max(), x[x > found.value].min()
    return Estimate(found.value, min(found.low, float(low)), max(found.high, float(high)))


def power_law(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Exponent b and amplitude a of y = a x^b, for x and y (k,), by least squares of the logarithms.

    Both are NaN where a y is not positive, or where there are fewer than two points.
    """
    if not (len(y) > 1 and (y > 0).all()):
        return float("nan"), float("nan")
    slope, level = np.polyfit(np.log(x), np.log(y), 1)
    return float(slope), float(np.exp(level))


def exponent_of_means(table: np.ndarray) -> float:
    """The exponent of ⟨y⟩ against ⟨x⟩, means over systems, of a table (systems, 2, points) of x and y.

    Missing entries are NaN and are left out of the means.
    """
    return power_law(*np.nanmean(table, axis=0))[0]
