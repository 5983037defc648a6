"""Which solver suits a system: the only place where that is decided."""

import scipy.sparse as sp

from ..system import ConstrainedSystem
from .levenberg_marquardt import LevenbergMarquardt
from .loop import Solver
from .proximal_newton import ProximalNewton
from .rounds import Rounds
from .stages import Stage, Stages
from .trust_region_newton import TrustRegionNewton


def is_sparse(system: ConstrainedSystem) -> bool:
    """Whether the system's Jacobian is sparse."""
    if system.matrix_free:
        return False
    c = system.constraints(system.initial)
    return sp.issparse(c.jacobian(c.overlaps))


def is_kinked(system: ConstrainedSystem) -> bool:
    """Whether U has kinks: max(), |·| or ReLU in Δ, or a jump of u'."""
    c = system.constraints(system.initial)
    return c.kinks(c.delta).values.shape[0] > 0 or system.potential.kink > 0


def newton_for(system: ConstrainedSystem, gradient_tolerance: float = 1e-10, max_steps: int = 1000) -> Solver:
    """Newton's method, with its kinks in the model where a dense system has any."""
    smooth = system.matrix_free or not is_kinked(system)
    method = TrustRegionNewton if smooth else ProximalNewton
    return method(gradient_tolerance=gradient_tolerance, max_steps=max_steps)


def default_solver(system: ConstrainedSystem) -> Solver | Stages | Rounds:
    """Sparse: rounds of descent and Newton; with a scale: Newton; without: Levenberg-Marquardt first."""
    if is_sparse(system):
        return Rounds()
    newton = newton_for(system)
    if system.scale is not None:
        return newton
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton)))
