"""Levenberg-Marquardt: Gauss-Newton steps on the overlaps (H0 only), damped by actual over predicted gain."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..validation import require
from .loop import Solver
from .objective import Objective, Point


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """Damped Gauss-Newton through the smaller of JᵀJ and JJᵀ; the quick way to a satisfied system.

    Attributes
    ----------
    matrix_free : bool or None
        Whether steps are found by conjugate gradients on products with J and Jᵀ. None: where the system asks for
        it, or where J of all constraints has more than 2²⁷ entries (1 GiB).

    Notes
    -----
    Source: D. W. Marquardt, J. SIAM 11, 431 (1963).
    """

    max_steps: int = 1000
    matrix_free: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.matrix_free in (None, True, False), "matrix_free", self.matrix_free, "True, False or None"
        )

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        curvature = objective.largest_curvature(point)
        damping = 1e-3 * curvature
        while True:
            model = objective.gauss_newton(point, self.matrix_free)
            while True:
                step = model.step(damping)
                if step.shape[0]:
                    trial, promised = objective(point.y + step), model.predicted(step)
                    gained = point.value - trial.value
                    # where E is lost in rounding, the residual decides
                    lost = promised < 1e-10 * abs(point.energy)
                    if trial.residual < point.residual if lost else gained > 1e-4 * promised:
                        break
                damping *= 4
                if damping > 1e8 * curvature:
                    return
            if gained > 0.75 * promised:
                damping = max(damping / 5, 1e-14 * curvature)
            elif gained < 0.25 * promised:
                damping *= 2
            point = objective.canonical(trial)
            yield point
