"""Newton's method with a trust region kept by a shift of H (Levenberg-Moré), and a line search on the slope.

Near jamming E is lost in rounding long before its slope is, so a step is accepted where the slope along it has
fallen, and E is asked only not to rise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ...core.capabilities import step_unit
from ...support.arrays import Array
from ...support.validation import require
from ..first_order.conjugate_gradient import ConjugateGradient
from ..history import SPARSE
from ..loop import Solver
from ..models import newton_model
from ..objective import Objective
from ..point import Point


@dataclass(frozen=True)
class TrustRegionNewton(Solver):
    """Newton steps, exact (sparse or dense) or by conjugate gradients (matrix-free); saddles are left downhill.

    Exact ones are shifted until positive definite. Matrix-free ones are solved to √(relative gradient) (at most
    0.1), and follow negative curvature where they meet it; converged means there that Lanczos' method found no
    negative mode.

    Attributes
    ----------
    max_step : float
        The largest change of a degree of freedom that is tried at first, in units of the system's `step_unit`.
    patience, fall : int, float
        Steps within which the relative gradient must fall to this share of the least so far, else the method ends;
        0 steps: no such test.
    loose : ConjugateGradient or None
        Relaxes what bears no force, alone, before each step: a rattler pinched between two particles that bear
        force slips out slowly, and would keep everything waiting. None, or where that is more than half of all
        degrees of freedom: it is left to the steps.

    Notes
    -----
    Source of the shift as a trust region: J. J. Moré, D. C. Sorensen, SIAM J. Sci. Stat. Comput. 4, 553 (1983).

    Examples
    --------
    >>> import unijam as uj
    >>> solver = uj.TrustRegionNewton(gradient_tolerance=1e-12)
    >>> uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0), None, solver).status
    'converged'
    """

    max_steps: int = 1000
    max_step: float = 0.3
    patience: int = 0
    fall: float = 0.7
    loose: ConjugateGradient | None = None
    initial_shift: float = 1e-3
    sees_curvature: ClassVar[bool] = True
    leaves_kinks: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.patience >= 0, "patience", self.patience, "zero or positive")
        require(0 < self.fall < 1, "fall", self.fall, "between 0 and 1")
        known = self.loose is None or isinstance(self.loose, ConjugateGradient)
        require(known, "loose", self.loose, "a ConjugateGradient, or None")
        require(self.initial_shift >= 0, "initial_shift", self.initial_shift, "zero or positive")

    def iterate(self, objective: Objective, point: Point) -> Iterator[Point]:
        shift, failures, max_step = -1.0, 0, self.max_step * step_unit(objective.system)
        best, since = point.residual, 0
        if (eased := self._eased(objective, point)) is not point:
            point = eased
            yield point
        while True:
            model = newton_model(objective, point)
            if shift < 0:
                shift = self.initial_shift * model.rho * min(1.0, point.typical_force / objective.force_unit)
            if self.converged(objective, point):  # asked to go on from here: a saddle
                reached = leave_saddle(objective, point, model.lowest_mode())
                if reached is None:
                    return
            else:
                accuracy = min(0.1, point.residual**0.5)
                step, shift = model.step(point.gradient, shift, 10 * max_step, accuracy)
                reached, t = _search(objective, point, step, min(1.0, max_step / float(abs(step).max())))
                if t > 0.9:
                    shift = max(shift / 4, model.floor)
                elif t < 0.25:
                    shift = max(2 * shift, 100 * model.floor)
                if reached is None:
                    failures, shift = failures + 1, max(10 * shift, 1e-6 * model.rho)
                    if failures > 6:
                        return
                    continue
            failures = 0
            point = self._eased(objective, objective.canonical(reached))
            yield point
            since += 1
            if point.residual < self.fall * best:
                best, since = point.residual, 0
            elif self.patience and since >= self.patience:
                return

    def _eased(self, objective: Objective, point: Point) -> Point:
        """What bears no force moved, at fixed scale, to where nothing presses on it."""
        if self.loose is None:
            return point
        loose = ~objective.constraints_at(point).bearing()[0]
        pressed = point.gradient[: len(loose)][loose]
        at_rest = float(pressed @ pressed) ** 0.5 <= self.loose.gradient_tolerance * point.force
        if at_rest or len(pressed) > 0.5 * len(loose):  # of so many it is contacts that are missing
            return point
        alone = objective.going_on(objective.system_at(point), conjugate=None, mask=loose)
        reached = self.loose.run(alone, objective.x(point.y), watch=SPARSE)
        objective.n_evaluations += reached.n_evaluations
        if reached.status == "interrupted":
            raise KeyboardInterrupt
        return objective(objective.y(reached.x, point.y[-1]))


def _search(objective: Objective, point: Point, step: Array, t: float) -> tuple[Point | None, float]:
    """A point along the step, and how far along it lies.

    Its E has not risen, and its slope has fallen to a fifth or its gradient to a half.
    """
    start = float(point.gradient @ step)
    slack = 1e-10 * point.energy + 5 * objective.system.resolution(objective.x(point.y)) * point.force
    halved = 0.5 * point.residual * point.force
    low, low_slope = 0.0, start
    high, high_slope = (
        math.inf,
        0.0,
    )  # the nearest point too far; its slope where that is known to be positive
    fallback: tuple[Point | None, float] = (None, 0.0)
    for _ in range(8):
        trial = objective(point.y + t * step)
        slope = float(trial.gradient @ step)
        risen = not trial.value <= point.value + slack
        if not risen and (abs(slope) <= 0.2 * abs(start) or trial.residual * trial.force <= halved):
            return trial, t
        if slope > 0 or risen:
            high, high_slope = t, max(0.0, slope)
        else:
            low, low_slope = t, slope
            fallback = (trial, t)
        if high == math.inf:
            t *= 2.0
        elif high_slope == 0.0:
            t = 0.5 * (low + high)
        else:
            secant = low + (high - low) * low_slope / (low_slope - high_slope)
            t = min(max(secant, low + 0.1 * (high - low)), high - 0.1 * (high - low))
    return fallback


def leave_saddle(objective: Objective, point: Point, mode: Array) -> Point | None:
    """The lowest point met along a direction of negative curvature, doubling the distance while E falls."""
    if float(point.gradient @ mode) > 0:
        mode = -mode
    typical = objective.unit * (point.typical_force / objective.force_unit)
    best, t = None, typical / max(float(abs(mode).max()), 1e-300)
    for _ in range(40):
        trial = objective(point.y + t * mode)
        if trial.value >= (best or point).value:
            if best is not None:
                return best
            t /= 4
        else:
            best = trial
            t *= 2
    return best
