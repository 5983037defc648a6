"""The result of a run, and the results of several runs joined into one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..core.system import ConstrainedSystem
from ..core.tolerances import RESOLVED_RESOLUTIONS
from ..support.arrays import Array
from ..support.interrupts import is_interrupt
from ..support.printing import Brief
from .history import Record
from .verdict import is_fitted


@dataclass(frozen=True, eq=False, repr=False)
class MinimizeResult(Brief):
    """The result of a run.

    Attributes
    ----------
    system : ConstrainedSystem
        The system that x belongs to; it has the final scale, if the scale moved.
    x : (n_dof,) array
        The state reached, in the system's gauge.
    energy, relative_gradient : float
        U and ‖Jᵀu'‖/‖u'‖.
    n_overlaps : int
        N_Δ.
    status : str
        How the run ended: "satisfied" (N_Δ = 0, no Δ above 15 resolutions), "converged" (stationary, and no direction
        of negative curvature was found), "saddle", "stalled", "step-limit", "stopped" (early, by a `Watch`),
        "interrupted" (unfinished when Ctrl-C was pressed).
    n_steps, n_evaluations, seconds : int, int, float
        Steps, evaluations of U, and wall time.
    history : tuple of Record
        Logarithmically spaced.
    memory : object
        The state that the method carries from step to step (the moments of Adam, with the point in its own gauge), or
        None. With it, `minimize` resumes the run as if it had not been stopped.
    solver : str
        The class of the solver that `minimize` ran; "" if the result was made elsewhere.
    interrupted : bool
        Whether Ctrl-C was pressed during the run, even if too late to change the result: a loop over runs should end.
    certified : bool
        Whether the inertia of H was computed at a "converged" state, and no eigenvalue is negative. Only methods that
        use curvature do so, on systems whose H is a matrix. Otherwise at most 20 products with H looked for negative
        curvature, and `certify` can decide. If the system has kinks, H is that of the smooth piece in which x lies, or
        of the tangent space of the held kinks.
    reason : str
        One sentence, if the status is neither "converged" nor "satisfied".

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
        """√(2U/N_Δ), or (aU/(k N_Δ))^(1/a) for u = kΔ^a/a, in units of Δ."""
        return self.system.potential.typical_overlap(self.energy, self.n_overlaps)

    @property
    def resolved(self) -> bool:
        """Whether the typical overlap exceeds 100 rounding errors of Δ. Below, contacts are lost one by one."""
        return self.typical_overlap > RESOLVED_RESOLUTIONS * self.system.resolution(self.x)

    @property
    def jammed(self) -> bool:
        """Whether the typical overlap is at most `system.jamming_overlap` units, or too small to be resolved."""
        return self.typical_overlap <= self.system.jamming_overlap * self.system.unit or not self.resolved

    @property
    def fitted(self) -> bool:
        """Whether U = 0 for the purpose of N*(P).

        There is no overlap, or U/N_Δ < 1e-20 unit², or the state is a minimum with the overlaps of jamming.
        """
        small = is_fitted(self.system, self.energy, self.n_overlaps)
        return small or (self.status == "converged" and self.jammed)


def joined(results: list[MinimizeResult]) -> MinimizeResult:
    """The last of several results of one path, with the steps, evaluations, seconds and history of all of them."""
    history, steps, seconds = [], 0, 0.0
    for r in results:
        history += [replace(h, step=h.step + steps, seconds=h.seconds + seconds) for h in r.history]
        steps, seconds = steps + r.n_steps, seconds + r.seconds
    evaluations = sum(r.n_evaluations for r in results)
    return replace(
        results[-1], n_steps=steps, seconds=seconds, n_evaluations=evaluations, history=tuple(history)
    )


def unless_interrupted(
    look: Callable[[MinimizeResult], MinimizeResult], result: MinimizeResult
) -> MinimizeResult:
    """`look(result)`; the result itself, "interrupted", if a second Ctrl-C ends the look."""
    try:
        return look(result)
    except (KeyboardInterrupt, SystemError) as error:
        if not is_interrupt(error):
            raise
        reason = "Ctrl-C was pressed twice before the curvature and the kinks at this point were looked for."
        return replace(result, status="interrupted", interrupted=True, reason=reason)
