"""P±(Δ): the laws of small overlaps, P₊ ~ Δ^θ, and of small gaps, P₋ ~ |Δ|^(−γ), over independent systems.

θ and γ are measured independently: no relation between them is assumed. `delta_statistics` describes the method.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtr, stdtrit

from ..core.tolerances import LOST_CONTACT_OVERLAPS, OVERLAP_RESOLUTIONS
from ..support.arrays import to_numpy
from ..support.printing import Brief
from ..support.validation import Finite, Seed, Whole, checked, require, require_finite
from .likelihood import CutOffPowerLaw

WINDOWS = (0.95, 0.8, 0.65, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)  # upper ends tried: quantiles of the values
SMALLEST_SAMPLE = 100  # least number of values in a window
LARGE_SAMPLE = 20_000  # number of values from which the cut-off has three parameters; below, two
ACCEPTED = 0.2  # p-value above which a window fits, and no smaller one but the next is tried
REJECTED = 0.02  # p-value of the best window below which none fits
DRIFT = 0.4  # change of the exponent between windows that no smooth cut-off makes
WEIGHT = 12.0  # least ratio of upper end to lowest percentile of the fitted law: below, there is a gap
WIDENING = 1.2  # factor of the interval, for the choice of the window; measured, see `delta_statistics`
FEW_SYSTEMS = 4  # with fewer systems, values are resampled instead of systems
GROUPS = 40  # number of groups into which values are then dealt at random


@dataclass(frozen=True)
class Exponent:
    """An exponent at zero with its confidence interval, or the reason why there is none.

    Attributes
    ----------
    value, low, high : float or None
        Maximum-likelihood value and interval; None where refused.
    window : (float, float) or None
        The smallest and the largest value from which it was read.
    n_samples : int
        The number of values in the window; where there is no window, the number above the lower bound.
    goodness : float or None
        p-value of the fit within the window, None where nothing was fitted.
    verdict : {"power law", "regular", "refused"}
        "regular": the interval contains 0, a finite density at zero; this means little where the interval is wide.
    reason : str
        One sentence where refused, else empty.
    resampled : {"systems", "values"} or None
        Whether the bootstrap drew systems, or values (taken as independent) where fewer than four systems have any.
    """

    value: float | None
    low: float | None
    high: float | None
    window: tuple[float, float] | None
    n_samples: int
    goodness: float | None
    verdict: Literal["power law", "regular", "refused"]
    reason: str = ""
    resampled: Literal["systems", "values"] | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "refused"
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, eq=False, repr=False)
class Density(Brief):
    """A probability density on logarithmic bins: `centres`, `density`, statistical `error`, each (bins,).

    Empty bins are left out. The error is the scatter over systems; for one system it is that of a Poisson process.
    """

    centres: np.ndarray
    density: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class DeltaStatistics(Brief):
    """The results of `delta_statistics`: θ, γ, and the densities P₊ and P₋.

    Attributes
    ----------
    theta, gamma : Exponent
        Each with value, interval, window and verdict.
    overlap_density, gap_density : Density
        P₊ of Δ / mean overlap, and P₋ of |Δ|, on logarithmic bins.

    Examples
    --------
    >>> import numpy as np
    >>> import unijam as uj
    >>> random = np.random.default_rng(0)
    >>> law = uj.delta_statistics([random.random(1000) for _ in range(10)])  # a density that is flat at zero
    >>> law.theta.verdict, law.gamma.verdict
    ('regular', 'refused')
    """

    theta: Exponent
    gamma: Exponent
    overlap_density: Density
    gap_density: Density


@checked
def delta_statistics(
    deltas: Any,
    *,
    seed: Seed = 0,
    n_bootstrap: Annotated[Whole, Field(ge=50)] = 500,
    confidence: Annotated[Finite, Field(ge=0.5, lt=1)] = 0.95,
    resolution: Annotated[Finite, Field(ge=0)] = 0.0,
) -> DeltaStatistics:
    """Measure θ and γ of P₊(Δ) ~ Δ^θ and P₋(Δ) ~ |Δ|^(−γ), each with an interval, a window and a verdict.

    Overlaps (Δ > 0) are divided by the mean overlap of their own system; gaps (Δ < 0) keep their units.
    Overlaps below 15 × `resolution` are left out. Gaps below that are left out too, and gaps below 15 times the
    mean overlap of their system, since many of them are contacts just lost; the largest of these bounds over the
    systems holds for all. Finally gaps below the median of the smallest gaps of the systems are left out: finite
    systems have too few of them. The interval is statistical; it does not contain other effects of finite size.

    The density is x^a exp(b₁x + b₂x²), with a term b₃x³ from 20 000 values on, truncated to a window; a and b follow
    by maximum likelihood. Windows end at quantiles from 95 % down to 5 % of the values. The largest window is found
    that passes a score test of one more term at each end (p > 0.2). The exponent is read in the next smaller one,
    where a cut-off that the test could not see matters less; if none passes, in the window that fits best. The
    interval is Student's, with the error of a bootstrap over systems, widened by 20 % for the choice of the window.
    Where fewer than 4 systems have values, the bootstrap draws values instead, dealt into 40 groups and taken as
    independent: `resampled` says which.

    Measured, 200 draws each: 95 % intervals contain the true exponent in 92 to 99 % of samples of 10 to 40
    systems of 200 to 2000 values, for θ of 0, 0.17, 0.3, 0.42, γ of 0, 0.2, 0.41, and for cut-offs that are
    exponential, Gaussian, steeper, sharp, in a power of x, or with a kink. Of log-normal samples of unit width 97 % (as
    overlaps) or 81 % (as gaps) are refused at 2000 values, all at 10 000.

    No exponent is given (verdict "refused") for fewer than 100 values in a window, for windows that span less than one
    decade above the lower bound, and for samples that fit in no window (p < 0.02), hardly reach towards zero, or whose
    exponent rises as the window shrinks (log-normal).

    Parameters
    ----------
    deltas : sequence of arrays or tensors, each (m,)
        Signed distances, one array per independent system.
    seed, n_bootstrap, confidence
        Seed and number of draws of the bootstrap, and the probability that the interval shall contain.
    resolution : float
        Rounding error of one Δ, as `system.resolution(x)`; the largest of the systems.

    Returns
    -------
    DeltaStatistics

    Raises
    ------
    ValueError
        For an empty list, an array that is not 1-D, NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> law = delta_statistics([rng.gamma(1.42, size=1000) for _ in range(20)])
    >>> law.theta.low < 0.42 < law.theta.high, law.theta.verdict, law.gamma.verdict
    (True, 'power law', 'refused')
    """
    systems = _read(deltas)
    rng = np.random.default_rng(seed)
    overlaps = [delta[delta > OVERLAP_RESOLUTIONS * resolution] for delta in systems]
    gaps = [-delta[delta < 0] for delta in systems]
    means = [overlap.mean() if len(overlap) else 0.0 for overlap in overlaps]

    theta_bounds = [OVERLAP_RESOLUTIONS * resolution / mean for mean in means if mean > 0]
    settled = [LOST_CONTACT_OVERLAPS * mean for mean, gap in zip(means, gaps, strict=True) if len(gap)]
    scaled = [overlap / (mean or 1.0) for overlap, mean in zip(overlaps, means, strict=True)]
    overlaps, theta_bound = _truncate(scaled, theta_bounds)
    gaps, gamma_bound = _truncate(gaps, [*settled, OVERLAP_RESOLUTIONS * resolution])
    gaps, gamma_bound = _truncate(gaps, [gamma_bound, _rare(gaps)])

    theta = _exponent(overlaps, theta_bound, "overlaps", rng, n_bootstrap, confidence)
    gamma = _negated(_exponent(gaps, gamma_bound, "gaps", rng, n_bootstrap, confidence))
    return DeltaStatistics(theta, gamma, _density(overlaps), _density(gaps))


def _read(deltas: Any) -> list[np.ndarray]:
    """One float64 array, (m,), per system; a `ValueError` where one is no finite 1-D array of real numbers."""
    require(hasattr(deltas, "__iter__"), "deltas", deltas, "a list of one 1-D array per system")
    systems = [np.asarray(to_numpy(delta)) for delta in deltas]
    require(systems, "deltas", deltas, "a list of at least one array")
    for i, delta in enumerate(systems):
        require(delta.ndim == 1, f"the shape of deltas[{i}]", delta.shape, "(m,), one distance a constraint")
        require(
            delta.dtype.kind in "fiu", f"the type of deltas[{i}]", str(delta.dtype), "that of a real number"
        )
        require_finite(delta, f"deltas[{i}]")
    return [delta.astype(float) for delta in systems]


def _truncate(values: list[np.ndarray], bounds: list[float]) -> tuple[list[np.ndarray], float]:
    """The values above the largest of the bounds, and that bound."""
    bound = max(bounds, default=0.0)
    return [v[v > bound] for v in values], bound


def _rare(values: list[np.ndarray]) -> float:
    """The value below which a typical system has no value: the median over systems of their smallest value."""
    smallest = [v.min() for v in values if len(v)]
    return float(np.median(smallest)) if smallest else 0.0


def _exponent(
    values: list[np.ndarray],
    bound: float,
    name: str,
    rng: np.random.Generator,
    n_bootstrap: int,
    confidence: float,
) -> Exponent:
    """The exponent a of p(x) ~ x^a above `bound`, with its interval, or the reason to refuse one."""
    values = [v for v in values if len(v)]
    n = sum(map(len, values))
    above = f" above {bound:.3g}, what the data resolve," if bound else ""
    if n == 0:
        return _refused(0, f"There are no {name}{above.rstrip(',')}.")
    pooled = np.concatenate(values)
    ends = [
        end for q in WINDOWS if np.sum(pooled < (end := float(np.quantile(pooled, q)))) >= SMALLEST_SAMPLE
    ]
    if not ends:
        return _refused(n, f"Only {n} {name}{above} are too few: a window takes {SMALLEST_SAMPLE}.")
    ends = [end for end in ends if end >= 10 * bound]
    if not ends:
        why = (
            f"Hardly any {name} are near zero: less than one decade above {bound:.3g}, what the data resolve."
        )
        return _refused(n, why)

    fits = _shrink(pooled, bound, ends)
    best = max(fits, key=lambda f: f.goodness)
    fit = fits[-1] if best.goodness > ACCEPTED else best
    reach = min(f.family.upper / f.family.quantile(f.parameters, 0.01) for f in (fits[0], fit))
    if reach < WEIGHT:
        why = f"Hardly any {name} are near zero: 99 % lie within a factor {reach:.2g} of the window's end."
        return _refused(n, why, fit.goodness)
    if best.goodness < REJECTED:
        why = f"No window of the {name} fits a power law with a smooth cut-off (p = {best.goodness:.2g})."
        return _refused(n, why, best.goodness)
    drifted = [f.value for f in fits[-2:] if f.rises_above(fits[0])]
    if drifted:
        trend = f"drifts upwards from {fits[0].value:.2f} to {drifted[0]:.2f} as the window shrinks"
        return _refused(n, f"The exponent of the law of small {name} {trend}.", fit.goodness)

    resampled: Literal["systems", "values"] = "systems" if len(values) >= FEW_SYSTEMS else "values"
    inside = pooled[pooled < fit.family.upper]
    if resampled == "values":
        values = np.array_split(rng.permutation(inside), GROUPS)
    low, high = fit.interval(values, rng, n_bootstrap, confidence)
    verdict: Literal["power law", "regular"] = "regular" if low <= 0 <= high else "power law"
    window = float(inside.min()), fit.family.upper
    return Exponent(fit.value, low, high, window, len(inside), fit.goodness, verdict, "", resampled)


def _shrink(pooled: np.ndarray, bound: float, ends: list[float]) -> "list[_Fit]":
    """Fits in ever smaller windows, down to the window after the first that is accepted."""
    degree = 2 if len(pooled) < LARGE_SAMPLE else 3
    fits: list[_Fit] = []
    for end in ends:
        fits.append(_Fit.of(pooled, CutOffPowerLaw(bound, end, degree)))
        if len(fits) > 1 and fits[-2].goodness > ACCEPTED:
            break
    return fits


def _refused(n_samples: int, reason: str, goodness: float | None = None) -> Exponent:
    return Exponent(None, None, None, None, n_samples, goodness, "refused", reason)


def _negated(exponent: Exponent) -> Exponent:
    """γ of P₋ ~ |Δ|^(−γ) from the exponent −γ."""
    if exponent.value is None or exponent.low is None or exponent.high is None:
        return exponent
    return replace(exponent, value=-exponent.value, low=-exponent.high, high=-exponent.low)


@dataclass(frozen=True)
class _Fit:
    """The law of the values in one window: exponent, its error if values are independent, p-value."""

    family: CutOffPowerLaw
    parameters: np.ndarray
    value: float
    error: float
    goodness: float

    @staticmethod
    def of(pooled: np.ndarray, family: CutOffPowerLaw) -> "_Fit":
        log_y = np.log(pooled[pooled < family.upper] / family.upper)
        parameters = family.fit(family.statistics(log_y).mean(axis=0)[None])[0]
        variance = np.linalg.inv(family.moments(parameters)[1])[0, 0] / len(log_y)
        goodness = family.goodness(parameters, log_y)
        return _Fit(family, parameters, float(parameters[0] - 1), float(np.sqrt(variance)), goodness)

    def rises_above(self, larger: "_Fit") -> bool:
        """Whether the exponent exceeds that of a larger window by more than noise and cut-offs can explain."""
        noise = np.sqrt(max(self.error**2 - larger.error**2, 0.0))
        return bool(self.value - larger.value > max(DRIFT, 2 * noise))

    def interval(
        self, values: list[np.ndarray], rng: np.random.Generator, n_bootstrap: int, confidence: float
    ) -> tuple[float, float]:
        """The interval: Student's quantile for K systems × the error by a bootstrap over them, widened."""
        family, k = self.family, len(values)
        inside = [np.log(v[v < family.upper] / family.upper) for v in values]
        sums = np.array([family.statistics(log_y).sum(axis=0) for log_y in inside])
        counts = np.array([len(log_y) for log_y in inside], dtype=float)
        weights = rng.multinomial(k, np.full(k, 1 / k), size=n_bootstrap).astype(float)
        weights = weights[weights @ counts > SMALLEST_SAMPLE / 4]
        resampled = family.fit((weights @ sums) / (weights @ counts)[:, None], self.parameters)[:, 0]
        # ± one standard deviation by quantiles: unlike the variance, a single wild resample does not change them
        low, high = np.quantile(resampled, ndtr([-1, 1]))
        error = 0.5 * (high - low) * np.sqrt(k / (k - 1))
        half = float(WIDENING * error * stdtrit(k - 1, 0.5 + 0.5 * confidence))
        return self.value - half, self.value + half


def _density(values: list[np.ndarray], bins_per_decade: int = 8) -> Density:
    """The density of positive values on logarithmic bins, normalised to one."""
    counts = np.array([len(v) for v in values], dtype=float)
    n = counts.sum()
    if n == 0:
        return Density(np.empty(0), np.empty(0), np.empty(0))
    pooled = np.concatenate(values)
    first, last = np.log10(pooled.min()), np.log10(pooled.max())
    # 1e-9: the smallest and the largest value lie inside
    edges = np.linspace(first - 1e-9, last + 1e-9, max(1, round(bins_per_decade * (last - first))) + 1)
    histogram = np.array([np.histogram(np.log10(v), edges)[0] for v in values], dtype=float)
    total = histogram.sum(axis=0)
    k = np.count_nonzero(counts)
    scatter = histogram - counts[:, None] * (total / n)
    variance = k / (k - 1) * (scatter**2).sum(axis=0) if k > 1 else total
    filled, widths = total > 0, np.diff(10**edges)
    centres = 10 ** (0.5 * (edges[1:] + edges[:-1]))
    return Density(*(a[filled] for a in (centres, total / (n * widths), np.sqrt(variance) / (n * widths))))
