"""Nonlinear conjugate gradients with one evaluation an iteration: a trial step tells the curvature along the way.

The gradient at the accepted point is extrapolated from the trial's, exact while the energy is quadratic.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..validation import require
from .loop import Solver
from .objective import Objective, Point
from .vectors import blend, dot, moved, products


@dataclass(frozen=True)
class ConjugateGradient(Solver):
    """Polak-Ribière-Polyak conjugate gradients, restarted; trial points are the points yielded.

    Attributes
    ----------
    max_step : float
        The largest change of a degree of freedom in one step.
    refresh : int
        Iterations after which the gradient is evaluated anew instead of extrapolated.

    Notes
    -----
    Source: E. Polak, G. Ribière, Rev. Fr. Inform. Rech. Opér. 16, 35 (1969), β ≥ 0 of M. J. D. Powell.
    """

    max_step: float = 0.05
    refresh: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.refresh >= 1, "refresh", self.refresh, "at least 1")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        trial_step = 1.0 / objective.largest_curvature(point)
        base, gradient = point.y, point.gradient
        direction, square, _, largest = blend(-1.0, gradient, 0.0, gradient)
        slope = square  # −∇E·direction
        count = 0
        while slope > 0:
            longest = self.max_step / largest
            t = min(trial_step, longest)
            trial = objective(moved(base, t, direction))
            yield trial
            new_slope = -dot(trial.gradient, direction)
            drop = slope - new_slope
            step = min(t * slope / drop if drop > 0.05 * slope else 4 * t, 4 * t, longest)
            ratio = step / t
            base = moved(base, step, direction)
            extrapolated, new_square, product, _ = blend(1 - ratio, gradient, ratio, trial.gradient)
            count += 1
            looks_done = (
                new_square <= (self.gradient_tolerance * trial.force) ** 2 or new_square < 1e-4 * square
            )
            if count % self.refresh == 0 or looks_done or new_square > 4 * square:
                point = objective(base)
                yield point
                extrapolated = point.gradient
                new_square, product = products(extrapolated, gradient)
            beta = max(0.0, (new_square - product) / square)
            carried = slope + ratio * (new_slope - slope)
            direction, _, _, largest = blend(beta, direction, -1.0, extrapolated)
            gradient, square = extrapolated, new_square
            slope = square + beta * carried
            if slope <= 0:
                direction, slope, _, largest = blend(-1.0, gradient, 0.0, gradient)
            trial_step = min(max(step, 1e-3 * trial_step), 1e3 * trial_step)
