"""Newton's method for a system, with its kinks in the model where it has any."""

from ...core.system import ConstrainedSystem
from ..loop import Solver
from .proximal_newton import ProximalNewton
from .trust_region_newton import TrustRegionNewton


def newton_for(system: ConstrainedSystem, gradient_tolerance: float = 1e-10, max_steps: int = 1000) -> Solver:
    """`ProximalNewton` where a dense system has kinks, else `TrustRegionNewton`; a part of `solver_for`."""
    kinked = system.kinked and not system.matrix_free
    method = ProximalNewton if kinked else TrustRegionNewton
    return method(gradient_tolerance=gradient_tolerance, max_steps=max_steps)
