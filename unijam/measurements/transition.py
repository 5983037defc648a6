"""The transition of systems without a scale.

It is the number of data P that networks of given N can fit, by a given search; or the N that given data need.

Each start is bisected. The data of a smaller P are the first data of a larger P, so that a fitted network is a start
for more data. The result depends on the search, as φ_J does on the protocol, and names it.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.system import ConstrainedSystem
from ..ensemble import Recipe, run_ensemble
from ..solvers import FitSearch
from ..statistics import estimate
from ..support.interrupts import deferred, pressed
from ..support.printing import Brief
from ..support.progress import Progress
from ..support.validation import is_whole, require
from .thresholds import SizeSample, ThresholdSample, measure_size, measure_threshold

RESAMPLES = 2000  # draws of a bootstrap


@dataclass(frozen=True, eq=False, repr=False)
class Transition(Brief):
    """The transition of a family of networks: in the number of data P at given N, or in N at given P.

    Attributes
    ----------
    algorithm : str
        The search, in words: a transition belongs to its search.
    status : "complete" or "interrupted"
        Whether the result rests on all starts asked for, or on those that were finished when Ctrl-C was pressed.
    varied : "n_data" or "width"
        The quantity that was bisected.
    n_dof, n_effective : float
        N, and N_eff = N without symmetries. Where the width was varied, n_effective is N* and n_dof is NaN.
    n_data : float
        P, or P*.
    interval : (float, float)
        95 % interval of P* (or N*), the median of the thresholds of the starts: by resampling starts, each anywhere in
        its bracket.
    spread : float
        Standard deviation of the starts' thresholds.
    load, load_interval : float, (float, float)
        P*/N_eff, or P/N*.
    jump, jump_interval : float, (float, float)
        N_Δ/N_eff in the states at the end of the bracket where data are missed, mean over starts and its 95 % interval;
        at the other end N_Δ = 0.
    jump_with_kinks : float
        (N_Δ + N_kink)/N_eff in these states.
    n_certified : int
        The number of these states that are minima, according to their solver and to `certify`.
    jump_certified, jump_certified_interval : float, (float, float)
        N_Δ/N_eff of these minima alone; NaN where there are none.
    energy : float
        Mean U/P of these states.
    samples : tuple of ThresholdSample or SizeSample
        One for each start.
    interrupted : bool
        Whether Ctrl-C was pressed, even where all starts were finished: a loop of the caller should end.

    Examples
    --------
    >>> import unijam as uj
    >>> def linear(n_data, seed):
    ...     return uj.FullyConnected.random(
    ...         depth=0, input_dimension=10, n_data=n_data, weights="free", bias=False, seed=seed
    ...     )
    >>> found = uj.find_transition(linear, 4, 40, seeds=3, search=uj.FitSearch(reheats=0, finish=False))
    >>> found.status, found.n_dof, found.interval[0] <= found.n_data <= found.interval[1]
    ('complete', 10, True)
    """

    algorithm: str
    status: str
    varied: str
    n_dof: float
    n_effective: float
    n_data: float
    interval: tuple[float, float]
    spread: float
    load: float
    load_interval: tuple[float, float]
    jump: float
    jump_interval: tuple[float, float]
    jump_with_kinks: float
    n_certified: int
    jump_certified: float
    jump_certified_interval: tuple[float, float]
    energy: float
    samples: tuple[Any, ...]
    interrupted: bool = False

    @property
    def seconds(self) -> float:
        """Time of all tries together, a float."""
        return float(sum(s.seconds.sum() for s in self.samples))


def find_transition(
    family: Recipe | Callable[[int, int], ConstrainedSystem],
    low: int,
    high: int,
    *,
    vary: str = "n_data",
    seeds: int = 8,
    tolerance: float = 0.02,
    search: FitSearch | None = None,
    store: Path | str | None = None,
    n_workers: int | None = None,
    progress: bool = False,
) -> Transition:
    """Find P*, the number of data that networks of a family can just fit, or N*, the size that just fits P data.

    Parameters
    ----------
    family : Recipe, or function (P, seed) -> system (or (width, seed) -> system)
        Draws a system. A `uj.Recipe` leaves out the quantity that is varied, `n_data` or `width`, and must have the
        other. Smaller sets are the first data of a larger set; networks of another width have the same data.
    low, high : int
        Numbers of data, or widths, below and above the transition.
    vary : "n_data" or "width"
        The quantity to be bisected.
    seeds : int
        Number of independent starts; each has data and weights of its own.
    tolerance : float
        Width of the bracket of each start at the end, in units of `high`; a width is found to one unit at best.
    search : FitSearch, optional
        The search for U = 0; by default a quick and a thorough search and two reheats. Where its `finish` is true, the
        state at the end of the bracket where data are missed goes on to a minimum.
    store : Path or str, optional
        A folder where each start is kept once it is done, and not computed again; needs a Recipe.
    n_workers : int, optional
        Number of processes, one per core by default; only a Recipe with a store runs in several. A script then makes
        the call under ``if __name__ == "__main__":``, because each process reads it again; with 1 it need not.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Transition

    Raises
    ------
    ValueError
        Where a value is out of range, the family has a scale (`jam` finds its threshold), or `low` and `high` do
        not bracket the transition of most starts.
    RuntimeError
        Where several processes are to run, and the script lacks that line.
    KeyboardInterrupt
        At Ctrl-C where no start is finished, or with a store, which keeps the finished ones. Without a store the
        finished starts are returned, with `interrupted` True.

    Examples
    --------
    >>> import unijam as uj
    >>> def linear(n_data, seed):
    ...     return uj.FullyConnected.random(
    ...         depth=0, input_dimension=20, n_data=n_data, weights="free", bias=False, seed=seed
    ...     )
    >>> 1.5 < uj.find_transition(linear, 10, 80, seeds=4).load < 2.6
    True
    """
    least = 2 if vary == "n_data" else 1
    require(vary in ("n_data", "width"), "vary", vary, "'n_data' or 'width'")
    require(is_whole(low) and low >= least, "low", low, f"a whole number of at least {least}")
    require(is_whole(high) and high > low, "high", high, f"a whole number above low = {low}")
    require(is_whole(seeds) and seeds >= 1, "seeds", seeds, "a whole number of at least 1")
    require(0 < tolerance < 1, "tolerance", tolerance, "between 0 and 1")
    recipe = isinstance(family, Recipe)
    require(recipe or callable(family), "family", family, "a Recipe or a function of (P, seed)")
    require(
        store is None or recipe, "store", store, "None unless the family is a Recipe, which has an identity"
    )
    search = FitSearch(reheats=2) if search is None else search
    require(isinstance(search, FitSearch), "search", search, "a FitSearch")
    options = dataclasses.asdict(search) | {"low": low, "tolerance": tolerance}
    measurement: Any = measure_threshold if vary == "n_data" else measure_size
    if isinstance(family, Recipe):
        require(vary not in family.parameters, vary, family.parameters.get(vary), "left free")
        family = family.at(**{vary: high})
    measured = functools.partial(measurement, **options)
    summed_up = _transition if vary == "n_data" else _transition_in_size
    if isinstance(family, Recipe) and store is not None:
        drawn = run_ensemble(
            {vary: (family, seeds)}, measured, store=store, n_workers=n_workers, progress=progress
        )
        return summed_up(drawn[vary], low, high, "complete")
    draw = family.system if isinstance(family, Recipe) else functools.partial(family, high)
    with deferred(told=True) as ctrl_c:
        samples = _starts(lambda seed: measured(draw(seed)), seeds, progress)
        found = summed_up(samples, low, high, "complete" if len(samples) == seeds else "interrupted")
    return dataclasses.replace(found, interrupted=True) if ctrl_c.pressed else found


def _starts(measured: Callable[[int], Any], seeds: int, progress: bool) -> list[Any]:
    """The samples of the starts, one after the other; after Ctrl-C, of the starts that were finished."""
    samples: list[Any] = []
    with Progress(progress, "find_transition") as report:
        while len(samples) < seeds and not pressed():
            try:
                samples.append(measured(len(samples)))
            except (KeyboardInterrupt, Exception):
                if not samples or not pressed():
                    raise
            report.say(f"{len(samples)} of {seeds} starts")
    if not samples:
        raise KeyboardInterrupt
    return samples


def _transition(samples: Sequence[ThresholdSample], low: int, high: int, status: str) -> Transition:
    _require_bracketed(samples, [s.largest_fitted == 0 for s in samples], "low", low, "do not fit", "data")
    unmissed = [s.smallest_missed > high for s in samples]
    _require_bracketed(samples, unmissed, "high", high, "fit all of", "data")
    n_dof = samples[0].n_dof
    n_effective = n_dof - samples[0].n_symmetric
    center, interval, spread = _median(samples)
    return Transition(
        algorithm=samples[0].algorithm,
        status=status,
        varied="n_data",
        n_dof=n_dof,
        n_effective=n_effective,
        n_data=center,
        interval=interval,
        spread=spread,
        load=center / n_effective,
        load_interval=(interval[0] / n_effective, interval[1] / n_effective),
        samples=tuple(samples),
        **_jump(samples),
    )


def _transition_in_size(samples: Sequence[SizeSample], low: int, high: int, status: str) -> Transition:
    unfitted = [s.smallest_fitted < 0 for s in samples]
    _require_bracketed(samples, unfitted, "high", high, "do not fit with a width of", "")
    _require_bracketed(
        samples, [s.largest_missed == 0 for s in samples], "low", low, "fit with a width of", ""
    )
    kept = [s for s in samples if s.smallest_fitted > 0]
    center, interval, spread = _median(kept)
    n_data = samples[0].n_data
    return Transition(
        algorithm=samples[0].algorithm,
        status=status,
        varied="width",
        n_dof=float("nan"),
        n_effective=center,
        n_data=n_data,
        interval=interval,
        spread=spread,
        load=n_data / center,
        load_interval=(n_data / interval[1], n_data / interval[0]),
        samples=tuple(samples),
        **_jump(samples),
    )


def _require_bracketed(
    samples: Sequence[Any], beyond: Sequence[bool], name: str, value: int, what: str, unit: str
) -> None:
    wanted = f"on its side of the transition: {sum(beyond)} of {len(samples)} starts {what} {value} {unit}"
    require(2 * sum(beyond) <= len(samples), name, value, wanted.strip())


def _median(samples: Sequence[Any]) -> tuple[float, tuple[float, float], float]:
    """Median of the thresholds, its 95 % interval, and their spread; a resampled start lies anywhere in its bracket."""
    place, brackets = np.random.default_rng(1), np.array([s.bracket for s in samples])

    def somewhere(drawn: np.ndarray) -> float:
        return float(np.median(drawn[:, 0] + place.random(len(drawn)) * (drawn[:, 1] - drawn[:, 0])))

    found, thresholds = estimate(somewhere, brackets, n_draws=RESAMPLES), brackets.mean(1)
    spread = float(thresholds.std(ddof=1)) if len(thresholds) > 1 else float("nan")
    return float(np.median(thresholds)), (found.low, found.high), spread


def _jump(samples: Sequence[Any]) -> dict[str, Any]:
    """The fields of `Transition` about the states where data are missed."""
    above = [s for s in samples if s.n_effective]
    minima = [s for s in above if s.certified]
    overlaps, interval = _mean([s.n_overlaps / s.n_effective for s in above])
    certified, certified_interval = _mean([s.n_overlaps / s.n_effective for s in minima])
    return {
        "jump": overlaps,
        "jump_interval": interval,
        "jump_with_kinks": _mean([(s.n_overlaps + s.n_kinks) / s.n_effective for s in above])[0],
        "n_certified": len(minima),
        "jump_certified": certified,
        "jump_certified_interval": certified_interval,
        "energy": _mean([s.energy for s in above])[0],
    }


def _mean(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """The mean and its 95 % interval by resampling; NaN of no values."""
    if not values:
        return float("nan"), (float("nan"), float("nan"))
    found = estimate(np.mean, np.array(values), n_draws=RESAMPLES)
    return found.value, (found.low, found.high)
