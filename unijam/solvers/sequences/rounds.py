"""Rounds for sparse systems: descent, in which contacts rearrange, then Newton's method, which converges."""

from dataclasses import dataclass, field, replace

from ...core.capabilities import Rearranging
from ...core.tolerances import NEWTON_FALL
from ...support.arrays import Array
from ...support.validation import require, require_options
from ..first_order.conjugate_gradient import ConjugateGradient
from ..history import SPARSE
from ..method import Method
from ..objective import Objective
from ..result import MinimizeResult, joined
from ..second_order.trust_region_newton import TrustRegionNewton

# Relative gradient at which the first round hands over to Newton's method, if the system does not define `handover` or
# descent is not compiled (docs/decisions/033).
HANDOVER = 1e-4
# If a first attempt of Newton's method fails, but its relative gradient is below this, descent begins where it ended
# (docs/decisions/034).
NEARER = 0.5


@dataclass(frozen=True)
class Rounds(Method):
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
        enough, unless many contacts break.
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

    def run(self, objective: Objective, x: Array, progress: bool = False) -> MinimizeResult:
        """Run rounds until one converges; parameters as in `Method.run`."""
        tolerance, first = self.gradient_tolerance, HANDOVER
        if objective.in_bursts and isinstance(objective.system, Rearranging):
            first = objective.system.handover
        # degrees of freedom that bear no force are relaxed to a tenth of the tolerance
        loose = replace(self.descent, gradient_tolerance=0.1 * tolerance, max_steps=2000)
        # Newton's method is given up after two steps without gain; after a rough descent, as of ellipses, after five
        # (docs/decisions/033).
        newton = TrustRegionNewton(tolerance, 60, patience=5 if first > 1e-5 else 2, loose=loose)
        results: list[MinimizeResult] = []
        system, residual = objective.system, max(self.first_residual or first, tolerance)
        if self.newton_first:
            tried = replace(newton, patience=1, fall=NEWTON_FALL).run(objective, x)
            if tried.status in ("converged", "interrupted"):
                return tried
            if tried.relative_gradient < NEARER:
                results, system, x = [tried], tried.system, tried.x
        for _ in range(self.max_rounds):
            for solver in (replace(self.descent, gradient_tolerance=residual), newton):
                reached = solver.run(objective.going_on(system), x, progress, SPARSE)
                results.append(reached)
                system, x = reached.system, reached.x
                if reached.status in ("satisfied", "interrupted"):
                    return joined(results)
            if reached.status == "converged":
                break
            # The next descent goes further than the last one, and than the point that Newton's method reached.
            residual = max(0.3 * min(residual, reached.relative_gradient), tolerance)
        return joined(results)
