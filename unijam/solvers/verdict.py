"""What a point has come to: whether U = 0 there, and whether the last overlaps open a little beyond.

"satisfied" says N_Δ = 0, and nothing else. A point whose overlaps are as small as rounding makes them, and which does
not balance them, lies on the way to such a point; a Gauss-Newton step, or a few, a little beyond find it.
"""

import math

from ..core.constraints import Constraints
from ..core.system import ConstrainedSystem
from ..core.tolerances import BALANCED, FITTED
from ..linalg import Operator, conjugate_gradients
from ..linalg.gauss_newton import GaussNewton
from ..support.arrays import Array, column_norms, is_torch
from .objective import Objective
from .point import Point

AGAIN = 0.1  # of the typical overlap at which it was tried to open the overlaps: the next try
LEAST_GAP = 30.0  # rounding errors of Δ: the least gap that is aimed at
NEAR = 3.0  # such gaps: constraints as near to overlapping as this are pushed back with the overlaps
TRIES = 5  # steps, one from the end of the other: each may close other contacts
DAMPING = (1e-12, 1e-9, 1e-6)  # of the largest curvature, the next where the last is lost in rounding
PRODUCTS = 500  # with J and Jᵀ for one step, where J is no matrix


def is_fitted(system: ConstrainedSystem, energy: float, n_overlaps: int) -> bool:
    """Whether U = 0 to rounding: no overlap, or U/N_Δ below 1e-20 unit² (in the units of the potential)."""
    if n_overlaps == 0:
        return True
    return system.potential.typical_overlap(energy, n_overlaps) < FITTED * system.unit


def opening(objective: Objective) -> float:
    """The typical overlap below which it is tried to open all overlaps; 0 where that makes no sense."""
    if objective.conjugate is not None or objective.weight_decay or objective.mask is not None:
        return 0.0
    if not objective.system.potential.finite_range:  # U vanishes nowhere
        return 0.0
    if objective.opens_below is None:
        objective.opens_below = FITTED * objective.system.unit
    return objective.opens_below


def opened(objective: Objective, point: Point) -> Point | None:
    """A point without overlaps a little beyond one whose overlaps are tiny and do not hold each other; None: they stay.

    Each step of Gauss and Newton pushes the overlaps, and what is nearly one, back to a gap of the size of a typical
    overlap. A failure puts the next try off until the typical overlap is a tenth of the present one.
    """
    typical = objective.system.potential.typical_overlap(point.energy, point.n_overlaps)
    if not typical < opening(objective) or point.residual < BALANCED:
        return None
    objective.opens_below = AGAIN * typical
    gap = max(typical, LEAST_GAP * objective.system.resolution(objective.x(point.y)))
    for _ in range(TRIES):
        c = objective.constraints_at(point)
        if not is_torch(c.x):  # a list of neighbours may leave out gaps
            c = c.system.constraints(c.x, NEAR * gap)
        step = _pushed_back(c, c.delta > -NEAR * gap, gap)
        if step is None:
            return None
        point = objective.canonical(objective(objective.y(objective.x(point.y) + step, 0.0)))
        if point.n_overlaps == 0:
            return point
        if not math.isfinite(point.value):
            return None
    return None


def _pushed_back(c: Constraints, select: Array, gap: float) -> Array | None:
    """The least step that takes the selected Δ to −gap, to first order; None where rounding forbids it."""
    wanted = c.delta + gap
    if c.system.matrix_free:
        rhs = -c.vjp(wanted * select)
        normal = Operator(lambda v: c.vjp(c.jvp(v) * select), c.x, c.system.memory_limit)
        return conjugate_gradients(normal, rhs, DAMPING[-1], PRODUCTS)[0]
    rows, r = c.jacobian(select), wanted[select]
    model = GaussNewton.of(rows, 0.0 * r + 1.0, r, rows.T @ r, None)
    largest = float((column_norms(rows) ** 2).max())
    for damping in DAMPING:
        step = model.step(damping * largest)
        if step.shape[0] and math.isfinite(float(step @ step)):
            return step
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
