"""Counting: N_Δ overlaps against N_eff bearing degrees of freedom; isostatic means N_Δ = N_eff + 1."""

from dataclasses import dataclass

from ..arrays import Array
from ..linalg import on_dof, projection
from ..system import ConstrainedSystem, kinks
from ..validation import require_positions


@dataclass(frozen=True)
class ConstraintCount:
    """How many constraints bear force on how many degrees of freedom.

    Attributes
    ----------
    n_overlaps, n_kinks : int
        Bearing constraints with Δ above 15 resolutions, and kinks that the system is held on.
    n_dof, n_effective : int
        All degrees of freedom; those that bear force less the rank of the symmetries on them.
    ratio : float
        (N_Δ + N_kink) / N_eff; 0 where nothing bears force.
    reduced : ConstraintCount or None
        The count on the reduced system (dead units dropped, copies merged) where there is one.
    """

    n_overlaps: int
    n_kinks: int
    n_dof: int
    n_effective: int
    ratio: float
    reduced: "ConstraintCount | None" = None

    @property
    def isostatic(self) -> bool:
        """N_Δ + N_kink = N_eff + 1: exactly one state of self stress and no floppy mode."""
        return self.n_overlaps + self.n_kinks == self.n_effective + 1


def count_constraints(system: ConstrainedSystem, x: Array) -> ConstraintCount:
    """Count the constraints that bear force at x against the degrees of freedom they bear on.

    Parameters
    ----------
    system : ConstrainedSystem
    x : (n_dof,) array
        A minimum; at jamming the count is the one that theory speaks of.
    """
    x = require_positions(system, x)
    c = system.constraints(x)
    dof, constraints = c.bearing()
    n_bearing = int(dof.sum())
    n_overlaps = int((c.overlaps & constraints).sum()) if n_bearing else 0
    n_kinks = int(kinks(c).held.shape[0]) if n_bearing else 0
    n_symmetries = projection(on_dof(system.symmetries(x), dof))[1] if n_bearing else 0
    n_effective = n_bearing - n_symmetries
    ratio = (n_overlaps + n_kinks) / n_effective if n_effective > 0 else 0.0
    smaller = system.reduced(x)
    reduced = None if smaller is None else count_constraints(*smaller)
    return ConstraintCount(n_overlaps, n_kinks, system.n_dof, n_effective, ratio, reduced)
