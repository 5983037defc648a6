"""The jamming margin of spherical networks against the number of data, and where it reaches zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..branches.jam import jam
from ..core.capabilities import Layered
from ..core.system import ConstrainedSystem
from ..ensemble import Recipe, run_ensemble
from ..ensemble.sample import Sample
from ..statistics import Estimate, half_crossing
from ..support.printing import Brief
from ..support.validation import is_whole, require


@dataclass(frozen=True, eq=False, repr=False)
class MarginSample(Sample):
    """Status and threshold κ_J of `jam`, N, and the margin below which the output of the network vanishes."""

    status: str
    threshold: float
    n_dof: int
    least_threshold: float


@dataclass(frozen=True, eq=False, repr=False)
class MarginCurve(Brief):
    """κ_J(P) of spherical networks of N degrees of freedom, by `jam` from random weights.

    Attributes
    ----------
    algorithm : str
        The protocol, in words.
    n_dof : int
        N.
    n_data : (k,) array
        P, ascending.
    thresholds : (k, seeds) array
        κ_J of each start; 0 where f vanishes there, NaN where `jam` did not come to an end.
    jammed : (k,) array
        The fraction of starts that jammed at a margin above the least one. The least margin is 1e-4 with hidden layers;
        networks without hidden layers have none, and jam at negative margins too.

    Examples
    --------
    >>> import unijam as uj
    >>> recipe = uj.Recipe("FullyConnected", {"depth": 0, "input_dimension": 10, "bias": False})
    >>> curve = uj.jamming_margins(recipe, [10, 40], seeds=2, store="margins", n_workers=1)
    >>> curve.n_dof, curve.n_data.tolist()
    (10, [10, 40])
    """

    algorithm: str
    n_dof: int
    n_data: np.ndarray
    thresholds: np.ndarray
    jammed: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """The mean κ_J of the starts that jammed, (k,); NaN where none did."""
        return np.array([np.mean(row) if len(row) else np.nan for row in self._reached])

    @property
    def error(self) -> np.ndarray:
        """The standard error of `margin`, (k,); NaN where fewer than two starts jammed."""
        rows = self._reached
        return np.array([np.std(r, ddof=1) / len(r) ** 0.5 if len(r) > 1 else np.nan for r in rows])

    @property
    def _reached(self) -> list[np.ndarray]:
        return [row[np.isfinite(row) & (row != 0)] for row in self.thresholds]

    @property
    def vanishes(self) -> tuple[int, int | None]:
        """The two P between which κ_J reaches zero, among the starts that came to an end.

        They are the last P up to which half of the starts have κ_J > 0, and the next one (None where κ_J > 0 at all P
        measured). They are (0, first P) where κ_J is below zero from the first P on.
        """
        n_data, positive = self._ended
        n = int((np.minimum.accumulate([row.mean() for row in positive]) >= 0.5).sum())
        return (int(n_data[n - 1]) if n else 0, int(n_data[n]) if n < len(n_data) else None)

    @property
    def zero(self) -> Estimate:
        """P/N at which κ_J reaches zero, an `Estimate`: half of the starts that came to an end have κ_J > 0 there."""
        n_data, positive = self._ended
        return half_crossing(n_data / self.n_dof, positive)

    @property
    def _ended(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The P at which any start came to an end, (k,), and for each P whether κ_J > 0 in these starts."""
        known = [row[np.isfinite(row)] for row in self.thresholds]
        kept = [k for k, row in enumerate(known) if len(row)]
        return self.n_data[kept], [known[k] > 0 for k in kept]


def measure_margin(system: ConstrainedSystem) -> MarginSample:
    """Jam a system, and keep its threshold."""
    way, least = jam(system), system.least_threshold if isinstance(system, Layered) else None
    return MarginSample(way.status, way.threshold, system.n_dof, -np.inf if least is None else least)


def jamming_margins(
    recipe: Recipe,
    n_data: Sequence[int],
    seeds: int,
    store: Path | str,
    *,
    n_workers: int | None = None,
    progress: bool = False,
) -> MarginCurve:
    """The jamming margin κ_J of spherical networks at several numbers of data.

    Parameters
    ----------
    recipe : Recipe
        Of networks with a margin; `n_data` is left out.
    n_data : sequence of int
        The numbers of data P, each at least 2.
    seeds : int
        Number of networks at each P.
    store : Path or str
        A folder where the margin of each network is kept once it is known, and not computed again.
    n_workers : int, optional
        Number of processes; one per core by default. With more than 1 a script makes the call under
        ``if __name__ == "__main__":``, because each process reads it again.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    MarginCurve

    Raises
    ------
    ValueError
        Where a number is out of range, or the recipe gives `n_data`.
    RuntimeError
        Where several processes are to run, and the script lacks that line.

    Examples
    --------
    >>> import unijam as uj
    >>> recipe = uj.Recipe("FullyConnected", {"depth": 0, "input_dimension": 10, "bias": False})
    >>> curve = uj.jamming_margins(recipe, [10, 40], seeds=2, store="margins", n_workers=1)
    >>> curve.thresholds.shape, bool(curve.thresholds[0].mean() > curve.thresholds[1].mean())
    ((2, 2), True)
    """
    counts = sorted({int(p) for p in n_data})
    require(len(counts) > 0 and counts[0] >= 2, "n_data", list(n_data), "numbers of data of at least 2")
    require(is_whole(seeds) and seeds >= 1, "seeds", seeds, "a whole number of at least 1")
    require(
        "n_data" not in recipe.parameters,
        "n_data",
        recipe.parameters.get("n_data"),
        "left free in the recipe",
    )
    recipes = {p: (recipe.at(n_data=p), seeds) for p in reversed(counts)}
    drawn = run_ensemble(recipes, measure_margin, store=store, n_workers=n_workers, progress=progress)
    thresholds = np.array([[_threshold(sample) for sample in drawn[p]] for p in counts])
    n_dof = int(drawn[counts[0]][0].n_dof)
    jammed = (np.isfinite(thresholds) & (thresholds != 0)).mean(axis=1)
    return MarginCurve("jam, from random weights", n_dof, np.array(counts), thresholds, jammed)


def _threshold(sample: MarginSample) -> float:
    """κ_J; 0 below the least threshold, where f vanishes, and NaN where `jam` did not converge."""
    if sample.threshold < sample.least_threshold:
        return 0.0
    return sample.threshold if sample.status == "converged" else float("nan")
