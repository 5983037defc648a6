"""The kind of Newton's method that a system needs: with kinks in the model, or without."""

from ...core.system import ConstrainedSystem
from ..loop import Solver
from .proximal_newton import ProximalNewton
from .trust_region_newton import TrustRegionNewton


def newton_for(system: ConstrainedSystem, gradient_tolerance: float = 1e-10, max_steps: int = 1000) -> Solver:
    """A `ProximalNewton` if the system has kinks and is not matrix-free, else a `TrustRegionNewton`.

    `solver_for` and sequences of solvers use it.
    """
    kinked = system.kinked and not system.matrix_free
    method = ProximalNewton if kinked else TrustRegionNewton
    return method(gradient_tolerance=gradient_tolerance, max_steps=max_steps)
