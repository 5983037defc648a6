"""Which solver suits a system: the only place where that is decided."""

import scipy.sparse as sp

from ..system import ConstrainedSystem
from .conjugate_gradient import ConjugateGradient
from .levenberg_marquardt import LevenbergMarquardt
from .loop import Solver
from .stages import Stage, Stages
from .trust_region_newton import TrustRegionNewton


def is_sparse(system: ConstrainedSystem) -> bool:
    """Whether the system's Jacobian is sparse."""
    c = system.constraints(system.initial)
    return sp.issparse(c.jacobian(c.delta > c.delta.max()))


def default_solver(system: ConstrainedSystem) -> Solver | Stages:
    """Sparse: conjugate gradients, then Newton; dense with a scale: Newton; dense without: Levenberg-Marquardt first."""
    newton = TrustRegionNewton()
    if is_sparse(system):
        return Stages((Stage(solver=ConjugateGradient(gradient_tolerance=1e-4)), Stage(solver=newton)))
    if system.scale is not None:
        return newton
    quick = LevenbergMarquardt(gradient_tolerance=1e-4, max_steps=300)
    return Stages((Stage(solver=quick), Stage(solver=newton)))
