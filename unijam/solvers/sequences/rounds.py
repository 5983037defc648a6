"""Rounds for sparse systems: descent, in which contacts rearrange, then Newton's method, which converges."""

import math
from dataclasses import dataclass, field, replace

from ...core.capabilities import Rearranging
from ...core.tolerances import NEWTON_FALL
from ...support.arrays import Array
from ...support.validation import require, require_options
from ..first_order.conjugate_gradient import ConjugateGradient
from ..history import SPARSE
from ..kink_probe import KINK, ends_at_kink
from ..loop import Solver
from ..objective import Objective
from ..result import MinimizeResult, joined
from ..second_order.interior_point import InteriorPoint
from ..second_order.trust_region_newton import TrustRegionNewton
from .sequence import Sequence

# Relative gradient at which the first round hands over to Newton's method, if the system does not define `handover` or
# descent is not compiled (docs/decisions/033).
HANDOVER = 1e-4
# If a first attempt of Newton's method fails, but its relative gradient is below this, descent begins where it ended
# (docs/decisions/034).
NEARER = 0.5
# Typical overlap, in units, below which an interior-point method is tried first (docs/decisions/093).
FORESEEN = 5e-5
# A round gains something if it lowers E by more than this share of it, or the relative gradient to that share of its
# lowest value so far. After this many rounds in a row without gain the run ends. Discs with a force that jumps by 4 at
# contact lowered E by 4e-3 a round of 20 000 evaluations, and would have gone on so for thirty rounds; of a smooth U a
# round that fails gains much more in its gradient.
GAIN, FALL, PATIENCE = 1e-2, 0.5, 2
IDLE = f"{PATIENCE} rounds in a row lowered neither E nor its gradient; check that u' is the derivative of u."


@dataclass(frozen=True)
class Rounds(Sequence):
    """Conjugate gradients to some residual, then Newton's method; if that fails, again to a smaller residual.

    Before each step of Newton's method, the degrees of freedom that bear no force are relaxed with all others fixed.

    Attributes
    ----------
    gradient_tolerance : float
        The relative gradient asked for.
    first_residual : float or None
        The relative gradient at which the first round hands over to Newton's method. None: the system's `handover` if
        descent is compiled (thousands of iterations then cost as much as a few factorisations), else 1e-4.
    newton_first : bool
        Whether a few Newton steps are tried before the first round. From a nearby state of the same branch they are
        enough, unless many contacts break. Near jamming an `InteriorPoint` is tried before them.
    max_rounds : int
        The largest number of rounds.
    descent : ConjugateGradient
        The solver of the first part of a round; its `gradient_tolerance` is not used.

    Examples
    --------
    >>> import unijam as uj
    >>> uj.minimize(uj.SoftSpheres.random(n=32, packing_fraction=1.0), None, uj.Rounds()).status
    'converged'
    """

    gradient_tolerance: float = 1e-10
    first_residual: float | None = None
    newton_first: bool = False
    max_rounds: int = 30
    descent: ConjugateGradient = field(default_factory=lambda: ConjugateGradient(max_steps=20_000))

    def __post_init__(self) -> None:
        require_options(self)
        require(
            0 < self.gradient_tolerance < 1, "gradient_tolerance", self.gradient_tolerance, "between 0 and 1"
        )
        between = self.first_residual is None or 0 < self.first_residual < 1
        require(between, "first_residual", self.first_residual, "between 0 and 1, or None")
        known = isinstance(self.descent, ConjugateGradient)
        require(known, "descent", self.descent, "a ConjugateGradient")
        require(self.max_rounds >= 1, "max_rounds", self.max_rounds, "at least 1")

    def follow(
        self, objective: Objective, x: Array, progress: bool, results: list[MinimizeResult]
    ) -> MinimizeResult:
        """Run rounds until one converges; parameters as in `Sequence.follow`."""
        tolerance, first = self.gradient_tolerance, HANDOVER
        if objective.in_bursts and isinstance(objective.system, Rearranging):
            first = objective.system.handover
        # degrees of freedom that bear no force are relaxed to a tenth of the tolerance
        loose = replace(self.descent, gradient_tolerance=0.1 * tolerance, max_steps=2000)
        # Newton's method is given up after two steps without gain; after a rough descent, as of ellipses, after five
        # (docs/decisions/033).
        newton = TrustRegionNewton(tolerance, 60, patience=5 if first > 1e-5 else 2, loose=loose)
        system, residual = objective.system, max(self.first_residual or first, tolerance)
        if self.newton_first:
            firsts: list[Solver] = [replace(newton, patience=1, fall=NEWTON_FALL)]
            if _nearly_jammed(objective, x):
                firsts.insert(0, InteriorPoint(tolerance))
            for solver in firsts:
                tried = solver.run(objective.going_on(system), x)
                results.append(tried)
                if tried.status in ("converged", "interrupted"):
                    return joined(results)
                if tried.relative_gradient < NEARER:
                    system, x = tried.system, tried.x
        lowest, least, idle = math.inf, math.inf, 0
        for _ in range(self.max_rounds):
            gained = False
            for solver in (replace(self.descent, gradient_tolerance=residual), newton):
                reached = solver.run(objective.going_on(system), x, progress, SPARSE)
                results.append(reached)
                system, x = reached.system, reached.x
                if reached.status in ("satisfied", "interrupted"):
                    return joined(results)
                value = _value(objective, reached)
                lower = math.isinf(lowest) or value < lowest - GAIN * abs(lowest)
                gained = gained or lower or reached.relative_gradient < FALL * least
                lowest, least = min(lowest, value), min(least, reached.relative_gradient)
            if reached.status == "converged":
                return joined(results)
            slow = results[-2].status == "step-limit" and objective.conjugate is None
            if slow and ends_at_kink(system, x):
                return _ended(results, KINK)
            idle = 0 if gained else idle + 1
            if idle == PATIENCE:
                return _ended(results, IDLE)
            # The next descent goes further than the last one, and than the point that Newton's method reached.
            residual = max(0.3 * min(residual, reached.relative_gradient), tolerance)
        return _ended(results, f"{self.max_rounds} rounds ran, as many as max_rounds allows.")


def _nearly_jammed(objective: Objective, x: Array) -> bool:
    """Whether overlaps at x are so small that contacts change with hardly any motion."""
    unit = objective.system.unit
    return objective.first(x).typical_force < objective.system.potential.force_unit(FORESEEN * unit)


def _ended(results: list[MinimizeResult], reason: str) -> MinimizeResult:
    """The joined results of rounds of which none converged; a saddle stays a saddle."""
    found = joined(results)
    return found if found.status == "saddle" else replace(found, status="stalled", reason=reason)


def _value(objective: Objective, reached: MinimizeResult) -> float:
    """E of a result, without a constant: U, or U − τ (λ − its first value)."""
    if objective.conjugate is None:
        return reached.energy
    return reached.energy - objective.conjugate * ((reached.system.scale or 0.0) - objective.reference)
