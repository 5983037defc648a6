"""The value and the gradient of an objective at one y."""

import math
from typing import Any, NamedTuple

from ..core.constraints import Constraints
from ..support.arrays import Array


class Point(NamedTuple):
    """The objective evaluated at y. It is a tuple because one is made at each evaluation.

    Attributes
    ----------
    y, gradient : arrays
        x in units of the system's lengths, (n_dof,), and ∂E/∂y. If the scale moves, y ends in w λ, (n_dof + 1,), where
        w makes λ as stiff as a typical degree of freedom.
    value, energy : float
        E (without τ λ of the start, which is a constant) and U.
    force : float
        ‖u'‖ = √(Σ u'²).
    n_overlaps : int
        N_Δ.
    residual : float
        ‖∂E/∂(x in y)‖ / ‖u'‖, or |τ − Σu'c| / τ if that is larger.
    memory : object
        The state that the method needs to continue from here; None if it needs none.
    constraints : Constraints or None
        The constraints from which it was computed, if the objective keeps them.
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
        """U, the residual and N_Δ, for a line of progress."""
        shown = f"U = {self.energy:.3e}, relative gradient {self.residual:.1e}"
        return f"{shown}, {self.n_overlaps} overlaps"

    @property
    def typical_force(self) -> float:
        """√(Σ u'²/N_Δ); for the harmonic potential it is the typical overlap √(2U/N_Δ)."""
        return self.force / math.sqrt(max(self.n_overlaps, 1))
