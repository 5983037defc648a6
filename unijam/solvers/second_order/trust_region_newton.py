"""Newton's method with a trust region, realised by a shift of H (Levenberg-Moré), and a line search on the slope.

Near jamming changes of E are lost in rounding long before its slope is. A step is therefore accepted if the slope along
it has fallen; E must only not rise (docs/decisions/005).
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
    """Newton steps, exact (sparse or dense H) or by conjugate gradients (matrix-free H). Saddles are left downhill.

    For an exact step H is shifted until it is positive definite. A matrix-free step is solved to a residual of
    √(relative gradient), at most 0.1, and follows negative curvature if it meets any; "converged" then means that
    Lanczos' method found no negative mode.

    Attributes
    ----------
    max_step : float
        The largest change of a degree of freedom that is tried at first, in units of the system's `step_unit`.
    patience, fall : int, float
        The method ends if `patience` steps do not lower the relative gradient to this share of its lowest value so
        far; 0: no such test.
    loose : ConjugateGradient or None
        The solver that relaxes the degrees of freedom that bear no force before each step, with all others fixed: a
        rattler pinched between two particles that bear force slips out slowly, and would delay all others. It is not
        used if they are more than half of all degrees of freedom. None: Newton steps move them too.
    initial_shift : float
        The first shift of H, in units of its mean diagonal entry and of a typical force.

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
            if self.converged(objective, point):  # the loop did not end here, so this is a saddle
                reached = leave_saddle(objective, point, model.lowest_mode())
                if reached is None:
                    return
            else:
                # of a matrix-free step: far from the minimum a rough step is enough (docs/decisions/016)
                accuracy = min(0.1, point.residual**0.5)
                # a step may be ten times too long: the search below shortens it
                step, shift = model.step(point.gradient, shift, 10 * max_step, accuracy)
                reached, t = _search(objective, point, step, min(1.0, max_step / float(abs(step).max())))
                # The shift follows the search: smaller after a whole step, larger after less than a quarter of one.
                if t > 0.9:
                    shift = max(shift / 4, model.floor)
                elif t < 0.25:
                    shift = max(2 * shift, 100 * model.floor)
                if reached is None:  # no point along the step was accepted
                    failures, shift = failures + 1, max(10 * shift, 1e-6 * model.rho)
                    if failures > 6:  # shifts a million times larger did not help
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
        """The point after the degrees of freedom that bear no force have been relaxed, at fixed scale, by `loose`."""
        if self.loose is None:
            return point
        loose = ~objective.constraints_at(point).bearing()[0]
        pressed = point.gradient[: len(loose)][loose]
        at_rest = float(pressed @ pressed) ** 0.5 <= self.loose.gradient_tolerance * point.force
        if at_rest or len(pressed) > 0.5 * len(loose):  # of so many, contacts are missing
            return point
        alone = objective.going_on(objective.system_at(point), conjugate=None, mask=loose)
        reached = self.loose.run(alone, objective.x(point.y), watch=SPARSE)
        objective.n_evaluations += reached.n_evaluations
        if reached.status == "interrupted":
            raise KeyboardInterrupt
        return objective(objective.y(reached.x, point.y[-1]))


def _search(objective: Objective, point: Point, step: Array, t: float) -> tuple[Point | None, float]:
    """A point along the step, and the fraction of the step at which it lies; (None, 0.0) if none is found.

    E has not risen there by more than its rounding error, and the slope has fallen to a fifth or the gradient to a
    half. If no point has both, it is the farthest point met at which E has not risen and still falls.
    """
    # the rounding error of E: a tighter bound stalled stages near jamming (docs/decisions/005)
    start = float(point.gradient @ step)
    slack = 1e-10 * point.energy + 5 * objective.system.resolution(objective.x(point.y)) * point.force
    halved = 0.5 * point.residual * point.force
    low, low_slope = 0.0, start
    # the nearest point that is too far, and its slope; 0 if only E is known to have risen there
    high, high_slope = math.inf, 0.0
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
            # at least a tenth of the interval from both ends, so that the interval shrinks
            t = min(max(secant, low + 0.1 * (high - low)), high - 0.1 * (high - low))
    return fallback


def leave_saddle(objective: Objective, point: Point, mode: Array) -> Point | None:
    """The lowest point found along a direction of negative curvature, (n,): the distance is doubled while E falls.

    The first distance is a typical overlap. While E has not fallen yet the distance is divided by four; None after 40
    trials.
    """
    if float(point.gradient @ mode) > 0:
        mode = -mode
    typical = objective.unit * (point.typical_force / objective.force_unit)
    best, t = None, typical / max(float(abs(mode).max()), 1e-300)  # 1e-300: a guard against a mode of zeros
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
