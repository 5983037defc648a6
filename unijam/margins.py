"""The jamming margin of spherical networks against the number of data, and where it reaches zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .ensemble import Recipe, ensemble
from .ensemble.sample import Sample
from .jamming import jam
from .system import ConstrainedSystem
from .validation import require


@dataclass(frozen=True, eq=False)
class MarginSample(Sample):
    """Status and threshold of `jam`, N, and the margin below which the network's output vanishes."""

    status: str
    threshold: float
    n_dof: int
    least_threshold: float


@dataclass(frozen=True, eq=False)
class MarginCurve:
    """κ_J(P) of spherical networks of N degrees of freedom, by `jam` from random weights.

    Attributes
    ----------
    algorithm : str
    n_dof : int
        N.
    n_data : (k,) array
        P, ascending.
    margin, error : (k,) arrays
        Mean κ_J over the starts that jammed, and its standard error; NaN where none (or only one) did.
    jammed : (k,) array
        The fraction of starts that jammed; beyond the transition f ≡ 0 at κ_J = 0, and none do.
    """

    algorithm: str
    n_dof: int
    n_data: np.ndarray
    margin: np.ndarray
    error: np.ndarray
    jammed: np.ndarray

    @property
    def vanishes(self) -> tuple[int, int | None]:
        """The P between which κ_J reaches zero: the last at which half of the starts jam, and the next (None: above
        all); (0, first) where it has vanished before."""
        below = np.flatnonzero(self.jammed >= 0.5)
        last = int(below[-1]) if len(below) else -1
        upper = int(self.n_data[last + 1]) if last + 1 < len(self.n_data) else None
        return (int(self.n_data[last]) if len(below) else 0, upper)


def measure_margin(system: ConstrainedSystem) -> MarginSample:
    """Jam a system."""
    way, least = jam(system), system.least_threshold
    return MarginSample(way.status, way.threshold, system.n_dof, -np.inf if least is None else least)


def jamming_margins(
    recipe: Recipe,
    n_data: Sequence[int],
    seeds: int,
    store: Path,
    *,
    n_workers: int | None = None,
    progress: bool = False,
) -> MarginCurve:
    """The jamming margin κ_J of spherical networks at several numbers of data.

    Parameters
    ----------
    recipe : Recipe
        Of networks with a margin, without `n_data`.
    n_data : sequence of int
        P.
    seeds : int
        Networks at each P.
    store, n_workers, progress
        See `ensemble`.

    Raises
    ------
    ValueError
        Where a number is out of range, or the recipe gives `n_data`.
    """
    counts = sorted({int(p) for p in n_data})
    require(len(counts) > 0 and counts[0] >= 2, "n_data", list(n_data), "numbers of data of at least 2")
    require(seeds >= 1, "seeds", seeds, "at least 1")
    require(
        "n_data" not in recipe.parameters,
        "n_data",
        recipe.parameters.get("n_data"),
        "left free in the recipe",
    )
    recipes = {
        p: (recipe.model_copy(update={"parameters": recipe.parameters | {"n_data": p}}), seeds)
        for p in reversed(counts)
    }
    drawn = ensemble(recipes, measure_margin, store, n_workers=n_workers, progress=progress)
    margin, error, jammed = [], [], []
    for p in counts:
        found = [
            s.threshold for s in drawn[p] if s.status == "converged" and s.threshold >= s.least_threshold
        ]
        margin.append(np.mean(found) if found else np.nan)
        error.append(np.std(found, ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan)
        jammed.append(len(found) / seeds)
    n_dof = int(drawn[counts[0]][0].n_dof)
    return MarginCurve(
        "jam, from random weights",
        n_dof,
        np.array(counts),
        np.array(margin),
        np.array(error),
        np.array(jammed),
    )
