"""What a point has come to: whether U = 0 there, and whether the last overlaps open a little beyond.

"satisfied" says N_Δ = 0, and nothing else. A point whose overlaps are as small as rounding makes them, and which does
not balance them, lies on the way to such a point; a Gauss-Newton step, or a few, a little beyond find it.
"""

import math

from ..core.system import ConstrainedSystem
from .objective import Objective
from .point import Point

FITTED = 1.5e-10  # typical overlap, in units of the system, below which U = 0 but for rounding: U/N_Δ = 1e-20 unit²
AGAIN = 0.1  # of the typical overlap at which it was tried to open the overlaps: the next try
BEYOND = 1.5  # steps of Gauss and Newton: overlaps become gaps of half their size
TRIES = 3  # of such steps, one from the end of the other: a step may close other contacts
DAMPING = (1e-12, 1e-9, 1e-6)  # of the largest curvature, the next where the last is lost in rounding


def is_fitted(system: ConstrainedSystem, energy: float, n_overlaps: int) -> bool:
    """Whether U = 0 to rounding: no overlap, or U/N_Δ below 1e-20 unit² (in the units of the potential)."""
    if n_overlaps == 0:
        return True
    return system.potential.typical_overlap(energy, n_overlaps) < FITTED * system.unit


def opening(objective: Objective) -> float:
    """The typical overlap below which it is tried to open all overlaps; infinite rarely, 0 where it is not tried."""
    if objective.conjugate is not None or objective.weight_decay or objective.mask is not None:
        return 0.0
    if objective.opens_below is None:
        objective.opens_below = FITTED * objective.system.unit
    return objective.opens_below


def opened(objective: Objective, point: Point) -> Point | None:
    """A point without overlaps a little beyond one whose overlaps are tiny; None where they stay.

    Each failure puts the next try off until the typical overlap is a tenth of the present one.
    """
    system = objective.system
    typical = system.potential.typical_overlap(point.energy, point.n_overlaps)
    if not typical < opening(objective):
        return None
    objective.opens_below = AGAIN * typical
    reached = point
    for _ in range(TRIES):
        step = _beyond(objective, reached)
        if step is None:
            return None
        trial = objective(reached.y + BEYOND * step)
        if trial.n_overlaps == 0:
            kept = objective.canonical(trial)
            return kept if kept.n_overlaps == 0 else None
        if not trial.energy < math.inf:
            return None
        reached = trial
    return None


def why(status: str, max_steps: int, stop: str | None) -> str:
    """One sentence for a status that is neither "converged" nor "satisfied", where nothing more is known."""
    return {
        "saddle": "the gradient vanishes, but H has a negative eigenvalue: no minimum.",
        "stalled": "the method found no further step, or E is not finite.",
        "step-limit": f"{max_steps} points were visited, as many as max_steps allows.",
        "stopped": f"the observable {stop!r} of the watch had not fallen for too long.",
        "interrupted": "Ctrl-C was pressed before the run ended.",
    }.get(status, "")


def _beyond(objective: Objective, point: Point):
    """The Gauss-Newton step to where the overlaps vanish; None where rounding forbids it."""
    model, largest = objective.gauss_newton(point), objective.largest_curvature(point)
    for damping in DAMPING:
        step = model.step(damping * largest)
        if step.shape[0] and math.isfinite(float(step @ step)):
            return step
    return None
