"""Quantities of networks in training, from samples of their landscape, each with its interval.

A state is a triple (sample, run, k): state k of one run of a `LandscapeSample`. Most functions take lists of states.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.tolerances import OVERLAP_RESOLUTIONS
from ..statistics import Estimate, Exponent, delta_statistics, estimate, half_crossing
from .jammed import JammedSample
from .landscape import LandscapeSample
from .transition import Transition

TALK = "the talk; Geiger et al., PRE 100, 012115 (2019)"
TALK_EXPONENTS = {"θ": 0.3, "γ": 0.2}
CUTS = (0.0, 0.01, 0.03)  # smallest overlaps from which θ is read, in units of the mean overlap
States = Sequence[tuple[LandscapeSample, int, int]]  # (sample, run, state)


def states(samples: Sequence[LandscapeSample], state: int, *, unfitted: bool = True) -> States:
    """State number `state` of every run, as (sample, run, state); without runs that fit all data if `unfitted`."""
    every = [(s, run, state) for s in samples for run in range(len(s.status))]
    return [(s, r, k) for s, r, k in every if not unfitted or s.status[r, k] != "fitted"]


def certified(of: States) -> States:
    """The states that are certified minima."""
    return [(s, r, k) for s, r, k in of if s.certified[r, k]]


def values(of: States, name: str) -> np.ndarray:
    """A field of `LandscapeSample` for each state, (states, …); shorter spectra are padded with NaN."""
    return np.array([getattr(s, name)[r, k] for s, r, k in of])


def spectra(of: States, name: str) -> list[np.ndarray]:
    """A field of eigenvalues for each state, a list of (n,) arrays without NaN."""
    return [row[np.isfinite(row)] for row in values(of, name)]


def deltas(of: States) -> list[np.ndarray]:
    """Δ of each state, a list of (P,) arrays."""
    return [s.delta[r, k] for s, r, k in of]


def density(of: States, kinks: bool = False) -> np.ndarray:
    """N_Δ/N_eff of each state, or (N_Δ + N_kink)/N_eff, (states,); 0 where all data are fitted."""
    count = values(of, "n_overlaps") + (values(of, "n_kinks") if kinks else 0)
    ratio: np.ndarray = count / np.maximum(values(of, "n_effective"), 1)
    return ratio


def mean(numbers: np.ndarray) -> Estimate:
    """The mean of numbers, (runs,), and its 95 % interval; NaN of no numbers."""
    return estimate(np.mean, numbers) if len(numbers) else Estimate(np.nan, np.nan, np.nan)


def fraction(chosen: np.ndarray) -> Estimate:
    """The fraction of True in a mask, (runs,), and its 95 % interval.

    The interval is Wilson's, which is not empty where few runs are all alike.
    """
    n, z = len(chosen), 1.96  # the 97.5 % quantile of the normal law
    if not n:
        return Estimate(np.nan, np.nan, np.nan)
    p = float(np.mean(chosen))
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return Estimate(p, min(max(low, 0.0), p), max(min(high, 1.0), p))


def load(found: Transition) -> Estimate:
    """P*/N_eff of a `Transition` in the number of data.

    The interval contains the interval of the median over starts, and the median bracket of a start.
    """
    below = np.median([s.largest_fitted for s in found.samples])
    above = np.median([s.smallest_missed for s in found.samples])
    low, high = min(found.interval[0], float(below)), max(found.interval[1], float(above))
    return Estimate(found.load, low / found.n_effective, high / found.n_effective)


def transition(by_load: Mapping[float, Sequence[LandscapeSample]], state: int) -> Estimate:
    """P/N_eff at which half of the runs fit all data, by interpolation, from samples by P/N_eff.

    The interval contains the loads on both sides (see `half_crossing`).
    """
    loads = np.array(sorted(by_load))
    fitted = [
        np.array([s.status[r, k] == "fitted" for s, r, k in states(by_load[x], state, unfitted=False)])
        for x in loads
    ]
    return half_crossing(loads, fitted)


def exponents(of: States, cut: float = 0.0) -> tuple[Exponent, Exponent]:
    """θ of the overlaps above `cut` × their mean, and γ of all gaps."""
    every = deltas(of) or [np.zeros(0)]
    overlaps = [d[d > 0] for d in every]
    means = [o.mean() for o in overlaps if len(o)]
    theta = delta_statistics(
        overlaps, resolution=cut * float(np.mean(means or [0.0])) / OVERLAP_RESOLUTIONS
    ).theta
    return theta, delta_statistics([d[d < 0] for d in every]).gamma


def jammed_exponents(samples: Sequence[JammedSample]) -> tuple[Exponent, Exponent]:
    """θ and γ from the Δ of samples at jamming."""
    law = delta_statistics([s.delta for s in samples])
    return law.theta, law.gamma


def asymmetry(of: States) -> Estimate:
    """The skewness of the spectrum of Hp, √n tr Hp³/(tr Hp²)^(3/2), mean over states."""
    moments = [(np.mean(v**3), np.mean(v**2)) for v in spectra(of, "eigenvalues_hp") if len(v)]
    return mean(np.array([third / second**1.5 for third, second in moments]))


def scale_law(of: States) -> Estimate:
    """The exponent of the largest |eigenvalue| of Hp against U/P, over states; NaN for fewer than three."""
    table = np.array(
        [
            (float(u), float(np.abs(v).max()))
            for u, v in zip(values(of, "energy"), spectra(of, "eigenvalues_hp"), strict=True)
            if len(v) and u > 0
        ]
    ).reshape(-1, 2)
    if len(table) < 3:
        return Estimate(np.nan, np.nan, np.nan)
    return estimate(lambda t: float(np.polyfit(np.log(t[:, 0]), np.log(t[:, 1]), 1)[0]), table)
