"""Tests of a point: whether U = 0 there, and whether its last overlaps can be opened by small steps.

"satisfied" means N_Δ = 0 and nothing else (docs/decisions/076). A point whose overlaps are as small as rounding errors,
and do not balance each other, lies close to a point without overlaps; a few Gauss-Newton steps find it.
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

# After a failure to open the overlaps, the next try is made when the typical overlap is below this share of the present
# one.
AGAIN = 0.1
# The gap that steps aim at is at least this many rounding errors of Δ: an overlap begins at 15 of them.
LEAST_GAP = 30.0
# Constraints closer to overlapping than this many such gaps are pushed back too. Without them a step on the overlaps
# alone closed others (docs/decisions/076).
NEAR = 3.0
# Steps at most, each from the end of the last one: a step may close other contacts.
TRIES = 5
# Dampings of a step, in units of the largest curvature. A larger one is tried if the factorisation fails in rounding.
DAMPING = (1e-12, 1e-9, 1e-6)
PRODUCTS = 500  # products with J and Jᵀ, at most, for one step of a matrix-free system


def is_fitted(system: ConstrainedSystem, energy: float, n_overlaps: int) -> bool:
    """Whether U = 0 for the purpose of N*(P): there is no overlap, or the typical overlap is below 1.5e-10 `unit`.

    For the harmonic potential the latter is U/N_Δ < 1e-20 unit².
    """
    if n_overlaps == 0:
        return True
    return system.potential.typical_overlap(energy, n_overlaps) < FITTED * system.unit


def opening(objective: Objective) -> float:
    """The typical overlap below which `opened` tries to open all overlaps.

    It is 0, so that nothing is tried, if the scale moves, there is weight decay or a mask, or U cannot vanish.
    """
    if objective.conjugate is not None or objective.weight_decay or objective.mask is not None:
        return 0.0
    if not objective.system.potential.finite_range:  # U vanishes nowhere
        return 0.0
    if objective.opens_below is None:
        objective.opens_below = FITTED * objective.system.unit
    return objective.opens_below


def opened(objective: Objective, point: Point) -> Point | None:
    """A point without overlaps near a point whose overlaps are tiny and do not balance each other; None if not found.

    Each Gauss-Newton step pushes the overlaps, and constraints that nearly overlap, back to a gap of the size of a
    typical overlap. After a failure the next try waits until the typical overlap is a tenth of the present one.
    """
    typical = objective.system.potential.typical_overlap(point.energy, point.n_overlaps)
    if not typical < opening(objective) or point.residual < BALANCED:
        return None
    objective.opens_below = AGAIN * typical
    gap = max(typical, LEAST_GAP * objective.system.resolution(objective.x(point.y)))
    for _ in range(TRIES):
        c = objective.constraints_at(point)
        if not is_torch(c.x):  # a list of neighbours leaves out gaps unless they are asked for
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
    """The smallest step, (n_dof,), that takes the selected Δ to −gap to first order; None if rounding prevents it.

    `select` is a mask, (m,).
    """
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
    """One sentence for a status that is neither "converged" nor "satisfied", if no better reason is known; else ""."""
    return {
        "saddle": "the gradient vanishes, but H has a negative eigenvalue: no minimum.",
        "stalled": "the method found no further step, or E is not finite.",
        "step-limit": f"{max_steps} points were visited, as many as max_steps allows.",
        "stopped": f"the observable {stop!r} of the watch had not fallen for too long.",
        "interrupted": "Ctrl-C was pressed before the run ended.",
    }.get(status, "")
