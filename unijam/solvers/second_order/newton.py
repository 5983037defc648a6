"""Newton's method for a system, with its kinks in the model where it has any."""

from ...core.system import ConstrainedSystem
from ..loop import Solver
from .proximal_newton import ProximalNewton
from .trust_region_newton import TrustRegionNewton


def is_kinked(system: ConstrainedSystem) -> bool:
    """Whether U has kinks: max(), |·| or ReLU in Δ, or a jump of u'."""
    c = system.constraints(system.initial)
    return c.kinks(c.delta).values.shape[0] > 0 or system.potential.kink > 0


def newton_for(system: ConstrainedSystem, gradient_tolerance: float = 1e-10, max_steps: int = 1000) -> Solver:
    """Newton's method, with its kinks in the model where a dense system has any."""
    smooth = system.matrix_free or not is_kinked(system)
    method = TrustRegionNewton if smooth else ProximalNewton
    return method(gradient_tolerance=gradient_tolerance, max_steps=max_steps)
