"""The transition of systems without a scale: how many data, P, networks of given N can fit, by a given search.

Each start is bisected in P; the data of a smaller P are the first ones of a larger, so that a fitted network is a
start for more. What is found depends on the search, as φ_J does on the protocol: a result names it.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .ensemble import Recipe, ensemble
from .ensemble.sample import Sample
from .minimize import FitSearch, LevenbergMarquardt, MinimizeResult, Objective
from .minimize.progress import Progress
from .statistics import count_constraints
from .system import ConstrainedSystem
from .validation import require

WARM = LevenbergMarquardt(max_steps=100, least_gain=0.01)  # from a network that fits fewer data
RESAMPLES = 2000
CONFIDENCE = (2.5, 97.5)  # per cent


@dataclass(frozen=True, eq=False)
class ThresholdSample(Sample):
    """How many of its data one start can fit, by bisection.

    Attributes
    ----------
    algorithm : str
        The search.
    n_dof, n_symmetric : int
        N, and the dimension of its symmetries, as N_eff = N − this.
    n_data : (k,) array
        P tried, in order.
    fitted : (k,) array of bool
        Whether U/N_Δ fell below 1e-20 there.
    seconds : (k,) array
        Of each try.
    largest_fitted, smallest_missed : int
        The bracket of P*; 0 where nothing was fitted, one more than all data where nothing was missed.
    status : str
        Of the search at the smallest P missed: "converged" where it ended in a minimum.
    energy, n_overlaps, n_kinks, n_effective : float, int
        U/P, N_Δ, N_kink and N_eff there (0 where nothing was missed).
    """

    algorithm: str
    n_dof: int
    n_symmetric: int
    n_data: np.ndarray
    fitted: np.ndarray
    seconds: np.ndarray
    largest_fitted: int
    smallest_missed: int
    status: str
    energy: float
    n_overlaps: int
    n_kinks: int
    n_effective: int

    @property
    def threshold(self) -> float:
        """P* of this start, the middle of its bracket."""
        return 0.5 * (self.largest_fitted + self.smallest_missed)


@dataclass(frozen=True, eq=False)
class Transition:
    """The transition of a family of networks of N degrees of freedom in the number of data P.

    Attributes
    ----------
    algorithm : str
        By which search: the transition is this search's.
    n_dof, n_effective : int
        N, and N without symmetries.
    n_data : float
        P*, the median of the starts' thresholds: half of the starts fit so many data.
    interval : (float, float)
        95 % of the median, by resampling starts.
    spread : float
        Standard deviation of the thresholds: the width of the fraction fitted as a function of P.
    ratio, ratio_interval : float, (float, float)
        P*/N_eff.
    jump, jump_interval : float, (float, float)
        N_Δ/N_eff in the minima at the smallest P missed, mean over starts and its 95 %; below P* it is 0.
    jump_with_kinks : float
        (N_Δ + N_kink)/N_eff there.
    n_certified : int
        How many of these minima are certified by their solver.
    energy : float
        U/P there, mean.
    samples : tuple of ThresholdSample
    """

    algorithm: str
    n_dof: int
    n_effective: int
    n_data: float
    interval: tuple[float, float]
    spread: float
    ratio: float
    ratio_interval: tuple[float, float]
    jump: float
    jump_interval: tuple[float, float]
    jump_with_kinks: float
    n_certified: int
    energy: float
    samples: tuple[ThresholdSample, ...]

    def fraction_fitted(self, n_data: float) -> float:
        """The fraction of starts that fit P data."""
        return float(np.mean([s.threshold >= n_data for s in self.samples]))


def find_transition(
    family: Recipe | Callable[[int, int], ConstrainedSystem],
    low: int,
    high: int,
    *,
    seeds: int = 8,
    tolerance: float = 0.02,
    search: FitSearch | None = None,
    store: Path | None = None,
    n_workers: int | None = None,
    progress: bool = False,
) -> Transition:
    """Find P*, the number of data that networks of a family can just fit.

    Parameters
    ----------
    family : Recipe without `n_data`, or function (P, seed) -> system
        How to draw a system of P data; smaller sets are the first data of it.
    low, high : int
        Numbers of data around the transition.
    seeds : int
        Independent starts: data and weights.
    tolerance : float
        Of each start's threshold, in units of `high`.
    search : FitSearch, optional
        What counts as trying; by default one search and two reheats.
    store : Path, optional
        A folder where each start is kept once it is done, and not computed again; needs a Recipe.
    n_workers : int, optional
        Processes, one a core by default; a function runs in this one.
    progress : bool
        Show a bar.

    Raises
    ------
    ValueError
        Where a value is out of range, the family has a scale (`jam` finds its threshold), or `low` and `high` do
        not bracket the transition of most starts.

    Examples
    --------
    >>> import unijam as uj
    >>> def linear(n_data, seed):
    ...     return uj.FullyConnected.random(
    ...         depth=0, input_dimension=20, n_data=n_data, weights="free", bias=False, seed=seed
    ...     )
    >>> 1.5 < uj.find_transition(linear, 10, 80, seeds=4).ratio < 2.6
    True
    """
    require(isinstance(low, int) and low >= 2, "low", low, "a whole number of data of at least 2")
    require(isinstance(high, int) and high > low, "high", high, f"a whole number of data above low = {low}")
    require(isinstance(seeds, int) and seeds >= 1, "seeds", seeds, "at least 1")
    require(0 < tolerance < 1, "tolerance", tolerance, "between 0 and 1")
    recipe = isinstance(family, Recipe)
    require(recipe or callable(family), "family", family, "a Recipe or a function of (P, seed)")
    require(
        store is None or recipe, "store", store, "None unless the family is a Recipe, which has an identity"
    )
    search = search or FitSearch(reheats=2)
    options = dataclasses.asdict(search) | {"low": low, "tolerance": tolerance}
    if isinstance(family, Recipe) and store is not None:
        require("n_data" not in family.parameters, "n_data", family.parameters.get("n_data"), "left free")
        given = family.model_copy(update={"parameters": family.parameters | {"n_data": high}})
        measurement = functools.partial(measure_threshold, **options)
        name = "transition"
        drawn = ensemble({name: (given, seeds)}, measurement, store, n_workers=n_workers, progress=progress)
        samples = drawn[name]
    else:
        draw = _drawer(family)
        samples = []
        with Progress(progress, "find_transition") as report:
            for seed in range(seeds):
                samples.append(measure_threshold(draw(high, seed), **options))
                report.say(f"{seed + 1} of {seeds} starts")
    return _transition(samples, low, high)


def _drawer(
    family: Recipe | Callable[[int, int], ConstrainedSystem],
) -> Callable[[int, int], ConstrainedSystem]:
    if not isinstance(family, Recipe):
        return family
    parameters = family.parameters

    def draw(n_data: int, seed: int) -> ConstrainedSystem:
        return family.model_copy(update={"parameters": parameters | {"n_data": n_data}}).system(seed)

    return draw


def measure_threshold(
    system: ConstrainedSystem, low: int = 2, tolerance: float = 0.02, **search: object
) -> ThresholdSample:
    """Bisect, between `low` and all, how many of its data a system can fit; options of `FitSearch` besides."""
    if system.scale is not None:
        raise ValueError(
            f"control = {system.control!r} is not valid: find_transition needs a system without a scale, as a "
            "network with free weights; jam finds the threshold of this one."
        )
    require(system.n_data is not None, "family", type(system).__name__, "one of systems with data")
    high = int(system.n_data or 0)
    require(low < high, "low", low, f"below the number of data, {high}")
    method = FitSearch(**search)  # type: ignore[arg-type]
    tries: list[tuple[int, bool, float]] = []
    fitted: MinimizeResult | None = None
    missed: MinimizeResult | None = None
    below, above = 0, high + 1

    def attempt(n_data: int) -> None:
        nonlocal fitted, missed, below, above
        part = system.subset(slice(0, n_data))
        results = []
        if fitted is not None:
            results.append(WARM.run(Objective(part), fitted.x))
        if not results or not results[-1].fitted:
            results.append(method.run(Objective(part), system.initial))
        last = min(results, key=lambda r: (not r.fitted, r.energy))
        if last.status == "interrupted":
            raise KeyboardInterrupt
        tries.append((n_data, last.fitted, sum(r.seconds for r in results)))
        if last.fitted:
            fitted, below = last, n_data
        else:
            missed, above = last, n_data

    left, right = low, high
    while right - left > max(1.0, tolerance * high):
        middle = (left + right) // 2
        attempt(middle)
        left, right = (middle, right) if below == middle else (left, middle)
    if fitted is None:
        attempt(low)
    if missed is None:
        attempt(high)
    counted = None if missed is None else count_constraints(missed.system, missed.x)
    return ThresholdSample(
        algorithm=f"{method}, from fewer data by {type(WARM).__name__} first",
        n_dof=system.n_dof,
        n_symmetric=int(system.symmetries(system.initial).shape[0]),
        n_data=np.array([t[0] for t in tries]),
        fitted=np.array([t[1] for t in tries]),
        seconds=np.array([t[2] for t in tries]),
        largest_fitted=below,
        smallest_missed=above,
        status=missed.status if missed else "none",
        energy=missed.energy / above if missed else 0.0,
        n_overlaps=counted.n_overlaps if counted else 0,
        n_kinks=counted.n_kinks if counted else 0,
        n_effective=counted.n_effective if counted else 0,
    )


def _transition(samples: list[ThresholdSample], low: int, high: int) -> Transition:
    unfitted = sum(s.largest_fitted == 0 for s in samples)
    unmissed = sum(s.smallest_missed > high for s in samples)
    for count, name, what in ((unfitted, "low", "do not fit"), (unmissed, "high", "fit all of")):
        value = low if name == "low" else high
        wanted = f"on its side of the transition: {count} of {len(samples)} starts {what} {value} data"
        require(2 * count <= len(samples), name, value, wanted)
    thresholds = np.array([s.threshold for s in samples])
    n_dof = samples[0].n_dof
    n_effective = n_dof - samples[0].n_symmetric
    above = [s for s in samples if s.n_effective]
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(samples), (RESAMPLES, len(samples)))
    interval = np.percentile(np.median(thresholds[drawn], axis=1), CONFIDENCE)
    ratios = np.array([s.n_overlaps / s.n_effective for s in above] or [np.nan])
    again = random.integers(0, len(ratios), (RESAMPLES, len(ratios)))
    jump_interval = np.percentile(ratios[again].mean(1), CONFIDENCE)
    kinked = [(s.n_overlaps + s.n_kinks) / s.n_effective for s in above] or [np.nan]
    center = float(np.median(thresholds))
    return Transition(
        samples[0].algorithm,
        n_dof,
        n_effective,
        center,
        (float(interval[0]), float(interval[1])),
        float(thresholds.std(ddof=1)) if len(thresholds) > 1 else float("nan"),
        center / n_effective,
        (float(interval[0]) / n_effective, float(interval[1]) / n_effective),
        float(ratios.mean()),
        (float(jump_interval[0]), float(jump_interval[1])),
        float(np.mean(kinked)),
        sum(s.status == "converged" for s in above),
        float(np.mean([s.energy for s in above] or [np.nan])),
        tuple(samples),
    )
