"""Rounds of descent and Newton's method, for sparse systems: contacts rearrange in the one, the other ends it."""

import math
from dataclasses import dataclass, field, replace

from ..arrays import Array
from ..validation import require, require_options
from .conjugate_gradient import ConjugateGradient
from .loop import MinimizeResult, joined
from .objective import Objective
from .trust_region_newton import TrustRegionNewton

FALL = 0.1  # of the relative gradient, one Newton step: slower, contacts rearrange, and descent is faster


@dataclass(frozen=True)
class Rounds:
    """Conjugate gradients to a residual, then Newton's method; where that gets nowhere, again to a smaller residual.

    In each round what bears no force is first relaxed alone: a rattler pinched between two particles that bear
    force slips out slowly, and would keep everything waiting.

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
        first = objective.system.handover if objective.in_bursts else 1e-4
        patience = 5 if first > 1e-5 else 2
        newton = TrustRegionNewton(
            gradient_tolerance=self.gradient_tolerance, max_steps=60, patience=patience
        )
        results: list[MinimizeResult] = []
        if self.newton_first:
            tried = self._newton_steps(objective, x)
            if tried.status in ("converged", "interrupted"):
                return tried
        system, residual = objective.system, max(self.first_residual or first, self.gradient_tolerance)
        for _ in range(self.max_rounds):
            for solver in (replace(self.descent, gradient_tolerance=residual), newton):
                reached = solver.run(objective.on(system), x, progress)
                if solver is not newton and reached.status not in ("satisfied", "interrupted"):
                    reached = self._relaxed(reached)
                results.append(reached)
                system, x = reached.system, reached.x
                if reached.status in ("satisfied", "interrupted"):
                    return joined(results)
            if results[-1].status == "converged":
                break
            residual = max(0.3 * min(residual, results[-1].relative_gradient), self.gradient_tolerance)
        return joined(results)

    def _newton_steps(self, objective: Objective, x: Array) -> MinimizeResult:
        """Single Newton steps, what bears no force relaxed between them, as long as they get somewhere."""
        step = TrustRegionNewton(gradient_tolerance=self.gradient_tolerance, max_steps=1)
        system, results = objective.system, []
        wanted = math.inf
        while True:
            results.append(step.run(objective.on(system), x))
            system, residual = results[-1].system, results[-1].relative_gradient
            if results[-1].status in ("converged", "interrupted") or not residual < wanted:
                return joined(results)
            relaxed = self._relaxed(results[-1])
            if relaxed.status == "interrupted":
                return joined([*results[:-1], relaxed])
            x, wanted = relaxed.x, FALL * residual

    def _relaxed(self, state: MinimizeResult) -> MinimizeResult:
        """What bears no force moved, alone and at fixed scale, to where nothing presses on it."""
        loose = ~state.system.constraints(state.x).bearing()[0]
        if not bool(loose.any()):
            return state
        descent = replace(self.descent, gradient_tolerance=0.1 * self.gradient_tolerance, max_steps=2000)
        moved = descent.run(Objective(state.system, mask=loose), state.x)
        if moved.status == "interrupted":
            return replace(state, status="interrupted")
        return replace(state, x=moved.x)
