"""What a run reached, and several runs joined into one."""

from dataclasses import dataclass, replace
from typing import Any

from ..core.system import ConstrainedSystem
from ..core.tolerances import RESOLVED_RESOLUTIONS
from ..support.arrays import Array
from ..support.printing import Brief
from .history import Record
from .verdict import is_fitted


@dataclass(frozen=True, eq=False, repr=False)
class MinimizeResult(Brief):
    """What a solver reached.

    Attributes
    ----------
    system : ConstrainedSystem
        The system of which `x` is a minimum (its scale, where that moved).
    x : (n_dof,) array
        In the system's gauge.
    energy, relative_gradient : float
        U and ‖Jᵀu'‖/‖u'‖.
    n_overlaps : int
    status : str
        What ended the run: "satisfied" (N_Δ = 0, no Δ above 15 resolutions), "converged" (stationary, and no direction
        of negative curvature was found), "saddle", "stalled", "step-limit", "stopped" (early, by a `Watch`),
        "interrupted" (unfinished when Ctrl-C came).
    n_steps, n_evaluations, seconds
        What it took.
    history : tuple of Record
        Logarithmically spaced.
    memory : object
        What the method carried from step to step (the moments of Adam, with the point in its own gauge), if any:
        `minimize` goes on from a result as if it had not been stopped.
    solver : str
        The class of the solver that `minimize` ran, "" of results that come from elsewhere.
    interrupted : bool
        Whether Ctrl-C was pressed during the run, also where it came too late to change the result: a loop ends here.
    certified : bool
        Whether a "converged" state is a minimum by the inertia of H, from a factor: of methods that see curvature, on
        systems whose H is a matrix. Else at most 20 products with H looked for negative curvature (`certify` computes
        what is missing). Of a system with kinks H is that of the smooth piece in which x lies, or of the kinks held.
    reason : str
        One sentence where the status is neither "converged" nor "satisfied".

    Examples
    --------
    >>> import unijam as uj
    >>> result = uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0))
    >>> result.status, result.energy > 0, result.x.shape
    ('converged', True, (64,))
    """

    system: ConstrainedSystem
    x: Array
    energy: float
    relative_gradient: float
    n_overlaps: int
    status: str
    n_steps: int
    n_evaluations: int
    seconds: float
    history: tuple[Record, ...]
    memory: Any = None
    solver: str = ""
    interrupted: bool = False
    certified: bool = False
    reason: str = ""

    @property
    def typical_overlap(self) -> float:
        """√(2U/N_Δ) (for other exponents (aU/N_Δ)^(1/a)), in units of Δ."""
        return self.system.potential.typical_overlap(self.energy, self.n_overlaps)

    @property
    def resolved(self) -> bool:
        """Whether the typical overlap is more than 100 rounding errors of Δ: below, contacts are lost one by one."""
        return self.typical_overlap > RESOLVED_RESOLUTIONS * self.system.resolution(self.x)

    @property
    def jammed(self) -> bool:
        """Whether overlaps are those of jamming: typically `jamming_overlap`, or as small as can be resolved."""
        return self.typical_overlap <= self.system.jamming_overlap * self.system.unit or not self.resolved

    @property
    def fitted(self) -> bool:
        """Whether U = 0 to rounding: no overlap, U/N_Δ < 1e-20 unit², or a minimum with the overlaps of jamming."""
        small = is_fitted(self.system, self.energy, self.n_overlaps)
        return small or (self.status == "converged" and self.jammed)


def joined(results: list[MinimizeResult]) -> MinimizeResult:
    """The last result, with the steps, seconds and history of all."""
    history, steps, seconds = [], 0, 0.0
    for r in results:
        history += [replace(h, step=h.step + steps, seconds=h.seconds + seconds) for h in r.history]
        steps, seconds = steps + r.n_steps, seconds + r.seconds
    evaluations = sum(r.n_evaluations for r in results)
    return replace(
        results[-1], n_steps=steps, seconds=seconds, n_evaluations=evaluations, history=tuple(history)
    )
