"""The threshold of one start, by bisection in the number of data P or in the width of the layers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.capabilities import HasData, Resizable, n_data
from ..core.system import ConstrainedSystem
from ..ensemble.sample import Sample
from ..solvers import FitSearch, LevenbergMarquardt, MinimizeResult, Objective
from ..spectra import certify
from ..statistics import count_constraints
from ..support.validation import require

WARM = LevenbergMarquardt(max_steps=100, least_gain=0.01)  # tried first, from a network that fits fewer data


@dataclass(frozen=True, eq=False, repr=False)
class BisectionSample(Sample):
    """The result of a bisection of one start by searches for U = 0.

    Attributes
    ----------
    algorithm : str
        The search, in words.
    fitted : (k,) array of bool
        For each try in order, whether U = 0 was found (U/N_Δ below 1e-20). Going on to a minimum counts as a try.
    seconds : (k,) array
        Time of each try.
    status : str
        Status of the state at the end of the bracket where data are missed: "converged" where the search goes on to a
        minimum and its solver reached one, "none" where nothing was missed.
    certified : bool
        Whether `certify` finds that this state is a minimum.
    energy, n_overlaps, n_kinks, n_effective : float, int
        U/P, N_Δ, N_kink and N_eff of this state (0 where nothing was missed).
    """

    algorithm: str
    fitted: np.ndarray
    seconds: np.ndarray
    status: str
    certified: bool
    energy: float
    n_overlaps: int
    n_kinks: int
    n_effective: int

    @property
    def bracket(self) -> tuple[float, float]:
        """The two sizes between which the threshold lies."""
        raise NotImplementedError

    @property
    def threshold(self) -> float:
        """P* or N* of this start, a float: the middle of its bracket."""
        return 0.5 * sum(self.bracket)


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdSample(BisectionSample):
    """The number of its data that one start can fit.

    Attributes
    ----------
    n_dof, n_symmetric : int
        N, and the number of its symmetries: N_eff = N − n_symmetric.
    n_data : (k,) array
        The P that were tried, in order.
    largest_fitted, smallest_missed : int
        The bracket of P*; 0 where nothing was fitted, one more than all data where nothing was missed.
    """

    n_dof: int
    n_symmetric: int
    n_data: np.ndarray
    largest_fitted: int
    smallest_missed: int

    @property
    def bracket(self) -> tuple[float, float]:
        """The two P between which the threshold lies."""
        return self.largest_fitted, self.smallest_missed


@dataclass(frozen=True, eq=False, repr=False)
class SizeSample(BisectionSample):
    """The size that a network must have to fit its data, from one start.

    Attributes
    ----------
    n_data : int
        P.
    widths : (k,) array
        The widths that were tried, in order.
    largest_missed, smallest_fitted : int
        The bracket of N*, in N_eff; 0 where no width missed data, −1 (for infinity) where no width fitted them.
    """

    n_data: int
    widths: np.ndarray
    largest_missed: int
    smallest_fitted: int

    @property
    def bracket(self) -> tuple[float, float]:
        """The two N_eff between which the threshold lies."""
        return self.largest_missed, np.inf if self.smallest_fitted < 0 else self.smallest_fitted


class _Bisection:
    """Bisection between two sizes, of which the easy one should be fitted and the hard one not; keeps its tries."""

    def __init__(self, draw: Callable[[int], ConstrainedSystem], search: FitSearch, warm: bool) -> None:
        self.draw, self.search, self.warm = draw, search, warm
        self.tries: list[tuple[int, bool, float]] = []
        self.fitted: MinimizeResult | None = None
        self.misses: dict[int, MinimizeResult] = {}  # by size; the last is nearest to what is fitted

    @property
    def missed(self) -> MinimizeResult | None:
        """The state at the end of the bracket where data are missed."""
        return next(reversed(self.misses.values()), None)

    def run(self, easy: int, hard: int, tolerance: float) -> None:
        """Halve the bracket until it is no wider than the tolerance.

        An end is tried only where all sizes between turned out to lie on one side. Where the search asks for it, the
        last state missed then goes on to a minimum; if that turns out to be a fit, the bracket moves to the next size
        that was missed.
        """
        first, last = easy, hard
        while True:
            while abs(hard - easy) > max(1.0, tolerance):
                middle = (easy + hard) // 2
                easy, hard = (middle, hard) if self._fits(middle) else (easy, middle)
            if self.fitted is None:
                self._fits(first)
            if not self.misses and easy != last:
                self._fits(last)
            if not self.search.finish or not self.misses:
                return
            easy = next(reversed(self.misses))
            if not self._fits_at_last(easy):
                return
            hard = next(reversed(self.misses), last)

    def _fits(self, size: int) -> bool:
        system, results = self.draw(size), []
        if self.warm and self.fitted is not None:
            results.append(WARM.run(Objective(system), self.fitted.x))
        if not results or not results[-1].fitted:
            search = replace(self.search, finish=False)
            results.append(search.run(Objective(system), system.initial))
        return self._kept(size, results)

    def _fits_at_last(self, size: int) -> bool:
        """Whether the state missed at this size, taken on to a minimum, ends at U = 0 after all."""
        return self._kept(size, [self.search.finished(self.misses.pop(size))])

    def _kept(self, size: int, results: list[MinimizeResult]) -> bool:
        best = results[-1]
        if any(r.status == "interrupted" for r in results):
            raise KeyboardInterrupt
        self.tries.append((size, best.fitted, sum(r.seconds for r in results)))
        if best.fitted:
            self.fitted = best
        else:
            self.misses[size] = best
        return best.fitted

    def fields(self) -> dict[str, Any]:
        """The fields that both kinds of samples have."""
        missed = self.missed
        counted = None if missed is None else count_constraints(missed.system, missed.x)
        return {
            "fitted": np.array([t[1] for t in self.tries]),
            "seconds": np.array([t[2] for t in self.tries]),
            "status": missed.status if missed else "none",
            "certified": bool(
                missed and missed.status == "converged" and certify(missed.system, missed.x).minimum
            ),
            "energy": missed.energy / (n_data(missed.system) or 1) if missed else 0.0,
            "n_overlaps": counted.n_overlaps if counted else 0,
            "n_kinks": counted.n_kinks if counted else 0,
            "n_effective": counted.n_effective if counted else 0,
        }

    @property
    def sizes(self) -> np.ndarray:
        """The sizes that were tried, in order, (k,)."""
        return np.array([t[0] for t in self.tries])


def measure_threshold(
    system: ConstrainedSystem, low: int = 2, tolerance: float = 0.02, **search: object
) -> ThresholdSample:
    """Find the number of its data that a system can fit, by bisection.

    Parameters
    ----------
    system : ConstrainedSystem
        With data and without a scale.
    low : int
        Least number of data; the largest is all of them.
    tolerance : float
        Width of the bracket at the end, as a share of all data.
    **search
        Options of `FitSearch`.

    Returns
    -------
    ThresholdSample

    Raises
    ------
    ValueError
        Where the system has a scale or no data, or low is not below their number.
    """
    _require_free(system)
    assert isinstance(system, HasData)
    high, data = system.n_data, system
    require(low < high, "low", low, f"below the number of data, {high}")
    method = FitSearch(**search)  # type: ignore[arg-type]
    done = _Bisection(lambda n: data.subset(slice(0, n)), method, warm=True)
    done.run(low, high, tolerance * high)
    return ThresholdSample(
        algorithm=f"{method}, from fewer data by {type(WARM).__name__} first",
        n_dof=system.n_dof,
        n_symmetric=int(system.symmetries(system.initial).shape[0]),
        n_data=done.sizes,
        largest_fitted=n_data(done.fitted.system) or 0 if done.fitted else 0,
        smallest_missed=n_data(done.missed.system) or 0 if done.missed else high + 1,
        **done.fields(),
    )


def measure_size(
    system: ConstrainedSystem, low: int = 1, tolerance: float = 0.0, **search: object
) -> SizeSample:
    """Find the width at which a network just fits its data, by bisection.

    The data are the same at each width; the initial weights are drawn anew.

    Parameters
    ----------
    system : ConstrainedSystem
        A `Resizable` network with hidden layers, without a scale; its width is the largest one tried.
    low : int
        The least width.
    tolerance : float
        Width of the bracket at the end, as a share of the largest width.
    **search
        Options of `FitSearch`.

    Returns
    -------
    SizeSample

    Raises
    ------
    ValueError
        Where the system is no such network, or low is not below its width.
    """
    _require_free(system)
    layers = isinstance(system, Resizable) and len(system.widths) > 0
    require(layers, "family", type(system).__name__, "one of fully connected networks with hidden layers")
    high = system.widths[0]  # type: ignore[attr-defined]
    require(low < high, "low", low, f"below the width, {high}")
    method = FitSearch(**search)  # type: ignore[arg-type]
    done = _Bisection(system.resized, method, warm=False)  # type: ignore[attr-defined]
    done.run(high, low, tolerance * high)
    return SizeSample(
        algorithm=str(method),
        n_data=n_data(system) or 0,
        widths=done.sizes,
        largest_missed=_effective(done.missed.system) if done.missed else 0,
        smallest_fitted=_effective(done.fitted.system) if done.fitted else -1,
        **done.fields(),
    )


def _effective(system: ConstrainedSystem) -> int:
    return system.n_dof - int(system.symmetries(system.initial).shape[0])


def _require_free(system: ConstrainedSystem) -> None:
    given = isinstance(system, ConstrainedSystem)
    require(given, "family", system, "a function that returns a ConstrainedSystem")
    if system.scale is not None:
        raise ValueError(
            f"control = {system.control!r} is not valid: find_transition needs a system without a scale, as a "
            "network with free weights; jam finds the threshold of this one."
        )
    require(isinstance(system, HasData), "family", type(system).__name__, "one of systems with data")
