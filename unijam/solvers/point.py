"""What an objective gives at one y."""

import math
from typing import Any, NamedTuple

from ..core.constraints import Constraints
from ..support.arrays import Array


class Point(NamedTuple):
    """The objective evaluated at y (a tuple: one is made at each evaluation).

    Attributes
    ----------
    y, gradient : arrays
        x in units of the system's lengths, with w λ appended where the scale moves (w makes it as stiff as a typical
        degree of freedom), and ∂E/∂y.
    value, energy : float
        E (counted from τ λ at the start) and U.
    force : float
        ‖u'‖ = √(Σ u'²).
    n_overlaps : int
        N_Δ.
    residual : float
        ‖∂E/∂(x in y)‖ / ‖u'‖, or |τ − Σu'c| / τ where that is larger.
    memory : object
        What a method carries on from here, if anything.
    constraints : Constraints or None
        Those it was read off, where the objective keeps them.
    """

    y: Array
    value: float
    energy: float
    gradient: Array
    force: float
    n_overlaps: int
    residual: float
    memory: Any = None
    constraints: Constraints | None = None

    def __str__(self) -> str:
        """U, relative gradient and N_Δ, for a line of progress."""
        shown = f"U = {self.energy:.3e}, relative gradient {self.residual:.1e}"
        return f"{shown}, {self.n_overlaps} overlaps"

    @property
    def typical_force(self) -> float:
        """√(Σ u'² / N_Δ); for the harmonic potential the typical overlap √(2U/N_Δ)."""
        return self.force / math.sqrt(max(self.n_overlaps, 1))
