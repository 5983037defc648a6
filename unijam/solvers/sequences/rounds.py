"""Rounds of descent and Newton's method, for sparse systems: contacts rearrange in the one, the other ends it."""

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

HANDOVER = 1e-4  # of relative gradient, of systems that do not say it themselves
NEARER = 0.5  # relative gradient below which such steps that fail have come nearer all the same


@dataclass(frozen=True)
class Rounds(Method):
    """Conjugate gradients to a residual, then Newton's method; where that gets nowhere, again to a smaller residual.

    Before each step of Newton's method what bears no force is relaxed alone.

    Attributes
    ----------
    gradient_tolerance : float
        Of the result.
    first_residual : float or None
        Relative gradient at which the first round hands over to Newton's method. None: the system's `handover` where
        descent runs in bursts (thousands of iterations then cost what a few factors do), 1e-4 elsewhere.
    newton_first : bool
        Whether a few Newton steps are tried before the first round: from a nearby state of the same branch they
        are all there is, unless many contacts break.
    max_rounds : int

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
        """Run rounds until one converges."""
        tolerance, first = self.gradient_tolerance, HANDOVER
        if objective.in_bursts and isinstance(objective.system, Rearranging):
            first = objective.system.handover
        loose = replace(self.descent, gradient_tolerance=0.1 * tolerance, max_steps=2000)
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
            residual = max(0.3 * min(residual, reached.relative_gradient), tolerance)
        return joined(results)
