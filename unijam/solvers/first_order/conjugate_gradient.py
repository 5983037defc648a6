"""Nonlinear conjugate gradients with one evaluation for each iteration: a trial step gives the curvature along it.

The gradient at the accepted point is extrapolated from the gradient at the trial point; this is exact if the energy is
quadratic.
"""

from dataclasses import dataclass
from typing import NamedTuple

from ...compiled import inline
from ...compiled.dispatch import borrowed, implements
from ...core.capabilities import step_unit
from ...linalg.vectors import blend, dot, moved, products
from ...support.arrays import Array
from ...support.validation import require
from ..models import largest_curvature
from ..objective import Objective
from ..point import Point
from . import bursts
from .base import FirstOrder
from .compiled_objective import evaluated


@dataclass(frozen=True)
class ConjugateGradient(FirstOrder):
    """Polak-Ribière-Polyak conjugate gradients with restarts. The points that it visits are the trial points.

    Attributes
    ----------
    max_step : float
        The largest change of a degree of freedom in one step, in units of the system's `step_unit`.
    refresh : int
        The number of iterations after which the gradient is evaluated instead of extrapolated.

    Notes
    -----
    Source: E. Polak, G. Ribière, Rev. Fr. Inform. Rech. Opér. 16, 35 (1969), β ≥ 0 of M. J. D. Powell.

    Examples
    --------
    >>> import unijam as uj
    >>> solver = uj.ConjugateGradient(gradient_tolerance=1e-6)
    >>> uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0), None, solver).relative_gradient < 1e-6
    True
    """

    max_step: float = 0.05
    refresh: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.max_step > 0, "max_step", self.max_step, "positive")
        require(self.refresh >= 1, "refresh", self.refresh, "at least 1")

    def begin(self, objective: Objective, point: Point) -> "ConjugateDescent":
        direction, square, _, largest = blend(-1.0, point.gradient, 0.0, point.gradient)
        return ConjugateDescent(
            point=point,
            finished=square <= 0,
            base=point.y,
            gradient=point.gradient,
            direction=direction,
            square=square,
            slope=square,
            largest=largest,
            trial_step=1.0 / largest_curvature(objective, point, 3),  # a rough estimate
            iterations=0,
            anew=False,
            rules=Rules(self.max_step * step_unit(objective.system), self.refresh, self.gradient_tolerance),
        )

    @staticmethod
    def advance(state: "ConjugateDescent", objective: Objective) -> "ConjugateDescent":
        return _advance(state, objective)


class Rules(NamedTuple):
    """The options of `ConjugateGradient`, in a form that compiled code can read."""

    max_step: float
    refresh: int
    tolerance: float


class ConjugateDescent(NamedTuple):
    """The state of conjugate gradients.

    Attributes
    ----------
    point : Point
        The point evaluated last.
    finished : bool
        Whether the gradient vanishes.
    base, gradient, direction : arrays
        The accepted y, ∂E/∂y there, and the direction of the next step.
    square, slope, largest : float
        gradient·gradient, −∇E·direction and the largest component of the direction.
    trial_step : float
        The length of the next trial step, in units of the direction.
    iterations : int
        The number of iterations so far.
    anew : bool
        Whether the gradient at `base` must be evaluated next; `gradient` then still is that of the last base.
    rules : Rules
    """

    point: Point
    finished: bool
    base: Array
    gradient: Array
    direction: Array
    square: float
    slope: float
    largest: float
    trial_step: float
    iterations: int
    anew: bool
    rules: Rules


@implements(bursts.advance, ConjugateDescent)
def _advance(state: ConjugateDescent, objective: Objective) -> ConjugateDescent:
    s = borrowed(state)
    if s.anew:
        base = state.base
        point = evaluated(objective, base)
        square, product = products(point.gradient, s.gradient)
        return _turned(s, point, base, point.gradient, square, product, s.slope, s.trial_step)
    longest = s.rules.max_step / s.largest
    t = min(s.trial_step, longest)
    trial = evaluated(objective, moved(s.base, t, s.direction))
    new_slope = -dot(trial.gradient, s.direction)
    drop = s.slope - new_slope
    # The secant step. If the slope has hardly fallen (or has risen), the curvature is unknown: four times as far.
    step = min(t * s.slope / drop if drop > 0.05 * s.slope else 4 * t, 4 * t, longest)
    ratio = step / t
    base = moved(s.base, step, s.direction)
    gradient, square, product, _ = blend(1 - ratio, s.gradient, ratio, trial.gradient)
    # a guard: one step does not change the length of the next trial by more than a factor of 1000
    trial_step = min(max(step, 1e-3 * s.trial_step), 1e3 * s.trial_step)
    slope = s.slope + ratio * (new_slope - s.slope)
    iterations = s.iterations + 1
    # The gradient is evaluated where its extrapolation would decide something, or has changed so much that it cannot
    # be trusted: converged, a hundred times smaller, or twice as large.
    looks_done = square <= (s.rules.tolerance * trial.force) ** 2 or square < 1e-4 * s.square
    if iterations % s.rules.refresh == 0 or looks_done or square > 4 * s.square:
        return ConjugateDescent(
            point=trial,
            finished=False,
            base=base,
            gradient=state.gradient,
            direction=state.direction,
            square=s.square,
            slope=slope,
            largest=s.largest,
            trial_step=trial_step,
            iterations=iterations,
            anew=True,
            rules=s.rules,
        )
    return _turned(s, trial, base, gradient, square, product, slope, trial_step)


@inline
def _turned(
    s: ConjugateDescent,
    point: Point,
    base: Array,
    gradient: Array,
    square: float,
    product: float,
    carried: float,
    trial_step: float,
) -> ConjugateDescent:
    """The state at `base` with a new direction; `carried` is the slope there along the old direction."""
    beta = max(0.0, (square - product) / s.square)
    direction, _, _, largest = blend(beta, s.direction, -1.0, gradient)
    slope = square + beta * carried
    if slope <= 0:  # no direction of descent: restart along the gradient
        direction, slope, _, largest = blend(-1.0, gradient, 0.0, gradient)
    return ConjugateDescent(
        point=point,
        finished=slope <= 0,
        base=base,
        gradient=gradient,
        direction=direction,
        square=square,
        slope=slope,
        largest=largest,
        trial_step=trial_step,
        iterations=s.iterations + (not s.anew),
        anew=False,
        rules=s.rules,
    )
